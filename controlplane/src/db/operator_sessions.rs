//! Operators' sessions, by the SHA-256 of their token.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use crate::ids::OperatorId;
use crate::{Error, Tx};

pub(crate) struct Row {
    pub id: Uuid,
    pub operator_id: Uuid,
    pub email: String,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Forgets those of the operator that are over, too.
pub(crate) async fn insert(
    tx: &mut Tx,
    token_hash: &[u8],
    operator: OperatorId,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Uuid, Error> {
    let address = tx.origin.address.map(|a| a.to_string());
    let user_agent = tx.origin.user_agent.clone();
    let id = Uuid::new_v4();
    query!(
        "DELETE FROM operator_sessions WHERE operator_id = $1 AND expires_at <= $2",
        operator.0,
        now
    )
    .execute(tx.connection())
    .await?;
    query!(
        "INSERT INTO operator_sessions (id, token_hash, operator_id, created_at, last_used_at, expires_at, address, user_agent)
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7)",
        id,
        token_hash,
        operator.0,
        now,
        expires_at,
        address,
        user_agent
    )
    .execute(tx.connection())
    .await?;
    Ok(id)
}

/// Of an operator who is set up and not disabled.
pub(crate) async fn get(tx: &mut Tx, token_hash: &[u8]) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT s.id, s.operator_id, o.email, s.last_used_at, s.expires_at
         FROM operator_sessions s JOIN operators o ON o.id = s.operator_id
         WHERE s.token_hash = $1 AND o.disabled_at IS NULL AND o.totp_secret IS NOT NULL",
        token_hash
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

pub(crate) async fn touch(tx: &mut Tx, token_hash: &[u8], now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE operator_sessions SET last_used_at = $2 WHERE token_hash = $1",
        token_hash,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whose it was.
pub(crate) async fn delete(
    tx: &mut Tx,
    token_hash: &[u8],
) -> Result<Option<(Uuid, OperatorId, String)>, Error> {
    let row = query!(
        "DELETE FROM operator_sessions s USING operators o WHERE s.token_hash = $1 AND o.id = s.operator_id
         RETURNING s.id AS session, o.id, o.email",
        token_hash
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.session, OperatorId(row.id), row.email)))
}
