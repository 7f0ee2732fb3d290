//! `/api/v1/admin/jobs` and `/api/v1/admin/notices`: what waits to be done, and what customers are told.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::admin::begin;
use super::json::Body;
use super::revenue::asked;
use crate::ids::NoticeId;
use crate::jobs::{self, Filter, Kind, State as JobState};
use crate::notices::{self, NewNotice};
use crate::{ControlPlane, Error, Origin};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    state: Option<JobState>,
}

pub(super) async fn list(
    State(cp): State<ControlPlane>,
    query: Result<Query<JobsQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Error> {
    let JobsQuery { kind, state } = asked(query)?;
    let mut tx = cp.begin_system().await?;
    let jobs = jobs::list(&mut tx, &cp, &Filter { kind, state }).await?;
    Ok(Json(json!({ "jobs": jobs })))
}

pub(super) async fn retry(
    State(cp): State<ControlPlane>,
    Path((kind, id)): Path<(String, String)>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let kind = kind.parse().map_err(|_| Error::NotFound("job"))?;
    let tx = begin(&cp, origin).await?;
    let job = jobs::retry(&cp, tx, kind, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryBody {
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    state: Option<JobState>,
    #[serde(default)]
    confirm: Option<u64>,
}

pub(super) async fn retry_all(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(body): Body<RetryBody>,
) -> Result<impl IntoResponse, Error> {
    let filter = Filter {
        kind: body.kind,
        state: body.state,
    };
    let tx = begin(&cp, origin).await?;
    let tried = jobs::retry_all(&cp, tx, &filter, body.confirm).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "tried": tried }))))
}

pub(super) async fn list_notices(
    State(cp): State<ControlPlane>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let notices = notices::list(&mut tx).await?;
    Ok(Json(json!({ "notices": notices })))
}

pub(super) async fn create_notice(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(new): Body<NewNotice>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let notice = notices::create(&mut tx, &cp, new).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(notice)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndNotice {
    #[serde(default)]
    confirm: Option<u64>,
}

pub(super) async fn end_notice(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<EndNotice>,
) -> Result<impl IntoResponse, Error> {
    let id: NoticeId = id.parse().map_err(|_| Error::NotFound("notice"))?;
    let mut tx = begin(&cp, origin).await?;
    let notice = notices::end(&mut tx, &cp, id, body.confirm).await?;
    tx.commit().await?;
    Ok(Json(notice))
}
