//! Attempts to log in that did not succeed, by the SHA-256 of the address that was typed.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::{Error, Tx};

/// Attempts on one account come one after the other to the end of the transaction, so that many at once cannot all
/// pass under the limit.
pub(crate) async fn lock(tx: &mut Tx, account: &[u8; 32]) -> Result<(), Error> {
    let [a, b, c, d, e, f, g, h, ..] = *account;
    query!(
        "SELECT pg_advisory_xact_lock($1)",
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How many there were after that time, and when the oldest of them was.
pub(crate) async fn since(
    tx: &mut Tx,
    account: &[u8],
    after: DateTime<Utc>,
) -> Result<(i64, Option<DateTime<Utc>>), Error> {
    let row = query!(
        r#"SELECT count(*) AS "count!", min(at) AS oldest FROM login_failures WHERE account = $1 AND at > $2"#,
        account,
        after
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.count, row.oldest))
}

pub(crate) async fn insert(tx: &mut Tx, account: &[u8], at: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "INSERT INTO login_failures (account, at) VALUES ($1, $2)",
        account,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets what no longer counts, whoever's it is.
pub(crate) async fn delete_before(tx: &mut Tx, at: DateTime<Utc>) -> Result<(), Error> {
    query!("DELETE FROM login_failures WHERE at <= $1", at)
        .execute(tx.connection())
        .await?;
    Ok(())
}

pub(crate) async fn delete_of(tx: &mut Tx, account: &[u8]) -> Result<(), Error> {
    query!("DELETE FROM login_failures WHERE account = $1", account)
        .execute(tx.connection())
        .await?;
    Ok(())
}
