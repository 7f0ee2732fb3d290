//! What the nodes connected to this process have acknowledged, so that a receipt need not wait for the table.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;
use wire::Revision;

use crate::ids::NodeId;

pub(crate) struct Acks {
    /// By node: the stream that speaks for it, and the revision that it acknowledged.
    nodes: Mutex<HashMap<NodeId, (Uuid, Revision)>>,
    changed: watch::Sender<()>,
}

impl Acks {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Mutex::new(HashMap::new()),
            changed: watch::Sender::new(()),
        }
    }

    /// A later stream takes the node over from an earlier one.
    pub(crate) fn begin(&self, node: NodeId, stream: Uuid, revision: Revision) {
        self.lock().insert(node, (stream, revision));
        self.changed.send_replace(());
    }

    pub(crate) fn record(&self, node: NodeId, stream: Uuid, revision: Revision) {
        if let Some(entry) = self.lock().get_mut(&node)
            && entry.0 == stream
        {
            entry.1 = revision;
        }
        self.changed.send_replace(());
    }

    pub(crate) fn end(&self, node: NodeId, stream: Uuid) {
        let mut nodes = self.lock();
        if nodes.get(&node).is_some_and(|entry| entry.0 == stream) {
            nodes.remove(&node);
        }
    }

    /// `None`: the node is not connected to this process.
    pub(crate) fn of(&self, node: NodeId) -> Option<Revision> {
        self.lock().get(&node).map(|entry| entry.1)
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, (Uuid, Revision)>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_stream_neither_speaks_for_the_node_nor_ends_the_new_one() {
        let acks = Acks::new();
        let (node, old, new) = (NodeId::random(), Uuid::new_v4(), Uuid::new_v4());
        acks.begin(node, old, 5);
        acks.begin(node, new, 7);
        acks.record(node, old, 6);
        acks.end(node, old);
        assert_eq!(acks.of(node), Some(7));
        acks.record(node, new, 8);
        assert_eq!(acks.of(node), Some(8));
        acks.end(node, new);
        assert_eq!(acks.of(node), None);
    }
}
