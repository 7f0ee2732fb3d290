//! `/api/v1/admin/tenants/{id}`: one tenant, made and changed.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use wire::TenantStatus;

use super::admin::{AccessKeyBody, begin, tenant_id};
use super::json::Body;
use crate::ids::TenantId;
use crate::plane::APPLY_TIMEOUT;
use crate::said::said;
use crate::tenants::{self, LimitChange, NewTenant, Tenant};
use crate::{ControlPlane, Error, Origin, Tx, engines};

#[derive(Serialize)]
pub(super) struct TenantBody {
    tenant_id: TenantId,
    name: String,
    email: String,
    status: TenantStatus,
    plan: String,
    requests_per_second: u32,
    burst: u32,
    concurrent_requests: Option<u32>,
    bytes_per_second: Option<u64>,
    quota_bytes: Option<u64>,
    max_staleness_seconds: Option<u32>,
    quota_objects: Option<u64>,
    quota_egress_bytes: Option<u64>,
    bucket_limit: i32,
    access_key_limit: i32,
    created_at: DateTime<Utc>,
    trial_ends_at: Option<DateTime<Utc>>,
    /// Where its new buckets go; `null`: to the default engine.
    engine: Option<String>,
}

impl From<Tenant> for TenantBody {
    fn from(tenant: Tenant) -> Self {
        Self {
            tenant_id: tenant.id,
            name: tenant.name,
            email: tenant.email,
            status: tenant.status,
            plan: tenant.plan.id,
            requests_per_second: tenant.limits.requests_per_second,
            burst: tenant.limits.burst,
            concurrent_requests: tenant.limits.concurrent_requests,
            bytes_per_second: tenant.limits.bytes_per_second,
            quota_bytes: tenant.limits.quota_bytes,
            max_staleness_seconds: tenant.max_staleness_seconds,
            quota_objects: tenant.limits.quota_objects,
            quota_egress_bytes: tenant.limits.quota_egress_bytes,
            bucket_limit: tenant.bucket_limit,
            access_key_limit: tenant.access_key_limit,
            created_at: tenant.created_at,
            trial_ends_at: tenant.trial_ends_at,
            engine: tenant.engine,
        }
    }
}

pub(super) async fn create(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(new): Body<NewTenant>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let created = tenants::create(&mut tx, &cp, new).await?;
    tx.commit().await?;
    let (tenant, key) = (created.tenant_id, created.access_key);
    cp.wait_applied(key.revision, APPLY_TIMEOUT).await;
    Ok((
        StatusCode::CREATED,
        Json(AccessKeyBody::new(&cp, tenant, key)),
    ))
}

/// `null` goes back to the plan's figure; what is not said stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsBody {
    #[serde(default, deserialize_with = "said")]
    requests_per_second: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said")]
    burst: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said")]
    concurrent_requests: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said")]
    bytes_per_second: Option<Option<u64>>,
    #[serde(default, deserialize_with = "said")]
    quota_bytes: Option<Option<u64>>,
    /// `null`: for as long as a node has signing keys.
    #[serde(default, deserialize_with = "said")]
    max_staleness_seconds: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said")]
    quota_objects: Option<Option<u64>>,
    #[serde(default, deserialize_with = "said")]
    quota_egress_bytes: Option<Option<u64>>,
    #[serde(default, deserialize_with = "said")]
    bucket_limit: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said")]
    access_key_limit: Option<Option<u32>>,
    /// Where new buckets go; `null`: to the default engine.
    #[serde(default, deserialize_with = "said")]
    engine: Option<Option<String>>,
}

pub(super) async fn set_limits(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<LimitsBody>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let change = LimitChange {
        requests_per_second: body.requests_per_second,
        burst: body.burst,
        concurrent_requests: body.concurrent_requests,
        bytes_per_second: body.bytes_per_second,
        quota_bytes: body.quota_bytes,
        max_staleness_seconds: body.max_staleness_seconds,
        quota_objects: body.quota_objects,
        quota_egress_bytes: body.quota_egress_bytes,
        bucket_limit: body.bucket_limit,
        access_key_limit: body.access_key_limit,
    };
    let mut tx = begin(&cp, origin).await?;
    if let Some(engine) = &body.engine {
        engines::set_of_tenant(&mut tx, &cp, id, engine.as_deref()).await?;
    }
    if body.engine.is_none() || change != LimitChange::default() {
        tenants::set_limits(&mut tx, &cp, id, change).await?;
    }
    finish(&cp, tx, id).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanBody {
    plan: String,
}

pub(super) async fn set_plan(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<PlanBody>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    tenants::set_plan(&mut tx, &cp, id, &body.plan).await?;
    finish(&cp, tx, id).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    /// The customer reads it in the audit log.
    #[serde(default)]
    reason: String,
}

pub(super) async fn suspend(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<ReasonBody>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    tenants::suspend_for(&mut tx, &cp, id, &body.reason).await?;
    finish(&cp, tx, id).await
}

pub(super) async fn resume(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<ReasonBody>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    tenants::resume_for(&mut tx, &cp, id, &body.reason).await?;
    finish(&cp, tx, id).await
}

/// Commits a change of the tenant, waits for the nodes, and answers the tenant as it is now.
pub(super) async fn finish(
    cp: &ControlPlane,
    mut tx: Tx,
    id: TenantId,
) -> Result<Json<TenantBody>, Error> {
    let tenant = tenants::by_id(&mut tx, id).await?;
    tx.commit().await?;
    cp.wait_applied(tenant.revision, APPLY_TIMEOUT).await;
    Ok(Json(tenant.into()))
}
