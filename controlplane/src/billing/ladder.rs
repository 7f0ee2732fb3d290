//! Where a tenant stands with paying: a pure function of what is known and the time. It warns, then leaves reading and
//! deleting, then nothing; objects are kept for [`KEEP`] at least, and nothing here ever deletes one.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use wire::TenantStatus;

/// Objects are kept for so long after the day from which nothing was paid.
pub const KEEP: Duration = Duration::days(60);

/// From the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Nothing is owed.
    Good,
    /// What is paid, or the trial, ends within days.
    Ending,
    /// Something is owed; everything goes on.
    Owing,
    /// Listing, downloading and deleting go on.
    ReadOnly,
    /// Every request is refused.
    Suspended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The trial, with its end.
    Trial,
    /// A plan that nobody has paid for yet.
    NeverPaid,
    /// Paid by hand, up to a day.
    PaidUntil,
    /// Stripe could not collect, and goes on trying.
    PastDue,
    /// Stripe has given up trying.
    Unpaid,
    Canceled,
    /// The last payment was given back.
    Refunded,
    /// The bank is asked to take the last payment back.
    Disputed,
    DisputeLost,
    /// The plan costs nothing, or all is paid.
    Paid,
}

/// A subscription in Stripe, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    pub state: SubscriptionState,
    /// Unpaid since, or ended at.
    pub since: DateTime<Utc>,
    /// The last payment was given back as a whole.
    pub refunded_at: Option<DateTime<Utc>>,
    pub dispute: Option<(Dispute, DateTime<Utc>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    Active,
    PastDue,
    Unpaid,
    Canceled,
    /// Begun and not paid, or unknown to this release: nothing follows from it.
    Void,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispute {
    Open,
    Lost,
    Won,
}

/// What is known of a tenant's paying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub price_cents: i64,
    pub terms_since: DateTime<Utc>,
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// By the operator's word.
    pub paid_until: Option<DateTime<Utc>>,
    pub subscription: Option<Subscription>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub rung: Rung,
    pub reason: Reason,
    /// From when what is owed is owed, or when what is paid ends.
    pub due_at: Option<DateTime<Utc>>,
    /// What comes next if nothing is paid, and when.
    pub next: Option<(Rung, DateTime<Utc>)>,
    /// Until when objects are kept in any case; none while nothing is owed.
    pub kept_until: Option<DateTime<Utc>>,
}

impl Rung {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Ending => "ending",
            Self::Owing => "owing",
            Self::ReadOnly => "read_only",
            Self::Suspended => "suspended",
        }
    }

    /// What it leaves.
    pub fn status(self) -> TenantStatus {
        match self {
            Self::Good | Self::Ending | Self::Owing => TenantStatus::Active,
            Self::ReadOnly => TenantStatus::ReadOnly,
            Self::Suspended => TenantStatus::Suspended,
        }
    }
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::NeverPaid => "never_paid",
            Self::PaidUntil => "paid_until",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
            Self::DisputeLost => "dispute_lost",
            Self::Paid => "paid",
        }
    }
}

/// Days from the day on which something falls due to each rung; none: it never comes to that.
struct Steps {
    warned_before: i64,
    read_only: Option<i64>,
    suspended: Option<i64>,
}

/// What customers are told, in one table.
fn steps(reason: Reason) -> Steps {
    let (warned_before, read_only, suspended) = match reason {
        Reason::Trial => (3, Some(0), Some(14)),
        Reason::NeverPaid | Reason::PaidUntil | Reason::PastDue | Reason::Refunded => {
            (7, Some(7), Some(21))
        }
        Reason::Unpaid | Reason::Canceled | Reason::DisputeLost => (0, Some(0), Some(14)),
        Reason::Disputed | Reason::Paid => (0, None, None),
    };
    Steps {
        warned_before,
        read_only,
        suspended,
    }
}

/// Of everything that may entitle the tenant, the best counts.
pub fn standing(facts: &Facts, now: DateTime<Utc>) -> Standing {
    let mut claims = Vec::new();
    claims.extend(facts.trial_ends_at.map(|end| (Reason::Trial, end)));
    claims.extend(facts.paid_until.map(|end| (Reason::PaidUntil, end)));
    if let Some(subscription) = facts.subscription {
        match owed(subscription) {
            None => return good(),
            Some((Reason::Paid, _)) => {}
            Some(claim) => claims.push(claim),
        }
    }
    if claims.is_empty() {
        if facts.price_cents == 0 {
            return good();
        }
        claims.push((Reason::NeverPaid, facts.terms_since));
    }
    let standings = claims
        .into_iter()
        .map(|(reason, due_at)| climb(reason, due_at, now));
    // Of two on one rung, the one that leaves more time.
    let best = standings.min_by_key(|s| (s.rung, s.due_at.map(std::cmp::Reverse)));
    best.unwrap_or_else(good)
}

/// `None`: all is paid. [`Reason::Paid`] here: nothing follows from the subscription.
fn owed(subscription: Subscription) -> Option<(Reason, DateTime<Utc>)> {
    let since = subscription.since;
    match subscription.state {
        SubscriptionState::Void => Some((Reason::Paid, since)),
        SubscriptionState::Canceled => Some((Reason::Canceled, since)),
        SubscriptionState::Unpaid => Some((Reason::Unpaid, since)),
        SubscriptionState::PastDue => Some((Reason::PastDue, since)),
        SubscriptionState::Active => match (subscription.dispute, subscription.refunded_at) {
            (Some((Dispute::Lost, at)), _) => Some((Reason::DisputeLost, at)),
            (_, Some(at)) => Some((Reason::Refunded, at)),
            (Some((Dispute::Open, at)), None) => Some((Reason::Disputed, at)),
            (Some((Dispute::Won, _)) | None, None) => None,
        },
    }
}

fn climb(reason: Reason, due: DateTime<Utc>, now: DateTime<Utc>) -> Standing {
    let steps = steps(reason);
    let after = |days: i64| due + Duration::days(days);
    let ladder = [
        (Rung::Ending, Some(after(-steps.warned_before))),
        (Rung::Owing, Some(due)),
        (Rung::ReadOnly, steps.read_only.map(after)),
        (Rung::Suspended, steps.suspended.map(after)),
    ];
    let reached =
        |(rung, at): &(Rung, Option<DateTime<Utc>>)| at.filter(|at| *at <= now).map(|_| *rung);
    let rung = ladder
        .iter()
        .filter_map(reached)
        .max()
        .unwrap_or(Rung::Good);
    let next = ladder
        .into_iter()
        .filter_map(|(rung, at)| Some((rung, at?)))
        .filter(|(_, at)| *at > now)
        // What begins at the same moment as something worse is never stood on.
        .min_by_key(|(worse, at)| (*at, std::cmp::Reverse(*worse)));
    Standing {
        rung,
        reason,
        due_at: Some(due),
        next,
        kept_until: (rung >= Rung::Owing).then_some(due + KEEP),
    }
}

fn good() -> Standing {
    Standing {
        rung: Rung::Good,
        reason: Reason::Paid,
        due_at: None,
        next: None,
        kept_until: None,
    }
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
