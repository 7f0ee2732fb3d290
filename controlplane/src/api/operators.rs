//! `/api/v1/admin/operators`: who may log in to the operators' pages, and what was done there.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::admin::begin;
use super::json::Body;
use crate::{ControlPlane, Error, Origin, operators};

pub(super) async fn list(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let all = operators::list(&mut tx).await?;
    Ok(Json(json!({ "operators": all })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOperator {
    email: String,
}

pub(super) async fn create(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(new): Body<NewOperator>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let link = operators::create(&mut tx, &cp, &new.email).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(link)))
}

/// The path names an id or an address.
pub(super) async fn reset(
    State(cp): State<ControlPlane>,
    Path(who): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let link = operators::reset(&mut tx, &cp, &who).await?;
    tx.commit().await?;
    Ok(Json(link))
}

/// The path names an id or an address.
pub(super) async fn disable(
    State(cp): State<ControlPlane>,
    Path(who): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let email = operators::disable(&mut tx, &cp, &who).await?;
    tx.commit().await?;
    Ok(Json(json!({ "email": email, "disabled": true })))
}
