//! `/api/v1/admin/tenants` beyond one tenant: looking for some, several at once, and notes.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::admin::{begin, tenant_id};
use super::json::Body;
use super::tenant::TenantBody;
use crate::operators::{self, Chosen, Search, Word};
use crate::plane::APPLY_TIMEOUT;
use crate::{ControlPlane, Error, Origin, tenants};

const PAGE: u32 = 100;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    search: String,
    status: String,
    plan: String,
    after: String,
}

/// Without a question all that are not deleted, the oldest first. With one: a hundred that fit, the newest first, and where
/// the next page begins (`after`).
pub(super) async fn list(
    State(cp): State<ControlPlane>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<impl IntoResponse, Error> {
    let Query(asked) = asked.map_err(|error| Error::BadRequest(error.body_text()))?;
    let mut tx = cp.begin_system().await?;
    let everything = [&asked.search, &asked.status, &asked.plan, &asked.after]
        .iter()
        .all(|text| text.is_empty());
    if everything {
        let tenants = tenants::list(&mut tx).await?;
        let tenants: Vec<TenantBody> = tenants.into_iter().map(TenantBody::from).collect();
        return Ok(Json(json!({ "tenants": tenants })));
    }
    let known = ["", "active", "read_only", "suspended", "deleted"];
    if !known.contains(&asked.status.as_str()) {
        let message = "It is active, read_only, suspended or deleted.";
        return Err(Error::validation("status", message));
    }
    let after = match asked.after.as_str() {
        "" => None,
        id => Some(tenant_id(id)?),
    };
    let search = Search {
        text: asked.search.trim().to_owned(),
        status: asked.status,
        plan: asked.plan,
        after,
        limit: PAGE + 1,
    };
    let mut found = operators::search(&mut tx, &search).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let next = found.last().map(|tenant| tenant.id).filter(|_| more);
    let tenants: Vec<TenantBody> = found.into_iter().map(TenantBody::from).collect();
    Ok(Json(json!({ "tenants": tenants, "after": next })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Several {
    tenants: Vec<Chosen>,
    #[serde(default)]
    reason: String,
    /// How many they are; needed for more than one.
    #[serde(default)]
    confirm: Option<u64>,
}

pub(super) async fn suspend(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(body): Body<Several>,
) -> Result<impl IntoResponse, Error> {
    several(&cp, origin, Word::Suspend, body).await
}

pub(super) async fn resume(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(body): Body<Several>,
) -> Result<impl IntoResponse, Error> {
    several(&cp, origin, Word::Resume, body).await
}

async fn several(
    cp: &ControlPlane,
    origin: Origin,
    word: Word,
    body: Several,
) -> Result<impl IntoResponse + use<>, Error> {
    let mut tx = begin(cp, origin).await?;
    let said = (body.reason.as_str(), body.confirm);
    let done = operators::set_several(&mut tx, cp, word, body.tenants, said).await?;
    tx.commit().await?;
    if let Some(last) = done.iter().map(|tenant| tenant.revision).max() {
        cp.wait_applied(last, APPLY_TIMEOUT).await;
    }
    let done: Vec<TenantBody> = done.into_iter().map(TenantBody::from).collect();
    Ok(Json(json!({ "tenants": done })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNote {
    text: String,
}

pub(super) async fn notes(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = cp.begin_system().await?;
    let notes = operators::notes(&mut tx, id).await?;
    Ok(Json(json!({ "notes": notes })))
}

pub(super) async fn add_note(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(new): Body<NewNote>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    let note = operators::add_note(&mut tx, &cp, id, &new.text).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(note)))
}
