//! Leases: parts of a tenant's quota that a node may use up without asking. Sums are cumulative, so that what is
//! repeated or comes late does no harm.

use serde::{Deserialize, Serialize};

/// What a tenant can have a hard quota of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Bytes of objects and of parts of uploads, all buckets together.
    StoredBytes,
    /// Objects, all buckets together.
    Objects,
    /// Bytes of answers' bodies in one calendar month (UTC).
    EgressBytes,
    #[serde(other)]
    Unknown,
}

/// The calendar month (UTC) that a quota of egress is for, such as 202603; 0 for what is not counted by months.
pub type Period = u32;

/// One tenant's quota of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quota {
    /// 32 lowercase hexadecimal digits.
    pub tenant_id: String,
    pub resource: Resource,
    #[serde(default)]
    pub period: Period,
}

/// A node asks for more. The answer is [`Grants`] or [`Full`] with the same number; to a question for stock, perhaps none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Counts up on the node.
    pub number: u64,
    /// The node's ledger. What is granted to one ledger is not to be used by another.
    pub ledger: String,
    pub quota: Quota,
    /// What the request at hand needs in all; 0: none is at hand, the node is laying in stock.
    #[serde(default)]
    pub need: u64,
    /// What of it the node lacks.
    #[serde(default)]
    pub want: u64,
}

/// All that a ledger was ever granted of one quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub quota: Quota,
    pub total: u64,
}

/// Said when something was granted, and for everything that is outstanding when a stream begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    pub ledger: String,
    /// The question that this answers.
    #[serde(default)]
    pub answers: Option<u64>,
    pub grants: Vec<Grant>,
}

/// Why nothing was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Full {
    pub answers: u64,
    /// As the tenant is shown it.
    pub used: u64,
    pub limit: u64,
    /// It would fit, but other nodes hold what is left, or requests under way do.
    #[serde(default)]
    pub held: bool,
}

/// A node is to send what it has written down at once, and to give back what it holds and has not promised to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    pub quota: Quota,
    /// The node for which it is wanted, which keeps what it has.
    #[serde(default)]
    pub keeps: Option<String>,
}

/// What a batch of a node's journal took of its leases: stored, sent, given back or not used after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub ledger: String,
    pub quota: Quota,
    pub amount: u64,
    /// What of it counts as used beside what the batch's lines say.
    #[serde(default)]
    pub used: u64,
}
