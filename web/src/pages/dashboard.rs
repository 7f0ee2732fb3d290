//! `/dashboard`: plan, limits, how to connect, buckets, and what to do next.
//! Only what is known is shown; nothing here is an estimate.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use controlplane::accounts::Act;
use controlplane::billing::{self, Rung, Words};
use controlplane::tenants::Tenant;
use controlplane::{access_keys, buckets, tenants, usage};
use wire::TenantStatus;

use crate::App;
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, count, money};
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/dashboard.html")]
struct Dashboard<'a> {
    shell: Shell<'a>,
    standing: Option<Standing>,
    plan_name: &'a str,
    price: Option<String>,
    since: Moment,
    trial: Option<Trial>,
    /// Booked by now: some seconds old at most.
    used: Size,
    objects: String,
    storage: Size,
    /// Whether `storage` is where writes are refused, rather than what the price includes.
    storage_is_limit: bool,
    rate: String,
    burst: String,
    endpoint: &'a str,
    region: &'a str,
    usable_keys: usize,
    may_create_keys: bool,
    buckets: Vec<BucketRow>,
    /// Nothing is left to be explained: there is a key and a bucket.
    ready: bool,
}

/// Why the tenant cannot do everything, or will not soon.
struct Standing {
    tone: &'static str,
    headline: &'static str,
    detail: String,
    /// It can be put right at `/billing`.
    by_paying: bool,
}

struct Trial {
    days_left: i64,
    ends: Moment,
}

struct BucketRow {
    name: String,
    created: Moment,
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let tenant = tenants::get(&mut tx).await?;
    let buckets = buckets::list(&mut tx).await?;
    let keys = access_keys::list(&mut tx).await?;
    let used = usage::of_tenant(&mut tx, tenant.id).await?;
    let paying = billing::standing(&mut tx, &app.cp).await?;
    tx.commit().await?;

    let now = app.cp.clock().now();
    let usable_keys = keys.iter().filter(|key| key.is_usable(now)).count();
    let config = app.cp.config();
    let (storage, storage_is_limit) = storage(&tenant);
    let rows = buckets.into_iter().map(|bucket| BucketRow {
        name: bucket.name,
        created: Moment(bucket.created_at),
    });
    let buckets: Vec<_> = rows.collect();
    page(&Dashboard {
        shell: Shell::new(&member.session, Here::Overview),
        standing: standing(tenant.operator_status, &paying),
        plan_name: &tenant.plan.name,
        price: price(&tenant),
        since: Moment(tenant.created_at),
        trial: tenant.trial_ends_at.map(|ends| trial(ends, now)),
        used: Size::of(used.stored_bytes),
        objects: count(used.objects),
        storage,
        storage_is_limit,
        rate: count(tenant.limits.requests_per_second.into()),
        burst: count(tenant.limits.burst.into()),
        endpoint: &config.s3_endpoint,
        region: &config.region,
        usable_keys,
        may_create_keys: member.session.may(Act::ManageAccessKeys),
        ready: usable_keys > 0 && !buckets.is_empty(),
        buckets,
    })
}

fn price(tenant: &Tenant) -> Option<String> {
    let cents = tenant.plan.price_cents;
    (cents > 0).then(|| money(cents, &tenant.plan.currency))
}

fn storage(tenant: &Tenant) -> (Size, bool) {
    match tenant.limits.quota_bytes {
        Some(quota) => (Size::of(quota), true),
        None => {
            let included = u64::try_from(tenant.plan.storage_bytes);
            (Size::of(included.unwrap_or_default()), false)
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
