//! Usage as it is read: sums over hours or days, and how much was stored for how long.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::ids::{BucketId, TenantId};
use crate::usage::{Behind, Filter};
use crate::{Error, Tx};

pub(crate) struct Sum {
    pub time: DateTime<Utc>,
    /// A bucket's id, an access key's, or a class.
    pub name: String,
    pub requests: i64,
    pub requests_a: i64,
    pub requests_b: i64,
    pub requests_free: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    pub stored_delta: i64,
    pub objects_delta: i64,
}

pub(crate) struct ByteHours {
    pub time: DateTime<Utc>,
    pub bucket_id: Uuid,
    /// At the end of the last hour.
    pub stored_bytes: i64,
    pub byte_hours: String,
}

/// `unit`: `hour` or `day`; `group`: `bucket`, `key` or `class`. Hours from `from` to before `to`.
pub(crate) async fn sums(
    tx: &mut Tx,
    tenant: TenantId,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    (unit, group): (&str, &str),
    filter: &Filter,
    most: i64,
) -> Result<Vec<Sum>, Error> {
    let sums = query_as!(
        Sum,
        r#"SELECT date_trunc($4, hour, 'UTC') AS "time!",
                  CASE $5 WHEN 'bucket' THEN replace(bucket_id::text, '-', '') WHEN 'key' THEN access_key_id
                          ELSE class END AS "name!",
                  sum(requests)::bigint AS "requests!",
                  COALESCE(sum(requests) FILTER (WHERE class = 'a'), 0)::bigint AS "requests_a!",
                  COALESCE(sum(requests) FILTER (WHERE class = 'b'), 0)::bigint AS "requests_b!",
                  COALESCE(sum(requests) FILTER (WHERE class = 'free'), 0)::bigint AS "requests_free!",
                  sum(bytes_in)::bigint AS "bytes_in!",
                  sum(bytes_out)::bigint AS "bytes_out!", sum(stored_delta)::bigint AS "stored_delta!",
                  sum(objects_delta)::bigint AS "objects_delta!"
           FROM usage_hours WHERE tenant_id = $1 AND hour >= $2 AND hour < $3
             AND ($6::uuid IS NULL OR bucket_id = $6) AND ($7::text IS NULL OR access_key_id = $7)
           GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $8"#,
        tenant.0,
        from,
        to,
        unit,
        group,
        filter.bucket.map(|bucket| bucket.0),
        filter.access_key_id.as_deref(),
        most
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(sums)
}

/// For each bucket that ever held anything, and each hour or day: what was stored at the end of each hour, added up over
/// the hours.
pub(crate) async fn byte_hours(
    tx: &mut Tx,
    tenant: TenantId,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    unit: &str,
    bucket: Option<BucketId>,
) -> Result<Vec<ByteHours>, Error> {
    let hours = query_as!(
        ByteHours,
        r#"WITH deltas AS (
               SELECT bucket_id, GREATEST(hour, $2) AS hour, sum(CASE WHEN hour < $2 THEN stored_delta ELSE 0 END) AS before,
                      sum(CASE WHEN hour < $2 THEN 0 ELSE stored_delta END) AS within
               FROM usage_hours WHERE tenant_id = $1 AND hour < $3 AND stored_delta <> 0
                 AND ($5::uuid IS NULL OR bucket_id = $5)
               GROUP BY 1, 2
           ), stored AS (
               SELECT b.bucket_id, h.hour,
                      sum(COALESCE(d.before + d.within, 0)) OVER (PARTITION BY b.bucket_id ORDER BY h.hour) AS bytes
               FROM (SELECT DISTINCT bucket_id FROM deltas) b
               CROSS JOIN generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS h (hour)
               LEFT JOIN deltas d ON d.bucket_id = b.bucket_id AND d.hour = h.hour
           )
           SELECT date_trunc($4, hour, 'UTC') AS "time!", bucket_id AS "bucket_id!",
                  ((array_agg(GREATEST(bytes, 0) ORDER BY hour DESC))[1])::bigint AS "stored_bytes!",
                  sum(GREATEST(bytes, 0))::text AS "byte_hours!"
           FROM stored GROUP BY 1, 2 ORDER BY 1, 2"#,
        tenant.0,
        from,
        to,
        unit,
        bucket.map(|bucket| bucket.0)
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(hours)
}

/// The present names of those that are not gone.
pub(crate) async fn bucket_names(
    tx: &mut Tx,
    tenant: TenantId,
) -> Result<HashMap<BucketId, String>, Error> {
    let rows = query!(
        "SELECT id, name FROM buckets WHERE tenant_id = $1",
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    let names = rows.into_iter().map(|row| (BucketId(row.id), row.name));
    Ok(names.collect())
}

/// The bucket of this name, or of this id where it has left usage behind.
pub(crate) async fn bucket_named(
    tx: &mut Tx,
    tenant: TenantId,
    text: &str,
) -> Result<Option<Uuid>, Error> {
    let id = query_scalar!(
        "SELECT id FROM buckets WHERE tenant_id = $1 AND name = $2",
        tenant.0,
        text
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(gone) = Uuid::try_parse(text).ok().filter(|_| id.is_none()) else {
        return Ok(id);
    };
    let id = query_scalar!(
        "SELECT bucket_id FROM usage_hours WHERE tenant_id = $1 AND bucket_id = $2 LIMIT 1",
        tenant.0,
        gone
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(id)
}

/// Whether the access key is the tenant's, or has left usage behind.
pub(crate) async fn knows_key(
    tx: &mut Tx,
    tenant: TenantId,
    access_key_id: &str,
) -> Result<bool, Error> {
    let knows = query_scalar!(
        r#"SELECT EXISTS (SELECT FROM access_keys WHERE tenant_id = $1 AND access_key_id = $2)
               OR EXISTS (SELECT FROM usage_hours WHERE tenant_id = $1 AND access_key_id = $2) AS "knows!""#,
        tenant.0,
        access_key_id
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(knows)
}

/// Nodes that are not connected and were seen since then.
pub(crate) async fn behind(
    tx: &mut Tx,
    now: DateTime<Utc>,
    since: DateTime<Utc>,
) -> Result<Vec<Behind>, Error> {
    let nodes = query_as!(
        Behind,
        r#"SELECT s3_address, last_seen AS "since!" FROM nodes
           WHERE removed_at IS NULL AND left_at IS NULL AND last_seen >= $2 AND (connected_until IS NULL OR connected_until <= $1)
           ORDER BY last_seen, id"#,
        now,
        since
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(nodes)
}
