//! What can be typed. The names are fixed: scripts rely on them.

mod backup;
mod billing;
mod business;
mod completion;
mod engine;
mod master_key;
mod node;
mod operator;
#[cfg(test)]
mod reference;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use backup::{BackupArguments, RestoreArguments};
pub use billing::{BillingCommand, PlanCommand, TermArguments};
pub use business::{JobCommand, NoticeCommand, RevenueArguments};
pub use completion::print_completion;
pub use engine::{DriftArguments, EngineCommand, NewEngine};
pub use master_key::{KeyFile, MasterKeyCommand};
pub use node::NodeCommand;
pub use operator::{OperatorCommand, SeveralArguments};
pub use usage::{RefusalCommand, UsageCommand};

use crate::admin::duration::{self, Seconds};

#[derive(Debug, Parser)]
#[command(
    name = "vaultaire",
    version,
    about = "Turns one S3 engine into a storage business"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine: Postgres, the engine, the control plane, the data planes
    Up(UpArguments),
    /// Start one control plane (settings by environment, see vaultaire/settings.md)
    Controlplane(ControlplaneArguments),
    /// Start one data plane (settings by environment, see vaultaire/settings.md)
    Dataplane(DataplaneArguments),
    /// Write the database into one file, as of one moment, while everything runs
    Backup(BackupArguments),
    /// Put a backup into an empty database
    Restore(RestoreArguments),
    /// Create, list, show, limit, suspend, resume and restore tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Create, list and revoke access keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// The buckets of tenants
    #[command(subcommand)]
    Bucket(BucketCommand),
    /// The plans that tenants can be on
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Who has paid, invoices, and Stripe
    #[command(subcommand)]
    Billing(BillingCommand),
    /// What the business earns: monthly revenue, who came and went, trials, who owes
    Revenue(RevenueArguments),
    /// Mails, webhooks and other work that waits or has failed
    #[command(subcommand)]
    Job(JobCommand),
    /// What customers are told on their dashboard
    #[command(subcommand)]
    Notice(NoticeCommand),
    /// Why requests were refused
    #[command(subcommand)]
    Refusal(RefusalCommand),
    /// What tenants used
    #[command(subcommand)]
    Usage(UsageCommand),
    /// What tenants' buckets really hold
    #[command(subcommand)]
    Inventory(InventoryCommand),
    /// The storage engines underneath: add, look at, and change their credentials
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Where database and engines disagree, and putting it right
    Drift(DriftArguments),
    /// The data planes that have joined
    #[command(subcommand)]
    Node(NodeCommand),
    /// The key that seals secrets in the database, and putting another in its place
    #[command(subcommand)]
    MasterKey(MasterKeyCommand),
    /// Say what is wrong with an installation and how to mend it; fails where a check failed
    Doctor(Target),
    /// The log of changes
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Those who may log in to the operators' pages
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Print the script with which a shell completes these commands
    Completion { shell: clap_complete::Shell },
    /// Make many tenants at once in the database of a `controlplane`, by its settings: for measuring
    #[command(hide = true)]
    MakeTenants {
        tenants: usize,
        /// Access keys of each
        keys: usize,
        #[command(flatten)]
        controlplane: ControlplaneArguments,
    },
}

#[derive(Debug, Args)]
pub struct UpArguments {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// Address of the dashboard and the API; health and metrics are on the next port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Address of the first data plane; further ones are 10 ports on, health and metrics on the next port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub s3: SocketAddr,
    /// How many data planes to start
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub dataplanes: u16,
}

pub const DEFAULT_DATA_DIR: &str = "./vaultaire-data";

#[derive(Debug, Args)]
pub struct ControlplaneArguments {
    /// Address of the dashboard and the API; health and metrics are on the next port of loopback
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
}

#[derive(Debug, Args)]
pub struct DataplaneArguments {
    /// Address for S3 clients; health and metrics are on the next port of loopback
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub s3: SocketAddr,
    /// Where the node keeps its identity and its configuration
    #[arg(long, value_name = "DIR", default_value = "./vaultaire-node")]
    pub data_dir: PathBuf,
}

/// Which control plane an operator's command talks to, and how it answers.
#[derive(Debug, Args)]
pub struct Target {
    /// Data directory of the `vaultaire up` to talk to [default: VAULTAIRE_URL, else ./vaultaire-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Create a tenant with its first access key
    Create {
        #[arg(long)]
        name: String,
        #[arg(long)]
        email: String,
        /// Plan's id, see `vaultaire plan list`
        #[arg(long)]
        plan: Option<String>,
        /// Print `export AWS_…` lines for a shell's eval
        #[arg(long, conflicts_with = "json")]
        export: bool,
        #[command(flatten)]
        target: Target,
    },
    /// List tenants
    List {
        /// Those that their owners have deleted, and that can be restored
        #[arg(long)]
        deleted: bool,
        /// Only those with this in their name or address, or of this id; with a question the newest hundred that fit
        #[arg(long, default_value = "", hide_default_value = true)]
        search: String,
        /// Only those that are active, read_only, suspended or deleted
        #[arg(long, default_value = "", hide_default_value = true)]
        status: String,
        /// Only those on this plan
        #[arg(long, default_value = "", hide_default_value = true)]
        plan: String,
        /// Only those that are older than this tenant: where the page before ended
        #[arg(
            long,
            value_name = "TENANT",
            default_value = "",
            hide_default_value = true
        )]
        after: String,
        #[command(flatten)]
        target: Target,
    },
    /// Show one tenant
    Show {
        tenant: String,
        #[command(flatten)]
        target: Target,
    },
    /// Refuse tenants' requests until they are resumed
    Suspend {
        #[command(flatten)]
        several: SeveralArguments,
        #[command(flatten)]
        target: Target,
    },
    /// Serve suspended tenants again
    Resume {
        #[command(flatten)]
        several: SeveralArguments,
        #[command(flatten)]
        target: Target,
    },
    /// Note something about a tenant, which the customer never sees
    Note {
        tenant: String,
        #[arg(long)]
        text: String,
        #[command(flatten)]
        target: Target,
    },
    /// List what was noted about a tenant, the newest first
    Notes {
        tenant: String,
        #[command(flatten)]
        target: Target,
    },
    /// Undo the deletion of a tenant within its 30 days; its access keys stay revoked
    Restore {
        tenant: String,
        #[command(flatten)]
        target: Target,
    },
    /// Give a tenant limits of its own
    Set {
        tenant: String,
        /// Onto the terms that this plan is sold on now
        #[arg(long)]
        plan: Option<String>,
        /// Where its new buckets go, see `vaultaire engine list`; `default`: to the default engine
        #[arg(long)]
        engine: Option<String>,
        #[command(flatten)]
        limits: LimitArguments,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Default, Args)]
pub struct LimitArguments {
    /// Requests per second
    #[arg(long)]
    pub rate: Option<u32>,
    /// Requests at once
    #[arg(long)]
    pub burst: Option<u32>,
    /// Requests under way at once, on all nodes together
    #[arg(long)]
    pub concurrency: Option<u32>,
    /// Bytes of bodies per second, received and sent together
    #[arg(long)]
    pub bandwidth: Option<u64>,
    /// Seconds after which a data plane that hears no control plane refuses the tenant; 0: as long as it has keys
    #[arg(long, value_name = "SECONDS")]
    pub max_staleness: Option<u32>,
    /// Bytes that it may store
    #[arg(long)]
    pub quota_bytes: Option<u64>,
    /// Objects that it may store
    #[arg(long)]
    pub quota_objects: Option<u64>,
    /// Bytes that it may download in a calendar month (UTC)
    #[arg(long)]
    pub quota_egress_bytes: Option<u64>,
    /// Buckets that it may have
    #[arg(long)]
    pub bucket_limit: Option<u32>,
    /// Usable access keys that it may have
    #[arg(long)]
    pub access_key_limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Permission {
    Read,
    Write,
    Full,
}

impl Permission {
    pub fn name(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Full => "full",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Action {
    List,
    Read,
    Write,
    Delete,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::List => "list",
            Action::Read => "read",
            Action::Write => "write",
            Action::Delete => "delete",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create an access key; its secret is shown this once
    Create {
        #[arg(long)]
        tenant: String,
        /// Only this bucket (repeat for more)
        #[arg(long = "bucket", value_name = "BUCKET")]
        buckets: Vec<String>,
        /// Only objects under this prefix (repeat for more)
        #[arg(long = "prefix", value_name = "PREFIX")]
        prefixes: Vec<String>,
        #[arg(long)]
        permission: Option<Permission>,
        /// Only this of what the permission allows (repeat for more)
        #[arg(long = "action", value_name = "ACTION")]
        actions: Vec<Action>,
        /// Only from this address or network, such as 203.0.113.0/24 (repeat for more)
        #[arg(long = "source-address", value_name = "CIDR")]
        source_addresses: Vec<String>,
        /// How long it lives: 30m, 12h, 7d
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        expires_in: Option<Seconds>,
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// List a tenant's access keys
    List {
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        target: Target,
    },
    /// Revoke an access key, and say which data planes refuse it
    Revoke {
        access_key_id: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub enum BucketCommand {
    /// List a tenant's buckets
    List {
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub enum InventoryCommand {
    /// List a tenant's buckets at the engine, and put right what is booked as stored
    Run {
        #[arg(long)]
        tenant: String,
        /// Only this bucket
        #[arg(long)]
        bucket: Option<String>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no entry was altered or taken out; fails where one was
    Verify {
        #[command(flatten)]
        target: Target,
    },
}
