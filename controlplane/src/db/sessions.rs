//! Sessions, by the SHA-256 of their token.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use crate::ids::{MemberId, TenantId};
use crate::{Error, Tx};

pub(crate) struct Row {
    pub tenant_id: Uuid,
    pub member_id: Uuid,
    pub email: String,
    pub company: String,
    pub role: String,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub(crate) async fn insert(
    tx: &mut Tx,
    token_hash: &[u8],
    tenant: TenantId,
    member: MemberId,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    let address = tx.origin.address.map(|a| a.to_string());
    let user_agent = tx.origin.user_agent.clone();
    query!(
        "INSERT INTO sessions (token_hash, tenant_id, member_id, created_at, last_used_at, expires_at, address, user_agent)
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7)",
        token_hash,
        tenant.0,
        member.0,
        now,
        expires_at,
        address,
        user_agent
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn get(tx: &mut Tx, token_hash: &[u8]) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT s.tenant_id, s.member_id, m.email, t.name AS company, m.role, s.last_used_at, s.expires_at
         FROM sessions s JOIN members m ON m.id = s.member_id JOIN tenants t ON t.id = s.tenant_id
         WHERE s.token_hash = $1 AND t.status <> 'deleted'",
        token_hash
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

pub(crate) async fn touch(tx: &mut Tx, token_hash: &[u8], now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE sessions SET last_used_at = $2 WHERE token_hash = $1",
        token_hash,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn delete(
    tx: &mut Tx,
    token_hash: &[u8],
) -> Result<Option<(Uuid, String)>, Error> {
    let row = query!(
        "DELETE FROM sessions s USING members m WHERE s.token_hash = $1 AND m.id = s.member_id
         RETURNING s.tenant_id, m.email",
        token_hash
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|r| (r.tenant_id, r.email)))
}

/// Forgets this member's sessions that are over.
pub(crate) async fn delete_expired(
    tx: &mut Tx,
    member: MemberId,
    now: DateTime<Utc>,
    last_used_before: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM sessions WHERE member_id = $1 AND (expires_at <= $2 OR last_used_at <= $3)",
        member.0,
        now,
        last_used_before
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
