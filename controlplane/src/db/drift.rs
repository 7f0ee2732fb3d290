//! What is compared with engines, and what came of it.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;

use crate::drift::Report;
use crate::{Error, Tx};

/// One control plane compares at a time: the key of its advisory lock.
const LOCK: i64 = 0x7661_756c_7464_7266;
const KEEP: i64 = 20;

/// A bucket's row, as far as its place goes.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub name: String,
    pub status: String,
    pub engine_id: String,
    pub engine_bucket: String,
    pub prefix: String,
    pub claimed_until: Option<DateTime<Utc>>,
    pub object_lock: bool,
}

macro_rules! select {
    ($tail:literal $(, $arg:expr)*) => {
        query_as!(
            Placed,
            "SELECT id, tenant_id, name, status, engine_id, engine_bucket, prefix, claimed_until, object_lock
             FROM buckets " + $tail
            $(, $arg)*
        )
    };
}

/// Every row there is, in whatever state.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Placed>, Error> {
    Ok(select!("ORDER BY id").fetch_all(tx.connection()).await?)
}

/// Nobody else changes it before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: Uuid) -> Result<Option<Placed>, Error> {
    let row = select!("WHERE id = $1 FOR UPDATE", id);
    Ok(row.fetch_optional(tx.connection()).await?)
}

/// Whether any row is placed there, on whatever engine.
pub(crate) async fn is_placed(
    tx: &mut Tx,
    engine_bucket: &str,
    prefix: &str,
) -> Result<bool, Error> {
    let found = query_scalar!(
        r#"SELECT EXISTS (SELECT FROM buckets WHERE engine_bucket = $1 AND prefix = $2) AS "placed!""#,
        engine_bucket,
        prefix
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(found)
}

/// Only the last ones are kept.
pub(crate) async fn insert(tx: &mut Tx, report: &Report, actor: &str) -> Result<(), Error> {
    query!(
        "INSERT INTO drift_reports (at, actor, report) VALUES ($1, $2, $3)",
        report.at,
        actor,
        Json(report) as _
    )
    .execute(tx.connection())
    .await?;
    query!(
        "DELETE FROM drift_reports WHERE id NOT IN (SELECT id FROM drift_reports ORDER BY id DESC LIMIT $1)",
        KEEP
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn last(tx: &mut Tx) -> Result<Option<Report>, Error> {
    let report = query_scalar!(
        r#"SELECT report AS "report: Json<Report>" FROM drift_reports ORDER BY id DESC LIMIT 1"#
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(report.map(|report| report.0))
}

/// For as long as the connection lives; `false`: another has it.
pub(crate) async fn try_lock(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK)
        .fetch_one(conn)
        .await
}

/// Lets others have it.
pub(crate) async fn unlock(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query_scalar!(r#"SELECT pg_advisory_unlock($1) AS "unlocked!""#, LOCK)
        .fetch_one(conn)
        .await?;
    Ok(())
}
