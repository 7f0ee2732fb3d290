//! Tells the control plane, four times a second, what tenants ask of this node. It decides nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use wire::FromNode;

use crate::node::Node;

const EVERY: Duration = Duration::from_millis(250);
/// In one message.
const MOST: usize = 500;

pub async fn run(node: Arc<Node>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let demands = node.limits.sample(Instant::now());
        for demands in demands.chunks(MOST) {
            node.uplink.send(FromNode::Demands {
                demands: demands.to_vec(),
            });
        }
        if let Some(allotted) = node.limits.drained() {
            node.uplink.send(FromNode::Allotted(allotted));
        }
    }
}
