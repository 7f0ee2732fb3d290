//! The messages of the configuration stream: one JSON object to a WebSocket text frame, tagged by `type`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Allotment, Allotted, Demand, Refusal, Revision, Settings, TenantDocument};

/// A node says the version that it speaks; a control plane that does not know it closes the stream.
pub const PROTOCOL_VERSION: u32 = 1;

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
    },
    /// Everything up to this revision is applied, and on disk.
    Ack { revision: Revision },
    /// The message for this revision could not be read or was refused; the node keeps what it had.
    Nack { revision: Revision, reason: String },
    /// What the node holds of tenants' limits: the answer to an [`Allotment`].
    Allotted(Allotted),
    /// What tenants ask of this node, where that is much of its share, or the share is not the floor.
    Demands { demands: Vec<Demand> },
    /// What the node refused in the last seconds.
    Refusals { refusals: Vec<Refusal> },
    #[serde(other)]
    Unknown,
}

/// From the control plane to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToNode {
    /// Everything, in place of whatever the node has. Sent when the node has nothing, when it is ahead of the
    /// database, and when a day has passed (new signing keys).
    Snapshot(Snapshot),
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
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub revision: Revision,
    pub settings: Settings,
    /// Every tenant that is not deleted.
    pub tenants: Vec<TenantDocument>,
}
