//! Plans and billing by the operator's hand, and the address to which Stripe sends its webhooks. The operator's routes are in
//! `admin`.

use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, NaiveDate, Utc};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::admin::{begin, tenant_id};
use super::json::Body;
use crate::billing::stripe;
use crate::plane::APPLY_TIMEOUT;
use crate::plans::{self, PlanChange};
use crate::{ControlPlane, Error, Origin, billing, tenants};

/// Signed by Stripe; no token, no session.
pub(super) fn webhooks(cp: ControlPlane) -> Router {
    Router::new()
        .route("/webhooks/stripe", post(stripe::receive))
        .with_state(cp)
}

#[derive(Deserialize)]
pub(super) struct NewPlan {
    id: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

pub(super) async fn create_plan(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(new): Body<NewPlan>,
) -> Result<impl IntoResponse, Error> {
    // Flattened structures do not refuse what they do not know; this one does.
    let change: PlanChange = serde_path_to_error::deserialize(serde_json::Value::Object(new.rest))
        .map_err(|error| Error::validation(error.path().to_string(), error.inner().to_string()))?;
    let mut tx = begin(&cp, origin).await?;
    let offer = plans::create(&mut tx, &cp, &new.id, &change).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(offer)))
}

pub(super) async fn set_plan(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(change): Body<PlanChange>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let offer = plans::set(&mut tx, &cp, &id, &change).await?;
    tx.commit().await?;
    Ok(Json(offer))
}

pub(super) async fn show_plan(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    Ok(Json(plans::detail(&mut tx, &id).await?))
}

pub(super) async fn retire_plan(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let offer = plans::retire(&mut tx, &cp, &id).await?;
    tx.commit().await?;
    Ok(Json(offer))
}

pub(super) async fn reinstate_plan(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let offer = plans::reinstate(&mut tx, &cp, &id).await?;
    tx.commit().await?;
    Ok(Json(offer))
}

pub(super) async fn show(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = cp.begin_tenant(id).await?;
    let seen = billing::overview(&mut tx, &cp).await?;
    let standing = seen.standing;
    Ok(Json(json!({
        "tenant_id": id,
        "plan": seen.tenant.plan.id,
        "terms_version": seen.tenant.plan.version,
        "price_cents": seen.tenant.plan.price_cents,
        "currency": seen.tenant.plan.currency,
        "standing": standing.rung,
        "reason": standing.reason,
        "due_at": standing.due_at,
        "next": standing.next.map(|(rung, _)| rung),
        "next_at": standing.next.map(|(_, at)| at),
        "kept_until": standing.kept_until,
        "paid_until": seen.paid_until,
        "subscribed": seen.subscribed,
        "period_from": seen.period.from,
        "period_to": seen.period.to,
        "storage_gb_months": seen.beyond.storage_gb_months,
        "storage_cents": seen.beyond.storage_cents,
        "egress_gb": seen.beyond.egress_gb,
        "egress_cents": seen.beyond.egress_cents,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PaidBody {
    /// A day, to whose end it is paid, or a moment.
    until: String,
    /// In place of the plan's price.
    #[serde(default)]
    price_cents: Option<i64>,
}

pub(super) async fn mark_paid(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<PaidBody>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let until = until(&body.until)?;
    let mut tx = begin(&cp, origin).await?;
    let paid = billing::mark_paid(&mut tx, &cp, id, until, body.price_cents).await?;
    tx.commit().await?;
    if let Some(revision) = paid.revision {
        cp.wait_applied(revision, APPLY_TIMEOUT).await;
    }
    Ok(Json(paid))
}

/// `2026-04-30` is paid to its last second.
fn until(text: &str) -> Result<DateTime<Utc>, Error> {
    if let Ok(moment) = text.parse::<DateTime<Utc>>() {
        return Ok(moment);
    }
    let day = text.parse::<NaiveDate>().ok();
    let next = day.and_then(|day| day.succ_opt()?.and_hms_opt(0, 0, 0));
    let next = next.map(|midnight| midnight.and_utc());
    next.ok_or_else(|| Error::validation("until", "Give a day such as 2026-04-30."))
}

pub(super) async fn list_invoices(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_tenant(tenant_id(&id)?).await?;
    tenants::get(&mut tx).await?;
    let invoices = billing::invoices(&mut tx).await?;
    Ok(Json(json!({ "invoices": invoices })))
}

pub(super) async fn invoice_pdf(
    State(cp): State<ControlPlane>,
    Path((id, invoice)): Path<(String, String)>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_tenant(tenant_id(&id)?).await?;
    let invoice = billing::invoice(&mut tx, &invoice).await?;
    let headers = [(header::CONTENT_TYPE, "application/pdf")];
    Ok((headers, billing::pdf(&invoice)))
}

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    #[serde(default)]
    failed: bool,
}

pub(super) async fn list_events(
    State(cp): State<ControlPlane>,
    Query(query): Query<EventsQuery>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let events = billing::events(&mut tx, query.failed).await?;
    Ok(Json(json!({ "events": events })))
}

pub(super) async fn retry_events(
    State(cp): State<ControlPlane>,
) -> Result<impl IntoResponse, Error> {
    let tried = billing::retry_events(&cp).await?;
    Ok(Json(json!({ "tried": tried })))
}

pub(super) async fn sync(
    State(cp): State<ControlPlane>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let prices = billing::sync(&cp, origin).await?;
    Ok(Json(json!({ "prices": prices })))
}

pub(super) async fn reconcile(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let differences = billing::reconcile(&cp).await?;
    Ok(Json(json!({ "differences": differences })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_paid_to_its_end() {
        let read = |text: &str| until(text).ok().map(|at| at.to_rfc3339());
        assert_eq!(
            read("2026-04-30").as_deref(),
            Some("2026-05-01T00:00:00+00:00")
        );
        assert_eq!(
            read("2026-04-30T12:00:00Z").as_deref(),
            Some("2026-04-30T12:00:00+00:00")
        );
        assert_eq!(read("30.4.2026"), None);
        assert_eq!(read("2026-02-30"), None);
    }
}
