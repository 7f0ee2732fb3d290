//! Sign-ups that wait for their confirmation, one for each address.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use crate::{Error, Tx};

pub(crate) struct Row {
    pub email: String,
    pub company: String,
    pub password_hash: String,
    pub browser_hash: Vec<u8>,
}

pub(crate) struct New<'a> {
    pub email: &'a str,
    pub company: &'a str,
    pub password_hash: &'a str,
    pub token_hash: &'a [u8],
    pub browser_hash: &'a [u8],
    pub expires_at: DateTime<Utc>,
}

/// In place of an older one for the address.
pub(crate) async fn replace(tx: &mut Tx, new: New<'_>) -> Result<(), Error> {
    query!(
        "INSERT INTO sign_ups (email, company, password_hash, token_hash, browser_hash, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (email) DO UPDATE SET company = EXCLUDED.company, password_hash = EXCLUDED.password_hash,
             token_hash = EXCLUDED.token_hash, browser_hash = EXCLUDED.browser_hash, expires_at = EXCLUDED.expires_at",
        new.email,
        new.company,
        new.password_hash,
        new.token_hash,
        new.browser_hash,
        new.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn get(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT email, company, password_hash, browser_hash FROM sign_ups WHERE token_hash = $1 AND expires_at > $2",
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// `false`: somebody else was faster.
pub(crate) async fn delete(tx: &mut Tx, token_hash: &[u8]) -> Result<bool, Error> {
    let done = query!("DELETE FROM sign_ups WHERE token_hash = $1", token_hash)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn delete_expired(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), Error> {
    query!("DELETE FROM sign_ups WHERE expires_at <= $1", now)
        .execute(tx.connection())
        .await?;
    Ok(())
}
