//! How a tenant's limits are divided among nodes: what the control plane grants, what nodes hold, and what they are asked
//! for. Shares are fractions, so that a changed limit moves nothing.

use serde::{Deserialize, Serialize};

/// All of a limit, in parts per billion. Shares of all nodes together never exceed it.
pub const WHOLE: u32 = 1_000_000_000;

/// A node's share of one tenant's limits, each in parts per billion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shares {
    /// Of the request rate and its burst.
    pub requests: u32,
    /// Of the requests at once.
    pub concurrency: u32,
    /// Of the bytes a second.
    pub bandwidth: u32,
}

impl Shares {
    pub fn all(share: u32) -> Shares {
        Shares {
            requests: share,
            concurrency: share,
            bandwidth: share,
        }
    }

    /// The smaller of both, figure by figure.
    #[must_use]
    pub fn at_most(self, other: Shares) -> Shares {
        Shares {
            requests: self.requests.min(other.requests),
            concurrency: self.concurrency.min(other.concurrency),
            bandwidth: self.bandwidth.min(other.bandwidth),
        }
    }
}

/// A share of a count, rounded down, but for what was lost when a whole number was turned into a share. Over all nodes
/// together at most `count`, as long as nodes times count stay below [`WHOLE`].
pub fn units(share: u32, count: u32) -> u32 {
    let (share, count) = (u64::from(share), u64::from(count));
    let whole = u64::from(WHOLE);
    u32::try_from((share * count + count.saturating_sub(1)) / whole).unwrap_or(u32::MAX)
}

/// The control plane tells a node its floor, and its shares of tenants where they are not the floor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allotment {
    /// Rises with every change of the floor.
    pub number: i64,
    /// This node's share of every tenant's limits where nothing else is said, in parts per billion.
    pub floor: u32,
    /// For how long, once the control plane falls silent, the node keeps what exceeds its floor.
    pub hold_seconds: u32,
    /// In place of all that the node was told before, rather than beside it.
    #[serde(default)]
    pub whole: bool,
    /// Others are to serve in this node's place: it says so to whoever asks whether it is ready, and gives back what it
    /// holds of quotas. What comes nevertheless it goes on serving.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    #[serde(default)]
    pub tenants: Vec<TenantShares>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantShares {
    pub tenant_id: String,
    /// Rises with every change.
    pub number: i64,
    /// `None`: the floor again.
    pub shares: Option<Shares>,
}

/// A node's answer: what it holds now, and will again after a restart. It may be more than it was told for as long as
/// requests that are under way exceed a smaller share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allotted {
    pub number: i64,
    pub floor: u32,
    /// As [`Allotment::draining`], from a node that goes by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    #[serde(default)]
    pub tenants: Vec<HeldShares>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldShares {
    pub tenant_id: String,
    pub number: i64,
    pub shares: Shares,
}

/// What one tenant's clients ask of a node, admitted or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    pub tenant_id: String,
    /// Thousandths of requests a second.
    pub requests: u64,
    /// Requests at once.
    pub concurrency: u32,
    /// Bytes a second. Where streams have to wait: all that the tenant may have.
    pub bandwidth: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_survives_as_a_share() {
        for count in [1, 2, 3, 7, 100, 999, 100_000] {
            for wanted in [0, 1, count / 3, count / 2, count] {
                let share = u64::from(wanted) * u64::from(WHOLE) / u64::from(count);
                assert_eq!(units(u32::try_from(share).unwrap(), count), wanted);
            }
        }
        assert_eq!(units(WHOLE / 3, 5), 1);
        assert_eq!(units(WHOLE, 0), 0);
    }

    #[test]
    fn thirds_of_a_count_never_exceed_it() {
        for count in 0..1000 {
            assert!(3 * units(WHOLE / 3, count) <= count);
        }
    }
}
