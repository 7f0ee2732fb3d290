//! Compares what Stripe says with what is kept here, and says where they differ. It mends nothing: a difference is a
//! mistake of somebody's, which a person should see.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::client::{Failure, Stripe};
use super::events::no_stripe;
use super::mirror::{Mirror, State, after, base_price};
use super::objects::{Meter, Summary};
use super::sync::METERS;
use crate::db::stripe as rows;
use crate::ids::TenantId;
use crate::{ControlPlane, Error, db, tenants};

const EVERY: Duration = Duration::hours(24);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub tenant_id: TenantId,
    pub customer_id: String,
    /// `subscription`, `status`, `period`, `plan`, `usage`, …
    pub what: String,
    pub stripe: String,
    pub vaultaire: String,
}

/// Every customer, now.
pub async fn reconcile(cp: &ControlPlane) -> Result<Vec<Difference>, Error> {
    let stripe = cp.stripe().ok_or_else(no_stripe)?;
    let mut tx = cp.begin_system().await?;
    let mirrors = rows::mirrors(&mut tx, stripe.live()).await?;
    let prices = rows::prices(&mut tx, stripe.live()).await?;
    drop(tx);
    let meters: Vec<Meter> = stripe.list("/v1/billing/meters", &[]).await?;
    let mut found = Vec::new();
    for mirror in mirrors {
        let state = State::fetch(stripe, &mirror.customer_id, &prices).await?;
        let mut differ = |what: &str, stripe: String, vaultaire: String| {
            if stripe != vaultaire {
                found.push(Difference {
                    tenant_id: mirror.tenant,
                    customer_id: mirror.customer_id.clone(),
                    what: what.to_owned(),
                    stripe,
                    vaultaire,
                });
            }
        };
        compare(&mirror, &after(&mirror, &state), &mut differ);
        if state.living > 1 {
            differ("subscriptions", state.living.to_string(), "1".to_owned());
        }
        let mut tx = cp.begin_system().await?;
        let tenant = tenants::by_id(&mut tx, mirror.tenant).await?;
        if let Some(subscription) = state
            .subscription
            .as_ref()
            .filter(|_| mirror.is_subscribed())
        {
            let price = base_price(subscription, &prices);
            let sold = price.map(|price| format!("{} v{}", price.plan_id, price.version));
            let has = format!("{} v{}", tenant.plan.id, tenant.plan.version);
            differ("plan", sold.unwrap_or_default(), has);
        }
        for (kind, event_name, _) in METERS {
            let Some((from, to)) = mirror.period() else {
                continue;
            };
            let meter = meters
                .iter()
                .find(|m| m.event_name == event_name && m.status == "active");
            let Some(meter) = meter else { continue };
            let told = db::metering::sent_in(&mut tx, mirror.tenant, kind, from, to).await?;
            let summed = sum(stripe, meter, &mirror.customer_id, (from, to)).await?;
            differ(
                &format!("usage of {kind}"),
                summed.to_string(),
                told.to_string(),
            );
        }
    }
    for difference in &found {
        tracing::error!(?difference, "Stripe and the database differ");
    }
    Ok(found)
}

fn compare(ours: &Mirror, theirs: &Mirror, differ: &mut impl FnMut(&str, String, String)) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let moment = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339()).unwrap_or_default();
    differ(
        "subscription",
        text(&theirs.subscription_id),
        text(&ours.subscription_id),
    );
    differ(
        "status",
        text(&theirs.subscription_status),
        text(&ours.subscription_status),
    );
    differ(
        "status since",
        moment(theirs.status_since),
        moment(ours.status_since),
    );
    differ("period", moment(theirs.period_to), moment(ours.period_to));
    differ(
        "refund",
        moment(theirs.refunded_at),
        moment(ours.refunded_at),
    );
    differ(
        "dispute",
        text(&theirs.dispute_status),
        text(&ours.dispute_status),
    );
}

/// Stripe adds up whole minutes.
async fn sum(
    stripe: &Stripe,
    meter: &Meter,
    customer: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<i64, Failure> {
    let minute = |at: DateTime<Utc>| (at.timestamp().div_euclid(60) * 60).to_string();
    let (from, to) = (minute(from), minute(to + Duration::seconds(59)));
    let query = [
        ("customer", customer),
        ("start_time", from.as_str()),
        ("end_time", to.as_str()),
    ];
    let path = format!("/v1/billing/meters/{}/event_summaries", meter.id);
    let summaries: Vec<Summary> = stripe.list(&path, &query).await?;
    // Whole numbers, which a float holds exactly up to 2^53.
    #[allow(clippy::cast_possible_truncation)]
    Ok(summaries.iter().map(|s| s.aggregated_value as i64).sum())
}

/// Once a day, whichever control plane comes first.
pub(super) async fn daily(cp: &ControlPlane) -> Result<(), Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    if !rows::begin_comparison(&mut tx, now, now - EVERY).await? {
        return Ok(());
    }
    tx.commit().await?;
    let found = reconcile(cp).await?;
    tracing::info!(
        differences = found.len(),
        "Stripe and the database were compared"
    );
    Ok(())
}
