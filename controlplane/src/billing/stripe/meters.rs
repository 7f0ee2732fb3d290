//! Usage beyond the plan on its way to Stripe's meters: the difference to what was told before, enqueued in the transaction
//! that notes it, under an identifier that Stripe takes once.

use chrono::{DateTime, Duration, Utc};

use super::client::{Failure, Stripe};
use super::events::pause;
use super::mirror::Mirror;
use super::sync::METERS;
use crate::billing::period::Period;
use crate::billing::{period, usage};
use crate::db::metering as rows;
use crate::{ControlPlane, Error, Tx, db, tenants};

/// Nodes' batches of an hour are booked by then; what comes later counts in the next measure.
const BOOKED_AFTER: Duration = Duration::minutes(5);
/// After a period's end Stripe keeps its invoice open for an hour.
const STILL_OPEN: Duration = Duration::minutes(55);
/// Stripe knows an identifier for 24 hours. Whether a request without an answer was taken is not known later.
const TRIED_FOR: Duration = Duration::hours(23);

/// Tells, of every tenant with a subscription, what came on top since it was told last.
pub(super) async fn measure(cp: &ControlPlane, stripe: &Stripe) -> Result<(), Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let customers = db::stripe::subscribed(&mut tx, stripe.live()).await?;
    drop(tx);
    for customer in customers {
        let mut tx = cp.begin_system().await?;
        let mirror = db::stripe::lock_customer(&mut tx, &customer, stripe.live()).await?;
        let Some(mirror) = mirror else { continue };
        if let Some((from, to)) = mirror.period() {
            let until = now.min(to + STILL_OPEN) - BOOKED_AFTER;
            tell(&mut tx, cp, stripe, &mirror, (from, to), until).await?;
        }
        let last = db::stripe::last_period(&mut tx, &customer).await?;
        if let Some((from, to)) = last.filter(|(_, to)| now < *to + STILL_OPEN) {
            tell(&mut tx, cp, stripe, &mirror, (from, to), now).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// A period ends: all of it that is known is told before the next one is looked at.
pub(super) async fn close(
    tx: &mut Tx,
    cp: &ControlPlane,
    stripe: &Stripe,
    mirror: &Mirror,
) -> Result<(), Error> {
    match mirror.period() {
        Some(ended) => tell(tx, cp, stripe, mirror, ended, cp.clock().now()).await,
        None => Ok(()),
    }
}

async fn tell(
    tx: &mut Tx,
    cp: &ControlPlane,
    stripe: &Stripe,
    mirror: &Mirror,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    until: DateTime<Utc>,
) -> Result<(), Error> {
    let tenant = tenants::by_id(tx, mirror.tenant).await?;
    let hours = Period {
        from: period::hour(from),
        to: period::hour(to),
    };
    let beyond = usage::beyond(tx, &tenant, hours, until).await?;
    let now = cp.clock().now();
    // Within Stripe's period to the second, which is within ours but for the first and the last hour.
    let at = now.min(to - Duration::seconds(1)).max(from);
    for (kind, quantity) in [
        ("storage", beyond.storage_gb_months),
        ("egress", beyond.egress_gb),
    ] {
        let told = rows::raise(tx, mirror.tenant, kind, from, quantity).await?;
        if let Some(before) = told {
            let event = rows::NewEvent {
                identifier: format!("{}-{kind}-{}-{quantity}", mirror.tenant, from.timestamp()),
                tenant: mirror.tenant,
                live: stripe.live(),
                customer: &mirror.customer_id,
                kind,
                quantity: quantity - before,
                at,
                now,
            };
            rows::enqueue(tx, &event).await?;
        }
    }
    Ok(())
}

/// Sends what is due. A control plane at a time sends one event: its row is held for as long.
pub(super) async fn send(cp: &ControlPlane, stripe: &Stripe) -> Result<(), Error> {
    loop {
        let now = cp.clock().now();
        let mut tx = cp.begin_system().await?;
        let Some(event) = rows::next(&mut tx, stripe.live(), now).await? else {
            return Ok(());
        };
        let sent = post(stripe, &event).await;
        let failed = sent.is_err();
        match sent {
            Ok(()) => rows::sent(&mut tx, &event.identifier, now).await?,
            Err(failure) if now - event.created_at > TRIED_FOR => {
                tracing::error!(event = event.identifier, %failure, "usage could not be told to Stripe");
                let never = now + Duration::days(3650);
                rows::postpone(&mut tx, &event.identifier, never, &failure.to_string()).await?;
            }
            Err(failure) => {
                tracing::warn!(event = event.identifier, %failure, "usage is told to Stripe later");
                let at = now + pause(event.attempts);
                rows::postpone(&mut tx, &event.identifier, at, &failure.to_string()).await?;
            }
        }
        tx.commit().await?;
        // The others wait for the next look: where one fails, most do.
        if failed {
            return Ok(());
        }
    }
}

async fn post(stripe: &Stripe, event: &rows::Event) -> Result<(), Failure> {
    let named = METERS.iter().find(|(kind, _, _)| *kind == event.kind);
    let (_, event_name, _) = named.unwrap_or(&METERS[0]);
    let quantity = event.quantity.to_string();
    let at = event.at.timestamp().to_string();
    let fields = [
        ("event_name", *event_name),
        ("identifier", event.identifier.as_str()),
        ("timestamp", at.as_str()),
        ("payload[stripe_customer_id]", event.customer_id.as_str()),
        ("payload[value]", quantity.as_str()),
    ];
    let sent = stripe
        .post::<serde_json::Value>("/v1/billing/meter_events", &fields, None)
        .await;
    match sent {
        Ok(_) => Ok(()),
        // It was taken, and the answer was lost.
        Err(failure) if failure.is("duplicate_meter_event") => Ok(()),
        Err(failure) => Err(failure),
    }
}
