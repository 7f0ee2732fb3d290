//! `/healthz`, `/readyz` and `/metrics` of a node, on a port of their own that is never public.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::node::Node;

pub async fn serve(listener: TcpListener, node: Arc<Node>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let node = node.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&node, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(node: &Node, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => readiness(node),
        "/metrics" => (StatusCode::OK, metrics(node)),
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

/// Ready as soon as there is a configuration to serve from, however old: how old is said. No longer once the end was
/// asked for, or the control plane wants others to serve instead.
fn readiness(node: &Node) -> (StatusCode, String) {
    let draining = node.ending.is_cancelled() || node.limits.is_retiring();
    let ready = node.tenants.is_ready() && node.limits.has_share() && !draining;
    let body = serde_json::json!({
        "ready": ready,
        "draining": draining,
        "revision": node.tenants.revision(),
        "epoch": node.tenants.epoch(),
        // Something that the control plane sent was refused, and what is served is the last that was good.
        "refusing": is_refusing(node),
        "tenants": node.tenants.len(),
        "connected": node.link.is_connected(),
        // Of every tenant's limits, where the control plane says nothing else.
        "floor": f64::from(node.limits.floor()) / f64::from(wire::WHOLE),
        "seconds_since_control_plane": age(node),
    });
    (
        if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        format!("{body}\n"),
    )
}

fn is_refusing(node: &Node) -> bool {
    !(node.tenants.is_whole() && node.tenants.is_following())
}

fn age(node: &Node) -> Option<i64> {
    node.link
        .heard_at()
        .map(|at| (node.clock.now().timestamp() - at).max(0))
}

fn metrics(node: &Node) -> String {
    let mut out = node.metrics.render();
    telemetry::render(&mut out);
    let gauges = [
        (
            "vaultaire_revision",
            "The configuration revision that is served.",
            node.tenants.revision(),
        ),
        (
            "vaultaire_tenants",
            "Tenants known to this node.",
            i64::try_from(node.tenants.len()).unwrap_or(i64::MAX),
        ),
        (
            "vaultaire_control_plane_connected",
            "1 while the stream is up.",
            i64::from(node.link.is_connected()),
        ),
        (
            "vaultaire_configuration_refused",
            "1 while something that a control plane sent is refused.",
            i64::from(is_refusing(node)),
        ),
        (
            "vaultaire_journal_writable",
            "0 while the journal cannot be written, and requests are refused.",
            i64::from(node.journal.is_writable()),
        ),
        (
            "vaultaire_journal_unreported_batches",
            "Batches of usage that the control plane has not booked yet.",
            i64::try_from(node.journal.unbooked().len()).unwrap_or(i64::MAX),
        ),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(
            out,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        );
    }
    if let Some(age) = age(node) {
        let name = "vaultaire_configuration_age_seconds";
        let _ = writeln!(
            out,
            "# HELP {name} Since the control plane was last heard.\n# TYPE {name} gauge\n{name} {age}"
        );
    }
    out
}
