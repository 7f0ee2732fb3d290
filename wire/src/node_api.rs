//! The requests that a node makes of the control plane: joining, and what changes configuration.

use serde::{Deserialize, Serialize};

use crate::{CorsRule, Revision};

/// `POST`, with a one-time join token: [`Join`] → [`Joined`].
pub const JOIN_PATH: &str = "/node/v1/join";
/// `GET`, WebSocket upgrade, with a node token.
pub const STREAM_PATH: &str = "/node/v1/stream";
/// `POST` [`CreateBucket`] → [`BucketChanged`]; `PATCH` [`SetBucket`] → [`BucketChanged`]; `DELETE` [`DeleteBucket`]
/// → 204. With a node token.
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
    /// Made with S3 Object Lock, which cannot be added later on most engines. Dedicated placement only.
    #[serde(default)]
    pub object_lock: bool,
    #[serde(default)]
    pub public_read: bool,
}

/// Every node that was connected has applied the change (or the wait of a second was over).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketChanged {
    pub revision: Revision,
}

/// A setting of a bucket that nodes act upon, changed by a tenant's S3 request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBucket {
    pub tenant_id: String,
    pub access_key_id: String,
    pub name: String,
    pub request_id: String,
    pub setting: BucketSetting,
}

/// The new value, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketSetting {
    PublicRead(bool),
    /// Empty takes the configuration away.
    Cors(Vec<CorsRule>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteBucket {
    pub tenant_id: String,
    pub access_key_id: String,
    pub name: String,
    pub request_id: String,
}

/// Problem details (RFC 9457) as every refusal of the control plane bears them. `code` is a stable word; on
/// `/node/v1/buckets` it is S3's own: `BucketAlreadyOwnedByYou`, `BucketAlreadyExists` (another public bucket has this
/// name), `InvalidBucketName`, `BucketNotEmpty`, `NoSuchBucket`, `TooManyBuckets`, `OperationAborted`, `NotImplemented`.
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
