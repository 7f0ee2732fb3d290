//! Engines. The secret is sealed before it comes here.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, query, query_as, query_scalar};
use wire::EngineCapabilities;

use crate::{Error, Tx};

#[derive(Clone)]
pub(crate) struct Row {
    pub id: String,
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret: Vec<u8>,
    pub placement: String,
    pub pool_bucket: Option<String>,
    pub capabilities: Json<EngineCapabilities>,
}

pub(crate) async fn list(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    query_as!(
        Row,
        r#"SELECT id, endpoint, region, access_key_id, secret, placement, pool_bucket,
                  capabilities AS "capabilities: Json<EngineCapabilities>"
           FROM engines ORDER BY id"#
    )
    .fetch_all(conn)
    .await
}

/// As `list`, for one, and nobody else changes it before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        r#"SELECT id, endpoint, region, access_key_id, secret, placement, pool_bucket,
                  capabilities AS "capabilities: Json<EngineCapabilities>"
           FROM engines WHERE id = $1 FOR UPDATE"#,
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// What the engine was found to be able to do; nothing as long as it was not probed.
pub(crate) async fn capabilities(tx: &mut Tx, id: &str) -> Result<EngineCapabilities, Error> {
    let found = query_scalar!(
        r#"SELECT capabilities AS "capabilities: Json<EngineCapabilities>" FROM engines WHERE id = $1"#,
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.unwrap_or_default().0)
}

pub(crate) async fn upsert(tx: &mut Tx, row: &Row) -> Result<(), Error> {
    query!(
        "INSERT INTO engines (id, endpoint, region, access_key_id, secret, placement, pool_bucket, capabilities)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET endpoint = EXCLUDED.endpoint, region = EXCLUDED.region,
            access_key_id = EXCLUDED.access_key_id, secret = EXCLUDED.secret, placement = EXCLUDED.placement,
            pool_bucket = EXCLUDED.pool_bucket, capabilities = EXCLUDED.capabilities,
            probed_at = CASE WHEN $9 THEN engines.probed_at END",
        row.id,
        row.endpoint,
        row.region,
        row.access_key_id,
        row.secret,
        row.placement,
        row.pool_bucket,
        Json(row.capabilities.0) as _,
        row.capabilities.0 != EngineCapabilities::default()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How many were probed, and how many there are.
pub(crate) async fn count_probed(conn: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    let row = query!(r#"SELECT count(probed_at) AS "probed!", count(*) AS "all!" FROM engines"#)
        .fetch_one(conn)
        .await?;
    Ok((row.probed, row.all))
}

pub(crate) async fn set_capabilities(
    tx: &mut Tx,
    id: &str,
    capabilities: EngineCapabilities,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE engines SET capabilities = $2, probed_at = $3 WHERE id = $1",
        id,
        Json(capabilities) as _,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
