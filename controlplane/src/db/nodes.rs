//! Nodes and the tokens that let them in.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;
use wire::Revision;

use crate::ids::NodeId;
use crate::{Error, Tx};

pub(crate) struct Row {
    pub id: Uuid,
    pub s3_address: String,
    pub version: String,
    pub revision: Revision,
    pub connected_until: Option<DateTime<Utc>>,
    pub last_seen: Option<DateTime<Utc>>,
    pub nacked_revision: Option<Revision>,
    pub nack_reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub connected_since: Option<DateTime<Utc>>,
    pub clock_skew_ms: Option<i64>,
    pub draining_at: Option<DateTime<Utc>>,
    pub drain_told_at: Option<DateTime<Utc>>,
    pub left_at: Option<DateTime<Utc>>,
    /// Parts per billion.
    pub floor: i32,
    pub floor_held: i32,
}

pub(crate) async fn list(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    query_as!(
        Row,
        "SELECT id, s3_address, version, revision, connected_until, last_seen, nacked_revision, nack_reason, created_at,
            connected_since, clock_skew_ms, draining_at, drain_told_at, left_at, floor, floor_held
         FROM nodes WHERE removed_at IS NULL ORDER BY created_at, id"
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn address(tx: &mut Tx, node: NodeId) -> Result<Option<String>, Error> {
    let address = query_scalar!("SELECT s3_address FROM nodes WHERE id = $1", node.0)
        .fetch_optional(tx.connection())
        .await?;
    Ok(address)
}

pub(crate) async fn public_key(
    conn: &mut PgConnection,
    node: NodeId,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    query_scalar!(
        "SELECT public_key FROM nodes WHERE id = $1 AND removed_at IS NULL",
        node.0
    )
    .fetch_optional(conn)
    .await
}

/// A node with this public key, new or known already.
pub(crate) async fn upsert(
    tx: &mut Tx,
    id: NodeId,
    public_key: &[u8],
    s3_address: &str,
    now: DateTime<Utc>,
) -> Result<NodeId, Error> {
    let id = query_scalar!(
        "INSERT INTO nodes (id, public_key, s3_address, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (public_key) DO UPDATE SET s3_address = EXCLUDED.s3_address, removed_at = NULL
         RETURNING id",
        id.0,
        public_key,
        s3_address,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(NodeId(id))
}

/// A stream has begun to speak for the node.
pub(crate) struct Connect<'a> {
    pub node: NodeId,
    pub stream: Uuid,
    pub s3_address: &'a str,
    pub version: &'a str,
    pub boot_id: &'a str,
    pub revision: Revision,
    pub clock_skew_ms: Option<i64>,
    pub now: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// Answers the day of the signing keys that the node has, as far as is known.
pub(crate) async fn connect(
    conn: &mut PgConnection,
    new: Connect<'_>,
) -> Result<Option<NaiveDate>, sqlx::Error> {
    query_scalar!(
        "UPDATE nodes SET stream = $2, s3_address = $3, version = $4, boot_id = $5, revision = $6, last_seen = $7,
            connected_until = $8, connected_since = $7, clock_skew_ms = $9, left_at = NULL, nacked_revision = NULL,
            nack_reason = NULL,
            keys_day = CASE WHEN $6::bigint > 0 THEN keys_day END
         WHERE id = $1 RETURNING keys_day",
        new.node.0,
        new.stream,
        new.s3_address,
        new.version,
        new.boot_id,
        new.revision,
        new.now,
        new.until,
        new.clock_skew_ms
    )
    .fetch_one(conn)
    .await
}

/// What a stream reports of its node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub revision: Revision,
    pub keys_day: Option<NaiveDate>,
    pub nack: Option<(Revision, String)>,
    /// It has acknowledged a snapshot on this stream.
    pub whole: bool,
}

/// `false`: another stream speaks for the node now.
pub(crate) async fn report(
    conn: &mut PgConnection,
    node: NodeId,
    stream: Uuid,
    progress: &Progress,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = query!(
        "UPDATE nodes SET revision = $3, keys_day = COALESCE($4, keys_day), nacked_revision = $5, nack_reason = $6,
            last_seen = $7, connected_until = CASE WHEN left_at IS NULL THEN $8::timestamptz END, accepted = accepted AND NOT $9
         WHERE id = $1 AND stream = $2",
        node.0,
        stream,
        progress.revision,
        progress.keys_day,
        progress.nack.as_ref().map(|n| n.0),
        progress.nack.as_ref().map(|n| n.1.as_str()),
        now,
        until,
        progress.whole
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn disconnect(
    conn: &mut PgConnection,
    node: NodeId,
    stream: Uuid,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE nodes SET stream = NULL, connected_until = NULL WHERE id = $1 AND stream = $2",
        node.0,
        stream
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn insert_join_token(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "INSERT INTO join_tokens (token_hash, created_at, expires_at) VALUES ($1, $2, $3)",
        token_hash,
        now,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The public key of the node that used the token, `Some(None)` where none did; `None`: no such token, or too late.
pub(crate) async fn lock_join_token(
    tx: &mut Tx,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Option<Vec<u8>>>, Error> {
    let row = query!(
        r#"SELECT n.public_key AS "public_key?" FROM join_tokens j LEFT JOIN nodes n ON n.id = j.used_by
           WHERE j.token_hash = $1 AND j.expires_at > $2 FOR UPDATE OF j"#,
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|r| r.public_key))
}

pub(crate) async fn use_join_token(
    tx: &mut Tx,
    token_hash: &[u8],
    node: NodeId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE join_tokens SET used_at = $3, used_by = $2 WHERE token_hash = $1",
        token_hash,
        node.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether the operator wants the node to take a snapshot whatever it followed before.
pub(crate) async fn is_accepted(
    conn: &mut PgConnection,
    node: NodeId,
) -> Result<bool, sqlx::Error> {
    query_scalar!("SELECT accepted FROM nodes WHERE id = $1", node.0)
        .fetch_one(conn)
        .await
}

/// One node, or with `None` every one. How many there were.
/// Of all of them, the streams of the earlier history speak for nobody any more: a late acknowledgement there is no answer to
/// this.
pub(crate) async fn accept(tx: &mut Tx, node: Option<NodeId>) -> Result<u64, Error> {
    let done = query!(
        "UPDATE nodes SET accepted = true,
            stream = CASE WHEN $1::uuid IS NOT NULL THEN stream END,
            connected_until = CASE WHEN $1::uuid IS NOT NULL THEN connected_until END
         WHERE $1::uuid IS NULL OR id = $1",
        node.map(NodeId::as_uuid)
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// Its token is refused from then on, and its stream ends. `false`: there is no such node.
pub(crate) async fn remove(tx: &mut Tx, node: NodeId, now: DateTime<Utc>) -> Result<bool, Error> {
    let done = query!(
        "UPDATE nodes SET removed_at = $2, stream = NULL, connected_until = NULL
         WHERE id = $1 AND removed_at IS NULL",
        node.0,
        now
    )
    .execute(tx.connection())
    .await?;
    query!("DELETE FROM allotments WHERE node_id = $1", node.0)
        .execute(tx.connection())
        .await?;
    query!(
        "UPDATE nodes SET floor = 0, floor_held = 0 WHERE id = $1",
        node.0
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The node is to be told, under a new number, that it is drained, or that it is not.
pub(crate) async fn set_draining(
    tx: &mut Tx,
    node: NodeId,
    since: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    query!(
        "UPDATE nodes SET draining_at = $2, drain_told_at = NULL, floor_number = nextval('allotment_number')
         WHERE id = $1",
        node.0,
        since
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// It ended after it was drained, and holds nothing until it comes back. `false`: it is not drained, or another stream
/// speaks for it.
pub(crate) async fn leave(
    tx: &mut Tx,
    node: NodeId,
    stream: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "UPDATE nodes SET left_at = $3, connected_until = NULL, floor = 0, floor_held = 0
         WHERE id = $1 AND stream = $2 AND draining_at IS NOT NULL AND removed_at IS NULL",
        node.0,
        stream,
        now
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 1 {
        query!("DELETE FROM allotments WHERE node_id = $1", node.0)
            .execute(tx.connection())
            .await?;
    }
    Ok(done.rows_affected() == 1)
}

/// Every node gets a snapshot when it connects next.
pub(crate) async fn forget_keys(tx: &mut Tx) -> Result<(), Error> {
    query!("UPDATE nodes SET keys_day = NULL")
        .execute(tx.connection())
        .await?;
    Ok(())
}
