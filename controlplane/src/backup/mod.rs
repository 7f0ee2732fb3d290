//! The control plane's database in one file, and back. It must hold no secret in the clear, and no key that opens one.
//!
//! The file is text: a line that names the format, a [`Head`], each table as Postgres's `COPY` writes it, where the sequences
//! stand, how many rows there are, and a checksum of all that.

mod order;
mod read;
mod restore;
mod write;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wire::Revision;

pub use restore::{Nodes, check, restore};
pub use write::write;

/// Counts up when an older program could not read what this one writes.
const FORMAT: &str = "vaultaire backup 1";
const TABLE: &str = "COPY ";
const END_OF_TABLE: &[u8] = b"\\.\n";
const SEQUENCES: &str = "SEQUENCES ";
const ROWS: &str = "ROWS ";
const CHECKSUM: &str = "SHA256 ";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The one moment that everything in it is of.
    pub taken_at: DateTime<Utc>,
    /// The program that wrote it.
    pub version: String,
    pub migrations: Vec<AppliedMigration>,
    /// Without these nothing that is sealed in it opens.
    pub master_keys: Vec<KeyName>,
    pub revision: Revision,
    pub epoch: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedMigration {
    pub version: i64,
    /// Hexadecimal.
    pub checksum: String,
}

/// Names a master key without telling it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyName {
    pub version: u8,
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub head: Head,
    /// By table.
    pub rows: BTreeMap<String, u64>,
    pub bytes: u64,
    /// Of a restored database: so many places of the audit logs do not hold, as they did not in the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_audit_entries: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct TableHead {
    table: String,
    columns: Vec<String>,
}

/// Of [`crate::MasterKey::fingerprints`].
fn names(fingerprints: Vec<(u8, String)>) -> Vec<KeyName> {
    let keys = fingerprints.into_iter();
    keys.map(|(version, fingerprint)| KeyName {
        version,
        fingerprint,
    })
    .collect()
}
