//! The requests that a node makes of the control plane: joining, and what changes configuration.

use serde::{Deserialize, Serialize};

use crate::Revision;

/// `POST`, with a one-time join token: [`Join`] → [`Joined`].
pub const JOIN_PATH: &str = "/node/v1/join";
/// `GET`, WebSocket upgrade, with a node token.
pub const STREAM_PATH: &str = "/node/v1/stream";
/// `POST` [`CreateBucket`] → [`BucketCreated`]; `DELETE` [`DeleteBucket`] → 204. With a node token.
pub const BUCKETS_PATH: &str = "/node/v1/buckets";
/// `aud` of every node token.
pub const NODE_AUDIENCE: &str = "vaultaire-control-plane";

/// A node asks to be let in. The key pair stays on the node: the control plane learns the public half alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    pub join_token: String,
    /// Ed25519 public key, base64 of 32 bytes.
    pub public_key: String,
    pub s3_address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub node_id: String,
}

/// Claims of a node token: a JWT, `alg` EdDSA, signed by the node itself with its own key, valid for five minutes
/// at most. Sent as `Authorization: Bearer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClaims {
    /// The node's id.
    pub sub: String,
    pub aud: String,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
}

/// A tenant's CreateBucket, on whose signature the node has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateBucket {
    pub tenant_id: String,
    pub access_key_id: String,
    pub name: String,
    /// The client's `x-amz-request-id`, for the log and the audit.
    pub request_id: String,
}

/// The bucket exists, and every node that was connected serves it (or the wait of a second was over).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketCreated {
    pub revision: Revision,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteBucket {
    pub tenant_id: String,
    pub access_key_id: String,
    pub name: String,
    pub request_id: String,
}

/// Problem details (RFC 9457) as every refusal of the control plane bears them. `code` is a stable word; on
/// `/node/v1/buckets` it is S3's own: `BucketAlreadyOwnedByYou`, `InvalidBucketName`, `BucketNotEmpty`,
/// `NoSuchBucket`, `TooManyBuckets`, `OperationAborted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub detail: String,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}
