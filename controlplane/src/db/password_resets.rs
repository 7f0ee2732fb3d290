//! Links to set a new password, one for each member.

use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};
use uuid::Uuid;

use crate::ids::{MemberId, TenantId};
use crate::{Error, Tx};

/// In place of an older one.
pub(crate) async fn replace(
    tx: &mut Tx,
    tenant: TenantId,
    member: MemberId,
    token_hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "INSERT INTO password_resets (member_id, tenant_id, token_hash, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (member_id) DO UPDATE SET token_hash = EXCLUDED.token_hash, expires_at = EXCLUDED.expires_at",
        member.0,
        tenant.0,
        token_hash,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whose the link is.
pub(crate) async fn get(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, Error> {
    let member = query_scalar!(
        "SELECT member_id FROM password_resets WHERE token_hash = $1 AND expires_at > $2",
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(member)
}

/// `false`: somebody else was faster.
pub(crate) async fn delete(tx: &mut Tx, token_hash: &[u8]) -> Result<bool, Error> {
    let done = query!(
        "DELETE FROM password_resets WHERE token_hash = $1",
        token_hash
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn delete_of(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    query!("DELETE FROM password_resets WHERE member_id = $1", member.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}
