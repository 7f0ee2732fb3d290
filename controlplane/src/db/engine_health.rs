//! What the last look at each engine found.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_scalar};

use crate::engines::Health;
use crate::{Error, Tx};

/// One control plane looks at engines: the key of its advisory lock.
const LOCK: i64 = 0x7661_756c_7468_6c74;

/// By engine; one that was never looked at is not among them.
pub(crate) async fn list(tx: &mut Tx) -> Result<HashMap<String, Health>, Error> {
    let rows = query!(
        "SELECT engine_id, checked_at, reachable, since, latency_millis, last_error, last_error_at FROM engine_health"
    )
    .fetch_all(tx.connection())
    .await?;
    let health = rows.into_iter().map(|row| {
        let health = Health {
            checked_at: row.checked_at,
            reachable: row.reachable,
            since: row.since,
            latency_millis: row.latency_millis.map(i32::unsigned_abs),
            last_error: row.last_error,
            last_error_at: row.last_error_at,
        };
        (row.engine_id, health)
    });
    Ok(health.collect())
}

/// Answers whether it was reachable before; `None`: nobody had looked.
pub(crate) async fn note(
    tx: &mut Tx,
    engine: &str,
    now: DateTime<Utc>,
    found: Result<u32, &str>,
) -> Result<Option<bool>, Error> {
    let before = query_scalar!(
        "SELECT reachable FROM engine_health WHERE engine_id = $1 FOR UPDATE",
        engine
    )
    .fetch_optional(tx.connection())
    .await?;
    let latency = found
        .ok()
        .map(|millis| i32::try_from(millis).unwrap_or(i32::MAX));
    query!(
        "INSERT INTO engine_health (engine_id, checked_at, reachable, since, latency_millis, last_error, last_error_at)
         SELECT id, $2::timestamptz, $3, $2::timestamptz, $4, $5, CASE WHEN $5::text IS NOT NULL THEN $2::timestamptz END FROM engines WHERE id = $1
         ON CONFLICT (engine_id) DO UPDATE SET checked_at = EXCLUDED.checked_at, reachable = EXCLUDED.reachable,
            since = CASE WHEN engine_health.reachable = EXCLUDED.reachable THEN engine_health.since ELSE EXCLUDED.since END,
            latency_millis = COALESCE(EXCLUDED.latency_millis, engine_health.latency_millis),
            last_error = COALESCE(EXCLUDED.last_error, engine_health.last_error),
            last_error_at = COALESCE(EXCLUDED.last_error_at, engine_health.last_error_at)",
        engine,
        now,
        found.is_ok(),
        latency,
        found.err()
    )
    .execute(tx.connection())
    .await?;
    Ok(before)
}

/// For as long as the connection lives, or until it is unlocked; `false`: another has it.
pub(crate) async fn try_lock(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK)
        .fetch_one(conn)
        .await
}
