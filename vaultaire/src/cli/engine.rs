//! What can be typed about engines, and about drift between them and the database.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Subcommand)]
pub enum EngineCommand {
    /// Try an engine out and add it; the secret is read from --secret-file, or from standard input
    Add(NewEngine),
    /// List engines
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Show one engine: what it can do, its health, its free space, credentials that are being exchanged
    Show {
        engine: String,
        #[command(flatten)]
        target: Target,
    },
    /// Find out anew what an engine can do
    Probe {
        engine: String,
        #[command(flatten)]
        target: Target,
    },
    /// Make an engine the default for new buckets, or say how much it holds
    Set {
        engine: String,
        /// New buckets go there, unless their tenant has another engine
        #[arg(long)]
        default: bool,
        /// Bytes that it holds; 0: not known
        #[arg(long, value_name = "N")]
        capacity_bytes: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
    /// Place no new buckets on an engine; what is there is served as before
    Disable {
        engine: String,
        #[command(flatten)]
        target: Target,
    },
    /// Place new buckets on a disabled engine again
    Enable {
        engine: String,
        #[command(flatten)]
        target: Target,
    },
    /// Forget an engine on which no bucket is placed
    Remove {
        engine: String,
        #[command(flatten)]
        target: Target,
    },
    /// Exchange an engine's credentials while requests run; then --finish
    Rotate {
        engine: String,
        #[command(flatten)]
        credentials: Credentials,
        /// Forget the old credentials, once every data plane has the new ones
        #[arg(long, conflicts_with_all = ["access_key_id", "secret_file", "back"])]
        finish: bool,
        /// Take the old credentials back
        #[arg(long, conflicts_with_all = ["access_key_id", "secret_file"])]
        back: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
pub struct NewEngine {
    /// Its name from then on, such as lyve-east
    #[arg(long)]
    pub name: String,
    /// http://host:port or https://host[:port]
    #[arg(long, value_name = "URL")]
    pub endpoint: String,
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    #[arg(long, value_name = "AKID")]
    pub access_key_id: String,
    /// File that holds the secret access key [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// dedicated: one engine bucket for each bucket; pooled: all in one
    #[arg(long, default_value = "dedicated")]
    pub placement: String,
    /// The engine bucket of pooled
    #[arg(long, value_name = "B")]
    pub pool_bucket: Option<String>,
    /// Bytes that it holds, for its free space
    #[arg(long, value_name = "N")]
    pub capacity_bytes: Option<u64>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct Credentials {
    #[arg(long, value_name = "AKID", required_unless_present_any = ["finish", "back"])]
    pub access_key_id: Option<String>,
    /// File that holds the secret access key [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DriftArguments {
    /// Compare what is booked with what each bucket holds, too; lists every object
    #[arg(long)]
    pub usage: bool,
    /// Put right what can be put right without losing anything
    #[arg(long)]
    pub repair: bool,
    /// Delete what is at an engine and in no row, with all that it holds; needs --confirm
    #[arg(long, requires = "repair", requires = "confirm")]
    pub delete_orphans: bool,
    /// How many of these there are
    #[arg(long, value_name = "N", requires = "delete_orphans")]
    pub confirm: Option<usize>,
    /// Make buckets anew, empty, that are gone from their engine; N: how many there are
    #[arg(long, value_name = "N", requires = "repair")]
    pub remake: Option<usize>,
    /// How many tenants the repair changes something of, where these are several
    #[arg(long, value_name = "N", requires = "repair")]
    pub tenants: Option<usize>,
    #[command(flatten)]
    pub target: Target,
}
