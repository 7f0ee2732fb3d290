//! What can be typed about those who run the installation.

use clap::Subcommand;

use super::Target;

#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Add an operator, and print the link that sets their log-in up within an hour
    Create {
        #[arg(long)]
        email: String,
        #[command(flatten)]
        target: Target,
    },
    /// List operators
    List {
        #[command(flatten)]
        target: Target,
    },
    /// End an operator's sessions, and let them in no more
    Disable {
        /// Address or id
        operator: String,
        #[command(flatten)]
        target: Target,
    },
    /// Take an operator's password and second step away, and print a link that sets others up
    Reset {
        /// Address or id
        operator: String,
        #[command(flatten)]
        target: Target,
    },
}
