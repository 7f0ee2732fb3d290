//! Why a request was refused, in words that stay the same: what a customer finds under a request's id.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Revision;

macro_rules! rules {
    ($($rule:ident $name:literal;)*) => {
        /// The rule that refused a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Rule {
            $(#[serde(rename = $name)] $rule,)*
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl Rule {
            pub const ALL: &[Rule] = &[$(Rule::$rule,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Rule::$rule => $name,)* Rule::Unknown => "unknown" }
            }

            pub fn from_name(name: &str) -> Rule {
                match name { $($name => Rule::$rule,)* _ => Rule::Unknown }
            }
        }
    };
}

rules! {
    RateLimit "rate_limit";
    ConcurrencyLimit "concurrency_limit";
    BandwidthLimit "bandwidth_limit";
    QuotaStoredBytes "quota.stored_bytes";
    QuotaObjects "quota.objects";
    QuotaBuckets "quota.buckets";
    QuotaAccessKeys "quota.access_keys";
    QuotaEgress "quota.egress";
    ScopePermission "scope.permission";
    ScopeBucket "scope.bucket";
    ScopePrefix "scope.prefix";
    ScopeSourceAddress "scope.source_address";
    ScopeConfigure "scope.configure";
    KeyRevoked "key.revoked";
    KeyExpired "key.expired";
    Signature "signature";
    SignedHeaders "signed_headers";
    PayloadHash "payload_hash";
    PostPolicy "post_policy";
    ExpectedOwner "expected_owner";
    TenantReadOnly "tenant.read_only";
    TenantSuspended "tenant.suspended";
    TenantDeleted "tenant.deleted";
}

/// One refused request, as the node that refused it wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub request_id: String,
    pub tenant_id: String,
    pub at: DateTime<Utc>,
    /// S3's name of it.
    pub operation: String,
    #[serde(default)]
    pub bucket: String,
    /// Empty: no signature was asked for.
    #[serde(default)]
    pub access_key_id: String,
    /// The HTTP status.
    pub status: u16,
    /// S3's error code.
    pub code: String,
    pub rule: Rule,
    /// What the rule counted when it refused, on this node: requests a second in thousandths, requests at once, bytes.
    #[serde(default)]
    pub counter: Option<u64>,
    /// What it allows, in the same unit: this node's share, where it is one.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Of the configuration by which it was decided.
    pub revision: Revision,
    /// When the same request would pass, where that is known.
    #[serde(default)]
    pub clears_at: Option<DateTime<Utc>>,
    /// How many more the node refused by the same rule in the same second, of which it kept nothing else.
    #[serde(default)]
    pub more: u32,
}
