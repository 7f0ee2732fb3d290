//! API tokens, by the SHA-256 of their text.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::ids::{ApiTokenId, MemberId, TenantId};
use crate::{Error, Tx};

pub(crate) struct New<'a> {
    pub id: ApiTokenId,
    pub tenant: TenantId,
    pub member: MemberId,
    pub name: &'a str,
    pub token_hash: &'a [u8],
    pub ending: &'a str,
    pub scopes: &'a [String],
    pub made_by: Option<ApiTokenId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub(crate) async fn insert(tx: &mut Tx, new: New<'_>) -> Result<(), Error> {
    query!(
        "INSERT INTO api_tokens (id, tenant_id, member_id, name, token_hash, ending, scopes, made_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.id.0,
        new.tenant.0,
        new.member.0,
        new.name,
        new.token_hash,
        new.ending,
        new.scopes,
        new.made_by.map(|id| id.0),
        new.created_at,
        new.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) struct Row {
    pub id: Uuid,
    pub name: String,
    pub ending: String,
    pub scopes: Vec<String>,
    pub member_id: Uuid,
    pub email: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A tenant's, or one member's of them; the newest first.
pub(crate) async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    member: Option<MemberId>,
) -> Result<Vec<Row>, Error> {
    let rows = query_as!(
        Row,
        "SELECT a.id, a.name, a.ending, a.scopes, a.member_id, m.email, a.created_at, a.expires_at, a.last_used_at,
                a.revoked_at
         FROM api_tokens a JOIN members m ON m.id = a.member_id
         WHERE a.tenant_id = $1 AND ($2::uuid IS NULL OR a.member_id = $2)
         ORDER BY a.created_at DESC, a.id",
        tenant.0,
        member.map(|id| id.0)
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// How many are neither revoked nor expired.
pub(crate) async fn count_usable(
    tx: &mut Tx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_tokens
           WHERE tenant_id = $1 AND revoked_at IS NULL AND expires_at > $2"#,
        tenant.0,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

/// The token and all that were made with it, or with one of those. How many could still be used.
pub(crate) async fn revoke(
    tx: &mut Tx,
    tenant: TenantId,
    id: ApiTokenId,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let done = query!(
        "WITH RECURSIVE line AS (
             SELECT id FROM api_tokens WHERE tenant_id = $1 AND id = $2
             UNION
             SELECT a.id FROM api_tokens a JOIN line ON a.made_by = line.id WHERE a.tenant_id = $1
         )
         UPDATE api_tokens SET revoked_at = $3
         WHERE tenant_id = $1 AND revoked_at IS NULL AND id IN (SELECT id FROM line)",
        tenant.0,
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// All of a tenant's. How many could still be used.
pub(crate) async fn revoke_all(
    tx: &mut Tx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"WITH revoked AS (
               UPDATE api_tokens SET revoked_at = $2 WHERE tenant_id = $1 AND revoked_at IS NULL RETURNING expires_at
           )
           SELECT count(*) FILTER (WHERE expires_at > $2) AS "count!" FROM revoked"#,
        tenant.0,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

/// Of this tenant's, those that ended before that time.
pub(crate) async fn forget(
    tx: &mut Tx,
    tenant: TenantId,
    before: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM api_tokens WHERE tenant_id = $1 AND (expires_at < $2 OR revoked_at < $2)",
        tenant.0,
        before
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) struct Bearer {
    pub id: Uuid,
    pub name: String,
    pub scopes: Vec<String>,
    pub expires_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub tenant_id: Uuid,
    pub company: String,
    pub member_id: Uuid,
    pub email: String,
    pub role: String,
}

/// Of whom a token is that can be used, with the role that the member has now. Needs a system transaction.
pub(crate) async fn bearer(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Bearer>, Error> {
    let row = query_as!(
        Bearer,
        "SELECT a.id, a.name, a.scopes, a.expires_at, a.last_used_at, a.tenant_id, t.name AS company, a.member_id,
                m.email, m.role
         FROM api_tokens a JOIN members m ON m.id = a.member_id AND m.tenant_id = a.tenant_id
              JOIN tenants t ON t.id = a.tenant_id
         WHERE a.token_hash = $1 AND a.revoked_at IS NULL AND a.expires_at > $2 AND t.status <> 'deleted'",
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Needs a system transaction.
pub(crate) async fn touch(tx: &mut Tx, id: ApiTokenId, now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1",
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
