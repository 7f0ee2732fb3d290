//! What a tenant used beyond its plan in a period: whole GB-months and whole GB, computed from the hourly sums alone, so
//! that a customer who has the same rows comes to the same figures.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::period::{Period, hour};
use crate::plans::Plan;
use crate::tenants::Tenant;
use crate::{Error, Tx, db};

/// Decimal, as it is sold.
const GB: i128 = 1_000_000_000;
/// Of an hour: added to a moment it makes the next full hour, or the same one.
const LAST_SECOND: Duration = Duration::seconds(3599);
/// Millionths of the smallest unit.
const MICROS: i128 = 1_000_000;

/// One row of what is summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// Its beginning.
    pub hour: DateTime<Utc>,
    /// At its end, all buckets together.
    pub stored_bytes: i64,
    /// Bytes of answers.
    pub egress_bytes: i64,
}

/// What comes on top of the plan's price. What is not full yet is not counted: never a GB too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Beyond {
    /// Bytes beyond the plan's, added up over hours.
    pub byte_hours: i128,
    /// `byte_hours` ÷ hours of the period ÷ 1,000,000,000, cut off.
    pub storage_gb_months: i64,
    /// All bytes that were read.
    pub egress_bytes: i64,
    /// Those beyond the plan's, ÷ 1,000,000,000, cut off.
    pub egress_gb: i64,
    pub storage_cents: i64,
    pub egress_cents: i64,
}

impl Beyond {
    pub fn total_cents(&self) -> i64 {
        self.storage_cents.saturating_add(self.egress_cents)
    }
}

/// Every full hour of the period that is over at `now`, from the first one on these terms: before it others held, under
/// which nothing is owed here.
pub async fn hours(
    tx: &mut Tx,
    tenant: &Tenant,
    period: Period,
    now: DateTime<Utc>,
) -> Result<Vec<Hour>, Error> {
    let from = period.from.max(hour(tenant.terms_since + LAST_SECOND));
    let to = period.to.min(hour(now));
    if to <= from {
        return Ok(Vec::new());
    }
    db::billing::hours(tx, tenant.id, (from, to)).await
}

pub async fn beyond(
    tx: &mut Tx,
    tenant: &Tenant,
    period: Period,
    now: DateTime<Utc>,
) -> Result<Beyond, Error> {
    let hours = hours(tx, tenant, period, now).await?;
    Ok(sum(&tenant.plan, period, hours.into_iter()))
}

fn sum(plan: &Plan, period: Period, hours: impl Iterator<Item = Hour>) -> Beyond {
    let (mut byte_hours, mut egress) = (0i128, 0i128);
    for hour in hours {
        byte_hours += i128::from(hour.stored_bytes - plan.storage_bytes).max(0);
        egress += i128::from(hour.egress_bytes);
    }
    let storage = byte_hours / (GB * i128::from(period.hours()));
    let read = match plan.egress_bytes {
        Some(included) => (egress - i128::from(included)).max(0) / GB,
        None => 0,
    };
    Beyond {
        byte_hours,
        storage_gb_months: narrow(storage),
        egress_bytes: narrow(egress),
        egress_gb: narrow(read),
        storage_cents: cents(storage, plan.storage_price_micros),
        egress_cents: cents(read, plan.egress_price_micros),
    }
}

/// Rounded half up, once for the whole line, as Stripe does with a decimal price.
/// Source: <https://docs.stripe.com/billing/subscriptions/usage-based/pricing-models#decimal-amounts>
fn cents(quantity: i128, price_micros: Option<i64>) -> i64 {
    let price = i128::from(price_micros.unwrap_or(0));
    narrow((quantity * price + MICROS / 2) / MICROS)
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::billing) fn business() -> Plan {
        Plan {
            id: "business".to_owned(),
            version: 1,
            name: "Business".to_owned(),
            price_cents: 149_900,
            currency: "usd".to_owned(),
            storage_bytes: 40_000_000_000_000,
            egress_bytes: Some(40_000_000_000_000),
            storage_price_micros: Some(4_000_000),
            egress_price_micros: Some(1_000_000),
            quota_bytes: None,
            quota_objects: None,
            quota_egress_bytes: None,
            requests_per_second: 100,
            burst: 200,
            concurrent_requests: None,
            bytes_per_second: None,
            trial_days: None,
            bucket_limit: 100,
            access_key_limit: 500,
        }
    }

    fn march() -> Period {
        Period {
            from: "2026-03-01T00:00:00Z".parse().unwrap(),
            to: "2026-04-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn each_hour(stored: i64, egress: i64, hours: i64) -> impl Iterator<Item = Hour> {
        (0..hours).map(move |number| Hour {
            hour: march().from + Duration::hours(number),
            stored_bytes: stored,
            egress_bytes: egress,
        })
    }

    #[test]
    fn within_the_plan_nothing_is_owed() {
        let used = sum(&business(), march(), each_hour(40_000_000_000_000, 0, 744));
        assert_eq!((used.byte_hours, used.total_cents()), (0, 0));
    }

    #[test]
    fn a_month_of_ten_terabytes_more_is_ten_thousand_gb_months() {
        let used = sum(&business(), march(), each_hour(50_000_000_000_000, 0, 744));
        assert_eq!(used.storage_gb_months, 10_000);
        assert_eq!(used.storage_cents, 40_000, "$400.00");
        let half = sum(&business(), march(), each_hour(50_000_000_000_000, 0, 372));
        assert_eq!(half.storage_gb_months, 5_000);
    }

    #[test]
    fn what_is_not_full_is_not_counted() {
        let almost = each_hour(40_000_999_999_999, 0, 744);
        assert_eq!(sum(&business(), march(), almost).storage_gb_months, 0);
        let full = each_hour(40_001_000_000_000, 0, 744);
        assert_eq!(sum(&business(), march(), full).storage_gb_months, 1);
        let read = each_hour(0, 40_000_000_000_000, 1).chain(each_hour(0, 999_999_999, 1));
        assert_eq!(sum(&business(), march(), read).egress_gb, 0);
        let read = each_hour(0, 40_000_000_000_000, 1).chain(each_hour(0, 2_000_000_000, 1));
        let used = sum(&business(), march(), read);
        assert_eq!((used.egress_gb, used.egress_cents), (2, 2));
    }

    #[test]
    fn a_price_of_fractions_is_rounded_once() {
        // 0.375 cents each: three are 1.125, four are exactly one and a half.
        assert_eq!(cents(3, Some(375_000)), 1);
        assert_eq!(cents(4, Some(375_000)), 2);
        assert_eq!(cents(1_000_000, Some(375_000)), 375_000);
        assert_eq!(cents(5, None), 0);
        assert_eq!(cents(i128::from(i64::MAX), Some(1_000_000)), i64::MAX);
    }
}
