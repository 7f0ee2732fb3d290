//! What the operator's monitoring asks; for a port that is not public.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use crate::{ControlPlane, Error, db, nodes};

const READY_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn router(cp: ControlPlane) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(cp)
}

/// Whether the database answers, and what is sealed in it can be opened.
async fn ready(State(cp): State<ControlPlane>) -> Response {
    let reachable = tokio::time::timeout(READY_TIMEOUT, db::is_reachable(cp.pool())).await;
    let missing = match reachable {
        Ok(true) if cp.held_master_key().is_behind() => {
            "the master key that seals is not in this control plane's key file\n"
        }
        Ok(true) => return "ready\n".into_response(),
        _ => "the database does not answer\n",
    };
    (StatusCode::SERVICE_UNAVAILABLE, missing).into_response()
}

/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
async fn metrics(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let revision = db::revision::head(tx.connection()).await?;
    let tenants = db::tenants::count(tx.connection()).await?;
    let nodes = nodes::list(&mut tx, &cp).await?;
    let (probed, engines) = db::engines::count_probed(tx.connection()).await?;
    drop(tx);
    let connected = nodes.iter().filter(|n| n.connected).count();
    let streams = cp.push().acks.count();
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        );
    };
    gauge(
        "vaultaire_revision",
        "Newest configuration revision.",
        &revision,
    );
    gauge(
        "vaultaire_tenants",
        "Tenants that are not deleted.",
        &tenants,
    );
    gauge(
        "vaultaire_nodes",
        "Data-plane nodes that ever joined.",
        &nodes.len(),
    );
    gauge(
        "vaultaire_nodes_connected",
        "Nodes connected to any control plane.",
        &connected,
    );
    gauge("vaultaire_engines", "Storage engines.", &engines);
    gauge(
        "vaultaire_engines_probed",
        "Storage engines of which it is known what they can do.",
        &probed,
    );
    gauge(
        "vaultaire_streams",
        "Nodes connected to this process.",
        &streams,
    );
    let sent = cp.push().sent_bytes();
    let name = "vaultaire_push_sent_bytes_total";
    let _ = writeln!(
        text,
        "# HELP {name} Bytes of messages sent to nodes by this process.\n# TYPE {name} counter\n{name} {sent}"
    );
    text.push_str("# HELP vaultaire_node_revision Revision that the node acknowledged.\n");
    text.push_str("# TYPE vaultaire_node_revision gauge\n");
    for node in &nodes {
        let (id, revision) = (node.node_id, node.revision);
        let _ = writeln!(text, "vaultaire_node_revision{{node=\"{id}\"}} {revision}");
    }
    cp.routes().render(&mut text);
    telemetry::render(&mut text);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}
