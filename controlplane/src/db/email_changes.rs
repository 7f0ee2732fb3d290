//! Changes of a member's address: first a link to the new one confirms, then a link to the old one can undo.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::ids::{MemberId, TenantId};
use crate::{Error, Tx};

pub(crate) struct New<'a> {
    pub tenant: TenantId,
    pub member: MemberId,
    pub old_email: &'a str,
    pub new_email: &'a str,
    pub confirm_hash: &'a [u8],
    pub expires_at: DateTime<Utc>,
}

pub(crate) struct Row {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub member_id: Uuid,
    pub old_email: String,
    pub new_email: String,
    pub expires_at: DateTime<Utc>,
}

/// In place of an older one that was not confirmed.
pub(crate) async fn replace(tx: &mut Tx, new: New<'_>) -> Result<(), Error> {
    cancel(tx, new.member).await?;
    query!(
        "INSERT INTO email_changes (id, tenant_id, member_id, old_email, new_email, confirm_hash, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        Uuid::new_v4(),
        new.tenant.0,
        new.member.0,
        new.old_email,
        new.new_email,
        new.confirm_hash,
        new.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets what the member has not confirmed.
pub(crate) async fn cancel(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    query!(
        "DELETE FROM email_changes WHERE member_id = $1 AND NOT confirmed",
        member.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The address that the member has not confirmed yet.
pub(crate) async fn pending(
    tx: &mut Tx,
    member: MemberId,
    now: DateTime<Utc>,
) -> Result<Option<String>, Error> {
    let email = query_scalar!(
        "SELECT new_email FROM email_changes
         WHERE member_id = $1 AND NOT confirmed AND expires_at > $2",
        member.0,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(email)
}

/// Nobody else uses the link before this transaction ends.
pub(crate) async fn to_confirm(
    tx: &mut Tx,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT id, tenant_id, member_id, old_email, new_email, expires_at FROM email_changes
         WHERE confirm_hash = $1 AND expires_at > $2 FOR UPDATE",
        hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// As [`to_confirm`], for the link to the old address.
pub(crate) async fn to_undo(
    tx: &mut Tx,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT id, tenant_id, member_id, old_email, new_email, expires_at FROM email_changes
         WHERE undo_hash = $1 AND expires_at > $2 FOR UPDATE",
        hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

pub(crate) async fn confirmed(
    tx: &mut Tx,
    id: Uuid,
    undo_hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE email_changes SET confirm_hash = NULL, undo_hash = $2, expires_at = $3 WHERE id = $1",
        id,
        undo_hash,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Every link of the member's is dead.
pub(crate) async fn delete_of(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    query!("DELETE FROM email_changes WHERE member_id = $1", member.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}
