//! The operator's API under `/api/v1/admin`: tenants, access keys, buckets, plans, nodes. The admin token opens all of it.
//! A change is answered when every connected node serves it, or after a second.

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use wire::{Action, Permission, Scope};

use super::billing;
use super::deletions;
use super::fleet::{self, create_join_token, list_nodes, list_refusals, remove_node, show_refusal};
use super::jobs;
use super::json::Body;
use super::node::bearer;
use super::operators;
use super::revenue;
use super::tenant;
use super::tenants as search;
use super::usage;
use crate::access_keys::{self, CreatedAccessKey, NewAccessKey};
use crate::buckets::{self, Bucket};
use crate::ids::{NodeId, TenantId};
use crate::plane::APPLY_TIMEOUT;
use crate::{Actor, ControlPlane, Error, Origin, Tx, db, nodes, plans, tenants};

pub(super) type Route = (Method, &'static str, MethodRouter<ControlPlane>);

/// Every route there is; the router is made of this, and so is the walk in the tests.
fn routes() -> Vec<Route> {
    let mut routes = own_routes();
    routes.extend(super::engines::routes());
    routes.extend(super::master_key::routes());
    routes
}

fn own_routes() -> Vec<Route> {
    vec![
        (Method::GET, "/tenants", get(search::list)),
        (Method::POST, "/tenants", post(tenant::create)),
        (Method::GET, "/tenants/{id}", get(usage::show_tenant)),
        (Method::PATCH, "/tenants/{id}", patch(tenant::set_limits)),
        (Method::POST, "/tenants/{id}/suspend", post(tenant::suspend)),
        (Method::POST, "/tenants/{id}/resume", post(tenant::resume)),
        (
            Method::POST,
            "/tenants/{id}/restore",
            post(deletions::restore),
        ),
        (Method::POST, "/tenants/suspend", post(search::suspend)),
        (Method::POST, "/tenants/resume", post(search::resume)),
        (Method::GET, "/tenants/{id}/notes", get(search::notes)),
        (Method::POST, "/tenants/{id}/notes", post(search::add_note)),
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
        (Method::POST, "/tenants/{id}/plan", post(tenant::set_plan)),
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
        (Method::GET, "/diagnosis", get(super::fleet::diagnosis)),
        (Method::GET, "/operators", get(operators::list)),
        (Method::POST, "/operators", post(operators::create)),
        (
            Method::POST,
            "/operators/{id}/reset",
            post(operators::reset),
        ),
        (
            Method::POST,
            "/operators/{id}/disable",
            post(operators::disable),
        ),
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
pub(super) struct AccessKeyBody {
    tenant_id: TenantId,
    access_key_id: String,
    secret_access_key: String,
    endpoint: String,
    region: String,
    expires_at: Option<DateTime<Utc>>,
}

impl AccessKeyBody {
    pub(super) fn new(cp: &ControlPlane, tenant_id: TenantId, key: CreatedAccessKey) -> Self {
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
