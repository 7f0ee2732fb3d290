//! `/refusals`: how the account's limits stand, which requests were refused, and the reason of any one by its id.
//! What is shown is what nodes wrote down when they refused, and what the control plane divides limits by.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::TimeDelta;
use controlplane::Error;
use controlplane::limits::{self, Counted, Pace, Paced, Quota, Standing};
use controlplane::refusals::{self, Filter, Refusal};
use http::StatusCode;
use serde::Deserialize;
use wire::Rule;

use crate::App;
use crate::charts::{part, tone};
use crate::failure::{Failure, page};
use crate::fields::{encode, term};
use crate::figures::{Moment, Size, count};
use crate::pages::{Here, Shell};
use crate::session::Member;

/// Refusals on one page.
const PAGE: u32 = 50;
/// What the filter offers, and words for it.
const KINDS: [(&str, &str); 7] = [
    ("", "every rule"),
    ("limit", "rate, concurrency, bandwidth"),
    ("quota", "quotas"),
    ("scope", "the key’s scope"),
    ("key", "revoked or expired keys"),
    ("signature", "signature and body"),
    ("account", "the account’s state"),
];

#[derive(Template)]
#[template(path = "pages/refusals.html")]
struct RefusalsPage<'a> {
    shell: Shell<'a>,
    paces: Vec<PaceRow>,
    burst: String,
    quotas: Vec<QuotaRow>,
    nodes: Vec<NodeRow>,
    as_of: Moment,
    /// The id that was looked for in vain.
    missed: Option<String>,
    last_day: String,
    rows: Vec<Row>,
    kinds: &'a [(&'a str, &'a str)],
    kind: &'a str,
    bucket: &'a str,
    key: &'a str,
    is_filtered: bool,
    is_first: bool,
    next: Option<String>,
}

struct PaceRow {
    name: &'static str,
    limit: Option<String>,
    /// None where it is little.
    asked: Option<String>,
    part: String,
    tone: &'static str,
}

struct QuotaRow {
    name: &'static str,
    used: String,
    limit: Option<String>,
    left: Option<String>,
    held: Option<String>,
    part: String,
    tone: &'static str,
}

/// What one node may admit at a time, and holds ready of quotas.
struct NodeRow {
    s3_address: String,
    connected: bool,
    paces: Vec<(&'static str, String)>,
    held: Vec<(&'static str, String)>,
}

struct Row {
    at: Moment,
    request_id: String,
    what: String,
    key: String,
    status: u16,
    code: String,
    explanation: String,
}

#[derive(Deserialize, Default)]
pub struct RefusalsQuery {
    /// Looks one request up.
    #[serde(default)]
    id: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    bucket: String,
    #[serde(default)]
    key: String,
    before: Option<String>,
}

impl RefusalsQuery {
    fn filter(&self) -> Filter {
        Filter {
            rules: rules(&self.kind),
            bucket: term(&self.bucket),
            access_key_id: term(&self.key),
            before: self.before.as_deref().map(term),
            // One more than is shown tells whether there is another page.
            limit: PAGE + 1,
        }
    }
}

/// Which rules a word of the filter stands for; none where it stands for all.
fn rules(kind: &str) -> Vec<Rule> {
    let of_kind = |rule: &Rule| kind_of(*rule) == kind;
    Rule::ALL.iter().copied().filter(of_kind).collect()
}

fn kind_of(rule: Rule) -> &'static str {
    match rule {
        Rule::RateLimit | Rule::ConcurrencyLimit | Rule::BandwidthLimit => "limit",
        Rule::QuotaStoredBytes
        | Rule::QuotaObjects
        | Rule::QuotaBuckets
        | Rule::QuotaAccessKeys
        | Rule::QuotaEgress => "quota",
        Rule::ScopePermission
        | Rule::ScopeBucket
        | Rule::ScopePrefix
        | Rule::ScopeSourceAddress
        | Rule::ScopeConfigure => "scope",
        Rule::KeyRevoked | Rule::KeyExpired => "key",
        Rule::Signature
        | Rule::SignedHeaders
        | Rule::PayloadHash
        | Rule::PostPolicy
        | Rule::ExpectedOwner => "signature",
        Rule::TenantReadOnly | Rule::TenantSuspended | Rule::TenantDeleted => "account",
        Rule::Unknown => "unknown",
    }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<RefusalsQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let id = term(&query.id);
    let mut tx = member.begin(&app).await?;
    let mut missed = None;
    if !id.is_empty() {
        match refusals::by_request(&mut tx, &id).await {
            Ok(found) => {
                let there = format!("/refusals/{}", encode(&found.request_id));
                return Ok(Redirect::to(&there).into_response());
            }
            Err(Error::NotFound(_)) => missed = Some(id),
            Err(error) => return Err(error.into()),
        }
    }
    let now = app.cp.clock().now();
    let standing = limits::standing(&mut tx, &app.cp).await?;
    let counts = refusals::counts(&mut tx, now - TimeDelta::days(1)).await?;
    let mut found = refusals::page(&mut tx, &query.filter()).await?;
    tx.commit().await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found
        .last()
        .filter(|_| more)
        .map(|last| last.request_id.clone());
    let (bucket, key) = (term(&query.bucket), term(&query.key));
    let status = match missed {
        Some(_) => StatusCode::NOT_FOUND,
        None => StatusCode::OK,
    };
    let shown = page(&RefusalsPage {
        shell: Shell::new(&member.session, Here::Refusals),
        paces: standing.paces.iter().map(PaceRow::from).collect(),
        burst: count(standing.burst),
        quotas: standing.quotas.iter().map(QuotaRow::from).collect(),
        nodes: nodes(&standing),
        as_of: Moment(now),
        missed,
        last_day: count(counts.iter().map(|(_, count)| count).sum()),
        rows: found.into_iter().map(Row::from).collect(),
        kinds: &KINDS,
        kind: &query.kind,
        bucket: &bucket,
        key: &key,
        is_filtered: !query.kind.is_empty() || !bucket.is_empty() || !key.is_empty(),
        is_first: query.before.is_none(),
        next: last.map(|last| {
            let (kind, bucket, key) = (encode(&query.kind), encode(&bucket), encode(&key));
            let before = encode(&last);
            format!("/refusals?kind={kind}&bucket={bucket}&key={key}&before={before}#refused")
        }),
    })?;
    Ok((status, shown).into_response())
}

impl From<&Pace> for PaceRow {
    fn from(pace: &Pace) -> Self {
        Self {
            name: pace_name(pace.what),
            limit: pace.limit.map(|limit| pace_words(pace.what, limit)),
            asked: (pace.asked > 0).then(|| pace_words(pace.what, pace.asked)),
            part: part(pace.asked, pace.limit.unwrap_or(u64::MAX)),
            tone: tone(pace.asked, pace.limit.unwrap_or(u64::MAX)),
        }
    }
}

fn pace_name(what: Paced) -> &'static str {
    match what {
        Paced::Requests => "Requests a second",
        Paced::Concurrency => "Requests at once",
        Paced::Bandwidth => "Bytes a second",
    }
}

fn pace_words(what: Paced, figure: u64) -> String {
    match what {
        Paced::Requests | Paced::Concurrency => count(figure),
        Paced::Bandwidth => Size::of(figure).to_string(),
    }
}

impl From<&Quota> for QuotaRow {
    fn from(quota: &Quota) -> Self {
        let words = |figure| quota_words(quota.what, figure);
        let held = quota.held();
        Self {
            name: quota_name(quota.what),
            used: words(quota.used),
            limit: quota.limit.map(words),
            left: quota.left().map(words),
            held: (held > 0).then(|| words(held)),
            part: part(quota.used, quota.limit.unwrap_or(u64::MAX)),
            tone: tone(quota.used, quota.limit.unwrap_or(u64::MAX)),
        }
    }
}

fn quota_name(what: Counted) -> &'static str {
    match what {
        Counted::StoredBytes => "Stored",
        Counted::Objects => "Objects",
        Counted::EgressBytes => "Data out, this month",
        Counted::Buckets => "Buckets",
        Counted::AccessKeys => "Access keys in use",
    }
}

fn quota_words(what: Counted, figure: u64) -> String {
    match what {
        Counted::StoredBytes | Counted::EgressBytes => Size::of(figure).to_string(),
        Counted::Objects | Counted::Buckets | Counted::AccessKeys => count(figure),
    }
}

/// Every pace names the nodes in the same order; quotas name those that hold something.
fn nodes(standing: &Standing) -> Vec<NodeRow> {
    let Some(first) = standing.paces.first() else {
        return Vec::new();
    };
    let of_node = |(index, node): (usize, &limits::Part)| {
        let paces = standing.paces.iter().filter_map(|pace| {
            let share = pace.nodes.get(index)?.share?;
            Some((pace_name(pace.what), pace_words(pace.what, share)))
        });
        let held = standing.quotas.iter().filter_map(|quota| {
            let held = quota
                .held
                .iter()
                .find(|held| held.s3_address == node.s3_address)?;
            Some((quota_name(quota.what), quota_words(quota.what, held.amount)))
        });
        NodeRow {
            s3_address: node.s3_address.clone(),
            connected: node.connected,
            paces: paces.collect(),
            held: held.collect(),
        }
    };
    first.nodes.iter().enumerate().map(of_node).collect()
}

impl From<Refusal> for Row {
    fn from(refusal: Refusal) -> Self {
        Self {
            at: Moment(refusal.at),
            what: what(&refusal),
            key: refusal.access_key_id.unwrap_or_default(),
            status: refusal.status,
            code: refusal.code,
            explanation: refusal.explanation,
            request_id: refusal.request_id,
        }
    }
}

/// `PutObject in photos`
pub fn what(refusal: &Refusal) -> String {
    let operation = match refusal.operation.as_str() {
        "" => "A request",
        operation => operation,
    };
    match &refusal.bucket {
        Some(bucket) => format!("{operation} in {bucket}"),
        None => operation.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_found_under_one_word_of_the_filter() {
        let offered: Vec<Rule> = KINDS.iter().flat_map(|(kind, _)| rules(kind)).collect();
        assert_eq!(offered.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert!(offered.contains(rule), "{rule:?}");
        }
        assert!(rules("").is_empty());
        assert!(rules("no such kind").is_empty());
    }
}
