//! Which version of the master key seals, which were dropped, and which control planes know which.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, query, query_as};
use uuid::Uuid;

use crate::{Error, Tx};

/// A version under which something was ever sealed.
pub(crate) struct Row {
    pub version: i16,
    pub fingerprint: String,
    pub dropped_at: Option<DateTime<Utc>>,
}

/// Whether the database went through the migration that brings them.
pub(crate) async fn there_are(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT to_regclass('master_keys') IS NOT NULL AS "there!""#)
        .fetch_one(conn)
        .await
}

pub(crate) async fn list(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    query_as!(
        Row,
        "SELECT version, fingerprint, dropped_at FROM master_keys ORDER BY version"
    )
    .fetch_all(conn)
    .await
}

/// Does nothing where the version is there already.
pub(crate) async fn insert(
    tx: &mut Tx,
    version: u8,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "INSERT INTO master_keys (version, fingerprint, since) VALUES ($1, $2, $3) ON CONFLICT (version) DO NOTHING",
        i16::from(version),
        fingerprint,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// All but this one.
pub(crate) async fn drop_others(tx: &mut Tx, version: u8, now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE master_keys SET dropped_at = $2 WHERE version <> $1 AND dropped_at IS NULL",
        i16::from(version),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Which version seals, if that was ever said, and whether everything was seen to be sealed under it.
pub(crate) struct Sealing {
    pub version: Option<i16>,
    pub resealed: bool,
    /// There are versions that sealed before, and were not dropped.
    pub unfinished: bool,
}

pub(crate) async fn sealing(conn: &mut PgConnection) -> Result<Option<Sealing>, sqlx::Error> {
    query_as!(
        Sealing,
        r#"SELECT master_key_version AS version, resealed,
                  EXISTS (SELECT FROM master_keys k WHERE k.dropped_at IS NULL AND k.version <> s.master_key_version) AS "unfinished!"
           FROM settings s"#
    )
    .fetch_optional(conn)
    .await
}

/// As [`sealing`], and nobody says another, or begins to run, before the end of this transaction.
pub(crate) async fn lock_sealing(tx: &mut Tx) -> Result<Option<Sealing>, Error> {
    let found = query_as!(
        Sealing,
        r#"SELECT master_key_version AS version, resealed,
                  EXISTS (SELECT FROM master_keys k WHERE k.dropped_at IS NULL AND k.version <> s.master_key_version) AS "unfinished!"
           FROM settings s FOR NO KEY UPDATE OF s"#
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found)
}

pub(crate) async fn set_sealing(tx: &mut Tx, version: u8) -> Result<(), Error> {
    query!(
        "UPDATE settings SET master_key_version = $1, resealed = false",
        i16::from(version)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_resealed(tx: &mut Tx, resealed: bool) -> Result<(), Error> {
    query!("UPDATE settings SET resealed = $1", resealed)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// A control plane that runs.
pub(crate) struct Running {
    pub id: Uuid,
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// The versions that it knows, with their fingerprints.
    pub master_keys: Json<BTreeMap<u8, String>>,
    pub seals_under: i16,
}

/// Says that this one runs.
pub(crate) async fn report(tx: &mut Tx, me: &Running, until: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "INSERT INTO control_planes (id, version, started_at, running_until, master_keys, seals_under)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET running_until = EXCLUDED.running_until,
             master_keys = EXCLUDED.master_keys, seals_under = EXCLUDED.seals_under",
        me.id,
        me.version,
        me.started_at,
        until,
        Json(&me.master_keys.0) as _,
        me.seals_under
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets those of which nobody has heard for a day.
pub(crate) async fn forget_ended(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "DELETE FROM control_planes WHERE running_until < $1::timestamptz - interval '1 day'",
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn running(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<Running>, sqlx::Error> {
    query_as!(
        Running,
        r#"SELECT id, version, started_at, master_keys AS "master_keys: Json<BTreeMap<u8, String>>", seals_under
           FROM control_planes WHERE running_until > $1 ORDER BY started_at, id"#,
        now
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn ended(tx: &mut Tx, id: Uuid) -> Result<(), Error> {
    query!("DELETE FROM control_planes WHERE id = $1", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Connections of control planes of releases that do not say that they run.
pub(crate) async fn connections_of_older_releases(
    conn: &mut PgConnection,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'vaultaire' AND pid <> pg_backend_pid()"#
    )
    .fetch_one(conn)
    .await
}
