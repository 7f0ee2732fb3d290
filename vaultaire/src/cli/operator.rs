//! What can be typed about those who run the installation.

use clap::{Args, Subcommand};

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

/// Which tenants, and the confirmation that more than one needs.
#[derive(Debug, Args)]
pub struct SeveralArguments {
    /// One or more ids
    #[arg(required = true, value_name = "TENANT")]
    pub tenants: Vec<String>,
    /// Why; the customer reads it in the audit log
    #[arg(long, default_value = "", hide_default_value = true)]
    pub reason: String,
    /// How many tenants these are; needed for more than one
    #[arg(long, value_name = "N")]
    pub confirm: Option<u64>,
}
