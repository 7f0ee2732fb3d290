//! Engines. Secrets are sealed before they come here.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, query, query_as, query_scalar};
use wire::{EngineCapabilities, Revision};

use crate::ids::TenantId;
use crate::{Error, Tx};

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub id: String,
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret: Vec<u8>,
    pub placement: String,
    pub pool_bucket: Option<String>,
    pub capabilities: Json<EngineCapabilities>,
    pub probed_at: Option<DateTime<Utc>>,
    pub is_default: bool,
    pub capacity_bytes: Option<i64>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub environment: Option<Vec<u8>>,
    pub superseded: Option<Vec<u8>>,
    pub old_access_key_id: Option<String>,
    pub old_secret: Option<Vec<u8>>,
    pub rotated_at: Option<DateTime<Utc>>,
    pub rotation_revision: Option<Revision>,
}

macro_rules! select {
    ($tail:literal $(, $arg:expr)*) => {
        query_as!(
            Row,
            r#"SELECT id, endpoint, region, access_key_id, secret, placement, pool_bucket,
                      capabilities AS "capabilities: Json<EngineCapabilities>", probed_at, is_default, capacity_bytes,
                      disabled_at, created_at, environment, superseded, old_access_key_id, old_secret, rotated_at,
                      rotation_revision
               FROM engines "# + $tail
            $(, $arg)*
        )
    };
}

pub(crate) async fn list(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    select!("ORDER BY id").fetch_all(conn).await
}

pub(crate) async fn get(tx: &mut Tx, id: &str) -> Result<Option<Row>, Error> {
    let row = select!("WHERE id = $1", id).fetch_optional(tx.connection());
    Ok(row.await?)
}

/// As `get`, and nobody else changes it before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<Row>, Error> {
    let row = select!("WHERE id = $1 FOR UPDATE", id).fetch_optional(tx.connection());
    Ok(row.await?)
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

/// Where a new bucket goes.
pub(crate) struct ForNew {
    pub id: String,
    pub placement: String,
    pub pool_bucket: Option<String>,
    pub capabilities: Json<EngineCapabilities>,
    pub disabled: bool,
}

/// The tenant's engine, or the default one. A tenant's transaction may ask.
pub(crate) async fn for_new_bucket(tx: &mut Tx, tenant: TenantId) -> Result<Option<ForNew>, Error> {
    let found = query_as!(
        ForNew,
        r#"SELECT id, placement, pool_bucket, capabilities AS "capabilities: Json<EngineCapabilities>",
                  disabled_at IS NOT NULL AS "disabled!"
           FROM engines WHERE id = COALESCE((SELECT engine_id FROM tenants WHERE id = $1),
                                            (SELECT id FROM engines WHERE is_default))"#,
        tenant.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found)
}

/// `false`: there is one of this id. The first one is the default.
pub(crate) async fn insert(tx: &mut Tx, row: &Row) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO engines (id, endpoint, region, access_key_id, secret, placement, pool_bucket, capabilities,
                              probed_at, capacity_bytes, created_at, environment, is_default)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                 NOT EXISTS (SELECT FROM engines WHERE is_default))
         ON CONFLICT (id) DO NOTHING",
        row.id,
        row.endpoint,
        row.region,
        row.access_key_id,
        row.secret,
        row.placement,
        row.pool_bucket,
        Json(row.capabilities.0) as _,
        row.probed_at,
        row.capacity_bytes,
        row.created_at,
        row.environment
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Where it is, how buckets are laid on it and by whose account.
pub(crate) async fn set_configuration(tx: &mut Tx, row: &Row) -> Result<(), Error> {
    query!(
        "UPDATE engines SET endpoint = $2, region = $3, access_key_id = $4, secret = $5, placement = $6, pool_bucket = $7,
                capabilities = $8, probed_at = $9, environment = $10, old_access_key_id = $11, old_secret = $12,
                rotated_at = $13, rotation_revision = $14, superseded = $15
         WHERE id = $1",
        row.id,
        row.endpoint,
        row.region,
        row.access_key_id,
        row.secret,
        row.placement,
        row.pool_bucket,
        Json(row.capabilities.0) as _,
        row.probed_at,
        row.environment,
        row.old_access_key_id,
        row.old_secret,
        row.rotated_at,
        row.rotation_revision,
        row.superseded
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_environment(
    tx: &mut Tx,
    id: &str,
    environment: &[u8],
    superseded: Option<&[u8]>,
) -> Result<(), Error> {
    query!(
        "UPDATE engines SET environment = $2, superseded = $3 WHERE id = $1",
        id,
        environment,
        superseded
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_rotation_revision(
    tx: &mut Tx,
    id: &str,
    revision: Revision,
) -> Result<(), Error> {
    query!(
        "UPDATE engines SET rotation_revision = $2 WHERE id = $1",
        id,
        revision
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The credentials before these are no longer known.
pub(crate) async fn forget_old(tx: &mut Tx, id: &str) -> Result<(), Error> {
    query!(
        "UPDATE engines SET old_access_key_id = NULL, old_secret = NULL, rotated_at = NULL, rotation_revision = NULL
         WHERE id = $1",
        id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_default(tx: &mut Tx, id: &str) -> Result<(), Error> {
    query!("UPDATE engines SET is_default = false WHERE is_default")
        .execute(tx.connection())
        .await?;
    query!("UPDATE engines SET is_default = true WHERE id = $1", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

pub(crate) async fn set_capacity(
    tx: &mut Tx,
    id: &str,
    capacity_bytes: Option<i64>,
) -> Result<(), Error> {
    query!(
        "UPDATE engines SET capacity_bytes = $2 WHERE id = $1",
        id,
        capacity_bytes
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Since when no new buckets go there; `None`: they do.
pub(crate) async fn set_disabled(
    tx: &mut Tx,
    id: &str,
    since: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    query!(
        "UPDATE engines SET disabled_at = $2 WHERE id = $1",
        id,
        since
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<(), Error> {
    query!("DELETE FROM engines WHERE id = $1", id)
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

/// What is booked as stored at an engine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub buckets: i64,
    pub bytes: i64,
    pub objects: i64,
}

/// By engine; one without buckets is not among them.
pub(crate) async fn held(tx: &mut Tx) -> Result<HashMap<String, Held>, Error> {
    let rows = query!(
        r#"SELECT b.engine_id, count(*) AS "buckets!", COALESCE(sum(u.stored_bytes), 0)::bigint AS "bytes!",
                  COALESCE(sum(u.objects), 0)::bigint AS "objects!"
           FROM buckets b LEFT JOIN bucket_usage u ON u.tenant_id = b.tenant_id AND u.bucket_id = b.id
           GROUP BY b.engine_id"#
    )
    .fetch_all(tx.connection())
    .await?;
    let held = rows.into_iter().map(|row| {
        let held = Held {
            buckets: row.buckets,
            bytes: row.bytes,
            objects: row.objects,
        };
        (row.engine_id, held)
    });
    Ok(held.collect())
}

/// By engine: how many tenants' new buckets go there by the operator's word.
pub(crate) async fn tenants(tx: &mut Tx) -> Result<HashMap<String, i64>, Error> {
    let rows = query!(
        r#"SELECT engine_id AS "engine_id!", count(*) AS "tenants!" FROM tenants
           WHERE engine_id IS NOT NULL AND status <> 'deleted' GROUP BY engine_id"#
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.engine_id, row.tenants))
        .collect())
}

/// How many tenants have no engine of their own.
pub(crate) async fn tenants_of_default(tx: &mut Tx) -> Result<i64, Error> {
    let found = query!(
        r#"SELECT count(*) AS "count!" FROM tenants WHERE engine_id IS NULL AND status <> 'deleted'"#
    );
    Ok(found.fetch_one(tx.connection()).await?.count)
}

/// Also of tenants that are deleted and could be restored.
pub(crate) async fn forget_tenants(tx: &mut Tx, id: &str) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET engine_id = NULL WHERE engine_id = $1 AND status = 'deleted'",
        id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
