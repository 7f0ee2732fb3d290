//! Data-plane nodes: who they are, where they are, how far they have come.
//! A node keeps its private key to itself; what is known here is the public half.

mod drain;
mod fleet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};
use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use wire::{Join, Revision};
use zeroize::Zeroizing;

pub(crate) use drain::left;
pub use drain::{Drained, drain, undrain, wait_drained};
pub use fleet::{Held, Holding, LeaseOf, ShareOf, holding};

use crate::ids::NodeId;
use crate::{ControlPlane, Error, Tx, audit, db, leases, random};

const JOIN_TOKEN_LIFETIME: Duration = Duration::hours(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    pub node_id: NodeId,
    pub s3_address: String,
    pub state: NodeState,
    /// The last revision that it acknowledged.
    pub revision: Revision,
    /// How many revisions there are that it has not acknowledged.
    pub lag: Revision,
    pub connected: bool,
    pub connected_since: Option<DateTime<Utc>>,
    pub joined_at: DateTime<Utc>,
    pub last_seen: Option<DateTime<Utc>>,
    pub version: String,
    /// What it could not apply, and why.
    pub refused_revision: Option<Revision>,
    pub refused_reason: Option<String>,
    /// Its clock less this one's, when its stream began.
    pub clock_skew_ms: Option<i64>,
    pub draining_since: Option<DateTime<Utc>>,
    /// When it said that its `/readyz` answers `draining`. None from a node of an older version, which does not.
    pub drain_told_at: Option<DateTime<Utc>>,
    pub left_at: Option<DateTime<Utc>>,
    /// Its part of every tenant's limits where nothing else is said, in parts per billion.
    pub floor: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Connected, and takes whatever comes.
    Ready,
    /// Connected, and has no configuration yet.
    Starting,
    /// Connected; others are to serve in its place.
    Draining,
    /// Not connected: it serves what it was told last, or is no more.
    CutOff,
    /// It ended after it was drained, and holds nothing.
    Left,
}

impl NodeState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::CutOff => "cut off",
            Self::Left => "left",
        }
    }

    fn of(row: &db::nodes::Row, now: DateTime<Utc>) -> Self {
        match row.connected_until.is_some_and(|until| until > now) {
            _ if row.left_at.is_some() => Self::Left,
            false => Self::CutOff,
            true if row.draining_at.is_some() => Self::Draining,
            true if row.revision == 0 => Self::Starting,
            true => Self::Ready,
        }
    }
}

pub struct JoinToken {
    pub join_token: Zeroizing<String>,
    pub expires_at: DateTime<Utc>,
}

/// All nodes that ever joined. Needs a system transaction.
pub async fn list(tx: &mut Tx, cp: &ControlPlane) -> Result<Vec<Node>, Error> {
    let now = cp.clock().now();
    let head = db::revision::head(tx.connection()).await?;
    let rows = db::nodes::list(tx.connection()).await?;
    Ok(rows.into_iter().map(|row| node(row, head, now)).collect())
}

fn node(row: db::nodes::Row, head: Revision, now: DateTime<Utc>) -> Node {
    let state = NodeState::of(&row, now);
    let connected = row.connected_until.is_some_and(|until| until > now);
    Node {
        node_id: row.id.into(),
        s3_address: row.s3_address,
        state,
        revision: row.revision,
        lag: (head - row.revision).max(0),
        connected,
        connected_since: row.connected_since.filter(|_| connected),
        joined_at: row.created_at,
        last_seen: row.last_seen,
        version: row.version,
        refused_revision: row.nacked_revision,
        refused_reason: row.nack_reason,
        clock_skew_ms: row.clock_skew_ms,
        draining_since: row.draining_at,
        drain_told_at: row.drain_told_at,
        left_at: row.left_at,
        floor: row.floor.max(row.floor_held).unsigned_abs(),
    }
}

/// One of those that were let in and not removed. Needs a system transaction.
pub async fn get(tx: &mut Tx, cp: &ControlPlane, id: NodeId) -> Result<Node, Error> {
    let nodes = list(tx, cp).await?;
    let node = nodes.into_iter().find(|node| node.node_id == id);
    node.ok_or(Error::NotFound("node"))
}

/// Where the node is, or last was.
pub async fn address(tx: &mut Tx, id: NodeId) -> Result<Option<String>, Error> {
    db::nodes::address(tx, id).await
}

/// A token that lets one node in, once, within the hour. Needs a system transaction.
pub async fn create_join_token(tx: &mut Tx, cp: &ControlPlane) -> Result<JoinToken, Error> {
    let join_token = random::token(&mut rand::rng());
    let now = cp.clock().now();
    let expires_at = now + JOIN_TOKEN_LIFETIME;
    db::nodes::insert_join_token(tx, &hash(&join_token), now, expires_at).await?;
    let details = json!({ "expires_at": expires_at });
    audit::record(tx, cp, None, "join_token.create", "", details).await?;
    Ok(JoinToken {
        join_token,
        expires_at,
    })
}

/// Lets a node in no more, and gives its part of tenants' limits and quotas to the others: the operator says that it is
/// gone for good. One that is connected is refused. Needs a system transaction.
pub async fn remove(tx: &mut Tx, cp: &ControlPlane, id: NodeId) -> Result<(), Error> {
    db::allotments::lock(tx.connection()).await?;
    let now = cp.clock().now();
    let rows = db::nodes::list(tx.connection()).await?;
    let row = rows.into_iter().find(|row| row.id == id.0);
    let row = row.ok_or(Error::NotFound("node"))?;
    if row.connected_until.is_some_and(|until| until > now) {
        return Err(Error::Conflict {
            code: "node_connected",
            message: "The node is connected: stop it first.".to_owned(),
        });
    }
    leases::give_back(tx, id).await?;
    db::nodes::remove(tx, id, now).await?;
    let details = json!({ "s3_address": row.s3_address });
    audit::record(tx, cp, None, "node.remove", &id.to_string(), details).await
}

/// Has a node, or with `None` every one, take this database's snapshot whatever it followed before: another database, or
/// a newer copy of this one. All of them at once begin another history, so that none takes numbers of the earlier one
/// for its own. How many nodes there were. Needs a system transaction.
pub async fn accept(tx: &mut Tx, cp: &ControlPlane, node: Option<NodeId>) -> Result<u64, Error> {
    if node.is_none() {
        db::revision::new_epoch(tx).await?;
    }
    let count = db::nodes::accept(tx, node).await?;
    if node.is_some() && count == 0 {
        return Err(Error::NotFound("node"));
    }
    let target = node.map_or_else(|| "all".to_owned(), |node| node.to_string());
    audit::record(tx, cp, None, "node.accept", &target, json!({})).await?;
    Ok(count)
}

/// Lets a node in. The same node may ask again with the same token, in case it did not hear the answer.
/// Needs a system transaction.
pub(crate) async fn join(tx: &mut Tx, cp: &ControlPlane, join: &Join) -> Result<NodeId, Error> {
    let public_key = decode_public_key(&join.public_key)?;
    if join.s3_address.is_empty() || join.s3_address.len() > 255 {
        return Err(Error::validation("s3_address", "It is `host:port`."));
    }
    let now = cp.clock().now();
    let hash = hash(&join.join_token);
    let used_by = db::nodes::lock_join_token(tx, &hash, now)
        .await?
        .ok_or(REFUSED)?;
    if used_by.is_some_and(|used_by| used_by != public_key) {
        return Err(REFUSED);
    }
    let id = NodeId::random();
    let id = db::nodes::upsert(tx, id, &public_key, &join.s3_address, now).await?;
    db::nodes::use_join_token(tx, &hash, id, now).await?;
    let details = json!({ "s3_address": join.s3_address });
    audit::record(tx, cp, None, "node.join", &id.to_string(), details).await?;
    Ok(id)
}

/// One answer for unknown, used and expired.
const REFUSED: Error = Error::Unauthorized("The join token is not valid any more.");

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// 32 bytes that are a point of the curve, and not one of the few for which anything is a signature.
fn decode_public_key(text: &str) -> Result<[u8; 32], Error> {
    let bytes: Option<[u8; 32]> = STANDARD.decode(text).ok().and_then(|b| b.try_into().ok());
    bytes
        .filter(|b| VerifyingKey::from_bytes(b).is_ok_and(|key| !key.is_weak()))
        .ok_or_else(|| {
            Error::validation(
                "public_key",
                "It is an Ed25519 public key, base64 of 32 bytes.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    #[test]
    fn only_a_sound_public_key_is_taken() {
        let good = SigningKey::from_bytes(&[5; 32]).verifying_key();
        let text = STANDARD.encode(good.as_bytes());
        assert_eq!(decode_public_key(&text).ok(), Some(good.to_bytes()));
        let identity = [&[1u8][..], &[0; 31]].concat();
        for bad in ["", "???", "AAAA", &STANDARD.encode(identity)] {
            assert!(decode_public_key(bad).is_err(), "{bad}");
        }
    }
}
