//! What is seen of every HTTP request of a control plane, by the route that it matched: its figures and its trace. It
//! reads neither the path nor a body, so that nothing of a customer's gets out by it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::StatusCode;
use telemetry::Histogram;
use tracing::Instrument as _;

use crate::ControlPlane;

/// What is not a route.
const NONE: &str = "none";
const CLASSES: usize = 5;
/// More than there are routes and methods; what exceeds it is counted as no route.
const MOST: usize = 1024;

/// Requests by method and route.
#[derive(Default)]
pub(crate) struct Routes(Mutex<HashMap<(&'static str, String), Arc<Figures>>>);

#[derive(Default)]
struct Figures {
    /// By status class (1xx … 5xx).
    requests: [AtomicU64; CLASSES],
    durations: Histogram,
}

impl Routes {
    fn of(&self, method: &'static str, route: &str) -> Arc<Figures> {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = routes.len() >= MOST;
        let key = (method, route.to_owned());
        if full && !routes.contains_key(&key) {
            return routes
                .entry(("_OTHER", NONE.to_owned()))
                .or_default()
                .clone();
        }
        routes.entry(key).or_default().clone()
    }

    /// In Prometheus's text format.
    pub(crate) fn render(&self, out: &mut String) {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = routes.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        let name = "vaultaire_http_requests_total";
        let _ = writeln!(
            out,
            "# HELP {name} Requests to the dashboard, the API and webhooks.\n# TYPE {name} counter"
        );
        for ((method, route), figures) in &all {
            for (class, requests) in (1..).zip(&figures.requests) {
                let requests = requests.load(Ordering::Relaxed);
                if requests > 0 {
                    let _ = writeln!(
                        out,
                        "{name}{{method=\"{method}\",route=\"{route}\",status=\"{class}xx\"}} {requests}"
                    );
                }
            }
        }
        let name = "vaultaire_http_request_duration_seconds";
        let _ = writeln!(
            out,
            "# HELP {name} From the head of a request to the head of its answer.\n# TYPE {name} histogram"
        );
        for ((method, route), figures) in &all {
            let labels = format!("method=\"{method}\",route=\"{route}\"");
            figures.durations.render(out, name, &labels);
        }
    }
}

impl Figures {
    fn count(&self, status: StatusCode, since: Instant) {
        let class = (usize::from(status.as_u16()) / 100).clamp(1, CLASSES) - 1;
        if let Some(requests) = self.requests.get(class) {
            requests.fetch_add(1, Ordering::Relaxed);
        }
        self.durations.count(since.elapsed());
    }
}

/// Every route of this router is observed; it is the last layer, and so the first to see a request.
pub(crate) fn layered(cp: &ControlPlane, router: Router) -> Router {
    router.layer(from_fn_with_state(cp.clone(), observe))
}

async fn observe(State(cp): State<ControlPlane>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = telemetry::method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NONE, MatchedPath::as_str);
    let span = telemetry::request(request.headers(), request.method());
    if !span.is_disabled() {
        telemetry::name(&span, format!("{method} {route}"));
        span.record("http.route", route);
    }
    let response = next.run(request).instrument(span.clone()).await;
    cp.routes()
        .of(method, route)
        .count(response.status(), begun);
    if !span.is_disabled() {
        let id = response.headers().get("x-request-id");
        if let Some(id) = id.and_then(|id| id.to_str().ok()) {
            span.record("vaultaire.request_id", id);
        }
        telemetry::status(&span, response.status());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_bounded_and_nothing_is_lost() {
        let routes = Routes::default();
        for n in 0..MOST + 500 {
            let figures = routes.of("GET", &format!("/{n}"));
            figures.count(StatusCode::OK, Instant::now());
        }
        let mut text = String::new();
        routes.render(&mut text);
        let counted = text
            .lines()
            .filter(|line| line.starts_with("vaultaire_http_requests_total{"));
        let counts: Vec<u64> = counted
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        assert_eq!(counts.len(), MOST + 1);
        assert_eq!(counts.iter().sum::<u64>(), MOST as u64 + 500);
    }
}
