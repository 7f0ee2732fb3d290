//! Sessions, by the SHA-256 of their token.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::accounts::ListedSession;
use crate::ids::{MemberId, SessionId, TenantId};
use crate::{Error, Tx};

pub(crate) struct Row {
    pub id: Uuid,
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
        "SELECT s.id, s.tenant_id, s.member_id, m.email, t.name AS company, m.role, s.last_used_at, s.expires_at
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

/// The session has passed a second step.
pub(crate) async fn set_second_step_at(
    tx: &mut Tx,
    id: SessionId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE sessions SET second_step_at = $2 WHERE id = $1",
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn second_step_at(
    tx: &mut Tx,
    id: SessionId,
) -> Result<Option<DateTime<Utc>>, Error> {
    let at = query_scalar!("SELECT second_step_at FROM sessions WHERE id = $1", id.0)
        .fetch_optional(tx.connection())
        .await?;
    Ok(at.flatten())
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

/// Those of a member that can still be used, the last used first.
pub(crate) async fn list(
    tx: &mut Tx,
    member: MemberId,
    now: DateTime<Utc>,
    last_used_after: DateTime<Utc>,
) -> Result<Vec<ListedSession>, Error> {
    let rows = query!(
        "SELECT id, created_at, last_used_at, address, user_agent FROM sessions
         WHERE member_id = $1 AND expires_at > $2 AND last_used_at > $3
         ORDER BY last_used_at DESC, created_at DESC LIMIT 100",
        member.0,
        now,
        last_used_after
    )
    .fetch_all(tx.connection())
    .await?;
    let listed = rows.into_iter().map(|row| ListedSession {
        id: row.id.into(),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        address: row.address,
        user_agent: row.user_agent,
    });
    Ok(listed.collect())
}

/// `false`: the member has no such session.
pub(crate) async fn delete_one(
    tx: &mut Tx,
    member: MemberId,
    id: SessionId,
) -> Result<bool, Error> {
    let done = query!(
        "DELETE FROM sessions WHERE member_id = $1 AND id = $2",
        member.0,
        id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// All of a member's but `keep`; how many there were.
pub(crate) async fn delete_others(
    tx: &mut Tx,
    member: MemberId,
    keep: Option<SessionId>,
) -> Result<u64, Error> {
    let done = query!(
        "DELETE FROM sessions WHERE member_id = $1 AND id IS DISTINCT FROM $2",
        member.0,
        keep.map(|id| id.0)
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}
