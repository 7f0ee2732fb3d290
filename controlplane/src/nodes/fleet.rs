//! What one node holds of tenants' limits and quotas. It reads what enforces them, and changes nothing.

use serde::Serialize;

use crate::ids::{NodeId, TenantId};
use crate::{Error, Tx, db};

/// Tenants listed of each kind.
const LISTED: i64 = 50;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// How many tenants' limits are divided by demand, of which this node has a share of its own.
    pub shares: i64,
    /// The largest.
    pub largest_shares: Vec<ShareOf>,
    /// What it may still use of quotas, by resource.
    pub leases: Vec<Held>,
    /// The largest of each resource.
    pub largest_leases: Vec<LeaseOf>,
}

/// Parts per billion of a tenant's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShareOf {
    pub tenant_id: TenantId,
    pub name: String,
    pub requests: u32,
    pub concurrency: u32,
    pub bandwidth: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// `stored_bytes`, `objects`, `egress_bytes`
    pub resource: String,
    pub tenants: i64,
    pub amount: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseOf {
    pub tenant_id: TenantId,
    pub name: String,
    pub resource: String,
    pub amount: i64,
}

/// Needs a system transaction.
pub async fn holding(tx: &mut Tx, node: NodeId) -> Result<Holding, Error> {
    let conn = tx.connection();
    Ok(Holding {
        shares: db::fleet::count_shares(conn, node).await?,
        largest_shares: db::fleet::shares(conn, node, LISTED).await?,
        leases: db::fleet::leases(conn, node).await?,
        largest_leases: db::fleet::largest_leases(conn, node, LISTED).await?,
    })
}
