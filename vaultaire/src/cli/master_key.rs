//! What can be typed about the master key.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Subcommand)]
pub enum MasterKeyCommand {
    /// Put a new random key into a key file beside those that are there; it seals nothing before `rotate`
    Add(KeyFile),
    /// Say which version seals, what is sealed under which, and which control plane knows which
    Status {
        #[command(flatten)]
        target: Target,
    },
    /// Seal under another version from now on, and what is there anew, while requests run
    Rotate {
        /// The version that is to seal [default: the newest that control planes know]
        #[arg(long, value_name = "N")]
        version: Option<u8>,
        #[command(flatten)]
        target: Target,
    },
    /// Drop every other version, once nothing is sealed under it; then it can go from the key files
    Finish {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
pub struct KeyFile {
    /// The key file [default: VAULTAIRE_MASTER_KEY_FILE, else the one in the data directory]
    pub file: Option<PathBuf>,
    /// Data directory of a `vaultaire up` [default: ./vaultaire-data]
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
