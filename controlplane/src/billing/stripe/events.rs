//! Events as the operator sees them, and those that failed, tried again: soon at first, then less and less often.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::client::Stripe;
use super::objects::time;
use super::webhook::{Event, Whom, take};
use crate::db::stripe_events as rows;
use crate::ids::TenantId;
use crate::{ControlPlane, Error, Origin, Tx};

const FIRST_PAUSE_SECONDS: i64 = 15;
const LONGEST_PAUSE_SECONDS: i64 = 3600;
/// Shown at once.
const SHOWN: i64 = 200;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StripeEvent {
    pub event_id: String,
    pub kind: String,
    /// `done`, `ignored` (it concerns no tenant) or `failed`.
    pub state: String,
    pub customer_id: Option<String>,
    pub tenant_id: Option<TenantId>,
    pub received_at: DateTime<Utc>,
    pub attempts: i32,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
}

/// The newest first. Needs a system transaction.
pub async fn events(tx: &mut Tx, failed_only: bool) -> Result<Vec<StripeEvent>, Error> {
    rows::list(tx, failed_only, SHOWN).await
}

/// Tries every failed one again now, and says how many there were.
pub async fn retry_events(cp: &ControlPlane) -> Result<usize, Error> {
    let stripe = cp.stripe().ok_or_else(no_stripe)?;
    let far = cp.clock().now() + Duration::days(1);
    retry(cp, stripe, far).await
}

pub(super) fn no_stripe() -> Error {
    Error::Conflict {
        code: "no_stripe",
        message: "Stripe is not set up: set STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET."
            .to_owned(),
    }
}

pub(super) async fn retry_due(cp: &ControlPlane, stripe: &Stripe) -> Result<(), Error> {
    retry(cp, stripe, cp.clock().now()).await.map(drop)
}

async fn retry(cp: &ControlPlane, stripe: &Stripe, due: DateTime<Utc>) -> Result<usize, Error> {
    let mut tx = cp.begin_system().await?;
    let failed = rows::failed(&mut tx, due).await?;
    drop(tx);
    let tried = failed.len();
    for (id, attempts) in failed {
        // Fetched anew: what was kept of it is only its id.
        let event: Event = match stripe.get(&format!("/v1/events/{id}"), &[]).await {
            Ok(event) => event,
            Err(failure) => {
                let mut tx = cp.begin_system().await?;
                let at = cp.clock().now() + pause(attempts);
                rows::postpone(&mut tx, &id, at, &failure.to_string()).await?;
                tx.commit().await?;
                continue;
            }
        };
        take(cp, stripe, &event, attempts + 1, Origin::default()).await?;
    }
    Ok(tried)
}

pub(super) async fn keep_failed(
    cp: &ControlPlane,
    event: &Event,
    whom: &Whom,
    attempt: i32,
    error: &Error,
) -> Result<(), Error> {
    let customer = match whom {
        Whom::Customer(customer) => Some(customer.as_str()),
        _ => None,
    };
    let now = cp.clock().now();
    let new = rows::Event {
        id: &event.id,
        kind: &event.kind,
        customer,
        created_at: time(event.created),
        attempt,
        now,
    };
    let mut tx = cp.begin_system().await?;
    rows::fail(&mut tx, &new, now + pause(attempt - 1), &error.to_string()).await?;
    tx.commit().await
}

/// Twice as long after each attempt, up to an hour.
pub(in crate::billing) fn pause(attempts: i32) -> Duration {
    let doubled = attempts.clamp(0, 16).unsigned_abs();
    Duration::seconds((FIRST_PAUSE_SECONDS << doubled).min(LONGEST_PAUSE_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses = [0, 1, 2, 8, 1000].map(|attempts| pause(attempts).num_seconds());
        assert_eq!(pauses, [15, 30, 60, 3600, 3600]);
    }
}
