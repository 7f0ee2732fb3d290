//! The outbox.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::{Error, Tx};

/// Whoever holds it sends.
pub(crate) const LOCK: i64 = 0x7661_756c_6d61_696c; // "vaulmail"

pub(crate) struct New<'a> {
    pub id: Uuid,
    pub kind: &'a str,
    pub recipient: &'a str,
    /// Sealed.
    pub content: &'a [u8],
    pub now: DateTime<Utc>,
    pub give_up_at: DateTime<Utc>,
}

pub(crate) struct Row {
    pub id: Uuid,
    pub kind: String,
    pub recipient: String,
    pub content: Vec<u8>,
    pub attempts: i32,
    pub give_up_at: DateTime<Utc>,
}

pub(crate) async fn insert(tx: &mut Tx, new: New<'_>) -> Result<(), Error> {
    query!(
        "INSERT INTO mails (id, kind, recipient, content, next_attempt_at, give_up_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $5)",
        new.id,
        new.kind,
        new.recipient,
        new.content,
        new.now,
        new.give_up_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// To the end of the transaction nobody else sends.
pub(crate) async fn try_lock(tx: &mut Tx) -> Result<bool, Error> {
    let locked = query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#, LOCK)
        .fetch_one(tx.connection())
        .await?;
    Ok(locked)
}

/// The one that has been due for longest.
pub(crate) async fn due(tx: &mut Tx, now: DateTime<Utc>) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT id, kind, recipient, content, attempts, give_up_at FROM mails
         WHERE next_attempt_at <= $1 AND failed_at IS NULL ORDER BY next_attempt_at, created_at LIMIT 1",
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

pub(crate) async fn postpone(
    tx: &mut Tx,
    id: Uuid,
    to: DateTime<Utc>,
    error: &str,
) -> Result<(), Error> {
    query!(
        "UPDATE mails SET attempts = attempts + 1, next_attempt_at = $2, last_error = $3 WHERE id = $1",
        id,
        to,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// It is not sent any more. What it said goes; that it was not sent can be looked up for a while.
pub(crate) async fn give_up(tx: &mut Tx, id: Uuid, now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE mails SET failed_at = $2, content = '' WHERE id = $1",
        id,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Those that were given up before then.
pub(crate) async fn forget(tx: &mut Tx, before: DateTime<Utc>) -> Result<(), Error> {
    query!("DELETE FROM mails WHERE failed_at < $1", before)
        .execute(tx.connection())
        .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: Uuid) -> Result<(), Error> {
    query!("DELETE FROM mails WHERE id = $1", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}
