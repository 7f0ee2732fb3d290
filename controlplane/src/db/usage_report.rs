//! Usage as it is read: sums over hours or days, and how much was stored for how long.

use chrono::{DateTime, Utc};
use sqlx::{query_as, query_scalar};
use uuid::Uuid;

use crate::ids::TenantId;
use crate::{Error, Tx};

pub(crate) struct Sum {
    pub time: DateTime<Utc>,
    /// A bucket's id, an access key's, or a class.
    pub name: String,
    pub requests: i64,
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
    unit: &str,
    group: &str,
) -> Result<Vec<Sum>, Error> {
    let sums = query_as!(
        Sum,
        r#"SELECT date_trunc($4, hour, 'UTC') AS "time!",
                  CASE $5 WHEN 'bucket' THEN replace(bucket_id::text, '-', '') WHEN 'key' THEN access_key_id
                          ELSE class END AS "name!",
                  sum(requests)::bigint AS "requests!", sum(bytes_in)::bigint AS "bytes_in!",
                  sum(bytes_out)::bigint AS "bytes_out!", sum(stored_delta)::bigint AS "stored_delta!",
                  sum(objects_delta)::bigint AS "objects_delta!"
           FROM usage_hours WHERE tenant_id = $1 AND hour >= $2 AND hour < $3
           GROUP BY 1, 2 ORDER BY 1, 2"#,
        tenant.0,
        from,
        to,
        unit,
        group
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
) -> Result<Vec<ByteHours>, Error> {
    let hours = query_as!(
        ByteHours,
        r#"WITH deltas AS (
               SELECT bucket_id, GREATEST(hour, $2) AS hour, sum(CASE WHEN hour < $2 THEN stored_delta ELSE 0 END) AS before,
                      sum(CASE WHEN hour < $2 THEN 0 ELSE stored_delta END) AS within
               FROM usage_hours WHERE tenant_id = $1 AND hour < $3 AND stored_delta <> 0 GROUP BY 1, 2
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
        unit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(hours)
}

/// The bucket's present name; `None` once it is gone.
pub(crate) async fn bucket_name(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: Uuid,
) -> Result<Option<String>, Error> {
    let name = query_scalar!(
        "SELECT name FROM buckets WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        bucket
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(name)
}
