//! What can be typed about usage and refusals.

use clap::{Subcommand, ValueEnum};

use super::Target;

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
    /// Which tenants use the most, and all of them together by day
    Top {
        /// First hour, such as 2026-03-01T00:00:00Z [default: 30 days before the last]
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// End of the last hour [default: now]
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// The most of what comes first
        #[arg(long, default_value = "stored")]
        by: Most,
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// All tenants together, by day, in place of the tenants
        #[arg(long)]
        days: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Most {
    /// Bytes stored now
    Stored,
    /// Bytes of answers
    Egress,
    Requests,
    Refusals,
}

impl Most {
    pub fn name(self) -> &'static str {
        match self {
            Most::Stored => "stored",
            Most::Egress => "egress",
            Most::Requests => "requests",
            Most::Refusals => "refusals",
        }
    }
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
    /// Which tenants were refused the most, and by which rule, in the last seven days
    Top {
        /// Only by this rule, such as rate_limit
        #[arg(long)]
        rule: Option<String>,
        /// Only since then, such as 2026-03-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// By day and rule in place of tenant and rule
        #[arg(long)]
        days: bool,
        #[command(flatten)]
        target: Target,
    },
}
