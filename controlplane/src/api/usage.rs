//! The operator's view of usage, and inventories on demand.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admin::tenant_id;
use super::json::Body;
use super::tenant::TenantBody;
use crate::usage::{self, By, Group, Span, Stored};
use crate::{ControlPlane, Error, leases, tenants};

/// With what is stored now, as far as is booked.
#[derive(Serialize)]
struct ShownTenant {
    #[serde(flatten)]
    tenant: TenantBody,
    #[serde(flatten)]
    stored: Stored,
    /// In this calendar month (UTC).
    egress_bytes: u64,
}

pub(super) async fn show_tenant(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = cp.begin_system().await?;
    let tenant = TenantBody::from(tenants::by_id(&mut tx, id).await?);
    let stored = usage::of_tenant(&mut tx, id).await?;
    let egress_bytes = leases::egress_bytes(&mut tx, cp.clock(), id).await?;
    Ok(Json(ShownTenant {
        tenant,
        stored,
        egress_bytes,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    #[serde(default)]
    to: Option<DateTime<Utc>>,
    #[serde(default)]
    by: By,
    #[serde(default)]
    group: Group,
}

pub(super) async fn show(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<impl IntoResponse, Error> {
    let Query(asked) = asked.map_err(|error| Error::BadRequest(error.body_text()))?;
    let id = tenant_id(&id)?;
    let span = Span::new(asked.from, asked.to, cp.clock().now())?;
    let mut tx = cp.begin_tenant(id).await?;
    tenants::get(&mut tx).await?;
    let report = usage::report(&mut tx, id, span, asked.by, asked.group).await?;
    Ok(Json(report))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inventory {
    #[serde(default)]
    bucket: Option<String>,
}

/// Answered when it is done.
pub(super) async fn take_inventory(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    Body(asked): Body<Inventory>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = cp.begin_system().await?;
    tenants::by_id(&mut tx, id).await?;
    drop(tx);
    let taken = usage::take(&cp, id, asked.bucket.as_deref()).await?;
    Ok(Json(json!({ "buckets": taken })))
}
