//! The operators' audit log: rows are added and read, never changed; no role may.

use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};

use crate::audit::Break;
use crate::ids::TenantId;
use crate::operators::audit::{Entry, Filter};
use crate::{Error, Tx};

pub(crate) async fn insert(
    tx: &mut Tx,
    at: DateTime<Utc>,
    tenant: Option<TenantId>,
    action: &str,
    target: &str,
    details: &serde_json::Value,
) -> Result<(), Error> {
    let actor = tx.actor.among_operators();
    let address = tx.origin.address.map(|a| a.to_string());
    let user_agent = tx.origin.user_agent.clone();
    let request_id = tx.origin.request_id.clone();
    query!(
        "INSERT INTO operator_audit (at, tenant_id, actor, action, target, address, user_agent, request_id, details)
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

pub(crate) async fn page(tx: &mut Tx, filter: &Filter) -> Result<Vec<Entry>, Error> {
    let rows = query!(
        "SELECT id, at, actor, action, target, tenant_id, address, request_id, details
         FROM operator_audit
         WHERE starts_with(action, $1) AND ($3::bigint IS NULL OR id < $3)
           AND ($2 = '' OR position(lower($2) IN lower(actor)) > 0 OR position(lower($2) IN lower(target)) > 0
                OR replace(tenant_id::text, '-', '') = lower($2))
         ORDER BY id DESC LIMIT $4",
        filter.action_prefix,
        filter.search,
        filter.before,
        i64::from(filter.limit)
    )
    .fetch_all(tx.connection())
    .await?;
    let entries = rows.into_iter().map(|row| Entry {
        id: row.id,
        at: row.at,
        actor: row.actor,
        action: row.action,
        target: row.target,
        tenant_id: row.tenant_id.map(TenantId),
        address: row.address,
        request_id: row.request_id,
        details: row.details,
    });
    Ok(entries.collect())
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64, Error> {
    let count = query_scalar!(r#"SELECT count(*) AS "count!" FROM operator_audit_chain"#)
        .fetch_one(tx.connection())
        .await?;
    Ok(count)
}

pub(crate) async fn breaks(tx: &mut Tx) -> Result<Vec<Break>, Error> {
    let rows = query!(
        r#"WITH chain AS (
               SELECT *, lag(hash, 1, ''::bytea) OVER w AS previous, row_number() OVER w AS expected
               FROM operator_audit_chain WINDOW w AS (ORDER BY position)
           )
           SELECT c.entry_id AS "entry_id!",
                  CASE WHEN l.id IS NULL THEN 'missing' WHEN c.position <> c.expected THEN 'gap'
                       ELSE 'altered' END AS "reason!"
           FROM chain c LEFT JOIN operator_audit l ON l.id = c.entry_id
           WHERE l.id IS NULL OR c.position <> c.expected OR operator_audit_entry_hash(c.previous, l) <> c.hash
           UNION ALL
           SELECT l.id, 'unchained' FROM operator_audit l
           WHERE NOT EXISTS (SELECT FROM operator_audit_chain c WHERE c.entry_id = l.id)
           ORDER BY 1 LIMIT 100"#
    )
    .fetch_all(tx.connection())
    .await?;
    let breaks = rows.into_iter().map(|row| Break {
        log: "operators",
        tenant_id: None,
        entry_id: row.entry_id,
        reason: row.reason,
    });
    Ok(breaks.collect())
}
