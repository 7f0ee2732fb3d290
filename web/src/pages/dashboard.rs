//! `/dashboard`: how the account stands against its plan, what it did in the last day or month, and what to do next.
//! Only what is known is shown; nothing here is an estimate.

mod charts;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use controlplane::accounts::Act;
use controlplane::billing::{self, Rung, Words};
use controlplane::notices::{Level, Shown};
use controlplane::tenants::Tenant;
use controlplane::usage::{Group, Stored};
use controlplane::{access_keys, buckets, leases, notices, refusals, tenants, usage};
use serde::Deserialize;
use wire::TenantStatus;

use crate::App;
use crate::charts::{Chart, part, tone};
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, count, money};
use crate::pages::usage::Late;
use crate::pages::{Here, Shell};
use crate::session::Member;
use charts::{Range, Step};

/// Buckets that are named here; the page of buckets has all.
const MOST_BUCKETS: usize = 8;

#[derive(Template)]
#[template(path = "pages/dashboard.html")]
struct Dashboard<'a> {
    shell: Shell<'a>,
    notices: Vec<NoticeRow>,
    standing: Option<Standing>,
    plan_name: &'a str,
    price: Option<String>,
    since: Moment,
    trial: Option<Trial>,
    used: Size,
    objects: String,
    storage: Against,
    egress: Size,
    egress_limit: Option<Against>,
    requests: String,
    requests_a: String,
    requests_b: String,
    rate: String,
    burst: String,
    refused: String,
    range: Range,
    charts: Vec<Chart>,
    steps: Vec<Step>,
    is_empty: bool,
    as_of: Moment,
    behind: Vec<Late>,
    endpoint: &'a str,
    region: &'a str,
    usable_keys: usize,
    may_create_keys: bool,
    buckets: Vec<BucketRow>,
    all_buckets: usize,
    /// Nothing is left to be explained: there is a key and a bucket.
    ready: bool,
}

/// What something is measured against.
struct Against {
    limit: Size,
    /// In percent.
    part: String,
    tone: &'static str,
    /// Whether beyond it requests are refused, rather than metered.
    is_limit: bool,
}

impl Against {
    fn new(used: u64, limit: u64, is_limit: bool) -> Self {
        let tone = match is_limit {
            true => tone(used, limit),
            false => "good",
        };
        Self {
            limit: Size::of(limit),
            part: part(used, limit),
            tone,
            is_limit,
        }
    }
}

/// Why the tenant cannot do everything, or will not soon.
struct Standing {
    tone: &'static str,
    headline: &'static str,
    detail: String,
    /// It can be put right at `/billing`.
    by_paying: bool,
}

/// What the operator has to say.
struct NoticeRow {
    id: String,
    title: String,
    text: String,
    word: &'static str,
    tone: &'static str,
}

impl From<Shown> for NoticeRow {
    fn from(notice: Shown) -> Self {
        let (word, tone) = match notice.level {
            Level::Info => ("Notice", ""),
            Level::Maintenance => ("Maintenance", "warn"),
            Level::Incident => ("Incident", "bad"),
        };
        Self {
            id: notice.notice_id.to_string(),
            title: notice.title,
            text: notice.text,
            word,
            tone,
        }
    }
}

struct Trial {
    days_left: i64,
    ends: Moment,
}

struct BucketRow {
    name: String,
    stored: Stored,
    size: Size,
    objects: String,
}

#[derive(Deserialize, Default)]
pub struct DashboardQuery {
    #[serde(default)]
    range: String,
}

/// What the database knows.
struct Found {
    notices: Vec<Shown>,
    tenant: Tenant,
    buckets: Vec<BucketRow>,
    usable_keys: usize,
    used: Stored,
    egress: u64,
    steps: Vec<Step>,
    refused: u64,
    behind: Vec<usage::Behind>,
    paying: billing::Standing,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<DashboardQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let range = Range::parse(&query.range);
    let found = find(&app, &member, range).await?;
    let now = app.cp.clock().now();
    let config = app.cp.config();
    let tenant = &found.tenant;
    let storage = storage(tenant, found.used.stored_bytes);
    let (requests_a, requests_b) = (
        sum(&found.steps, |s| s.requests_a),
        sum(&found.steps, |s| s.requests_b),
    );
    let deletes = sum(&found.steps, |s| s.requests_free);
    let egress_limit = tenant.limits.quota_egress_bytes;
    page(&Dashboard {
        shell: Shell::new(&member.session, Here::Overview),
        notices: found.notices.into_iter().map(NoticeRow::from).collect(),
        standing: standing(tenant.operator_status, &found.paying),
        plan_name: &tenant.plan.name,
        price: price(tenant),
        since: Moment(tenant.created_at),
        trial: tenant.trial_ends_at.map(|ends| trial(ends, now)),
        used: Size::of(found.used.stored_bytes),
        objects: count(found.used.objects),
        storage,
        egress: Size::of(found.egress),
        egress_limit: egress_limit.map(|limit| Against::new(found.egress, limit, true)),
        requests: count(requests_a + requests_b + deletes),
        requests_a: count(requests_a),
        requests_b: count(requests_b),
        rate: count(tenant.limits.requests_per_second.into()),
        burst: count(tenant.limits.burst.into()),
        refused: count(found.refused),
        range,
        charts: charts::draw(&found.steps, range, tenant.limits.quota_bytes),
        is_empty: found.used == Stored::default() && found.steps.iter().all(Step::is_nothing),
        as_of: Moment(now),
        behind: found.behind.into_iter().map(Late::from).collect(),
        endpoint: &config.s3_endpoint,
        region: &config.region,
        usable_keys: found.usable_keys,
        may_create_keys: member.session.may(Act::ManageAccessKeys),
        ready: found.usable_keys > 0 && !found.buckets.is_empty(),
        all_buckets: found.buckets.len(),
        steps: found.steps,
        buckets: found.buckets.into_iter().take(MOST_BUCKETS).collect(),
    })
}

async fn find(app: &App, member: &Member, range: Range) -> Result<Found, Failure> {
    let now = app.cp.clock().now();
    let span = range.span(now)?;
    let mut tx = member.begin(app).await?;
    let tenant = tenants::get(&mut tx).await?;
    let listed = buckets::list(&mut tx).await?;
    let stored = usage::of_buckets(&mut tx).await?;
    let keys = access_keys::list(&mut tx).await?;
    let used = usage::of_tenant(&mut tx, tenant.id).await?;
    let egress = leases::egress_bytes(&mut tx, app.cp.clock(), tenant.id).await?;
    let report = usage::report(&mut tx, tenant.id, span, range.by(), Group::Class).await?;
    let refused = refusals::counts(&mut tx, range.begin(now)).await?;
    let behind = usage::behind(&mut tx, now).await?;
    let paying = billing::standing(&mut tx, &app.cp).await?;
    let notices = notices::for_member(&mut tx, &app.cp, member.session.member_id).await?;
    tx.commit().await?;
    let mut buckets: Vec<BucketRow> = listed
        .into_iter()
        .map(|bucket| {
            let stored = stored.get(&bucket.id).copied().unwrap_or_default();
            BucketRow {
                name: bucket.name,
                size: Size::of(stored.stored_bytes),
                objects: count(stored.objects),
                stored,
            }
        })
        .collect();
    // The largest first, and those that hold nothing by name.
    buckets.sort_by_key(|row| std::cmp::Reverse(row.stored.stored_bytes));
    Ok(Found {
        usable_keys: keys.iter().filter(|key| key.is_usable(now)).count(),
        steps: charts::steps(&report, range, now, used.stored_bytes),
        refused: refused.iter().map(|(_, count)| count).sum(),
        tenant,
        buckets,
        used,
        egress,
        behind,
        paying,
        notices,
    })
}

fn sum(steps: &[Step], figure: impl Fn(&Step) -> u64) -> u64 {
    steps.iter().map(figure).sum()
}

fn price(tenant: &Tenant) -> Option<String> {
    let cents = tenant.plan.price_cents;
    (cents > 0).then(|| money(cents, &tenant.plan.currency))
}

fn storage(tenant: &Tenant, used: u64) -> Against {
    match tenant.limits.quota_bytes {
        Some(quota) => Against::new(used, quota, true),
        None => {
            let included = u64::try_from(tenant.plan.storage_bytes);
            Against::new(used, included.unwrap_or_default(), false)
        }
    }
}

/// A day that has begun counts as a day that is left.
fn trial(ends: DateTime<Utc>, now: DateTime<Utc>) -> Trial {
    let seconds = (ends - now).num_seconds();
    Trial {
        days_left: match seconds > 0 {
            true => (seconds + 86_399) / 86_400,
            false => 0,
        },
        ends: Moment(ends),
    }
}

/// The operator's word comes before what paying says.
fn standing(operator: TenantStatus, paying: &billing::Standing) -> Option<Standing> {
    let by_operator = |headline, detail: &str| Standing {
        tone: "bad",
        headline,
        detail: detail.to_owned(),
        by_paying: false,
    };
    match operator {
        TenantStatus::Active if paying.rung == Rung::Good => None,
        TenantStatus::Active => {
            let words = Words::of(paying);
            Some(Standing {
                tone: if paying.rung >= Rung::ReadOnly {
                    "bad"
                } else {
                    "warn"
                },
                headline: words.headline,
                detail: format!("{} {}", words.detail, words.next),
                by_paying: true,
            })
        }
        TenantStatus::ReadOnly => Some(by_operator(
            "Your account is read-only",
            "Listing, downloading and deleting go on; nothing can be uploaded.",
        )),
        TenantStatus::Suspended | TenantStatus::Deleted | TenantStatus::Unknown => {
            Some(by_operator(
                "Your account is suspended",
                "Every S3 request is refused. Your objects are kept.",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[test]
    fn a_trial_ends_when_its_last_second_is_over() {
        let now = DateTime::UNIX_EPOCH;
        let left = |after| trial(now + after, now).days_left;
        assert_eq!(left(Duration::days(14)), 14);
        assert_eq!(left(Duration::days(13) + Duration::seconds(1)), 14);
        assert_eq!(left(Duration::seconds(1)), 1);
        assert_eq!(left(Duration::zero()), 0);
        assert_eq!(left(Duration::days(-3)), 0);
    }
}
