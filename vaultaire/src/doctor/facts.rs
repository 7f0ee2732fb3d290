//! What was found out about an installation. Nothing here judges, and no secret is in it.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use controlplane::diagnosis::{Database, Plane};

/// `None` everywhere: it could not be looked at, or there is no such thing here.
#[derive(Debug, Default)]
pub struct Facts {
    /// This machine's.
    pub now: DateTime<Utc>,
    pub unknown_settings: Vec<UnknownSetting>,
    /// The parts whose settings were read, and what does not hold in them.
    pub settings: Vec<(&'static str, Result<(), String>)>,
    pub secret_files: Vec<SecretFile>,
    pub master_key: Option<Result<(), String>>,
    pub database: Option<Result<Database, String>>,
    pub plane: Option<Result<Plane, String>>,
    /// What `/readyz` says on the plane's own port.
    pub ready: Option<Result<(), String>>,
    /// By address: how far its clock is ahead of this machine's.
    pub node_clocks: Vec<(String, TimeDelta)>,
    /// By id: after how many milliseconds it answered.
    pub engine_looks: Vec<(String, Result<u64, String>)>,
    pub engine_clocks: Vec<(String, TimeDelta)>,
    /// How the server for mail answers.
    pub mail_server: Option<Result<(), String>>,
    pub stripe: Option<Stripe>,
    /// By what it is of: until when it holds.
    pub certificates: Vec<(String, Result<DateTime<Utc>, String>)>,
    /// Addresses that are public, and whether health or metrics answer there.
    pub public: Vec<(String, bool)>,
    /// Where health and metrics were set to listen.
    pub health_address: Option<std::net::SocketAddr>,
    pub disks: Vec<Disk>,
    /// Whose limit it is, and how many files it may have open.
    pub open_files: Option<(String, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSetting {
    pub name: String,
    /// The setting that it looks like.
    pub meant: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    pub path: PathBuf,
    pub state: FileState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// Permission bits.
    There(u32),
    Wrong(String),
}

/// As the settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripe {
    pub live: bool,
    pub reached: Result<(), String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    pub path: PathBuf,
    pub free: u64,
    pub total: u64,
}
