//! What is seen of every HTTP request of a control plane, by the route that it matched: its trace. It reads neither the
//! path nor a body, so that nothing of a customer's gets out by it.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tracing::Instrument as _;

/// What is not a route.
const NONE: &str = "none";

/// Every route of this router is observed; it is the last layer, and so the first to see a request.
pub fn observed(router: Router) -> Router {
    router.layer(from_fn(observe))
}

async fn observe(request: Request, next: Next) -> Response {
    let method = telemetry::method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NONE, MatchedPath::as_str);
    let span = telemetry::request(request.headers(), request.method());
    if span.is_disabled() {
        return next.run(request).await;
    }
    span.record("otel.name", format!("{method} {route}"));
    span.record("http.route", route);
    let response = next.run(request).instrument(span.clone()).await;
    let id = response.headers().get("x-request-id");
    if let Some(id) = id.and_then(|id| id.to_str().ok()) {
        span.record("vaultaire.request_id", id);
    }
    telemetry::status(&span, response.status());
    response
}
