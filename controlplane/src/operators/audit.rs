//! What operators did, in one chain. Whatever a transaction that acts for an operator writes into a tenant's audit log
//! stands here too, by [`crate::audit`]; what concerns no log of that kind is written with [`record`].

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::ids::TenantId;
use crate::{ControlPlane, Error, Tx, db};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// An operator's address, or `admin token`.
    pub actor: String,
    /// `tenant.suspend`, `operator.log_in`, …
    pub action: String,
    pub target: String,
    pub tenant_id: Option<TenantId>,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub details: serde_json::Value,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// What their action begins with: `tenant.`; empty for all.
    pub action_prefix: String,
    /// What stands in the actor, the target or the tenant's id; empty for all.
    pub search: String,
    /// Older than the entry of this id.
    pub before: Option<i64>,
    pub limit: u32,
}

/// In the transaction of the act, in the name of the transaction's actor. Not for what [`crate::audit`] has written down
/// already.
pub async fn record(
    tx: &mut Tx,
    cp: &ControlPlane,
    action: &str,
    target: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    db::operator_audit::insert(tx, cp.clock().now(), None, action, target, &details).await
}

/// Newest first. Needs a system transaction.
pub async fn page(tx: &mut Tx, filter: &Filter) -> Result<Vec<Entry>, Error> {
    db::operator_audit::page(tx, filter).await
}

/// As [`record`], about a tenant, where its own log says nothing of it. Needs a system transaction.
pub(super) async fn record_of(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
    action: &str,
    target: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    let now = cp.clock().now();
    db::operator_audit::insert(tx, now, Some(tenant), action, target, &details).await
}
