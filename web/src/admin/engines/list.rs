//! `/admin/engines`: all of them, with what a glance is for.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use controlplane::engines;
use serde::Deserialize;

use super::{abilities, free, health, host, of};
use crate::App;
use crate::admin::frame::{Area, Frame, Operator};
use crate::failure::{Failure, page};

#[derive(Template)]
#[template(path = "admin/engines.html")]
struct EnginesPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    host: String,
    placement: String,
    is_default: bool,
    disabled: bool,
    health: (&'static str, &'static str),
    /// `11 of 14`; empty: nobody has tried it out.
    able: String,
    free: String,
    holds: String,
}

#[derive(Deserialize, Default)]
pub struct EnginesQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<EnginesQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(&app).await?;
    let all = engines::list(&mut tx, &app.cp).await?;
    drop(tx);
    let rows = all.into_iter().map(|view| {
        let able = abilities(&view.capabilities);
        let can = able.iter().filter(|(_, can)| *can).count();
        Row {
            host: host(&view.endpoint).to_owned(),
            disabled: view.status == "disabled",
            health: health(view.health.as_ref()),
            able: match view.probed_at {
                Some(_) => format!("{can} of {}", able.len()),
                None => String::new(),
            },
            free: free(&view),
            holds: format!(
                "{}, {}",
                of(view.buckets, "bucket"),
                of(view.tenants, "tenant")
            ),
            id: view.id,
            placement: view.placement,
            is_default: view.is_default,
        }
    });
    page(&EnginesPage {
        frame: Frame::new(&operator, Area::Engines),
        notice: match query.notice.as_str() {
            "removed" => "The engine is removed.",
            _ => "",
        },
        rows: rows.collect(),
    })
}
