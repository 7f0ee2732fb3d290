//! The audit log: rows are added and read, never changed; no role may.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use crate::audit::Entry;
use crate::ids::TenantId;
use crate::{Error, Tx};

pub(crate) async fn insert(
    tx: &mut Tx,
    at: DateTime<Utc>,
    tenant: Option<TenantId>,
    action: &str,
    target: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    let actor = tx.actor.label();
    let address = tx.origin.address.map(|a| a.to_string());
    let user_agent = tx.origin.user_agent.clone();
    let request_id = tx.origin.request_id.clone();
    query!(
        "INSERT INTO audit_log (at, tenant_id, actor, action, target, address, user_agent, request_id, details)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        at,
        tenant.map(|t| t.0),
        actor,
        action,
        target,
        address,
        user_agent,
        request_id,
        details
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn list(tx: &mut Tx, tenant: TenantId, limit: i64) -> Result<Vec<Entry>, Error> {
    let entries = query_as!(
        Entry,
        "SELECT id, at, actor, action, target, address, request_id, details
         FROM audit_log WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2",
        tenant.0,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(entries)
}
