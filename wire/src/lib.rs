//! What the planes say to each other: serde types and nothing else. No I/O, no clock, no policy.
//!
//! Rules of evolution: a field is added with `#[serde(default)]`, never renamed; an enum that a node must act on has
//! an `Unknown` variant that decodes anything newer, and whoever reads `Unknown` denies.

// What the other plane sends is read here: see the data plane.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod allotment;
mod document;
mod lease;
mod message;
mod node_api;
mod refusal;
mod signing_key;
mod usage;

pub use allotment::{Allotment, Allotted, Demand, HeldShares, Shares, TenantShares, WHOLE, units};
pub use document::{
    AccessKey, AccessKeyStatus, Action, Bucket, BucketStatus, CorsRule, Engine, EngineCapabilities,
    Limits, Permission, Placement, Scope, Settings, TenantDocument, TenantStatus,
};
pub use lease::{Ask, Full, Grant, Grants, Period, Quota, Recall, Resource, Taken};
pub use message::{
    Cause, FromNode, OLDEST_PROTOCOL, PROTOCOL_VERSION, Snapshot, SnapshotBegin, ToNode, Traced,
    negotiate,
};
pub use node_api::{
    BUCKETS_PATH, BucketChanged, BucketSetting, CreateBucket, DeleteBucket, JOIN_PATH, Join,
    Joined, NODE_AUDIENCE, NodeClaims, Problem, STREAM_PATH, SetBucket,
};
pub use refusal::{Refusal, Rule};
pub use signing_key::SigningKeys;
pub use usage::{Freed, RequestClass, UploadChange, UploadEnd, UsageLine};

/// A place in the one serial order of configuration changes. Revision 0 is "nothing yet".
pub type Revision = i64;
