//! Passkeys: public keys by which members log in.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::accounts::Passkey;
use crate::ids::{MemberId, PasskeyId, TenantId};
use crate::{Error, Tx};

pub(crate) struct New<'a> {
    pub id: PasskeyId,
    pub tenant: TenantId,
    pub member: MemberId,
    pub name: &'a str,
    pub credential_id: &'a [u8],
    pub static_state: &'a [u8],
    pub dynamic_state: &'a [u8],
    pub created_at: DateTime<Utc>,
}

/// `false`: it is somebody's already.
pub(crate) async fn insert(tx: &mut Tx, new: New<'_>) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO passkeys (id, tenant_id, member_id, name, credential_id, static_state, dynamic_state, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        new.id.0,
        new.tenant.0,
        new.member.0,
        new.name,
        new.credential_id,
        new.static_state,
        new.dynamic_state,
        new.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A member's, the oldest first.
pub(crate) async fn list(tx: &mut Tx, member: MemberId) -> Result<Vec<Passkey>, Error> {
    let rows = query!(
        "SELECT id, name, created_at, last_used_at FROM passkeys WHERE member_id = $1 ORDER BY created_at, id",
        member.0
    )
    .fetch_all(tx.connection())
    .await?;
    let listed = rows.into_iter().map(|row| Passkey {
        id: row.id.into(),
        name: row.name,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    });
    Ok(listed.collect())
}

pub(crate) async fn credential_ids(tx: &mut Tx, member: MemberId) -> Result<Vec<Vec<u8>>, Error> {
    let ids = query_scalar!(
        "SELECT credential_id FROM passkeys WHERE member_id = $1",
        member.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(ids)
}

pub(crate) struct Row {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub member_id: Uuid,
    pub email: String,
    pub name: String,
    pub static_state: Vec<u8>,
    pub dynamic_state: Vec<u8>,
}

/// Whose it is, unless the tenant is gone. Nobody else uses it before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, credential_id: &[u8]) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT p.id, p.tenant_id, p.member_id, m.email, p.name, p.static_state, p.dynamic_state
         FROM passkeys p JOIN members m ON m.id = p.member_id JOIN tenants t ON t.id = p.tenant_id
         WHERE p.credential_id = $1 AND t.status <> 'deleted' FOR UPDATE OF p",
        credential_id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// `moved`: the new dynamic state, if there is one.
pub(crate) async fn used(
    tx: &mut Tx,
    id: Uuid,
    moved: Option<&[u8]>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE passkeys SET dynamic_state = COALESCE($2, dynamic_state), last_used_at = $3 WHERE id = $1",
        id,
        moved,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn rename(
    tx: &mut Tx,
    member: MemberId,
    id: PasskeyId,
    name: &str,
) -> Result<(), Error> {
    query!(
        "UPDATE passkeys SET name = $3 WHERE member_id = $1 AND id = $2",
        member.0,
        id.0,
        name
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Its name; `None`: the member has no such passkey.
pub(crate) async fn delete(
    tx: &mut Tx,
    member: MemberId,
    id: PasskeyId,
) -> Result<Option<String>, Error> {
    let name = query_scalar!(
        "DELETE FROM passkeys WHERE member_id = $1 AND id = $2 RETURNING name",
        member.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(name)
}

/// What was added since then.
pub(crate) async fn delete_since(
    tx: &mut Tx,
    member: MemberId,
    since: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM passkeys WHERE member_id = $1 AND created_at >= $2",
        member.0,
        since
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
