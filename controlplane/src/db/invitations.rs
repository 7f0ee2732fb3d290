//! Invitations to a team, one for each address and tenant.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::ids::{InvitationId, TenantId};
use crate::{Error, Tx};

pub(crate) struct New<'a> {
    pub tenant: TenantId,
    pub email: &'a str,
    pub role: &'a str,
    pub token_hash: &'a [u8],
    pub invited_by: &'a str,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub(crate) struct Row {
    pub id: Uuid,
    pub email: String,
    pub role: String,
    pub invited_by: String,
    pub expires_at: DateTime<Utc>,
}

/// In place of an older one for the address. `EXCLUDED` would ask for the right to read tokens' hashes.
pub(crate) async fn replace(tx: &mut Tx, new: New<'_>) -> Result<(), Error> {
    query!(
        "INSERT INTO invitations (id, tenant_id, email, role, token_hash, invited_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (tenant_id, email) DO UPDATE SET role = $4, token_hash = $5, invited_by = $6,
             created_at = $7, expires_at = $8",
        Uuid::new_v4(),
        new.tenant.0,
        new.email,
        new.role,
        new.token_hash,
        new.invited_by,
        new.created_at,
        new.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Those that can still be accepted, the newest first.
pub(crate) async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<Vec<Row>, Error> {
    let rows = query_as!(
        Row,
        "SELECT id, email, role, invited_by, expires_at FROM invitations
         WHERE tenant_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id",
        tenant.0,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// How many there are, expired ones too.
pub(crate) async fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"SELECT count(*) AS "count!" FROM invitations WHERE tenant_id = $1"#,
        tenant.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

pub(crate) async fn delete_expired(
    tx: &mut Tx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM invitations WHERE tenant_id = $1 AND expires_at <= $2",
        tenant.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whom it was for; `None`: the tenant has none of that id.
pub(crate) async fn delete(
    tx: &mut Tx,
    tenant: TenantId,
    id: InvitationId,
) -> Result<Option<String>, Error> {
    let email = query_scalar!(
        "DELETE FROM invitations WHERE tenant_id = $1 AND id = $2 RETURNING email",
        tenant.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(email)
}

pub(crate) struct Open {
    pub tenant_id: Uuid,
    pub company: String,
    pub email: String,
    pub role: String,
    pub invited_by: String,
}

/// What a link leads to.
pub(crate) async fn by_token(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Open>, Error> {
    let row = query_as!(
        Open,
        "SELECT i.tenant_id, t.name AS company, i.email, i.role, i.invited_by
         FROM invitations i JOIN tenants t ON t.id = i.tenant_id
         WHERE i.token_hash = $1 AND i.expires_at > $2 AND t.status <> 'deleted'",
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// `false`: somebody else was faster.
pub(crate) async fn delete_by_token(tx: &mut Tx, token_hash: &[u8]) -> Result<bool, Error> {
    let done = query!("DELETE FROM invitations WHERE token_hash = $1", token_hash)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}
