//! Requests with an Idempotency-Key, and their answers. An answer is sealed before it comes here.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use crate::ids::{ApiTokenId, TenantId};
use crate::{Error, Tx};

/// Which request: of this token, by the hash of its key.
#[derive(Clone, Copy)]
pub(crate) struct Which<'a> {
    pub token: ApiTokenId,
    pub key_hash: &'a [u8],
}

pub(crate) struct Row {
    pub request_hash: Vec<u8>,
    pub status: Option<i16>,
    pub answer: Option<Vec<u8>>,
}

/// `false`: the key was used already. Whoever comes at the same time waits for the end of this transaction.
pub(crate) async fn insert(
    tx: &mut Tx,
    which: Which<'_>,
    tenant: TenantId,
    request_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO idempotent_requests (token_id, key_hash, tenant_id, request_hash, created_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        which.token.0,
        which.key_hash,
        tenant.0,
        request_hash,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn get(tx: &mut Tx, which: Which<'_>) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        "SELECT request_hash, status, answer FROM idempotent_requests WHERE token_id = $1 AND key_hash = $2",
        which.token.0,
        which.key_hash
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

pub(crate) async fn finish(
    tx: &mut Tx,
    which: Which<'_>,
    status: i16,
    answer: &[u8],
) -> Result<(), Error> {
    query!(
        "UPDATE idempotent_requests SET status = $3, answer = $4 WHERE token_id = $1 AND key_hash = $2",
        which.token.0,
        which.key_hash,
        status,
        answer
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, which: Which<'_>) -> Result<(), Error> {
    query!(
        "DELETE FROM idempotent_requests WHERE token_id = $1 AND key_hash = $2",
        which.token.0,
        which.key_hash
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How many are kept of a token, and when the oldest of them came.
pub(crate) async fn kept(
    tx: &mut Tx,
    token: ApiTokenId,
) -> Result<(i64, Option<DateTime<Utc>>), Error> {
    let row = query!(
        r#"SELECT count(*) AS "count!", min(created_at) AS oldest FROM idempotent_requests WHERE token_id = $1"#,
        token.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.count, row.oldest))
}

/// Of a token, those that came before that time.
pub(crate) async fn forget_of(
    tx: &mut Tx,
    token: ApiTokenId,
    before: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "DELETE FROM idempotent_requests WHERE token_id = $1 AND created_at <= $2",
        token.0,
        before
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Those of all tokens that came before that time, or whose token has ended. How many there were. Needs a system
/// transaction.
pub(crate) async fn forget(
    tx: &mut Tx,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"WITH gone AS (
               DELETE FROM idempotent_requests i USING api_tokens a
               WHERE a.id = i.token_id
                 AND (i.created_at <= $1 OR a.revoked_at IS NOT NULL OR a.expires_at <= $2)
               RETURNING 1
           )
           SELECT count(*) AS "count!" FROM gone"#,
        before,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}
