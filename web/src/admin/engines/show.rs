//! `/admin/engines/{id}`: one engine's state, and what operators do about it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::engines::{self, View};
use serde::Deserialize;

use super::{abilities, free, health, of};
use crate::App;
use crate::admin::frame::{Area, Frame, Operator};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size};

#[derive(Template)]
#[template(path = "admin/engine.html")]
struct EnginePage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    view: &'a View,
    health: (&'static str, &'static str),
    since: Option<Moment>,
    checked: Option<Moment>,
    failed: Option<Moment>,
    probed: Option<Moment>,
    able: [(&'static str, bool); 16],
    free: String,
    stored: String,
    buckets: String,
    tenants: String,
    rotating_since: Option<Moment>,
    errors: FormErrors,
}

#[derive(Deserialize, Default)]
pub struct EngineQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Path(engine_id): Path<String>,
    Query(query): Query<EngineQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    render(
        &app,
        &operator,
        &engine_id,
        &query.notice,
        FormErrors::default(),
    )
    .await
}

fn words(notice: &str) -> &'static str {
    match notice {
        "added" => "It was tried out and is kept. No bucket goes there until you say whose.",
        "probed" => "It was tried out anew.",
        "capacity" => "The capacity is kept.",
        "default" => "New buckets go there by default.",
        "here" => "That tenant’s new buckets go there. Those that it has stay where they are.",
        "away" => "That tenant’s new buckets go to the default engine.",
        "disabled" => "It is disabled: no new buckets go there.",
        "enabled" => "It is enabled.",
        "rotated" => "The new credentials work and are in use. Finish when every node has them.",
        "finished" => "The old credentials are forgotten: end them at the engine.",
        "back" => "The old credentials are in use again.",
        _ => "",
    }
}

pub async fn render(
    app: &App,
    operator: &Operator,
    id: &str,
    notice: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let view = engines::get(&mut tx, &app.cp, id).await?;
    drop(tx);
    let looked = view.health.as_ref();
    let rotation = view.rotation.as_ref();
    page(&EnginePage {
        frame: Frame::new(operator, Area::Engines),
        notice: words(notice),
        health: health(looked),
        since: looked.map(|health| Moment(health.since)),
        checked: looked.map(|health| Moment(health.checked_at)),
        failed: looked.and_then(|health| health.last_error_at).map(Moment),
        probed: view.probed_at.map(Moment),
        able: abilities(&view.capabilities),
        free: free(&view),
        stored: format!(
            "{} in {}",
            Size::of(view.stored_bytes),
            of(view.objects, "object")
        ),
        buckets: of(view.buckets, "bucket"),
        tenants: of(view.tenants, "tenant"),
        rotating_since: rotation.and_then(|rotation| rotation.since).map(Moment),
        view: &view,
        errors,
    })
}

/// Back to the engine's page, with what was done or what was wrong.
pub async fn answer(
    app: &App,
    operator: &Operator,
    id: &str,
    notice: &str,
    done: Result<(), Error>,
) -> Result<Response, Failure> {
    match done {
        Ok(()) => {
            let to = format!("/admin/engines/{id}?notice={notice}");
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["capacity_bytes", "tenant"])?;
            let again = render(app, operator, id, "", errors).await?;
            Ok((status, again).into_response())
        }
    }
}
