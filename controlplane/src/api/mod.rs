//! The HTTP API: who may come in, what comes in, what goes out.
//! Handlers begin and commit; the domain modules decide.

mod admin;
mod audit;
mod billing;
mod customer;
mod deletions;
mod engines;
mod fleet;
mod health;
mod jobs;
mod json;
mod master_key;
mod node;
mod operators;
mod request;
mod revenue;
mod tenant;
mod tenants;
mod usage;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;

pub use admin::route_table as admin_route_table;
pub use customer::route_table as customer_route_table;
pub(crate) use customer::{Limits, sweep};
pub(crate) use health::router as health;
pub use request::client_address;

use crate::{ControlPlane, Error};

const MAX_BODY: usize = 256 * 1024;

pub(crate) fn router(cp: ControlPlane) -> Router {
    Router::new()
        .nest("/api/v1/admin", admin::router(cp.clone()))
        .nest("/api/v1", customer::router(cp.clone()))
        .merge(billing::webhooks(cp.clone()))
        .merge(node::router(cp.clone()))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn_with_state(cp, request::identify))
}

async fn nothing_here() -> Error {
    Error::NotFound("route")
}

fn after_panic(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    let error = Error::Internal(anyhow::anyhow!("a handler panicked: {text}"));
    axum::response::IntoResponse::into_response(error)
}
