//! What nodes ask: to be let in, for their stream, and to create, change and delete buckets on a customer's behalf.
//! A node proves who it is with a token that it signs itself.

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::{HeaderMap, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use wire::{
    BUCKETS_PATH, BucketChanged, CreateBucket, DeleteBucket, JOIN_PATH, Join, Joined,
    NODE_AUDIENCE, NodeClaims, STREAM_PATH, SetBucket,
};

use super::json::Body;
use crate::buckets::NewBucket;
use crate::ids::{NodeId, TenantId};
use crate::{Actor, ControlPlane, Error, Origin, buckets, db, nodes, push};

const MAX_LIFETIME_SECONDS: i64 = 300;
/// How far a node's clock may be off.
const LEEWAY_SECONDS: i64 = 30;
/// Nodes say little.
const MAX_MESSAGE: usize = 64 * 1024;

pub(super) fn router(cp: ControlPlane) -> Router {
    let known = Router::new()
        .route(STREAM_PATH, get(stream))
        .route(
            BUCKETS_PATH,
            post(create_bucket).patch(set_bucket).delete(delete_bucket),
        )
        .route_layer(from_fn_with_state(cp.clone(), authenticate));
    Router::new()
        .route(JOIN_PATH, post(join))
        .merge(known)
        .with_state(cp)
}

async fn join(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(body): Body<Join>,
) -> Result<Json<Joined>, Error> {
    let mut tx = cp.begin_system().await?.acting(Actor::System, origin);
    let id = nodes::join(&mut tx, &cp, &body).await?;
    tx.commit().await?;
    tracing::info!(node = %id, s3_address = %body.s3_address, "node joined");
    Ok(Json(Joined {
        node_id: id.to_string(),
    }))
}

async fn stream(
    State(cp): State<ControlPlane>,
    Extension(node): Extension<NodeId>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .on_upgrade(move |socket| push::serve(cp, node, socket))
}

async fn create_bucket(
    State(cp): State<ControlPlane>,
    Extension(node): Extension<NodeId>,
    origin: Origin,
    Body(body): Body<CreateBucket>,
) -> Result<Json<BucketChanged>, Error> {
    let tenant = tenant_of(&cp, &body.tenant_id, &body.access_key_id).await?;
    let (actor, origin) = on_behalf(node, body.access_key_id, body.request_id, origin);
    let new = NewBucket {
        name: body.name,
        object_lock: body.object_lock,
        public_read: body.public_read,
    };
    let receipt = buckets::create(&cp, tenant, new, actor, origin).await?;
    Ok(Json(BucketChanged {
        revision: receipt.revision,
    }))
}

async fn set_bucket(
    State(cp): State<ControlPlane>,
    Extension(node): Extension<NodeId>,
    origin: Origin,
    Body(body): Body<SetBucket>,
) -> Result<Json<BucketChanged>, Error> {
    let tenant = tenant_of(&cp, &body.tenant_id, &body.access_key_id).await?;
    let (actor, origin) = on_behalf(node, body.access_key_id, body.request_id, origin);
    let receipt = buckets::set(&cp, tenant, &body.name, body.setting, actor, origin).await?;
    Ok(Json(BucketChanged {
        revision: receipt.revision,
    }))
}

async fn delete_bucket(
    State(cp): State<ControlPlane>,
    Extension(node): Extension<NodeId>,
    origin: Origin,
    Body(body): Body<DeleteBucket>,
) -> Result<StatusCode, Error> {
    let tenant = tenant_of(&cp, &body.tenant_id, &body.access_key_id).await?;
    let (actor, origin) = on_behalf(node, body.access_key_id, body.request_id, origin);
    buckets::delete(&cp, tenant, &body.name, actor, origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The node has decided; but an access key that was revoked a moment ago, or is another tenant's, stops here.
async fn tenant_of(
    cp: &ControlPlane,
    tenant: &str,
    access_key_id: &str,
) -> Result<TenantId, Error> {
    let tenant: TenantId = tenant
        .parse()
        .map_err(|_| Error::validation("tenant_id", "It is 32 hexadecimal digits."))?;
    let mut tx = cp.begin_tenant(tenant).await?;
    let key = db::access_keys::get(&mut tx, tenant, access_key_id).await?;
    if key.is_some_and(|key| key.is_usable(cp.clock().now())) {
        return Ok(tenant);
    }
    let message = "The access key is not valid.";
    Err(Error::s3(StatusCode::FORBIDDEN, "AccessDenied", message))
}

/// The id in the log is the one that the S3 client saw.
fn on_behalf(
    node: NodeId,
    access_key_id: String,
    request_id: String,
    origin: Origin,
) -> (Actor, Origin) {
    tracing::Span::current().record("s3_request_id", &request_id);
    let actor = Actor::AccessKey {
        access_key_id,
        node,
    };
    let origin = Origin {
        request_id: Some(request_id),
        ..origin
    };
    (actor, origin)
}

async fn authenticate(
    State(cp): State<ControlPlane>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let node = verify(&cp, request.headers()).await?;
    request.extensions_mut().insert(node);
    Ok(next.run(request).await)
}

const REFUSED: Error = Error::Unauthorized("A valid node token is needed.");

/// The key is looked up by the claim that is to be proven, and then must prove it.
async fn verify(cp: &ControlPlane, headers: &HeaderMap) -> Result<NodeId, Error> {
    let token = bearer(headers).ok_or(REFUSED)?;
    let claimed: NodeClaims =
        jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| REFUSED)?;
    let node: NodeId = claimed.sub.parse().map_err(|_| REFUSED)?;
    let mut conn = cp.pool().acquire().await?;
    let public_key = db::nodes::public_key(&mut conn, node).await?;
    drop(conn);
    let key = DecodingKey::from_ed_der(&public_key.ok_or(REFUSED)?);
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[NODE_AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    // Against our own clock, below.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<NodeClaims>(token, &key, &validation)
        .map_err(|_| REFUSED)?
        .claims;
    let now = cp.clock().now().timestamp();
    let lifetime = claims.exp.saturating_sub(claims.iat);
    let valid = (0..=MAX_LIFETIME_SECONDS).contains(&lifetime)
        && claims.iat <= now + LEEWAY_SECONDS
        && claims.exp > now - LEEWAY_SECONDS;
    if valid { Ok(node) } else { Err(REFUSED) }
}

/// The token of `Authorization: Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
