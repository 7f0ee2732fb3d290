//! Monthly revenue as a pure function of what tenants' terms and standing came to and when. It reads no clock and no table.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::billing::ladder::{self, Facts, Reason, Rung};
use crate::ids::TenantId;

/// From `at` on the tenant pays so much a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub tenant: TenantId,
    pub at: DateTime<Utc>,
    pub plan: String,
    pub version: i32,
    pub currency: String,
    pub cents: i64,
    pub trial_ends_at: Option<DateTime<Utc>>,
}

/// How revenue came from what it was to what it is. `new - lost + expansion - contraction` is the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Movement {
    pub new_cents: i64,
    pub new_tenants: i64,
    pub expansion_cents: i64,
    pub contraction_cents: i64,
    pub lost_cents: i64,
    pub lost_tenants: i64,
}

impl Movement {
    pub fn net_cents(&self) -> i64 {
        self.new_cents - self.lost_cents + self.expansion_cents - self.contraction_cents
    }

    fn take(&mut self, before: i64, after: i64) {
        match (before, after) {
            (0, 0) => {}
            (0, after) => {
                self.new_cents += after;
                self.new_tenants += 1;
            }
            (before, 0) => {
                self.lost_cents += before;
                self.lost_tenants += 1;
            }
            (before, after) if after > before => self.expansion_cents += after - before,
            (before, after) => self.contraction_cents += before - after,
        }
    }
}

/// After `from`, up to and with `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Interval {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// At `from`.
    pub opening_cents: i64,
    #[serde(flatten)]
    pub movement: Movement,
    /// At `to`.
    pub closing_cents: i64,
    pub closing_tenants: i64,
}

/// What a tenant with these facts pays a month: its terms' price, if it has paid and is owed nothing for so long that the
/// ladder has taken something away.
pub fn monthly(facts: &Facts, now: DateTime<Utc>) -> i64 {
    let paid = Facts {
        trial_ends_at: None,
        ..facts.clone()
    };
    let standing = ladder::standing(&paid, now);
    match standing.reason {
        Reason::NeverPaid | Reason::Trial => 0,
        _ if standing.rung <= Rung::Owing => facts.price_cents,
        _ => 0,
    }
}

/// As they followed each other; of one moment, in the order in which they were written.
pub fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|step| step.at);
    steps
}

/// What each tenant paid last in one currency.
#[derive(Default)]
struct Running<'a> {
    by_tenant: HashMap<TenantId, (&'a str, i64)>,
    cents: i64,
    tenants: i64,
}

impl<'a> Running<'a> {
    /// What the tenant paid before in this currency, and what it pays from now on.
    fn take(&mut self, step: &'a Step, currency: &str) -> (i64, i64) {
        let of = |(known, cents): (&str, i64)| if known == currency { cents } else { 0 };
        let new = (step.currency.as_str(), step.cents);
        let before = self.by_tenant.insert(step.tenant, new).map_or(0, of);
        let after = of(new);
        self.cents += after - before;
        self.tenants += i64::from(after > 0) - i64::from(before > 0);
        (before, after)
    }
}

/// One interval between each two moments; moments and steps are in order.
pub fn intervals(steps: &[Step], currency: &str, moments: &[DateTime<Utc>]) -> Vec<Interval> {
    let mut running = Running::default();
    let mut steps = steps.iter().peekable();
    let mut intervals = Vec::new();
    let Some((first, rest)) = moments.split_first() else {
        return intervals;
    };
    while let Some(step) = steps.next_if(|step| step.at <= *first) {
        running.take(step, currency);
    }
    let mut from = *first;
    for to in rest {
        let opening_cents = running.cents;
        let mut movement = Movement::default();
        while let Some(step) = steps.next_if(|step| step.at <= *to) {
            let (before, after) = running.take(step, currency);
            movement.take(before, after);
        }
        intervals.push(Interval {
            from,
            to: *to,
            opening_cents,
            movement,
            closing_cents: running.cents,
            closing_tenants: running.tenants,
        });
        from = *to;
    }
    intervals
}

/// Each tenant's last step, of those that pay in this currency.
pub fn paying<'a>(steps: &'a [Step], currency: &str) -> Vec<&'a Step> {
    let mut last: HashMap<TenantId, &Step> = HashMap::new();
    for step in steps {
        last.insert(step.tenant, step);
    }
    let pays = |step: &&Step| step.cents > 0 && step.currency == currency;
    last.into_values().filter(pays).collect()
}

/// Who stopped paying anything in this currency after `from`, up to and with `to`: the step, and what it paid before.
pub fn lost<'a>(
    steps: &'a [Step],
    currency: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Vec<(&'a Step, i64)> {
    let mut running = Running::default();
    let mut lost = Vec::new();
    for step in steps {
        let (before, after) = running.take(step, currency);
        if before > 0 && after == 0 && step.at > from && step.at <= to {
            lost.push((step, before));
        }
    }
    lost
}

/// Who paid for the first time after `from`, up to and with `to`, and was on a trial before.
pub fn converted(steps: &[Step], (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Vec<TenantId> {
    /// What is known of a tenant: whether it was on a trial, and whether it has paid.
    #[derive(Default)]
    struct Seen {
        trial: bool,
        paid: bool,
    }
    let mut seen: HashMap<TenantId, Seen> = HashMap::new();
    let mut converted = Vec::new();
    for step in steps {
        let known = seen.entry(step.tenant).or_default();
        if step.cents > 0 && !known.paid {
            known.paid = true;
            if known.trial && step.at > from && step.at <= to {
                converted.push(step.tenant);
            }
        }
        known.trial |= step.trial_ends_at.is_some();
    }
    converted
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
