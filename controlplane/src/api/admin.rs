//! The operator's API under `/api/v1/admin`: tenants, access keys, buckets, plans, nodes. The admin token opens all of it.
//! A change is answered when every connected node serves it, or after a second.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use wire::{Action, Permission, Scope, TenantStatus};

use super::billing;
use super::deletions;
use super::fleet::{self, create_join_token, list_nodes, list_refusals, remove_node, show_refusal};
use super::jobs;
use super::json::Body;
use super::node::bearer;
use super::revenue;
use super::usage;
use crate::access_keys::{self, CreatedAccessKey, NewAccessKey};
use crate::buckets::{self, Bucket};
use crate::ids::{NodeId, TenantId};
use crate::tenants::{self, LimitChange, NewTenant, Tenant};
use crate::{Actor, ControlPlane, Error, Origin, Tx, db, nodes, plans};

pub(super) const APPLY_TIMEOUT: Duration = Duration::from_secs(1);

type Route = (Method, &'static str, MethodRouter<ControlPlane>);

/// Every route there is; the router is made of this, and so is the walk in the tests.
fn routes() -> Vec<Route> {
    vec![
        (Method::GET, "/tenants", get(list_tenants)),
        (Method::POST, "/tenants", post(create_tenant)),
        (Method::GET, "/tenants/{id}", get(usage::show_tenant)),
        (Method::PATCH, "/tenants/{id}", patch(set_limits)),
        (Method::POST, "/tenants/{id}/suspend", post(suspend)),
        (Method::POST, "/tenants/{id}/resume", post(resume)),
        (
            Method::POST,
            "/tenants/{id}/restore",
            post(deletions::restore),
        ),
        (Method::GET, "/deleted-tenants", get(deletions::list)),
        (
            Method::GET,
            "/tenants/{id}/access-keys",
            get(list_access_keys),
        ),
        (
            Method::POST,
            "/tenants/{id}/access-keys",
            post(create_access_key),
        ),
        (Method::GET, "/tenants/{id}/buckets", get(list_buckets)),
        (Method::GET, "/tenants/{id}/usage", get(usage::show)),
        (
            Method::POST,
            "/tenants/{id}/inventory",
            post(usage::take_inventory),
        ),
        (
            Method::DELETE,
            "/access-keys/{akid}",
            delete(revoke_access_key),
        ),
        (Method::GET, "/tenants/{id}/refusals", get(list_refusals)),
        (Method::GET, "/refusals/{request_id}", get(show_refusal)),
        (Method::GET, "/plans", get(list_plans)),
        (Method::POST, "/plans", post(billing::create_plan)),
        (Method::PATCH, "/plans/{id}", patch(billing::set_plan)),
        (Method::POST, "/tenants/{id}/plan", post(set_plan)),
        (Method::GET, "/tenants/{id}/billing", get(billing::show)),
        (Method::POST, "/tenants/{id}/paid", post(billing::mark_paid)),
        (
            Method::GET,
            "/tenants/{id}/invoices",
            get(billing::list_invoices),
        ),
        (
            Method::GET,
            "/tenants/{id}/invoices/{invoice_id}",
            get(billing::invoice_pdf),
        ),
        (Method::GET, "/billing/events", get(billing::list_events)),
        (
            Method::POST,
            "/billing/events/retry",
            post(billing::retry_events),
        ),
        (Method::POST, "/billing/sync", post(billing::sync)),
        (Method::POST, "/billing/reconcile", post(billing::reconcile)),
        (Method::GET, "/nodes", get(list_nodes)),
        (Method::DELETE, "/nodes/{id}", delete(remove_node)),
        (Method::POST, "/nodes/accept", post(accept_all_nodes)),
        (Method::POST, "/nodes/{id}/accept", post(accept_node)),
        (Method::POST, "/join-tokens", post(create_join_token)),
        (Method::GET, "/audit/verify", get(super::audit::verify)),
    ]
    .into_iter()
    .chain(business_routes())
    .collect()
}

/// What the business earns, who uses what, what waits, what is sold, and what customers are told.
fn business_routes() -> Vec<Route> {
    vec![
        (Method::GET, "/revenue", get(revenue::show)),
        (Method::GET, "/usage", get(revenue::top)),
        (Method::GET, "/refusals", get(revenue::refusals)),
        (Method::GET, "/refusals/top", get(revenue::top_refusals)),
        (Method::GET, "/nodes/{id}", get(fleet::show_node)),
        (Method::POST, "/nodes/{id}/drain", post(fleet::drain_node)),
        (
            Method::DELETE,
            "/nodes/{id}/drain",
            delete(fleet::undrain_node),
        ),
        (Method::GET, "/plans/{id}", get(billing::show_plan)),
        (
            Method::POST,
            "/plans/{id}/retire",
            post(billing::retire_plan),
        ),
        (
            Method::DELETE,
            "/plans/{id}/retire",
            delete(billing::reinstate_plan),
        ),
        (Method::GET, "/jobs", get(jobs::list)),
        (Method::POST, "/jobs/retry", post(jobs::retry_all)),
        (Method::POST, "/jobs/{kind}/{id}/retry", post(jobs::retry)),
        (Method::GET, "/notices", get(jobs::list_notices)),
        (Method::POST, "/notices", post(jobs::create_notice)),
        (Method::POST, "/notices/{id}/end", post(jobs::end_notice)),
    ]
}

/// Method and path (with `{…}` for ids) of every admin route.
pub fn route_table() -> Vec<(Method, String)> {
    let full = |path| format!("/api/v1/admin{path}");
    routes()
        .into_iter()
        .map(|(method, path, _)| (method, full(path)))
        .collect()
}

pub(super) fn router(cp: ControlPlane) -> Router {
    let mut router = Router::new().fallback(super::nothing_here);
    for (_, path, handler) in routes() {
        router = router.route(path, handler);
    }
    router
        .layer(from_fn_with_state(cp.clone(), authenticate))
        .with_state(cp)
}

/// Compares digests, so that time tells neither length nor prefix.
async fn authenticate(
    State(cp): State<ControlPlane>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let given = Sha256::digest(bearer(request.headers()).unwrap_or_default().as_bytes());
    let expected = Sha256::digest(cp.config().admin_token.as_bytes());
    if bool::from(given.as_slice().ct_eq(expected.as_slice())) {
        return Ok(next.run(request).await);
    }
    Err(Error::Unauthorized("The admin token is needed."))
}

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
        }
    }
}

async fn list_tenants(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let tenants = tenants::list(&mut tx).await?;
    let tenants: Vec<TenantBody> = tenants.into_iter().map(TenantBody::from).collect();
    Ok(Json(json!({ "tenants": tenants })))
}

async fn create_tenant(
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
struct LimitsBody {
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
}

fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

async fn set_limits(
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
    tenants::set_limits(&mut tx, &cp, id, change).await?;
    finish(&cp, tx, id).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    plan: String,
}

async fn set_plan(
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

async fn suspend(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    tenants::suspend(&mut tx, &cp, id).await?;
    finish(&cp, tx, id).await
}

async fn resume(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    tenants::resume(&mut tx, &cp, id).await?;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccessKeyBody {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    buckets: Vec<String>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    permission: Permission,
    #[serde(default)]
    actions: Vec<Action>,
    /// Networks in CIDR notation, or single addresses.
    #[serde(default)]
    source_addresses: Vec<String>,
    #[serde(default)]
    expires_in_seconds: Option<u32>,
}

/// The one answer that bears a secret.
#[derive(Serialize)]
struct AccessKeyBody {
    tenant_id: TenantId,
    access_key_id: String,
    secret_access_key: String,
    endpoint: String,
    region: String,
    expires_at: Option<DateTime<Utc>>,
}

impl AccessKeyBody {
    fn new(cp: &ControlPlane, tenant_id: TenantId, key: CreatedAccessKey) -> Self {
        Self {
            tenant_id,
            access_key_id: key.access_key_id,
            secret_access_key: key.secret_access_key.to_string(),
            endpoint: cp.config().s3_endpoint.clone(),
            region: cp.config().region.clone(),
            expires_at: key.expires_at,
        }
    }
}

async fn list_access_keys(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_tenant(tenant_id(&id)?).await?;
    tenants::get(&mut tx).await?;
    let keys = access_keys::list(&mut tx).await?;
    Ok(Json(json!({ "access_keys": keys })))
}

async fn create_access_key(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<NewAccessKeyBody>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let lifetime = body.expires_in_seconds.map(i64::from);
    let new = NewAccessKey {
        name: body.name.unwrap_or_else(|| "operator's key".to_owned()),
        scope: Scope {
            buckets: body.buckets,
            prefixes: body.prefixes,
            permission: body.permission,
            actions: body.actions,
            source_addresses: access_keys::source_addresses(&body.source_addresses)?,
        },
        expires_at: lifetime.map(|s| cp.clock().now() + chrono::Duration::seconds(s)),
    };
    let mut tx = cp.begin_tenant(id).await?.acting(Actor::Operator, origin);
    let key = access_keys::create(&mut tx, &cp, new).await?;
    tx.commit().await?;
    cp.wait_applied(key.revision, APPLY_TIMEOUT).await;
    Ok((StatusCode::CREATED, Json(AccessKeyBody::new(&cp, id, key))))
}

async fn revoke_access_key(
    State(cp): State<ControlPlane>,
    Path(access_key_id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let tenant = db::access_keys::tenant_of(&mut tx, &access_key_id)
        .await?
        .ok_or(Error::NotFound("access key"))?;
    drop(tx);
    let mut tx = cp
        .begin_tenant(tenant)
        .await?
        .acting(Actor::Operator, origin);
    let revision = access_keys::revoke(&mut tx, &cp, &access_key_id).await?;
    tx.commit().await?;
    let receipt = cp.wait_applied(revision, APPLY_TIMEOUT).await;
    Ok(Json(json!({
        "access_key_id": access_key_id,
        "revision": receipt.revision,
        "nodes": receipt.nodes,
        "pending": receipt.pending,
    })))
}

#[derive(Serialize)]
struct BucketBody {
    name: String,
    created_at: DateTime<Utc>,
    public_read: bool,
    object_lock: bool,
    /// How many.
    cors_rules: usize,
}

impl From<Bucket> for BucketBody {
    fn from(bucket: Bucket) -> Self {
        Self {
            name: bucket.name,
            created_at: bucket.created_at,
            public_read: bucket.public_read,
            object_lock: bucket.object_lock,
            cors_rules: bucket.cors.len(),
        }
    }
}

async fn list_buckets(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_tenant(tenant_id(&id)?).await?;
    tenants::get(&mut tx).await?;
    let buckets = buckets::list(&mut tx).await?;
    let buckets: Vec<BucketBody> = buckets.into_iter().map(BucketBody::from).collect();
    Ok(Json(json!({ "buckets": buckets })))
}

async fn list_plans(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let plans = plans::list(&mut tx).await?;
    Ok(Json(json!({ "plans": plans })))
}

async fn accept_all_nodes(
    State(cp): State<ControlPlane>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    accept(&cp, origin, None).await
}

async fn accept_node(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let id = id.parse().map_err(|_| Error::NotFound("node"))?;
    accept(&cp, origin, Some(id)).await
}

async fn accept(
    cp: &ControlPlane,
    origin: Origin,
    node: Option<NodeId>,
) -> Result<Json<serde_json::Value>, Error> {
    let mut tx = begin(cp, origin).await?;
    let accepted = nodes::accept(&mut tx, cp, node).await?;
    tx.commit().await?;
    if node.is_none() {
        cp.push().end_streams();
    }
    Ok(Json(json!({ "accepted": accepted })))
}

pub(super) async fn begin(cp: &ControlPlane, origin: Origin) -> Result<Tx, Error> {
    Ok(cp.begin_system().await?.acting(Actor::Operator, origin))
}

pub(super) fn tenant_id(text: &str) -> Result<TenantId, Error> {
    text.parse().map_err(|_| Error::NotFound("tenant"))
}
