//! The tenant document: all that a node must know of one tenant, whole, at one revision.

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Resource, Revision, SigningKeys};

/// Everything a node needs to serve one tenant. It replaces whatever the node had for that tenant, atomically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDocument {
    /// 32 lowercase hexadecimal digits.
    pub tenant_id: String,
    pub revision: Revision,
    pub status: TenantStatus,
    pub limits: Limits,
    /// A node whose last word from a control plane is older refuses the tenant's requests. `None`: it serves for as
    /// long as its signing keys reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness_seconds: Option<u32>,
    pub access_keys: Vec<AccessKey>,
    pub buckets: Vec<Bucket>,
}

/// What a tenant may do at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    Active,
    /// Listing, reading and deleting go on; nothing is added.
    ReadOnly,
    /// Every request is refused.
    Suspended,
    /// The tenant is gone; the node forgets it and all its access keys.
    Deleted,
    #[serde(other)]
    Unknown,
}

/// The tenant's limits over all nodes together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sustained requests a second, at least 1.
    pub requests_per_second: u32,
    /// How many requests may come at once, at least 1.
    pub burst: u32,
    /// How many requests may be under way at once; `None` is no limit.
    #[serde(default)]
    pub concurrent_requests: Option<u32>,
    /// Bytes of bodies a second, received and sent together; `None` is no limit.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// Stored bytes, all buckets together; `None` is no limit.
    #[serde(default)]
    pub quota_bytes: Option<u64>,
    /// Objects, all buckets together; `None` is no limit.
    #[serde(default)]
    pub quota_objects: Option<u64>,
    /// Bytes of answers in a calendar month (UTC); `None` is no limit.
    #[serde(default)]
    pub quota_egress_bytes: Option<u64>,
}

impl Limits {
    /// The quota of one thing; `None` is no limit. What is not known is no quota of anybody's, and nothing of it is left.
    pub fn quota(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::StoredBytes => self.quota_bytes,
            Resource::Objects => self.quota_objects,
            Resource::EgressBytes => self.quota_egress_bytes,
            Resource::Unknown => Some(0),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// The public half, as it stands in `Credential=`: 20 upper-case letters and digits.
    pub access_key_id: String,
    pub status: AccessKeyStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(
        default,
        skip_serializing_if = "Scope::is_everything",
        deserialize_with = "Scope::or_nothing"
    )]
    pub scope: Scope,
    /// For the settings' region: one a day, from seven days back (for as long lives a presigned URL) to eight days ahead.
    /// Never the secret.
    #[serde(default, skip_serializing_if = "SigningKeys::is_empty")]
    pub signing_keys: SigningKeys,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessKeyStatus {
    Active,
    Revoked,
    #[serde(other)]
    Unknown,
}

/// What an access key is limited to. The default is everything that the tenant may do. In a tenant's document a field that is
/// not known makes it allow nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Scope {
    /// Names of the tenant's buckets; empty means all of them.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// Object-key prefixes; empty means all.
    #[serde(default)]
    pub prefixes: Vec<String>,
    #[serde(default)]
    pub permission: Permission,
    /// Narrows what the permission allows; empty means all of it.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// Networks that may use the key, in CIDR notation; empty means all.
    #[serde(default)]
    pub source_addresses: Vec<IpNet>,
}

impl Scope {
    /// A scope with a field that is not known limits the key in a way that nobody here can keep to: it allows nothing.
    fn or_nothing<'de, D: Deserializer<'de>>(from: D) -> Result<Scope, D::Error> {
        const KNOWN: [&str; 5] = [
            "buckets",
            "prefixes",
            "permission",
            "actions",
            "source_addresses",
        ];
        let fields = serde_json::Map::deserialize(from)?;
        let all_known = fields.keys().all(|field| KNOWN.contains(&field.as_str()));
        let scope = Scope::deserialize(serde_json::Value::Object(fields));
        let scope: Scope = scope.map_err(serde::de::Error::custom)?;
        Ok(match all_known {
            true => scope,
            false => Scope {
                permission: Permission::Unknown,
                ..scope
            },
        })
    }

    /// Whether it limits nothing.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// One kind of thing that a key may do to objects. A key that names any makes and removes no buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    List,
    Read,
    Write,
    Delete,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// List and read.
    Read,
    /// Write and delete objects, but not read them.
    Write,
    /// Everything, buckets included.
    #[default]
    Full,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// 32 lowercase hexadecimal digits, never reused.
    pub id: String,
    /// The customer's name for it: private to the tenant.
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub status: BucketStatus,
    pub placement: Placement,
    /// Anybody may list it and read its objects, without a signature. At most one bucket of a name is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public_read: bool,
    /// Which web pages' scripts may use it. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cors: Vec<CorsRule>,
}

/// One rule of a bucket's CORS configuration, as S3 has it.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSRule.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct CorsRule {
    #[serde(default)]
    pub id: Option<String>,
    /// Each with one `*` at most.
    pub allowed_origins: Vec<String>,
    /// Of `GET`, `PUT`, `HEAD`, `POST`, `DELETE`.
    pub allowed_methods: Vec<String>,
    /// Each with one `*` at most.
    #[serde(default)]
    pub allowed_headers: Vec<String>,
    #[serde(default)]
    pub expose_headers: Vec<String>,
    #[serde(default)]
    pub max_age_seconds: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketStatus {
    Active,
    /// Being deleted: nothing may be written any more, while the control plane makes sure that it is empty.
    Deleting,
    #[serde(other)]
    Unknown,
}

/// Where a bucket's objects are: `key` in the tenant's bucket is `prefix + key` in `bucket` on `engine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Id of an [`Engine`] in the settings.
    pub engine: String,
    /// The engine's bucket.
    pub bucket: String,
    /// Empty (dedicated), or `t/<tenant-id>/<bucket-id>/` (pooled).
    pub prefix: String,
}

/// What concerns every tenant: engines, region, the keys that seal tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub revision: Revision,
    /// The region that customers sign for.
    pub region: String,
    pub engines: Vec<Engine>,
    /// Keys that seal continuation tokens and upload ids: the first seals, every one opens. Base64 of 32 bytes.
    pub token_keys: Vec<String>,
    /// `https://host[:port]` of the dashboard, or several, parted by spaces: its scripts may use every bucket with
    /// requests that it signed.
    #[serde(default)]
    pub dashboard_origin: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    pub id: String,
    /// `http://host:port` or `https://host[:port]`; addressed path-style.
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    /// Derived from the engine's secret for the engine's region, as for customers.
    pub signing_keys: SigningKeys,
    pub capabilities: EngineCapabilities,
}

/// What the control plane found out when it probed the engine. What is not known is not relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct EngineCapabilities {
    /// `a//b`, `/a` and `a\b` are stored as they are, rather than turned into another key.
    #[serde(default)]
    pub exact_keys: bool,
    /// Listings come in the byte order of whole keys, as S3's do, rather than folder by folder.
    #[serde(default)]
    pub byte_order: bool,
    /// `x-amz-checksum-*` headers are verified, stored and returned: CRC32, CRC32C, SHA1 and SHA256, which S3 has had since
    /// 2022.
    #[serde(default)]
    pub checksums: bool,
    /// So is CRC64NVME, since 2024. Where it is not said, by a control plane or a probe of before, it was one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<bool>,
    /// So are SHA512, MD5, XXHASH64, XXHASH3 and XXHASH128, since 2026.
    #[serde(default)]
    pub newer_checksums: bool,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER` bodies are understood.
    #[serde(default)]
    pub trailers: bool,
    /// `If-None-Match: *` and `If-Match` on PUT hold.
    #[serde(default)]
    pub conditional_writes: bool,
    /// `?versioning` can be switched on, and then overwritten and deleted objects stay as versions.
    #[serde(default)]
    pub versioning: bool,
    /// Buckets made with object lock keep locked versions from being deleted.
    #[serde(default)]
    pub object_lock: bool,
    /// `?tagging` of objects, and `x-amz-tagging`.
    #[serde(default)]
    pub object_tagging: bool,
    /// `?tagging` of buckets.
    #[serde(default)]
    pub bucket_tagging: bool,
    /// `?lifecycle` is kept and returned.
    #[serde(default)]
    pub lifecycle: bool,
    /// `?encryption` with AES256 is kept and returned.
    #[serde(default)]
    pub bucket_encryption: bool,
    /// `x-amz-server-side-encryption: AES256` is honoured and returned.
    #[serde(default)]
    pub sse_s3: bool,
    /// An object written with a customer's key cannot be read without it.
    #[serde(default)]
    pub sse_c: bool,
    /// `GET ?attributes`.
    #[serde(default)]
    pub object_attributes: bool,
}

impl EngineCapabilities {
    pub fn keeps_crc64nvme(&self) -> bool {
        self.crc64nvme.unwrap_or(self.checksums)
    }
}
