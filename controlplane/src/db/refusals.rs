//! What nodes refused, and by which rule: the last of each tenant's.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use crate::ids::{NodeId, TenantId};
use crate::refusals::Filter;
use crate::{Error, Tx};

pub(crate) struct Row {
    pub tenant_id: Uuid,
    pub request_id: String,
    pub at: DateTime<Utc>,
    pub node_id: Uuid,
    pub operation: String,
    pub bucket: String,
    pub access_key_id: String,
    pub status: i16,
    pub code: String,
    pub rule: String,
    pub counter: Option<i64>,
    pub limited_to: Option<i64>,
    pub revision: i64,
    pub clears_at: Option<DateTime<Utc>>,
    pub more: i64,
}

/// What is there already stays; what is of no tenant that exists is left out. `refusals` is an array of
/// [`wire::Refusal`] as they are on the wire.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    node: NodeId,
    refusals: &serde_json::Value,
) -> Result<(), Error> {
    query!(
        r#"INSERT INTO refusals (tenant_id, request_id, at, node_id, operation, bucket, access_key_id, status, code,
                rule, counter, limited_to, revision, clears_at, more)
             SELECT $1, r.request_id, r.at, $2, r.operation, r.bucket, r.access_key_id, r.status, r.code, r.rule,
                r.counter, r."limit", r.revision, r.clears_at, r.more
             FROM jsonb_to_recordset($3) AS r (request_id text, at timestamptz, operation text, bucket text,
                access_key_id text, status smallint, code text, rule text, counter bigint, "limit" bigint,
                revision bigint, clears_at timestamptz, more bigint)
             WHERE EXISTS (SELECT FROM tenants WHERE id = $1)
             ON CONFLICT (tenant_id, request_id) DO NOTHING"#,
        tenant.0,
        node.0,
        refusals
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Keeps the newest `keep` of the tenant's.
pub(crate) async fn prune(tx: &mut Tx, tenant: TenantId, keep: i64) -> Result<(), Error> {
    query!(
        "DELETE FROM refusals WHERE tenant_id = $1 AND at < (
            SELECT at FROM refusals WHERE tenant_id = $1 ORDER BY at DESC OFFSET $2 LIMIT 1)",
        tenant.0,
        keep
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn forget(tx: &mut Tx, before: DateTime<Utc>) -> Result<(), Error> {
    query!("DELETE FROM refusals WHERE at < $1", before)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// In a tenant's transaction only its own is found.
pub(crate) async fn by_request(tx: &mut Tx, request_id: &str) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT tenant_id, request_id, at, node_id, operation, bucket, access_key_id, status, code, rule, counter,
            limited_to, revision, clears_at, more
         FROM refusals WHERE request_id = $1 LIMIT 1",
        request_id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Newest first.
pub(crate) async fn list(tx: &mut Tx, tenant: TenantId, most: i64) -> Result<Vec<Row>, Error> {
    let rows = query_as!(
        Row,
        "SELECT tenant_id, request_id, at, node_id, operation, bucket, access_key_id, status, code, rule, counter,
            limited_to, revision, clears_at, more
         FROM refusals WHERE tenant_id = $1 ORDER BY at DESC, request_id LIMIT $2",
        tenant.0,
        most
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Newest first.
pub(crate) async fn page(
    tx: &mut Tx,
    tenant: TenantId,
    filter: &Filter,
) -> Result<Vec<Row>, Error> {
    let rules: Vec<&str> = filter.rules.iter().map(|rule| rule.as_str()).collect();
    let rows = query_as!(
        Row,
        "SELECT tenant_id, request_id, at, node_id, operation, bucket, access_key_id, status, code, rule, counter,
            limited_to, revision, clears_at, more
         FROM refusals
         WHERE tenant_id = $1 AND (cardinality($2::text[]) = 0 OR rule = ANY($2)) AND ($3 = '' OR bucket = $3)
           AND ($4 = '' OR access_key_id = $4)
           AND ($5::text IS NULL OR (at, request_id) <
                (SELECT at, request_id FROM refusals WHERE tenant_id = $1 AND request_id = $5))
         ORDER BY at DESC, request_id DESC LIMIT $6",
        tenant.0,
        &rules as &[&str],
        filter.bucket,
        filter.access_key_id,
        filter.before.as_deref(),
        i64::from(filter.limit)
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// How many were refused by each rule since then, those of which nothing else was kept included; the most first.
pub(crate) async fn counts(
    tx: &mut Tx,
    tenant: TenantId,
    since: DateTime<Utc>,
) -> Result<Vec<(String, i64)>, Error> {
    let rows = query!(
        r#"SELECT rule, sum(1 + more)::bigint AS "count!" FROM refusals
           WHERE tenant_id = $1 AND at >= $2 GROUP BY rule ORDER BY 2 DESC, rule"#,
        tenant.0,
        since
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (row.rule, row.count)).collect())
}
