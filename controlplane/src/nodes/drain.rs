//! Taking a node out of service: others are to serve in its place, and when it ends afterwards it leaves nothing that anybody
//! waits for. It ends no request and stops no process.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use wire::ToNode;

use super::{Node, NodeState};
use crate::ids::NodeId;
use crate::{Actor, ControlPlane, Error, Tx, audit, db, leases};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What became of a drained node within the wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drained {
    #[serde(flatten)]
    pub node: Node,
    /// It says to whoever asks whether it is ready that it is draining.
    pub told: bool,
    /// After so long; none where it did not say so in time.
    pub millis: Option<u64>,
    /// Nodes that serve in its place.
    pub ready: usize,
}

/// Others are to serve in the node's place from now on: it is told so, its part of limits moves to them, and it gives back
/// what it holds of quotas. Doing it twice changes nothing. Refused with `last_ready_node` where no other node is ready, unless
/// `force`, and with `node_left` where it has ended already. Needs a system transaction.
pub async fn drain(tx: &mut Tx, cp: &ControlPlane, id: NodeId, force: bool) -> Result<(), Error> {
    // Rounds and drains one after the other: of two nodes that are drained at once, one is the last.
    db::allotments::lock(tx.connection()).await?;
    let nodes = super::list(tx, cp).await?;
    let node = nodes.iter().find(|node| node.node_id == id);
    let node = node.ok_or(Error::NotFound("node"))?;
    if node.state == NodeState::Left {
        return Err(Error::Conflict {
            code: "node_left",
            message: "The node has left already.".to_owned(),
        });
    }
    if node.draining_since.is_some() {
        return Ok(());
    }
    let others = nodes
        .iter()
        .filter(|other| other.node_id != id && other.state == NodeState::Ready);
    if others.count() == 0 && !force {
        return Err(Error::Conflict {
            code: "last_ready_node",
            message: "No other node is ready: nobody would serve in its place. Add one first, or insist by force."
                .to_owned(),
        });
    }
    db::nodes::set_draining(tx, id, Some(cp.clock().now())).await?;
    db::allotments::announce(tx.connection(), "divide").await?;
    db::allotments::announce(tx.connection(), "tell").await?;
    let details = json!({ "s3_address": node.s3_address, "force": force });
    audit::record(tx, cp, None, "node.drain", &id.to_string(), details).await
}

/// The node takes its part again. Needs a system transaction.
pub async fn undrain(tx: &mut Tx, cp: &ControlPlane, id: NodeId) -> Result<(), Error> {
    db::allotments::lock(tx.connection()).await?;
    let node = super::get(tx, cp, id).await?;
    if node.draining_since.is_none() {
        return Ok(());
    }
    db::nodes::set_draining(tx, id, None).await?;
    db::allotments::announce(tx.connection(), "divide").await?;
    db::allotments::announce(tx.connection(), "tell").await?;
    let details = json!({ "s3_address": node.s3_address });
    audit::record(tx, cp, None, "node.undrain", &id.to_string(), details).await
}

/// Waits until the node has said that it goes by it, and tells how it stands then.
pub async fn wait_drained(
    cp: &ControlPlane,
    id: NodeId,
    timeout: Duration,
) -> Result<Drained, Error> {
    let began = Instant::now();
    loop {
        let mut tx = cp.begin_system().await?;
        let nodes = super::list(&mut tx, cp).await?;
        drop(tx);
        let ready = nodes
            .iter()
            .filter(|node| node.state == NodeState::Ready)
            .count();
        let node = nodes.into_iter().find(|node| node.node_id == id);
        let node = node.ok_or(Error::NotFound("node"))?;
        let told = node.drain_told_at.is_some();
        let waits = node.state == NodeState::Draining && !told;
        if !waits || began.elapsed() >= timeout {
            let millis = u64::try_from(began.elapsed().as_millis()).ok();
            return Ok(Drained {
                told,
                millis: millis.filter(|_| told),
                ready,
                node,
            });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A node says that it ends, and that all it answered is booked. One that is not drained merely ends.
pub(crate) async fn left(cp: ControlPlane, node: NodeId, stream: Uuid) {
    match try_left(&cp, node, stream, cp.clock().now()).await {
        Ok(true) => {
            cp.push().outboxes.send(node, ToNode::Left);
            tracing::info!(%node, "a drained node has left");
        }
        Ok(false) => tracing::warn!(%node, "a node that is not drained says that it leaves"),
        Err(error) => tracing::warn!(%node, %error, "a node could not be taken out"),
    }
}

async fn try_left(
    cp: &ControlPlane,
    node: NodeId,
    stream: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let tx = cp.begin_system().await?;
    let mut tx = tx.acting(Actor::Node(node), crate::Origin::default());
    db::allotments::lock(tx.connection()).await?;
    if !db::nodes::leave(&mut tx, node, stream, now).await? {
        return Ok(false);
    }
    leases::give_back(&mut tx, node).await?;
    db::allotments::announce(tx.connection(), "divide").await?;
    audit::record(
        &mut tx,
        cp,
        None,
        "node.leave",
        &node.to_string(),
        json!({}),
    )
    .await?;
    tx.commit().await?;
    Ok(true)
}
