//! Why requests were refused: looked up by request id, and listed, newest first. Each tenant's last thousand of a week are
//! kept.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use wire::{Refusal as Kept, Rule};

use crate::ids::{NodeId, TenantId};
use crate::{ControlPlane, Error, Tx, db};

/// Kept of each tenant's.
const KEEP: i64 = 1000;
const KEEP_FOR: TimeDelta = TimeDelta::days(7);
/// Listed at once.
const MOST: i64 = 1000;
/// What fits in a column.
const MOST_COUNTED: u64 = i64::MAX as u64;
/// No text of a node's is longer.
const MAX_TEXT: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub request_id: String,
    pub tenant_id: TenantId,
    pub at: DateTime<Utc>,
    pub node_id: NodeId,
    pub operation: String,
    pub bucket: Option<String>,
    pub access_key_id: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// S3's error code.
    pub code: String,
    pub rule: Rule,
    /// What the rule counted on that node: thousandths of requests a second, requests at once, or bytes.
    pub counter: Option<i64>,
    /// What it allowed there, in the same unit.
    pub limit: Option<i64>,
    /// Of the configuration by which it was decided.
    pub revision: i64,
    /// When the request would have passed, where that was known.
    pub clears_at: Option<DateTime<Utc>>,
    /// How many more were refused by the same rule on that node in that second, of which nothing else was kept.
    pub more: i64,
    /// All of it in a sentence or two.
    pub explanation: String,
}

impl From<db::refusals::Row> for Refusal {
    fn from(row: db::refusals::Row) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let mut refusal = Refusal {
            request_id: row.request_id,
            tenant_id: row.tenant_id.into(),
            at: row.at,
            node_id: row.node_id.into(),
            operation: row.operation,
            bucket: some(row.bucket),
            access_key_id: some(row.access_key_id),
            status: row.status.unsigned_abs(),
            code: row.code,
            rule: Rule::from_name(&row.rule),
            counter: row.counter,
            limit: row.limited_to,
            revision: row.revision,
            clears_at: row.clears_at,
            more: row.more,
            explanation: String::new(),
        };
        refusal.explanation = explain(&refusal);
        refusal
    }
}

/// In a tenant's transaction only its own is found.
pub async fn by_request(tx: &mut Tx, request_id: &str) -> Result<Refusal, Error> {
    let row = db::refusals::by_request(tx, request_id).await?;
    row.map(Refusal::from).ok_or(Error::NotFound("refusal"))
}

/// Newest first.
pub async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Refusal>, Error> {
    let rows = db::refusals::list(tx, tenant, MOST).await?;
    Ok(rows.into_iter().map(Refusal::from).collect())
}

/// Keeps what a node reported.
pub(crate) async fn record(cp: &ControlPlane, node: NodeId, kept: Vec<Kept>) -> Result<(), Error> {
    let mut tenants: HashMap<TenantId, Vec<Kept>> = HashMap::new();
    for mut refusal in kept {
        let texts = [
            &refusal.request_id,
            &refusal.operation,
            &refusal.bucket,
            &refusal.access_key_id,
            &refusal.code,
        ];
        let sound = texts
            .iter()
            .all(|text| text.len() <= MAX_TEXT && !text.contains('\0'));
        let Some(tenant) = refusal.tenant_id.parse().ok().filter(|_| sound) else {
            continue;
        };
        for figure in [&mut refusal.counter, &mut refusal.limit] {
            *figure = figure.map(|figure| figure.min(MOST_COUNTED));
        }
        refusal.status = refusal.status.min(999);
        tenants.entry(tenant).or_default().push(refusal);
    }
    let mut tx = cp.begin_system().await?;
    for (tenant, refusals) in &tenants {
        let refusals = serde_json::to_value(refusals).map_err(anyhow::Error::from)?;
        db::refusals::insert(&mut tx, *tenant, node, &refusals).await?;
        db::refusals::prune(&mut tx, *tenant, KEEP).await?;
    }
    db::refusals::forget(&mut tx, cp.clock().now() - KEEP_FOR).await?;
    tx.commit().await
}

fn explain(refusal: &Refusal) -> String {
    let figures = match (refusal.counter, refusal.limit) {
        (Some(counter), Some(limit)) => Some((counter, limit)),
        _ => None,
    };
    let mut text = match (refusal.rule, figures) {
        (Rule::RateLimit, Some((counter, limit))) => format!(
            "The account asked this node for {:.1} requests a second, of which {:.1} were its share of the account's rate, and the burst was used up.",
            counter as f64 / 1000.0,
            limit as f64 / 1000.0
        ),
        (Rule::ConcurrencyLimit, Some((counter, limit))) => format!(
            "{counter} requests of the account were under way at this node, and {limit} was its share of the account's limit."
        ),
        (Rule::BandwidthLimit, Some((_, limit))) => format!(
            "Transfers under way at this node took more than the next five seconds of its share of the account's bandwidth, {limit} bytes a second."
        ),
        (rule, Some((counter, limit))) => {
            format!("{}: {counter} of {limit}.", sentence(rule))
        }
        (rule, None) => format!("{}.", sentence(rule)),
    };
    if refusal.more > 0 {
        text.push_str(&format!(
            " {} more of this kind were refused in this second.",
            refusal.more
        ));
    }
    text
}

fn sentence(rule: Rule) -> &'static str {
    match rule {
        Rule::RateLimit => "More requests a second than the account's rate",
        Rule::ConcurrencyLimit => "More requests at once than the account may have",
        Rule::BandwidthLimit => "More bytes a second than the account's bandwidth",
        Rule::QuotaStoredBytes => "The account's quota of stored bytes is used up",
        Rule::QuotaObjects => "The account's quota of objects is used up",
        Rule::QuotaBuckets => "The account has as many buckets as it may have",
        Rule::QuotaAccessKeys => "The account has as many access keys as it may have",
        Rule::QuotaEgress => "The account's egress of this month is used up",
        Rule::ScopePermission => "The access key's permission does not allow this operation",
        Rule::ScopeBucket => "The access key is limited to other buckets",
        Rule::ScopePrefix => "The access key is limited to other prefixes",
        Rule::ScopeSourceAddress => "The access key may not be used from this address",
        Rule::ScopeConfigure => {
            "The access key is limited to buckets or prefixes, and changes no buckets"
        }
        Rule::KeyRevoked => "The access key was revoked",
        Rule::KeyExpired => "The access key has expired",
        Rule::Signature => {
            "The signature does not match: another secret, or another request than was signed"
        }
        Rule::SignedHeaders => "A header that must be signed was not",
        Rule::PayloadHash => "The body is not the one that was signed or announced",
        Rule::PostPolicy => "The form does not meet its policy",
        Rule::ExpectedOwner => "The bucket's owner is not the one that the request expects",
        Rule::TenantReadOnly => "The account is read-only",
        Rule::TenantSuspended => "The account is suspended",
        Rule::TenantDeleted => "The account is closed",
        Rule::Unknown => "A rule that this version does not know",
    }
}
