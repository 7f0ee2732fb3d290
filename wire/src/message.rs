//! The messages of the configuration stream: one JSON object to a WebSocket text frame, tagged by `type`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Allotment, Allotted, Ask, Demand, Full, Grants, Recall, Refusal, Revision, Settings, Taken,
    TenantDocument, UsageLine,
};

/// The version that this release speaks. It rises when a neighbour must know whom it speaks with; what only adds fields
/// or messages raises nothing.
pub const PROTOCOL_VERSION: u32 = 2;
/// The oldest that this release still speaks. It rises one release after [`PROTOCOL_VERSION`] at the earliest.
pub const OLDEST_PROTOCOL: u32 = 2;

/// What a stream is spoken in between this release and one that says `theirs`: the lower of both, if this release speaks
/// it and the other is a neighbour. `None`: they do not understand each other.
pub fn negotiate(theirs: u32) -> Option<u32> {
    let spoken = theirs.min(PROTOCOL_VERSION);
    let neighbours = theirs.abs_diff(PROTOCOL_VERSION) <= 1;
    (neighbours && spoken >= OLDEST_PROTOCOL).then_some(spoken)
}

/// From a node to the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromNode {
    /// The first message of a stream.
    Hello {
        protocol: u32,
        /// The program's version.
        version: String,
        /// Where customers reach this node, such as `127.0.0.1:9000`.
        s3_address: String,
        /// New at every start of the process.
        boot_id: String,
        /// The revision that the node serves; 0 when it has nothing.
        revision: Revision,
        /// The [`SnapshotBegin::epoch`] that this revision is of; empty when the node has nothing.
        #[serde(default)]
        epoch: String,
        /// Nothing was refused since the last snapshot: the node lacks no change up to its revision.
        #[serde(default)]
        whole: bool,
        /// The node's time of day, to compare.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
    },
    /// Everything up to this revision is applied, and on disk. A snapshot is acknowledged once, at its end; each
    /// [`ToNode::Refresh`] by itself.
    Ack {
        revision: Revision,
    },
    /// The message for this revision could not be read or was refused; the node keeps what it had. A snapshot is
    /// refused once: what is still to come of it is passed over.
    Nack {
        revision: Revision,
        reason: String,
    },
    /// What the node holds of tenants' limits: the answer to an [`Allotment`].
    Allotted(Allotted),
    /// What tenants ask of this node, where that is much of its share, or the share is not the floor.
    Demands {
        demands: Vec<Demand>,
    },
    /// What the node refused in the last seconds.
    Refusals {
        refusals: Vec<Refusal>,
    },
    /// One batch of answered requests. It is sent again until it is booked, and is the same each time.
    Usage {
        /// Of the process that wrote it: 16 hexadecimal digits.
        boot: String,
        sequence: u64,
        lines: Vec<UsageLine>,
        /// What it took of this node's leases.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taken: Vec<Taken>,
    },
    /// Where this node keeps account of its leases. Said when a stream begins, and answered with [`ToNode::Grants`].
    Ledger {
        ledger: String,
    },
    Ask(Ask),
    /// The node was drained and ends: all that it answered is booked, and it holds nothing any more. Answered with
    /// [`ToNode::Left`].
    Leave,
    #[serde(other)]
    Unknown,
}

/// From the control plane to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToNode {
    /// From here to [`SnapshotEnd`](Self::SnapshotEnd): everything, in place of whatever the node has. Sent when the
    /// node has nothing, follows another database, or has refused a change.
    SnapshotBegin(SnapshotBegin),
    /// Some of the snapshot's tenants. What is no configuration may come between pages; changes come after the end.
    SnapshotPage {
        /// The snapshot's.
        revision: Revision,
        tenants: Vec<TenantDocument>,
    },
    /// All of it was sent. Only now does it count.
    SnapshotEnd {
        revision: Revision,
    },
    /// Documents that the node has, as they are at `revision`, which it has: with signing keys for further days. Changes
    /// may come between.
    Refresh {
        revision: Revision,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Settings>,
        tenants: Vec<TenantDocument>,
    },
    /// One tenant changed. `revision` is the document's; nothing between the last message and this one is missing.
    Tenant(TenantDocument),
    /// Engines, region or token keys changed.
    Settings(Settings),
    /// This node's part of tenants' limits. The first comes before anything that could be served.
    Allotment(Allotment),
    /// All is quiet at this revision. Sent every few seconds, so that silence means a broken connection.
    Heartbeat {
        revision: Revision,
        at: DateTime<Utc>,
    },
    /// A batch of usage is in the database, and need not be sent again.
    Booked {
        boot: String,
        sequence: u64,
    },
    Grants(Grants),
    Full(Full),
    Recall(Recall),
    /// What this ledger held was given to others: it is good for nothing, and the node is to begin another.
    Renew {
        ledger: String,
    },
    /// What the node held is others' now. It may come back whenever it likes.
    Left,
    #[serde(other)]
    Unknown,
}

/// A message with the trace that its change belongs to beside it. Whoever does not know of it reads the message alone.
#[derive(Debug, Serialize)]
pub struct Traced<'a> {
    #[serde(flatten)]
    pub message: &'a ToNode,
    /// As W3C trace context writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// What stands beside a message, and which change it is.
#[derive(Debug, Deserialize)]
pub struct Cause {
    #[serde(default)]
    pub revision: Revision,
    #[serde(default)]
    pub traceparent: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotBegin {
    pub revision: Revision,
    /// Names the database's history: a revision says something only among revisions of one epoch.
    #[serde(default)]
    pub epoch: String,
    /// The operator wants this node to take this snapshot whatever it followed before.
    #[serde(default)]
    pub accepted: bool,
    pub settings: Settings,
    /// How many tenants the pages hold together.
    pub tenants: u64,
}

/// A whole snapshot in one piece, for where there is little of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub revision: Revision,
    pub settings: Settings,
    /// Every tenant that is not deleted.
    pub tenants: Vec<TenantDocument>,
}

impl Snapshot {
    /// As it goes over the stream, with so many tenants to a page.
    pub fn messages(&self, epoch: &str, page: usize) -> Vec<ToNode> {
        let revision = self.revision;
        let begin = ToNode::SnapshotBegin(SnapshotBegin {
            revision,
            epoch: epoch.to_owned(),
            accepted: false,
            settings: self.settings.clone(),
            tenants: self.tenants.len() as u64,
        });
        let pages = self
            .tenants
            .chunks(page.max(1))
            .map(|tenants| ToNode::SnapshotPage {
                revision,
                tenants: tenants.to_vec(),
            });
        let end = ToNode::SnapshotEnd { revision };
        [begin].into_iter().chain(pages).chain([end]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_stands_beside_a_message_and_whoever_knows_none_reads_the_message() {
        let message = ToNode::SnapshotEnd { revision: 7 };
        let traceparent =
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
        let traced = Traced {
            message: &message,
            traceparent: traceparent.clone(),
        };
        let text = serde_json::to_string(&traced).unwrap();
        assert_eq!(serde_json::from_str::<ToNode>(&text).unwrap(), message);
        let cause: Cause = serde_json::from_str(&text).unwrap();
        assert_eq!((cause.revision, cause.traceparent), (7, traceparent));
        let alone = Traced {
            message: &message,
            traceparent: None,
        };
        let text = serde_json::to_string(&alone).unwrap();
        assert_eq!(text, serde_json::to_string(&message).unwrap());
        let cause: Cause = serde_json::from_str(&text).unwrap();
        assert_eq!(cause.traceparent, None);
    }
}
