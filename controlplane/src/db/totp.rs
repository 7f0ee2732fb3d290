//! The second step of the log-in: a sealed secret for each member who wants it, and recovery codes.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use crate::accounts::SecondStep;
use crate::ids::{MemberId, TenantId};
use crate::{Error, Tx};

pub(crate) struct Row {
    /// Sealed.
    pub secret: Vec<u8>,
    pub last_step: i64,
}

/// `false`: there is one already.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    member: MemberId,
    secret: &[u8],
    last_step: i64,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO totp (member_id, tenant_id, secret, last_step, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        member.0,
        tenant.0,
        secret,
        last_step,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Nobody else uses a code of the member's before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, member: MemberId) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT secret, last_step FROM totp WHERE member_id = $1 FOR UPDATE",
        member.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Whether the log-in asks for a second step: a code of an app, or a passkey.
pub(crate) async fn is_asked(tx: &mut Tx, member: MemberId) -> Result<bool, Error> {
    let asked = query_scalar!(
        r#"SELECT EXISTS (SELECT FROM totp WHERE member_id = $1)
               OR EXISTS (SELECT FROM passkeys WHERE member_id = $1) AS "asked!""#,
        member.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(asked)
}

pub(crate) async fn standing(tx: &mut Tx, member: MemberId) -> Result<SecondStep, Error> {
    let standing = query_as!(
        SecondStep,
        r#"SELECT (SELECT created_at FROM totp WHERE member_id = $1) AS app_since,
                  (SELECT count(*) FROM passkeys WHERE member_id = $1) AS "passkeys!",
                  (SELECT count(*) FROM recovery_codes WHERE member_id = $1) AS "recovery_codes_left!""#,
        member.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(standing)
}

pub(crate) async fn set_last_step(tx: &mut Tx, member: MemberId, step: i64) -> Result<(), Error> {
    query!(
        "UPDATE totp SET last_step = $2 WHERE member_id = $1",
        member.0,
        step
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    query!("DELETE FROM totp WHERE member_id = $1", member.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// In place of those that there were.
pub(crate) async fn set_recovery_codes(
    tx: &mut Tx,
    tenant: TenantId,
    member: MemberId,
    hashes: &[Vec<u8>],
) -> Result<(), Error> {
    query!("DELETE FROM recovery_codes WHERE member_id = $1", member.0)
        .execute(tx.connection())
        .await?;
    query!(
        "INSERT INTO recovery_codes (code_hash, tenant_id, member_id) SELECT hash, $2, $3 FROM unnest($1::bytea[]) AS hash",
        hashes,
        tenant.0,
        member.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn has_recovery_codes(tx: &mut Tx, member: MemberId) -> Result<bool, Error> {
    let has = query_scalar!(
        r#"SELECT EXISTS (SELECT FROM recovery_codes WHERE member_id = $1) AS "has!""#,
        member.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(has)
}

/// Where no second step is left that they could stand in for.
pub(crate) async fn drop_idle_recovery_codes(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    query!(
        "DELETE FROM recovery_codes WHERE member_id = $1
         AND NOT EXISTS (SELECT FROM totp WHERE member_id = $1)
         AND NOT EXISTS (SELECT FROM passkeys WHERE member_id = $1)",
        member.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// `true`: the code was one, and is none any more.
pub(crate) async fn use_recovery_code(
    tx: &mut Tx,
    member: MemberId,
    hash: &[u8],
) -> Result<bool, Error> {
    let done = query!(
        "DELETE FROM recovery_codes WHERE member_id = $1 AND code_hash = $2",
        member.0,
        hash
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What was set up since then, if it was.
pub(crate) async fn delete_since(
    tx: &mut Tx,
    member: MemberId,
    since: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM totp WHERE member_id = $1 AND created_at >= $2",
        member.0,
        since
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
