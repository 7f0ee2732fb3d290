//! The months by which a tenant is billed: Stripe's where it has a subscription, else counted from the day on which it came
//! onto its terms. They begin and end on full hours (UTC), so that usage of an hour falls into one.

use chrono::{DateTime, Months, Utc};

use super::stripe::Mirror;
use crate::tenants::Tenant;

/// From the first hour to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Period {
    pub(super) fn hours(self) -> i64 {
        (self.to - self.from).num_hours().max(1)
    }
}

/// The period that `now` falls into.
pub(super) fn of(tenant: &Tenant, mirror: Option<&Mirror>, now: DateTime<Utc>) -> Period {
    match mirror.and_then(Mirror::period) {
        Some((from, to)) if to > now => Period {
            from: hour(from),
            to: hour(to),
        },
        _ => containing(tenant.terms_since, now),
    }
}

/// Counted in months from `anchor`, each from the anchor itself: 31 January, 28 February, 31 March.
fn containing(anchor: DateTime<Utc>, now: DateTime<Utc>) -> Period {
    let mut period = nth(anchor, 0);
    for number in 1.. {
        if period.to > now {
            break;
        }
        period = nth(anchor, number);
    }
    period
}

/// Those that end after `after`, and not after `now`.
pub(super) fn ended(
    anchor: DateTime<Utc>,
    after: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Period> {
    let periods = (0..).map(|number| nth(anchor, number));
    periods
        .take_while(|period| period.to <= now)
        .filter(|period| period.to > after)
        .collect()
}

fn nth(anchor: DateTime<Utc>, number: u32) -> Period {
    let at = |months: u32| {
        let at = anchor.checked_add_months(Months::new(months));
        hour(at.unwrap_or(DateTime::<Utc>::MAX_UTC))
    };
    Period {
        from: at(number),
        to: at(number + 1),
    }
}

/// The hour that it falls into.
pub(super) fn hour(at: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = at.timestamp().div_euclid(3600) * 3600;
    DateTime::from_timestamp(seconds, 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_counted_from_the_first_day_and_leave_no_gap() {
        let anchor = at("2026-01-31T10:20:30Z");
        let march = containing(anchor, at("2026-03-01T00:00:00Z"));
        assert_eq!(march.from, at("2026-02-28T10:00:00Z"));
        assert_eq!(march.to, at("2026-03-31T10:00:00Z"));
        assert_eq!(containing(anchor, march.to).from, march.to);
        assert_eq!(containing(anchor, anchor).from, at("2026-01-31T10:00:00Z"));
    }

    #[test]
    fn what_has_ended_is_told_once() {
        let anchor = at("2026-01-01T00:00:00Z");
        let now = at("2026-04-10T00:00:00Z");
        let all = ended(anchor, anchor, now);
        assert_eq!(all.len(), 3);
        assert_eq!(ended(anchor, all[1].to, now), all[2..]);
        assert!(ended(anchor, all[2].to, now).is_empty());
    }
}
