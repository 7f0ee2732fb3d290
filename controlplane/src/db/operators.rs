//! Operators, their recovery codes, and log-ins of theirs that wait for the second step.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::ids::OperatorId;
use crate::operators::Operator;
use crate::{Error, Tx};

/// `false`: the address is taken.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: OperatorId,
    email: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO operators (id, email, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        id.0,
        email,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<Operator>, Error> {
    let rows = query!(
        r#"SELECT o.id, o.email, o.created_at, o.set_up_at, o.last_log_in_at, o.disabled_at,
                  o.setup_expires_at,
                  (SELECT count(*) FROM operator_recovery_codes c WHERE c.operator_id = o.id) AS "recovery_codes_left!",
                  (SELECT count(*) FROM operator_sessions s WHERE s.operator_id = o.id) AS "sessions!"
           FROM operators o ORDER BY o.email"#
    )
    .fetch_all(tx.connection())
    .await?;
    let operators = rows.into_iter().map(|row| Operator {
        id: OperatorId(row.id),
        email: row.email,
        created_at: row.created_at,
        set_up_at: row.set_up_at,
        last_log_in_at: row.last_log_in_at,
        disabled_at: row.disabled_at,
        setup_expires_at: row.setup_expires_at,
        recovery_codes_left: row.recovery_codes_left,
        sessions: row.sessions,
    });
    Ok(operators.collect())
}

/// By id or address; nobody else changes it before this transaction ends.
pub(crate) async fn lock(
    tx: &mut Tx,
    id: Option<OperatorId>,
    email: &str,
) -> Result<Option<(OperatorId, String)>, Error> {
    let row = query!(
        "SELECT id, email FROM operators WHERE id = $1 OR email = $2 FOR UPDATE",
        id.map(|id| id.0),
        email
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (OperatorId(row.id), row.email)))
}

/// What the log-in needs of an operator who is set up and not disabled.
pub(crate) struct Credentials {
    pub id: Uuid,
    pub email: String,
    pub password_hash: Option<String>,
    /// Sealed.
    pub totp_secret: Option<Vec<u8>>,
    pub totp_last_step: i64,
}

pub(crate) async fn credentials(tx: &mut Tx, email: &str) -> Result<Option<Credentials>, Error> {
    let row = query_as!(
        Credentials,
        "SELECT id, email, password_hash, totp_secret, totp_last_step FROM operators
         WHERE email = $1 AND disabled_at IS NULL AND totp_secret IS NOT NULL",
        email
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// As [`credentials`], by id; nobody else uses a code of theirs before this transaction ends.
pub(crate) async fn lock_credentials(
    tx: &mut Tx,
    id: OperatorId,
) -> Result<Option<Credentials>, Error> {
    let row = query_as!(
        Credentials,
        "SELECT id, email, password_hash, totp_secret, totp_last_step FROM operators
         WHERE id = $1 AND disabled_at IS NULL AND totp_secret IS NOT NULL FOR UPDATE",
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Takes the password and the second step away, and leaves a link under which others are set.
pub(crate) async fn reset(
    tx: &mut Tx,
    id: OperatorId,
    setup_hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE operators SET password_hash = NULL, totp_secret = NULL, totp_last_step = -1, setup_hash = $2,
                setup_expires_at = $3, set_up_at = NULL, disabled_at = NULL WHERE id = $1",
        id.0,
        setup_hash,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    end_everything(tx, id).await
}

/// `false`: the operator is disabled already.
pub(crate) async fn disable(
    tx: &mut Tx,
    id: OperatorId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "UPDATE operators SET disabled_at = $2, setup_hash = NULL, setup_expires_at = NULL
         WHERE id = $1 AND disabled_at IS NULL",
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    query!("DELETE FROM operator_sessions WHERE operator_id = $1", id.0)
        .execute(tx.connection())
        .await?;
    query!(
        "DELETE FROM operator_challenges WHERE operator_id = $1",
        id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn end_everything(tx: &mut Tx, id: OperatorId) -> Result<(), Error> {
    query!(
        "DELETE FROM operator_recovery_codes WHERE operator_id = $1",
        id.0
    )
    .execute(tx.connection())
    .await?;
    query!(
        "DELETE FROM operator_challenges WHERE operator_id = $1",
        id.0
    )
    .execute(tx.connection())
    .await?;
    query!("DELETE FROM operator_sessions WHERE operator_id = $1", id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Whose set-up link it is.
pub(crate) async fn by_setup(
    tx: &mut Tx,
    setup_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<(OperatorId, String)>, Error> {
    let row = query!(
        "SELECT id, email FROM operators
         WHERE setup_hash = $1 AND setup_expires_at > $2 AND disabled_at IS NULL",
        setup_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (OperatorId(row.id), row.email)))
}

pub(crate) struct SetUp<'a> {
    pub id: OperatorId,
    pub setup_hash: &'a [u8],
    pub password_hash: &'a str,
    /// Sealed.
    pub totp_secret: &'a [u8],
    pub last_step: i64,
    pub now: DateTime<Utc>,
}

/// Uses the link up. `false`: somebody else was faster, or it is too old.
pub(crate) async fn set_up(tx: &mut Tx, set: SetUp<'_>) -> Result<bool, Error> {
    let done = query!(
        "UPDATE operators SET password_hash = $3, totp_secret = $4, totp_last_step = $5, setup_hash = NULL,
                setup_expires_at = NULL, set_up_at = $6, last_log_in_at = $6
         WHERE id = $1 AND setup_hash = $2 AND setup_expires_at > $6 AND disabled_at IS NULL",
        set.id.0,
        set.setup_hash,
        set.password_hash,
        set.totp_secret,
        set.last_step,
        set.now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn set_last_step(tx: &mut Tx, id: OperatorId, step: i64) -> Result<(), Error> {
    query!(
        "UPDATE operators SET totp_last_step = $2 WHERE id = $1",
        id.0,
        step
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_last_log_in(
    tx: &mut Tx,
    id: OperatorId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE operators SET last_log_in_at = $2 WHERE id = $1",
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn add_recovery_codes(
    tx: &mut Tx,
    id: OperatorId,
    hashes: &[Vec<u8>],
) -> Result<(), Error> {
    query!(
        "INSERT INTO operator_recovery_codes (code_hash, operator_id) SELECT hash, $2 FROM unnest($1::bytea[]) AS hash",
        hashes,
        id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// `true`: the code was one, and is none any more.
pub(crate) async fn use_recovery_code(
    tx: &mut Tx,
    id: OperatorId,
    hash: &[u8],
) -> Result<bool, Error> {
    let done = query!(
        "DELETE FROM operator_recovery_codes WHERE operator_id = $1 AND code_hash = $2",
        id.0,
        hash
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets those that are over, whosever they are.
pub(crate) async fn add_challenge(
    tx: &mut Tx,
    id: OperatorId,
    token_hash: &[u8],
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM operator_challenges WHERE expires_at <= $1",
        now
    )
    .execute(tx.connection())
    .await?;
    query!(
        "INSERT INTO operator_challenges (token_hash, operator_id, expires_at) VALUES ($1, $2, $3)",
        token_hash,
        id.0,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn challenged(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<OperatorId>, Error> {
    let id = query_scalar!(
        "SELECT operator_id FROM operator_challenges WHERE token_hash = $1 AND expires_at > $2",
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(id.map(OperatorId))
}

/// `false`: somebody else was faster.
pub(crate) async fn take_challenge(tx: &mut Tx, token_hash: &[u8]) -> Result<bool, Error> {
    let done = query!(
        "DELETE FROM operator_challenges WHERE token_hash = $1",
        token_hash
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
