//! What each bucket holds, for inventories: which are due, and how much moved while one was taken.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;

use crate::ids::{BucketId, TenantId};
use crate::usage::Stored;
use crate::{Error, Tx};

/// One control plane takes inventories: the key of its advisory lock.
const LOCK: i64 = 0x7661_756c_7469_6e76;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub stored_bytes: i64,
    pub objects: i64,
    pub added_bytes: i64,
    pub removed_bytes: i64,
    pub added_objects: i64,
    pub removed_objects: i64,
}

/// A bucket to look at.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub tenant_id: Uuid,
    pub id: Uuid,
    pub name: String,
    pub engine_id: String,
    pub engine_bucket: String,
    pub prefix: String,
}

pub(crate) async fn held(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: BucketId,
) -> Result<Option<Held>, Error> {
    let held = query_as!(
        Held,
        "SELECT stored_bytes, objects, added_bytes, removed_bytes, added_objects, removed_objects
         FROM bucket_usage WHERE tenant_id = $1 AND bucket_id = $2",
        tenant.0,
        bucket.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(held)
}

/// What every bucket of the tenant holds.
pub(crate) async fn of_tenant(
    tx: &mut Tx,
    tenant: TenantId,
) -> Result<HashMap<BucketId, Stored>, Error> {
    let rows = query!(
        "SELECT bucket_id, stored_bytes, objects FROM bucket_usage WHERE tenant_id = $1",
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    let stored = rows.into_iter().map(|row| {
        let stored = Stored {
            stored_bytes: u64::try_from(row.stored_bytes).unwrap_or(0),
            objects: u64::try_from(row.objects).unwrap_or(0),
        };
        (BucketId(row.bucket_id), stored)
    });
    Ok(stored.collect())
}

pub(crate) async fn delete(tx: &mut Tx, tenant: TenantId, bucket: BucketId) -> Result<(), Error> {
    query!(
        "DELETE FROM usage_uploads WHERE tenant_id = $1 AND bucket_id = $2",
        tenant.0,
        bucket.0
    )
    .execute(tx.connection())
    .await?;
    query!(
        "DELETE FROM bucket_usage WHERE tenant_id = $1 AND bucket_id = $2",
        tenant.0,
        bucket.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Bytes of parts of uploads that have not ended.
pub(crate) async fn open_parts(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: BucketId,
) -> Result<i64, Error> {
    let bytes = query_scalar!(
        r#"SELECT COALESCE(sum(part_bytes), 0)::bigint AS "bytes!" FROM usage_uploads
           WHERE tenant_id = $1 AND bucket_id = $2 AND state = 'open'"#,
        tenant.0,
        bucket.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(bytes)
}

/// The engine knows no upload in the bucket: those that did not change since are gone.
pub(crate) async fn close_uploads(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: BucketId,
    unchanged_since: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE usage_uploads SET state = 'aborted'
         WHERE tenant_id = $1 AND bucket_id = $2 AND state = 'open' AND changed_at < $3",
        tenant.0,
        bucket.0,
        unchanged_since
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_inventory(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: BucketId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "INSERT INTO bucket_usage (tenant_id, bucket_id, inventory_at) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id, bucket_id) DO UPDATE SET inventory_at = EXCLUDED.inventory_at",
        tenant.0,
        bucket.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A tenant's buckets, or the one of this name.
pub(crate) async fn places(
    tx: &mut Tx,
    tenant: TenantId,
    name: Option<&str>,
) -> Result<Vec<Place>, Error> {
    let places = query_as!(
        Place,
        "SELECT tenant_id, id, name, engine_id, engine_bucket, prefix FROM buckets
         WHERE tenant_id = $1 AND status <> 'creating' AND ($2::text IS NULL OR name = $2) ORDER BY name",
        tenant.0,
        name
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(places)
}

/// Every bucket that holds something or may.
pub(crate) async fn all_places(tx: &mut Tx) -> Result<Vec<Place>, Error> {
    let places = query_as!(
        Place,
        "SELECT tenant_id, id, name, engine_id, engine_bucket, prefix FROM buckets
         WHERE status = 'active' ORDER BY tenant_id, name"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(places)
}

pub(crate) async fn place(tx: &mut Tx, bucket: Uuid) -> Result<Option<Place>, Error> {
    let place = query_as!(
        Place,
        "SELECT tenant_id, id, name, engine_id, engine_bucket, prefix FROM buckets WHERE id = $1",
        bucket
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(place)
}

/// Buckets that nobody has looked at since then, the longest first.
pub(crate) async fn due(
    tx: &mut Tx,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Place>, Error> {
    let places = query_as!(
        Place,
        "SELECT b.tenant_id, b.id, b.name, b.engine_id, b.engine_bucket, b.prefix
         FROM buckets b LEFT JOIN bucket_usage u ON u.tenant_id = b.tenant_id AND u.bucket_id = b.id
         WHERE b.status = 'active' AND COALESCE(u.inventory_at, b.created_at) < $1
         ORDER BY COALESCE(u.inventory_at, b.created_at) LIMIT $2",
        since,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(places)
}

/// Buckets with usage that are gone.
pub(crate) async fn orphans(tx: &mut Tx) -> Result<Vec<(TenantId, BucketId)>, Error> {
    let rows = query!(
        "SELECT u.tenant_id, u.bucket_id FROM bucket_usage u
         WHERE NOT EXISTS (SELECT FROM buckets b WHERE b.id = u.bucket_id)"
    )
    .fetch_all(tx.connection())
    .await?;
    let ids = rows.into_iter();
    Ok(ids
        .map(|row| (TenantId(row.tenant_id), BucketId(row.bucket_id)))
        .collect())
}

/// For as long as the connection lives, or until it is unlocked; `false`: another has it.
pub(crate) async fn try_lock(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK)
        .fetch_one(conn)
        .await
}

pub(crate) async fn unlock(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query_scalar!("SELECT pg_advisory_unlock($1)", LOCK)
        .fetch_one(conn)
        .await
        .map(drop)
}
