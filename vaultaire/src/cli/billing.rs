//! What can be typed about plans, payments and Stripe.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// List plans
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Add a plan; it needs --name, --price-cents and --storage-bytes
    Create {
        id: String,
        #[command(flatten)]
        terms: TermArguments,
        #[command(flatten)]
        target: Target,
    },
    /// Sell a plan on other terms from now on; who has bought it keeps what it bought
    Set {
        id: String,
        #[command(flatten)]
        terms: TermArguments,
        #[command(flatten)]
        target: Target,
    },
    /// Show a plan: every version of its terms, and how many tenants are on each
    Show {
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Put no tenant onto a plan any more; who is on it stays on it
    Retire {
        id: String,
        /// The plan can be given to tenants again
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Default, Args)]
pub struct TermArguments {
    #[arg(long)]
    pub name: Option<String>,
    /// A month's price in the currency's smallest unit
    #[arg(long)]
    pub price_cents: Option<u64>,
    /// Such as usd
    #[arg(long)]
    pub currency: Option<String>,
    /// Bytes stored that the price includes
    #[arg(long)]
    pub storage_bytes: Option<u64>,
    /// Bytes read in a billing period that the price includes
    #[arg(long)]
    pub egress_bytes: Option<u64>,
    /// Price of a GB-month beyond, in millionths of the smallest unit: 4000000 is four cents
    #[arg(long)]
    pub storage_price_micros: Option<u64>,
    /// Price of a GB read beyond, likewise
    #[arg(long)]
    pub egress_price_micros: Option<u64>,
    /// Bytes stored beyond which writes are refused
    #[arg(long)]
    pub quota_bytes: Option<u64>,
    #[arg(long)]
    pub quota_objects: Option<u64>,
    /// Bytes that may be read in a calendar month
    #[arg(long)]
    pub quota_egress_bytes: Option<u64>,
    /// Requests per second
    #[arg(long)]
    pub rate: Option<u32>,
    /// Requests at once
    #[arg(long)]
    pub burst: Option<u32>,
    #[arg(long)]
    pub concurrency: Option<u32>,
    /// Bytes of bodies per second
    #[arg(long)]
    pub bandwidth: Option<u64>,
    #[arg(long)]
    pub trial_days: Option<u32>,
    #[arg(long)]
    pub bucket_limit: Option<u32>,
    #[arg(long)]
    pub access_key_limit: Option<u32>,
    /// Whether customers may choose it themselves
    #[arg(long)]
    pub for_sale: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub enum BillingCommand {
    /// Show where a tenant stands with paying
    Show {
        tenant: String,
        #[command(flatten)]
        target: Target,
    },
    /// Note that a tenant has paid; writes the invoice
    MarkPaid {
        tenant: String,
        /// The last day that is paid, such as 2026-04-30
        #[arg(long, value_name = "DATE")]
        until: String,
        /// In place of the plan's price, in the currency's smallest unit
        #[arg(long)]
        price_cents: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
    /// List a tenant's invoices
    Invoices {
        tenant: String,
        #[command(flatten)]
        target: Target,
    },
    /// Write an invoice as a PDF
    Invoice {
        tenant: String,
        /// Its id, see `vaultaire billing invoices` [default: the newest]
        #[arg(long)]
        id: Option<String>,
        /// [default: invoice-NUMBER.pdf]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Put plans, prices and meters into the Stripe account
    Sync {
        #[command(flatten)]
        target: Target,
    },
    /// List what Stripe has told, the newest first
    Events {
        /// Only what could not be acted on
        #[arg(long)]
        failed: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Try again now what could not be acted on
    Retry {
        #[command(flatten)]
        target: Target,
    },
    /// Compare Stripe with the database; fails where they differ, and mends nothing
    Reconcile {
        #[command(flatten)]
        target: Target,
    },
}
