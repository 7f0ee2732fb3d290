//! The customers' API: `/api/v1`, for programs with a member's API token. Whatever it offers, the pages offer too, by the
//! same functions; nothing here decides more than who may ask.

mod access_keys;
mod account;
mod api_tokens;
mod audit_log;
mod bucket_settings;
mod buckets;
mod client;
mod document;
mod idempotency;
mod input;
mod invitations;
mod lifecycle_rules;
mod limits;
mod members;
mod object_lock;
mod operation;
mod paging;
mod receipt;
mod refusals;
mod usage;
mod versioning;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use http::Method;

use crate::api_tokens::TokenScope;
use crate::{ControlPlane, Error};

pub(crate) use idempotency::sweep;
pub(crate) use limits::Limits;
use operation::Operation;

/// Every operation there is: the router is made of this, the description, and the walks in the tests.
fn operations() -> Vec<Operation> {
    let mut all = account::operations();
    all.extend(usage::operations());
    all.extend(refusals::operations());
    all.extend(buckets::operations());
    all.extend(bucket_settings::operations());
    all.extend(versioning::operations());
    all.extend(lifecycle_rules::operations());
    all.extend(object_lock::operations());
    all.extend(access_keys::operations());
    all.extend(members::operations());
    all.extend(invitations::operations());
    all.extend(audit_log::operations());
    all.extend(api_tokens::operations());
    all
}

/// Method, path below `/api/v1` (with `{…}` for ids) and scope of every operation; none: any token will do.
pub fn route_table() -> Vec<(Method, &'static str, Option<TokenScope>)> {
    let rows = operations().into_iter();
    rows.map(|row| (row.method, row.path, row.needs)).collect()
}

pub(super) fn router(cp: ControlPlane) -> Router {
    let mut router = Router::new();
    for operation in operations() {
        let mut handler = operation.handler;
        if operation.method == Method::POST {
            handler = handler.route_layer(from_fn_with_state(cp.clone(), idempotency::once));
        }
        if let Some(scope) = operation.needs {
            handler = handler.route_layer(from_fn_with_state(scope, client::require));
        }
        router = router.route(operation.path, handler);
    }
    // The last layer is the first to see a request.
    router
        .fallback(super::nothing_here)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(cp.clone(), limits::hold))
        .layer(from_fn_with_state(cp.clone(), client::authenticate))
        .layer(from_fn(client::never_cached))
        .route("/openapi.json", get(document::serve))
        .with_state(cp)
}

async fn not_allowed() -> Error {
    Error::MethodNotAllowed
}
