//! A way to say something to one connected node from anywhere in this process. What cannot be said is not kept: whoever
//! relies on an answer asks again when the node's stream is there again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use uuid::Uuid;
use wire::ToNode;

use crate::ids::NodeId;

/// A node that lets this many messages wait is not reading.
const ROOM: usize = 4096;

#[derive(Default)]
pub(crate) struct Outboxes {
    /// By node: the stream that speaks for it, and the way into it.
    nodes: Mutex<HashMap<NodeId, (Uuid, mpsc::Sender<ToNode>)>>,
}

impl Outboxes {
    /// What is read from the receiver goes out on this stream. A later stream takes the node over from an earlier one.
    pub(crate) fn begin(&self, node: NodeId, stream: Uuid) -> mpsc::Receiver<ToNode> {
        let (sender, receiver) = mpsc::channel(ROOM);
        self.lock().insert(node, (stream, sender));
        receiver
    }

    pub(crate) fn end(&self, node: NodeId, stream: Uuid) {
        let mut nodes = self.lock();
        if nodes.get(&node).is_some_and(|entry| entry.0 == stream) {
            nodes.remove(&node);
        }
    }

    /// `false`: the node is not connected to this process, or does not read.
    pub(crate) fn send(&self, node: NodeId, message: ToNode) -> bool {
        self.lock()
            .get(&node)
            .is_some_and(|(_, sender)| sender.try_send(message).is_ok())
    }

    /// The nodes that are connected to this process.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, (Uuid, mpsc::Sender<ToNode>)>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> ToNode {
        ToNode::Heartbeat {
            revision: 1,
            at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_said_reaches_the_stream_that_speaks_for_the_node() {
        let outboxes = Outboxes::default();
        let (node, old, new) = (NodeId::random(), Uuid::new_v4(), Uuid::new_v4());
        assert!(!outboxes.send(node, message()));
        let mut first = outboxes.begin(node, old);
        let mut second = outboxes.begin(node, new);
        outboxes.end(node, old);
        assert_eq!(outboxes.nodes(), [node]);
        assert!(outboxes.send(node, message()));
        assert!(first.try_recv().is_err());
        assert!(second.try_recv().is_ok());
        outboxes.end(node, new);
        assert!(!outboxes.send(node, message()));
    }
}
