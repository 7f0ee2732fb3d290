//! What the business earns: monthly revenue, who came and who went, trials, and who owes. What is counted how is said in
//! [`DEFINITIONS`], on the page and in the documents; the arithmetic is in [`flow`].

pub mod flow;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, Utc};
use serde::Serialize;

use crate::billing::ladder::Facts;
use crate::ids::TenantId;
use crate::tenants::Tenant;
use crate::{ControlPlane, Error, Tx, db};
use flow::{Interval, Step};

const MOST_MONTHS: u32 = 60;
const LATELY: Duration = Duration::days(30);
const ENDS_SOON: Duration = Duration::days(7);

/// Each figure in one sentence.
pub const DEFINITIONS: &[(&str, &str)] = &[
    (
        "MRR",
        "The monthly prices, by the terms that each tenant bought, of all tenants that have paid, by hand or through Stripe, and from whom the ladder has taken nothing away; usage beyond the plan is not in it.",
    ),
    (
        "New",
        "The MRR of tenants at the moment at which they begin to pay, for the first time or again.",
    ),
    (
        "Expansion",
        "By how much the MRR of tenants that went on paying rose.",
    ),
    (
        "Contraction",
        "By how much the MRR of tenants that went on paying fell.",
    ),
    (
        "Lost",
        "The MRR of tenants at the moment at which they cease to pay: the subscription ended, the account was deleted, or it became read-only because nothing was paid.",
    ),
    (
        "Churn",
        "What was lost in the last 30 days, as tenants and as MRR, and in percent of the MRR 30 days ago.",
    ),
    (
        "Trials running",
        "Tenants whose trial ends in the future and whose account is not deleted.",
    ),
    (
        "Converted",
        "Tenants that were on a trial and paid for the first time in the last 30 days.",
    ),
    (
        "Past due",
        "Tenants on a plan with a price that stand on the ladder at `owing` or worse, with what Stripe's open invoices or the months begun since then come to.",
    ),
];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub at: DateTime<Utc>,
    /// The one with the most revenue first; one at least.
    pub currencies: Vec<InCurrency>,
    pub trials: Trials,
    pub past_due: Vec<PastDue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InCurrency {
    /// Such as `usd`; every figure is in its smallest unit.
    pub currency: String,
    pub mrr_cents: i64,
    pub paying_tenants: i64,
    pub plans: Vec<OfPlan>,
    pub last_30_days: Interval,
    /// Calendar months (UTC), the oldest first; the last one is not over.
    pub months: Vec<Month>,
    /// Who was lost in the last 30 days, the last one first.
    pub lost: Vec<Lost>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfPlan {
    pub plan_id: String,
    pub version: i32,
    pub tenants: i64,
    pub mrr_cents: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Month {
    /// `2026-03`
    pub month: String,
    #[serde(flatten)]
    pub interval: Interval,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    pub tenant_id: TenantId,
    pub name: String,
    pub at: DateTime<Utc>,
    pub cents: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trials {
    pub running: i64,
    /// Within seven days, the first that ends first.
    pub ending: Vec<Trial>,
    pub converted_in_30_days: Vec<Converted>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trial {
    pub tenant_id: TenantId,
    pub name: String,
    pub email: String,
    pub ends_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    pub tenant_id: TenantId,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastDue {
    pub tenant_id: TenantId,
    pub name: String,
    pub email: String,
    pub currency: String,
    pub owed_cents: i64,
    /// From when it is owed.
    pub due_at: Option<DateTime<Utc>>,
    /// `owing`, `read_only`, `suspended`
    pub rung: String,
    pub reason: String,
    /// Since when it stands there.
    pub since: DateTime<Utc>,
}

/// As of now, with so many months back. Needs a system transaction.
pub async fn report(tx: &mut Tx, cp: &ControlPlane, months: u32) -> Result<Report, Error> {
    if !(1..=MOST_MONTHS).contains(&months) {
        let message = format!("It is 1 to {MOST_MONTHS}.");
        return Err(Error::validation("months", message));
    }
    let now = cp.clock().now();
    let steps = flow::in_order(db::revenue::steps(tx).await?);
    let mut currencies = Vec::new();
    for currency in in_use(&steps) {
        currencies.push(in_currency(tx, &steps, currency, months, now).await?);
    }
    currencies.sort_by(|a, b| (b.mrr_cents, &a.currency).cmp(&(a.mrr_cents, &b.currency)));
    Ok(Report {
        at: now,
        currencies,
        trials: trials(tx, &steps, now).await?,
        past_due: past_due(tx, cp, now).await?,
    })
}

/// Those in which anybody ever paid, or else the first that anybody was asked for.
fn in_use(steps: &[Step]) -> Vec<String> {
    let paid = steps.iter().filter(|step| step.cents > 0);
    let mut known: Vec<String> = paid.map(|step| step.currency.clone()).collect();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        let first = steps.first().map(|step| step.currency.clone());
        known.push(first.unwrap_or_else(|| "usd".to_owned()));
    }
    known
}

async fn in_currency(
    tx: &mut Tx,
    steps: &[Step],
    currency: String,
    months: u32,
    now: DateTime<Utc>,
) -> Result<InCurrency, Error> {
    let lately = (now - LATELY, now);
    let mut plans: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
    for step in flow::paying(steps, &currency) {
        let (tenants, cents) = plans.entry((step.plan.clone(), step.version)).or_default();
        *tenants += 1;
        *cents += step.cents;
    }
    let moments = month_starts(now.date_naive(), months);
    let mut moments: Vec<DateTime<Utc>> = moments.into_iter().filter(|at| *at < now).collect();
    moments.push(now);
    let named = |interval: Interval| Month {
        month: interval.from.format("%Y-%m").to_string(),
        interval,
    };
    let history = flow::intervals(steps, &currency, &moments);
    let [last_30_days] = flow::intervals(steps, &currency, &[lately.0, lately.1])[..] else {
        return Err(Error::Internal(anyhow::anyhow!(
            "two moments are one interval"
        )));
    };
    let gone = flow::lost(steps, &currency, lately);
    let ids: Vec<TenantId> = gone.iter().map(|(step, _)| step.tenant).collect();
    let names = db::revenue::names(tx, &ids).await?;
    let lost = gone.into_iter().rev().map(|(step, cents)| Lost {
        tenant_id: step.tenant,
        name: names.get(&step.tenant).cloned().unwrap_or_default(),
        at: step.at,
        cents,
    });
    Ok(InCurrency {
        mrr_cents: last_30_days.closing_cents,
        paying_tenants: last_30_days.closing_tenants,
        plans: plans
            .into_iter()
            .map(|((plan_id, version), (tenants, mrr_cents))| OfPlan {
                plan_id,
                version,
                tenants,
                mrr_cents,
            })
            .collect(),
        last_30_days,
        months: history.into_iter().map(named).collect(),
        lost: lost.collect(),
        currency,
    })
}

/// So many, the month of `day` the last.
fn month_starts(day: NaiveDate, months: u32) -> Vec<DateTime<Utc>> {
    let first = day.with_day(1).unwrap_or(day);
    let starts = (0..months).rev().filter_map(|back| {
        let start = first.checked_sub_months(Months::new(back))?;
        Some(start.and_hms_opt(0, 0, 0)?.and_utc())
    });
    starts.collect()
}

async fn trials(tx: &mut Tx, steps: &[Step], now: DateTime<Utc>) -> Result<Trials, Error> {
    let converted = flow::converted(steps, (now - LATELY, now));
    let names = db::revenue::names(tx, &converted).await?;
    let converted = converted.into_iter().map(|tenant_id| Converted {
        name: names.get(&tenant_id).cloned().unwrap_or_default(),
        tenant_id,
    });
    Ok(Trials {
        running: db::revenue::trials_running(tx, now).await?,
        ending: db::revenue::trials_ending(tx, now, now + ENDS_SOON).await?,
        converted_in_30_days: converted.collect(),
    })
}

async fn past_due(
    tx: &mut Tx,
    cp: &ControlPlane,
    now: DateTime<Utc>,
) -> Result<Vec<PastDue>, Error> {
    let live = cp.stripe().map(crate::billing::stripe::Stripe::live);
    let rows = db::revenue::past_due(tx, live).await?;
    let owed = |row: &db::revenue::Owing| match row.open_cents {
        Some(cents) if cents > 0 => cents,
        _ => {
            let begun = row.due_at.map_or(1, |due| months_begun(due, now));
            row.price_cents.saturating_mul(begun)
        }
    };
    let rows = rows.into_iter().map(|row| PastDue {
        owed_cents: owed(&row),
        tenant_id: row.tenant_id.into(),
        name: row.name,
        email: row.email,
        currency: row.currency,
        due_at: row.due_at,
        rung: row.rung,
        reason: row.reason,
        since: row.since,
    });
    Ok(rows.collect())
}

/// Of what falls due monthly from `due` on: how often by now.
fn months_begun(due: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    let begins = |months: &u32| {
        due.checked_add_months(Months::new(*months))
            .is_some_and(|at| at <= now)
    };
    let begun = (0..).take_while(begins).count();
    i64::try_from(begun).unwrap_or(i64::MAX).max(1)
}

/// Writes down what the tenant pays from now on, if that is something else than before. Needs a system transaction.
pub(crate) async fn note(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: &Tenant,
    facts: &Facts,
) -> Result<(), Error> {
    let now = cp.clock().now();
    let cents = match tenant.operator_status {
        wire::TenantStatus::Deleted => 0,
        _ => flow::monthly(facts, now),
    };
    let step = Step {
        tenant: tenant.id,
        at: now,
        plan: tenant.plan.id.clone(),
        version: tenant.plan.version,
        currency: tenant.plan.currency.clone(),
        cents,
        trial_ends_at: tenant.trial_ends_at,
    };
    db::revenue::note(tx, &step).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn months_begin_on_the_first() {
        let starts = month_starts(at("2026-03-31T12:00:00Z").date_naive(), 3);
        let days: Vec<String> = starts.iter().map(|at| at.to_rfc3339()).collect();
        let expected = ["2026-01-01", "2026-02-01", "2026-03-01"];
        assert_eq!(days, expected.map(|day| format!("{day}T00:00:00+00:00")));
    }

    #[test]
    fn what_falls_due_monthly_is_owed_once_a_month() {
        let due = at("2026-01-31T00:00:00Z");
        for (now, times) in [
            ("2026-01-31T00:00:00Z", 1),
            ("2026-02-27T00:00:00Z", 1),
            ("2026-02-28T00:00:00Z", 2),
            ("2026-03-31T00:00:00Z", 3),
        ] {
            assert_eq!(months_begun(due, at(now)), times, "{now}");
        }
    }
}
