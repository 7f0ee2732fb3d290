//! What can be typed about revenue, jobs and notices.

use clap::{Args, Subcommand, ValueEnum};

use super::Target;

#[derive(Debug, Args)]
pub struct RevenueArguments {
    /// So many calendar months back
    #[arg(long, default_value_t = 12)]
    pub months: u32,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum JobKind {
    Mail,
    StripeEvent,
    /// To an address that a customer chose
    Webhook,
    /// Usage beyond the plan, for Stripe
    MeterEvent,
    /// Of a deleted account
    Removal,
}

impl JobKind {
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Mail => "mail",
            JobKind::StripeEvent => "stripe_event",
            JobKind::Webhook => "webhook",
            JobKind::MeterEvent => "meter_event",
            JobKind::Removal => "removal",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum JobState {
    Queued,
    Running,
    /// It failed, and is tried again by itself
    Retrying,
    /// It failed, and is not tried again by itself
    Failed,
}

impl JobState {
    pub fn name(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Retrying => "retrying",
            JobState::Failed => "failed",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List what waits, runs or has failed, the oldest first
    List {
        #[arg(long)]
        kind: Option<JobKind>,
        #[arg(long)]
        state: Option<JobState>,
        #[command(flatten)]
        target: Target,
    },
    /// Try one job again now, or with --all those that have failed or wait for their next try
    Retry {
        /// Kind and id as `vaultaire job list` has them: mail 0123…
        #[arg(required_unless_present = "all", requires = "id")]
        kind: Option<JobKind>,
        id: Option<String>,
        #[arg(long, conflicts_with = "kind")]
        all: bool,
        /// Of this kind only
        #[arg(long, requires = "all")]
        of: Option<JobKind>,
        /// In this state only
        #[arg(long, requires = "all")]
        state: Option<JobState>,
        /// How many there are: without it nothing is tried, and the number is said
        #[arg(long, value_name = "N", requires = "all")]
        confirm: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum NoticeLevel {
    Info,
    Maintenance,
    Incident,
}

impl NoticeLevel {
    pub fn name(self) -> &'static str {
        match self {
            NoticeLevel::Info => "info",
            NoticeLevel::Maintenance => "maintenance",
            NoticeLevel::Incident => "incident",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// Tell every customer, or those on one plan, something on their dashboard
    Create {
        #[arg(long)]
        title: String,
        #[arg(long)]
        text: String,
        #[arg(long, default_value = "info")]
        level: NoticeLevel,
        /// Such as 2026-03-01T22:00:00Z [default: now]
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Only to tenants on this plan
        #[arg(long)]
        plan: Option<String>,
        /// How many tenants it reaches: without it nothing is shown to anybody, and the number is said
        #[arg(long, value_name = "N")]
        confirm: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
    /// List notices, the newest first
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Take a notice from everybody's dashboard
    End {
        notice: String,
        /// How many tenants it is told to: without it nothing changes where these are several, and the number is said
        #[arg(long, value_name = "N")]
        confirm: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
}
