//! What was done, by whom, when and from where. Entries are written in the transaction of the change itself.

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

pub(crate) async fn record(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: Option<TenantId>,
    action: &str,
    target: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    db::audit::insert(tx, cp.clock().now(), tenant, action, target, details).await
}
