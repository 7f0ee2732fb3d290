//! Log-ins whose password was right and whose second step is still to come.

use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};
use uuid::Uuid;

use crate::ids::{MemberId, TenantId};
use crate::{Error, Tx};

/// Forgets the member's that are over, too.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    member: MemberId,
    token_hash: &[u8],
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM log_in_challenges WHERE member_id = $1 AND expires_at <= $2",
        member.0,
        now
    )
    .execute(tx.connection())
    .await?;
    query!(
        "INSERT INTO log_in_challenges (token_hash, tenant_id, member_id, expires_at) VALUES ($1, $2, $3, $4)",
        token_hash,
        tenant.0,
        member.0,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn get(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, Error> {
    let member = query_scalar!(
        "SELECT member_id FROM log_in_challenges WHERE token_hash = $1 AND expires_at > $2",
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
        "DELETE FROM log_in_challenges WHERE token_hash = $1",
        token_hash
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// All of a member's: their password is another one now.
pub(crate) async fn delete_of(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    query!(
        "DELETE FROM log_in_challenges WHERE member_id = $1",
        member.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
