//! The operator's view of the data plane: its nodes, and what they refused. The routes are in `admin`.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admin::{begin, tenant_id};
use super::json::Body;
use crate::ids::NodeId;
use crate::nodes::{Drained, Holding, Node};
use crate::{ControlPlane, Error, Origin, diagnosis, nodes, refusals, tenants};

/// A drained node has said so by then, or is of a version that does not.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn list_refusals(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let id = tenant_id(&id)?;
    let mut tx = cp.begin_tenant(id).await?;
    tenants::get(&mut tx).await?;
    let refusals = refusals::list(&mut tx, id).await?;
    Ok(Json(json!({ "refusals": refusals })))
}

pub(super) async fn show_refusal(
    State(cp): State<ControlPlane>,
    Path(request_id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    Ok(Json(refusals::by_request(&mut tx, &request_id).await?))
}

pub(super) async fn list_nodes(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let nodes = nodes::list(&mut tx, &cp).await?;
    Ok(Json(json!({ "nodes": nodes })))
}

fn node_id(text: &str) -> Result<NodeId, Error> {
    text.parse().map_err(|_| Error::NotFound("node"))
}

/// With what it holds.
#[derive(Serialize)]
struct ShownNode {
    #[serde(flatten)]
    node: Node,
    #[serde(flatten)]
    holding: Holding,
}

pub(super) async fn show_node(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let id = node_id(&id)?;
    let mut tx = cp.begin_system().await?;
    let node = nodes::get(&mut tx, &cp, id).await?;
    let holding = nodes::holding(&mut tx, id).await?;
    Ok(Json(ShownNode { node, holding }))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainBody {
    /// Even where no other node is ready.
    #[serde(default)]
    force: bool,
}

/// Answered when the node has said that it goes by it, or did not in time.
pub(super) async fn drain_node(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(body): Body<DrainBody>,
) -> Result<Json<Drained>, Error> {
    let id = node_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    nodes::drain(&mut tx, &cp, id, body.force).await?;
    tx.commit().await?;
    Ok(Json(nodes::wait_drained(&cp, id, TOLD_WITHIN).await?))
}

pub(super) async fn undrain_node(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let id = node_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    nodes::undrain(&mut tx, &cp, id).await?;
    let node = nodes::get(&mut tx, &cp, id).await?;
    tx.commit().await?;
    Ok(Json(node))
}

/// What `vaultaire doctor` asks.
pub(super) async fn diagnosis(
    State(cp): State<ControlPlane>,
) -> Result<Json<diagnosis::Diagnosis>, Error> {
    Ok(Json(diagnosis::of_control_plane(&cp).await?))
}

pub(super) async fn remove_node(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let id = node_id(&id)?;
    let mut tx = begin(&cp, origin).await?;
    nodes::remove(&mut tx, &cp, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn create_join_token(
    State(cp): State<ControlPlane>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let token = nodes::create_join_token(&mut tx, &cp).await?;
    tx.commit().await?;
    let body = json!({ "join_token": token.join_token.as_str(), "expires_at": token.expires_at });
    Ok((StatusCode::CREATED, Json(body)))
}
