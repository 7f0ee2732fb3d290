//! The audit log: rows are added and read, never changed; no role may.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use crate::audit::{Break, Entry, Filter};
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

pub(crate) async fn page(
    tx: &mut Tx,
    tenant: TenantId,
    filter: &Filter,
) -> Result<Vec<Entry>, Error> {
    let entries = query_as!(
        Entry,
        "SELECT id, at, actor, action, target, address, request_id, details
         FROM audit_log
         WHERE tenant_id = $1 AND starts_with(action, $2) AND ($3 = '' OR actor = $3)
           AND ($4::bigint IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5",
        tenant.0,
        filter.action_prefix,
        filter.actor,
        filter.before,
        i64::from(filter.limit)
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(entries)
}

/// Entries that have a place in a chain.
pub(crate) async fn count(tx: &mut Tx) -> Result<i64, Error> {
    let count = query_scalar!(r#"SELECT count(*) AS "count!" FROM audit_chain"#)
        .fetch_one(tx.connection())
        .await?;
    Ok(count)
}

pub(crate) async fn breaks(tx: &mut Tx) -> Result<Vec<Break>, Error> {
    let rows = query!(
        r#"WITH chain AS (
               SELECT *, lag(hash, 1, ''::bytea) OVER w AS previous, row_number() OVER w AS expected
               FROM audit_chain WINDOW w AS (PARTITION BY tenant_id ORDER BY position)
           )
           SELECT c.tenant_id AS "tenant_id?", c.entry_id AS "entry_id!",
                  CASE WHEN l.id IS NULL THEN 'missing' WHEN c.position <> c.expected THEN 'gap'
                       ELSE 'altered' END AS "reason!"
           FROM chain c LEFT JOIN audit_log l
                ON l.id = c.entry_id AND l.tenant_id IS NOT DISTINCT FROM c.tenant_id
           WHERE l.id IS NULL OR c.position <> c.expected OR audit_entry_hash(c.previous, l) <> c.hash
           UNION ALL
           SELECT l.tenant_id, l.id, 'unchained' FROM audit_log l
           WHERE NOT EXISTS (SELECT FROM audit_chain c WHERE c.entry_id = l.id)
           ORDER BY 2 LIMIT 100"#
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Break {
            log: "tenants",
            tenant_id: row.tenant_id.map(TenantId),
            entry_id: row.entry_id,
            reason: row.reason,
        })
        .collect())
}
