//! What a node has answered, added up for one batch. The control plane books a batch once.

use serde::{Deserialize, Serialize};

/// What a request costs, as the field bills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestClass {
    /// What writes, lists or configures.
    A,
    /// What reads.
    B,
    /// What deletes.
    Free,
    #[serde(other)]
    Unknown,
}

/// All requests of one batch with the same first five fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLine {
    /// Hours since 1970, UTC: when the requests were answered.
    pub hour: u32,
    /// 32 lowercase hexadecimal digits.
    pub tenant_id: String,
    /// Likewise; empty where a request concerns no bucket.
    #[serde(default)]
    pub bucket_id: String,
    /// Empty for strangers.
    #[serde(default)]
    pub access_key_id: String,
    pub class: RequestClass,
    pub requests: u64,
    /// Decoded bytes of the requests' bodies.
    pub bytes_in: u64,
    /// Bytes of the answers' bodies that were handed to the clients.
    pub bytes_out: u64,
    /// Bytes of objects, or versions, that came to be.
    #[serde(default)]
    pub stored_bytes: u64,
    /// How many came to be.
    #[serde(default)]
    pub stored_objects: u64,
    /// Those that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freed: Vec<Freed>,
    /// What was done to multipart uploads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<UploadChange>,
}

/// One object, or version, that is no more. Two requests may have found the same: it is given back once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    /// Stands for its bucket, key, version, entity tag and time.
    pub what: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadChange {
    /// Stands for its bucket, key and id.
    pub upload: u64,
    /// Of parts that were sent.
    pub part_bytes: u64,
    #[serde(default)]
    pub end: UploadEnd,
}

/// How an upload ended, as far as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum UploadEnd {
    #[default]
    Open,
    /// It is an object of this size; `None`: as large as its parts were.
    Completed {
        bytes: Option<u64>,
    },
    Aborted,
    #[serde(other)]
    Unknown,
}
