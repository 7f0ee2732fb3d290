//! `/admin/plans/{plan_id}`: every version of a plan's terms and who is on each; a new version, and its end.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::plans::{self, Version};
use serde::Deserialize;

use super::state;
use super::terms::{Input, change, explain, inputs, of_plan};
use crate::App;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::{Pairs, term};
use crate::figures::{Moment, Size, count, money};
use crate::forgery::Button;

#[derive(Template)]
#[template(path = "admin/plan.html")]
struct PlanPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    id: String,
    name: String,
    word: &'static str,
    tone: &'static str,
    retired: Option<Moment>,
    /// Everybody begins on it.
    needed: bool,
    versions: Vec<VersionRow>,
    subscribers: Vec<SubscriberRow>,
    inputs: Vec<Input>,
    for_sale: bool,
    errors: FormErrors,
}

struct VersionRow {
    version: i32,
    price: String,
    stored: Size,
    egress: String,
    rate: String,
    tenants: String,
}

struct SubscriberRow {
    tenant_id: String,
    name: String,
    version: i32,
    since: Moment,
}

#[derive(Deserialize, Default)]
pub struct PlanQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Path(plan_id): Path<String>,
    Query(query): Query<PlanQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    render(
        &app,
        &operator,
        &term(&plan_id),
        &query.notice,
        None,
        FormErrors::default(),
    )
    .await
}

pub async fn change_terms(
    State(app): State<App>,
    Path(plan_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let plan_id = term(&plan_id);
    match save(&app, &operator, &plan_id, &fields).await {
        Ok(()) => Ok(back(&plan_id, "changed")),
        Err(error @ Error::NotFound(_)) => Err(error.into()),
        Err(error) => {
            let status = error.status();
            let errors = explain(error)?;
            let shown = render(&app, &operator, &plan_id, "", Some(&fields), errors).await?;
            Ok((status, shown).into_response())
        }
    }
}

async fn save(app: &App, operator: &Operator, id: &str, fields: &Pairs) -> Result<(), Error> {
    let change = change(fields)?;
    let mut tx = operator.begin_plain(app).await?;
    plans::set(&mut tx, &app.cp, id, &change).await?;
    tx.commit().await
}

fn back(plan_id: &str, notice: &str) -> Response {
    let id = crate::fields::encode(plan_id);
    Redirect::to(&format!("/admin/plans/{id}?notice={notice}")).into_response()
}

pub async fn retire(
    State(app): State<App>,
    Path(plan_id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let plan_id = term(&plan_id);
    let mut tx = operator.begin(&app).await?;
    match plans::retire(&mut tx, &app.cp, &plan_id).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(back(&plan_id, "retired"))
        }
        Err(error) => {
            drop(tx);
            let status = error.status();
            let errors = explain(error)?;
            let shown = render(&app, &operator, &plan_id, "", None, errors).await?;
            Ok((status, shown).into_response())
        }
    }
}

pub async fn reinstate(
    State(app): State<App>,
    Path(plan_id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let plan_id = term(&plan_id);
    let mut tx = operator.begin(&app).await?;
    plans::reinstate(&mut tx, &app.cp, &plan_id).await?;
    tx.commit().await?;
    Ok(back(&plan_id, "reinstated"))
}

async fn render(
    app: &App,
    operator: &Operator,
    id: &str,
    notice: &str,
    sent: Option<&Pairs>,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let found = plans::detail(&mut tx, id).await?;
    drop(tx);
    let (word, tone) = state(&found.offer);
    let plan = &found.offer.plan;
    page(&PlanPage {
        frame: Frame::new(operator, Area::Plans),
        notice: match notice {
            "changed" => "It is sold on these terms from now on.",
            "retired" => "It is not sold any more. Who is on it stays on it.",
            "reinstated" => "It can be given to tenants again.",
            _ => "",
        },
        id: plan.id.clone(),
        name: plan.name.clone(),
        word,
        tone,
        retired: found.offer.retired_at.map(Moment),
        needed: plan.id == "trial",
        versions: found.versions.iter().map(VersionRow::from).collect(),
        subscribers: found
            .subscribers
            .into_iter()
            .map(|on| SubscriberRow {
                tenant_id: on.tenant_id.to_string(),
                name: on.name,
                version: on.version,
                since: Moment(on.since),
            })
            .collect(),
        inputs: match sent {
            Some(fields) => inputs(|name| fields.get(name).to_owned()),
            None => inputs(|name| of_plan(plan, name)),
        },
        for_sale: sent.map_or(found.offer.for_sale, |fields| fields.is_set("for_sale")),
        errors,
    })
}

impl From<&Version> for VersionRow {
    fn from(version: &Version) -> Self {
        let terms = &version.terms;
        Self {
            version: terms.version,
            price: money(terms.price_cents, &terms.currency),
            stored: Size::of(terms.storage_bytes.max(0).unsigned_abs()),
            egress: match terms.egress_bytes {
                Some(bytes) => Size::of(bytes.max(0).unsigned_abs()).to_string(),
                None => "not charged".to_owned(),
            },
            rate: count(u64::from(terms.requests_per_second.unsigned_abs())),
            tenants: count(version.tenants.max(0).unsigned_abs()),
        }
    }
}
