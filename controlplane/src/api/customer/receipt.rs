//! Which nodes serve a change, as answers say it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::Receipt as Applied;

/// Who serves the change already, and who does not yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Receipt {
    /// The change's place in the one order of all changes.
    revision: i64,
    nodes: Vec<Acknowledged>,
    pending: Vec<Pending>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Acknowledged {
    node_id: String,
    s3_address: String,
    /// From the change to the node's acknowledgement.
    millis: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct Pending {
    node_id: String,
    s3_address: String,
    /// A node that is cut off goes on serving what it has.
    connected: bool,
}

impl From<Applied> for Receipt {
    fn from(applied: Applied) -> Self {
        let nodes = applied.nodes.into_iter().map(|node| Acknowledged {
            node_id: node.node_id.to_string(),
            s3_address: node.s3_address,
            millis: node.millis,
        });
        let pending = applied.pending.into_iter().map(|node| Pending {
            node_id: node.node_id.to_string(),
            s3_address: node.s3_address,
            connected: node.connected,
        });
        Self {
            revision: applied.revision,
            nodes: nodes.collect(),
            pending: pending.collect(),
        }
    }
}
