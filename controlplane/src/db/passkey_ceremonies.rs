//! Challenges of passkeys that wait for their answer, one for each session, log-in or browser.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};

use crate::{Error, Tx};

pub(crate) struct New<'a> {
    pub binding: &'a [u8],
    pub name: &'a str,
    pub state: &'a [u8],
    pub expires_at: DateTime<Utc>,
}

pub(crate) struct Row {
    pub name: String,
    pub state: Vec<u8>,
}

/// In place of one that waits already. Forgets whatever is over, too.
pub(crate) async fn replace(tx: &mut Tx, new: New<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    query!("DELETE FROM passkey_ceremonies WHERE expires_at <= $1", now)
        .execute(tx.connection())
        .await?;
    query!(
        "INSERT INTO passkey_ceremonies (binding, name, state, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (binding) DO UPDATE SET name = $2, state = $3, expires_at = $4",
        new.binding,
        new.name,
        new.state,
        new.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whoever takes it is the only one who does.
pub(crate) async fn take(
    tx: &mut Tx,
    binding: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "DELETE FROM passkey_ceremonies WHERE binding = $1 AND expires_at > $2 RETURNING name, state",
        binding,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}
