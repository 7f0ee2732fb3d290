//! Usage and refusals of all tenants together: who uses the most, who is refused the most, by which rule, and when. For the
//! operator alone; what a tenant sees of its own is in `usage` and `refusals`.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use wire::Rule;

use crate::ids::TenantId;
use crate::refusals::Refusal;
use crate::usage::Span;
use crate::{Error, Tx, db};

const MOST: u32 = 1000;
/// No longer than refusals are kept.
const REFUSALS_KEPT: Duration = Duration::days(7);

/// By what tenants are ordered, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Most {
    /// Bytes stored now.
    #[default]
    Stored,
    /// Bytes of answers.
    Egress,
    Requests,
    Refusals,
}

impl Most {
    pub const ALL: [Most; 4] = [Most::Stored, Most::Egress, Most::Requests, Most::Refusals];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Egress => "egress",
            Self::Requests => "requests",
            Self::Refusals => "refusals",
        }
    }
}

/// What one tenant used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    pub tenant_id: TenantId,
    pub name: String,
    pub plan: String,
    /// Now.
    pub stored_bytes: i64,
    pub objects: i64,
    /// In the span, as the next two.
    pub bytes_out: i64,
    pub bytes_in: i64,
    pub requests: i64,
    /// In the span, as far as they are kept: the last thousand of seven days of each tenant, with those that were only counted.
    pub refusals: i64,
}

/// All tenants together, on one day (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    pub day: NaiveDate,
    pub requests: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    /// By how much what is stored grew, or shrank.
    pub stored_delta: i64,
    pub refusals: i64,
}

/// Needs a system transaction.
pub async fn top(tx: &mut Tx, span: Span, by: Most, limit: u32) -> Result<Vec<Used>, Error> {
    let limit = check_limit(limit)?;
    db::across::top(tx, (span.from(), span.to()), by.as_str(), limit).await
}

/// Every day of the span, the first first. Needs a system transaction.
pub async fn days(tx: &mut Tx, span: Span) -> Result<Vec<Day>, Error> {
    db::across::days(tx, (span.from(), span.to())).await
}

/// What a tenant was refused by one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub tenant_id: TenantId,
    pub name: String,
    pub rule: Rule,
    pub count: i64,
    pub last_at: DateTime<Utc>,
    /// Of the last one.
    pub request_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedOn {
    pub day: NaiveDate,
    pub rule: Rule,
    pub count: i64,
}

/// Which refusals are asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// By this one; none for all.
    pub rule: Option<Rule>,
    pub tenant: Option<TenantId>,
    /// Seven days unless said: older ones are not kept.
    pub since: Option<DateTime<Utc>>,
    pub limit: u32,
}

impl Asked {
    fn since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.since.unwrap_or(now - REFUSALS_KEPT)
    }
}

/// Tenants and rules, the most often first. Needs a system transaction.
pub async fn refused(
    tx: &mut Tx,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Vec<Refused>, Error> {
    let limit = check_limit(asked.limit)?;
    let rule = asked.rule.map(Rule::as_str);
    db::across::refused(tx, rule, asked.tenant, asked.since(now), limit).await
}

/// By day and rule. Needs a system transaction.
pub async fn refused_by_day(
    tx: &mut Tx,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Vec<RefusedOn>, Error> {
    let rule = asked.rule.map(Rule::as_str);
    db::across::refused_by_day(tx, rule, asked.tenant, asked.since(now)).await
}

/// One by one, of any tenant, newest first. Needs a system transaction.
pub async fn refusals(
    tx: &mut Tx,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Vec<Refusal>, Error> {
    let limit = check_limit(asked.limit)?;
    let rule = asked.rule.map(Rule::as_str);
    let rows = db::across::refusals(tx, rule, asked.tenant, asked.since(now), limit).await?;
    Ok(rows.into_iter().map(Refusal::from).collect())
}

/// A rule by its name.
pub fn rule(name: &str) -> Result<Rule, Error> {
    match Rule::from_name(name) {
        Rule::Unknown => Err(Error::validation("rule", "There is no such rule.")),
        rule => Ok(rule),
    }
}

fn check_limit(limit: u32) -> Result<i64, Error> {
    match limit {
        1..=MOST => Ok(limit.into()),
        _ => Err(Error::validation("limit", format!("It is 1 to {MOST}."))),
    }
}
