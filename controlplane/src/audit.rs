//! What was done, by whom, when and from where. Entries are written in the transaction of the change itself; what an
//! operator does is written into the operators' log as well.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::ids::TenantId;
use crate::{ControlPlane, Error, Tx, db};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    /// `access_key.create`, `bucket.delete`, …
    pub action: String,
    /// What it was done to: an access key id, a bucket's name, …
    pub target: String,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub details: serde_json::Value,
}

/// The tenant's newest entries, newest first.
pub async fn list(tx: &mut Tx, limit: u32) -> Result<Vec<Entry>, Error> {
    let tenant = tx.tenant()?;
    db::audit::list(tx, tenant, i64::from(limit)).await
}

/// Which of the tenant's entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// What their action begins with: `bucket.`; empty for all.
    pub action_prefix: String,
    /// Whose they are, as [`Entry::actor`] has it; empty for all.
    pub actor: String,
    /// Older than the entry of this id.
    pub before: Option<i64>,
    pub limit: u32,
}

/// Newest first.
pub async fn page(tx: &mut Tx, filter: &Filter) -> Result<Vec<Entry>, Error> {
    let tenant = tx.tenant()?;
    db::audit::page(tx, tenant, filter).await
}

/// Where a chain of entries does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Break {
    /// `tenants`, which has the installation's entries as well, or `operators`.
    pub log: &'static str,
    /// None: entries that concern the whole installation.
    pub tenant_id: Option<TenantId>,
    pub entry_id: i64,
    /// `altered`, `missing` (the entry is gone), `gap` (its place in the chain is gone) or `unchained`.
    pub reason: String,
}

/// How many entries are chained, and the first places where a chain is broken, a hundred of each
/// log. Needs a system transaction.
pub async fn verify(tx: &mut Tx) -> Result<(i64, Vec<Break>), Error> {
    let count = db::audit::count(tx).await? + db::operator_audit::count(tx).await?;
    let mut breaks = db::audit::breaks(tx).await?;
    breaks.extend(db::operator_audit::breaks(tx).await?);
    Ok((count, breaks))
}

pub(crate) async fn record(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: Option<TenantId>,
    action: &str,
    target: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    let now = cp.clock().now();
    if tx.actor.is_operator() {
        db::operator_audit::insert(tx, now, tenant, action, target, &details).await?;
    }
    db::audit::insert(tx, now, tenant, action, target, details).await
}
