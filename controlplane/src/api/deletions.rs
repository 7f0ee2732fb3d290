//! `/api/v1/admin/deleted-tenants` and `/api/v1/admin/tenants/{id}/restore`: accounts that their owners have deleted.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde_json::json;

use super::admin::{begin, tenant_id};
use super::tenant::finish;
use crate::{ControlPlane, Error, Origin, deletion};

/// Those that can still be restored, and those that are being removed.
pub(super) async fn list(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let tenants = deletion::list(&mut tx).await?;
    Ok(Json(json!({ "tenants": tenants })))
}

pub(super) async fn restore(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    deletion::restore(&mut tx, &cp, id).await?;
    finish(&cp, tx, id).await
}
