//! What can be typed about data planes.

use clap::Subcommand;

use super::Target;

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List data planes
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Have a data plane take this database's configuration, whatever it followed before
    Accept {
        /// Its id, see `vaultaire node list`
        #[arg(required_unless_present = "all")]
        node: Option<String>,
        /// Every data plane: after the database was restored from a backup
        #[arg(long, conflicts_with = "node")]
        all: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Let a data plane in no more that is gone for good, and give what it held of limits and quotas to the others
    Remove {
        node: String,
        #[command(flatten)]
        target: Target,
    },
    /// Show one data plane, and what it holds of limits and quotas
    Show {
        node: String,
        #[command(flatten)]
        target: Target,
    },
    /// Let others serve in its place: its /readyz says `draining`, and when it is stopped it leaves nothing behind
    Drain {
        node: String,
        /// It is to serve as before
        #[arg(long)]
        undo: bool,
        /// Even where no other data plane is ready
        #[arg(long, conflicts_with = "undo")]
        force: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Make a token that lets one data plane join within an hour (VAULTAIRE_JOIN_TOKEN)
    JoinToken {
        #[command(flatten)]
        target: Target,
    },
}
