//! What can be typed. The names are fixed: scripts rely on them.

mod backup;
mod billing;
mod engine;
mod operator;
#[cfg(test)]
mod reference;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use backup::{BackupArguments, RestoreArguments};
pub use billing::{BillingCommand, PlanCommand, TermArguments};
pub use engine::{DriftArguments, EngineCommand, NewEngine};
pub use operator::{OperatorCommand, SeveralArguments};

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
    /// The log of changes
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Those who may log in to the operators' pages
    #[command(subcommand)]
    Operator(OperatorCommand),
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

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum By {
    Hour,
    Day,
}

impl By {
    pub fn name(self) -> &'static str {
        match self {
            By::Hour => "hour",
            By::Day => "day",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Group {
    Bucket,
    Key,
    Class,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::Bucket => "bucket",
            Group::Key => "key",
            Group::Class => "class",
        }
    }

    /// The field of a row that says of what it is.
    pub fn column(self) -> &'static str {
        match self {
            Group::Bucket => "bucket",
            Group::Key => "access_key_id",
            Group::Class => "class",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// Show what a tenant used: requests, bytes in and out, bytes stored
    Show {
        tenant: String,
        /// First hour, such as 2026-03-01T00:00:00Z [default: 30 days before the last]
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// End of the last hour [default: now]
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[arg(long, default_value = "day")]
        by: By,
        #[arg(long, default_value = "bucket")]
        group: Group,
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
}

#[derive(Debug, Subcommand)]
pub enum RefusalCommand {
    /// Say why a request was refused
    Show {
        /// `x-amz-request-id` of the answer
        request_id: String,
        #[command(flatten)]
        target: Target,
    },
    /// List what a tenant was refused lately, newest first
    List {
        tenant: String,
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
