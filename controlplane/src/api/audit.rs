//! `/api/v1/admin/audit/verify`: whether the chains of the audit log hold.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::json;

use crate::{ControlPlane, Error, audit};

pub(super) async fn verify(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let (entries, broken) = audit::verify(&mut tx).await?;
    Ok(Json(json!({ "entries": entries, "broken": broken })))
}
