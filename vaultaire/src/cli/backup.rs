//! What can be typed to save the control plane's database and to have it back.

use std::path::PathBuf;

use clap::Args;

use super::DEFAULT_DATA_DIR;

#[derive(Debug, Args)]
pub struct BackupArguments {
    /// File to write; there must be none of this name. It holds no master key, without which its secrets do not open
    pub file: PathBuf,
    /// Data directory whose database is meant, where DATABASE_URL is not set; and whose master key, where none is set
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// What `vaultaire backup` wrote
    pub file: PathBuf,
    /// Where the database is made, where DATABASE_URL is not set; and where the master key is, where none is set
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// Data planes keep what they have until `vaultaire node accept`, so that you can look first
    #[arg(long)]
    pub hold_nodes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
