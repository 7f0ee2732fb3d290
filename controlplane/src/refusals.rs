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
    // What no node writes down would be no text to the database.
    if request_id.len() > MAX_TEXT || request_id.contains('\0') {
        return Err(Error::NotFound("refusal"));
    }
    let row = db::refusals::by_request(tx, request_id).await?;
    row.map(Refusal::from).ok_or(Error::NotFound("refusal"))
}

/// Newest first.
pub async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Refusal>, Error> {
    let rows = db::refusals::list(tx, tenant, MOST).await?;
    Ok(rows.into_iter().map(Refusal::from).collect())
}

/// Which of the tenant's refusals are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// By one of these; empty for all.
    pub rules: Vec<Rule>,
    /// Of this bucket, by its name; empty for all.
    pub bucket: String,
    pub access_key_id: String,
    /// Older than the refusal of this request.
    pub before: Option<String>,
    pub limit: u32,
}

/// Newest first.
pub async fn page(tx: &mut Tx, filter: &Filter) -> Result<Vec<Refusal>, Error> {
    let tenant = tx.tenant()?;
    let rows = db::refusals::page(tx, tenant, filter).await?;
    Ok(rows.into_iter().map(Refusal::from).collect())
}

/// How many requests of the tenant were refused by each rule since then, as far as they are kept; the most first.
pub async fn counts(tx: &mut Tx, since: DateTime<Utc>) -> Result<Vec<(Rule, u64)>, Error> {
    let tenant = tx.tenant()?;
    let counts = db::refusals::counts(tx, tenant, since).await?;
    let counts = counts.into_iter();
    Ok(counts
        .map(|(rule, count)| (Rule::from_name(&rule), count.max(0).unsigned_abs()))
        .collect())
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

/// What the rule refuses, without a full stop.
pub fn sentence(rule: Rule) -> &'static str {
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

/// What whoever was refused can do about it.
pub fn advice(rule: Rule) -> &'static str {
    match rule {
        Rule::RateLimit => {
            "Wait as long as Retry-After says, then try again; SDKs do so by themselves. If it happens often, spread requests over time, send fewer at once, or ask for a higher rate."
        }
        Rule::ConcurrencyLimit => {
            "Run fewer transfers side by side (for aws: s3.max_concurrent_requests, for rclone: --transfers), or ask for a higher limit."
        }
        Rule::BandwidthLimit => {
            "Try again a little later, with fewer transfers side by side, or ask for more bandwidth."
        }
        Rule::QuotaStoredBytes => {
            "Delete what is no longer needed, old versions and unfinished uploads included, or move to a larger plan. Room is there again some seconds after deleting."
        }
        Rule::QuotaObjects => "Delete objects, or store several in one, or ask for a larger quota.",
        Rule::QuotaBuckets => "Delete a bucket that is empty, or ask for more.",
        Rule::QuotaAccessKeys => "Revoke a key that is not used any more, or ask for more.",
        Rule::QuotaEgress => {
            "Reading goes on with the next calendar month (UTC), or at once with a larger quota."
        }
        Rule::ScopePermission => {
            "Use a key whose permission or actions allow it, or create one for this purpose. A key's scope cannot be widened."
        }
        Rule::ScopeBucket => "Use a key that is for this bucket, or for all of them.",
        Rule::ScopePrefix => {
            "Use a key that is for this prefix. Listing needs a prefix, too: ask for one that the key allows."
        }
        Rule::ScopeSourceAddress => {
            "Send the request from one of the key's addresses, or create a key with the networks that you use."
        }
        Rule::ScopeConfigure => "Use a key that is limited to neither buckets nor prefixes.",
        Rule::KeyRevoked => {
            "Find the program that still uses this key, and give it another. If nobody of yours does, somebody has an old secret; it is worth nothing any more."
        }
        Rule::KeyExpired => "Rotate the key, or create another, before its end.",
        Rule::Signature => {
            "Look whether the client has this key's secret, and whether a proxy on the way changes headers or the path. Region and path style must be as the Connect page says."
        }
        Rule::SignedHeaders => {
            "Let the client sign host and every x-amz- header that it sends; a proxy must add none."
        }
        Rule::PayloadHash => {
            "Send it again. If it happens again, something on the way changes the body, or the client announces a wrong checksum."
        }
        Rule::PostPolicy => {
            "Compare the form's fields with the policy: key, size, content type, and the time at which the policy ends."
        }
        Rule::ExpectedOwner => {
            "Leave out x-amz-expected-bucket-owner, or name the account's own id in it."
        }
        Rule::TenantReadOnly => {
            "Reading and deleting go on. Look at the overview for what made the account read-only."
        }
        Rule::TenantSuspended => "Ask us; your objects are kept.",
        Rule::TenantDeleted => "The account's keys can be taken out of whatever still uses them.",
        Rule::Unknown => "Ask us, with the request id.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_said_and_has_advice_of_its_own() {
        let mut said: Vec<&str> = Rule::ALL.iter().map(|rule| sentence(*rule)).collect();
        let mut advised: Vec<&str> = Rule::ALL.iter().map(|rule| advice(*rule)).collect();
        for texts in [&mut said, &mut advised] {
            let all = texts.len();
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts.len(), all);
        }
        assert!(said.iter().all(|text| !text.ends_with('.')));
        assert!(advised.iter().all(|text| text.ends_with('.')));
    }
}
