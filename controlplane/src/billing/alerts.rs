//! What a customer wants to hear of its usage, and the cap at which it wants an end. Each threshold is told once a
//! period; at the cap the tenant's quotas are what its plan includes, and the nodes' leases keep them.

use chrono::Duration;
use serde_json::json;
use uuid::Uuid;

use super::customer_webhook;
use super::period::Period;
use super::usage::{self, Beyond};
use super::{period, stripe};
use crate::db::spending as rows;
use crate::ids::TenantId;
use crate::mail::{self, UsageAlert};
use crate::secrets::Purpose;
use crate::tenants::Tenant;
use crate::{ControlPlane, Error, Tx, audit, db, leases, random, tenants};

/// Of what the plan includes, and of the cap.
const THRESHOLDS: [i32; 3] = [50, 80, 100];
const MOST_THRESHOLDS: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// Of what comes on top of the plan's price in a period; none: no cap.
    pub cap_cents: Option<i64>,
    /// Writing and reading beyond the plan are refused at the cap; otherwise it is only told.
    pub refuse_at_cap: bool,
    /// Percent, ascending.
    pub thresholds: Vec<i32>,
    pub webhook_url: Option<String>,
}

impl Default for Spending {
    fn default() -> Self {
        Self {
            cap_cents: None,
            refuse_at_cap: false,
            thresholds: THRESHOLDS.to_vec(),
            webhook_url: None,
        }
    }
}

/// The tenant's of a tenant's transaction.
pub async fn spending(tx: &mut Tx) -> Result<Spending, Error> {
    let tenant = tx.tenant()?;
    Ok(rows::get(tx, tenant).await?.unwrap_or_default())
}

/// In a tenant's transaction. A webhook's address that is new gets a secret, which is handed out this once.
pub async fn set_spending(
    tx: &mut Tx,
    cp: &ControlPlane,
    mut change: Spending,
) -> Result<Option<String>, Error> {
    let tenant = tx.tenant()?;
    if change.cap_cents.is_some_and(|cents| cents < 0) {
        return Err(Error::validation("cap", "It is an amount of 0 or more."));
    }
    let fits = |percent: &i32| (1..=1000).contains(percent);
    change.thresholds.sort_unstable();
    change.thresholds.dedup();
    if change.thresholds.len() > MOST_THRESHOLDS || !change.thresholds.iter().all(fits) {
        let message = "Give up to ten whole numbers from 1 to 1000, parted by commas.";
        return Err(Error::validation("thresholds", message));
    }
    if let Some(url) = &change.webhook_url {
        customer_webhook::check_url(url, cp.config().webhooks_to_private)
            .map_err(|message| Error::validation("webhook_url", message))?;
    }
    let before = spending(tx).await?;
    let mut secret = None;
    let mut sealed = None;
    if change.webhook_url.is_some() && change.webhook_url != before.webhook_url {
        let fresh = format!("whsec_{}", *random::token(&mut rand::rng()));
        let key = cp.master_key();
        let row = tenant.to_string();
        sealed = Some(key.seal(Purpose::WebhookSecret, &row, fresh.as_bytes())?);
        secret = Some(fresh);
    }
    rows::put(tx, tenant, &change, sealed.as_deref()).await?;
    let details = json!({
        "cap_cents": change.cap_cents, "refuse_at_cap": change.refuse_at_cap,
        "thresholds": change.thresholds, "webhook": change.webhook_url,
    });
    audit::record(tx, cp, Some(tenant), "billing.set_alerts", "", details).await?;
    Ok(secret)
}

/// Whoever has come near to a threshold, or has a cap.
pub(super) async fn look(cp: &ControlPlane) -> Result<(), Error> {
    let now = cp.clock().now();
    let before = now.date_naive() - Duration::days(31);
    let mut tx = cp.begin_system().await?;
    let month = i32::try_from(leases::month(before)).unwrap_or(0);
    let near = rows::near(&mut tx, month, THRESHOLDS[0]).await?;
    drop(tx);
    for tenant in near {
        look_at(cp, tenant).await?;
    }
    cp.mailer().wake();
    Ok(())
}

/// One tenant, now. Done twice it does nothing twice.
pub async fn look_at(cp: &ControlPlane, id: TenantId) -> Result<(), Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let tenant = tenants::lock(&mut tx, id).await?;
    let spending = rows::get(&mut tx, id).await?.unwrap_or_default();
    let mirror = stripe::mirrored(&mut tx, cp, id).await?;
    let period = period::of(&tenant, mirror.as_ref(), now);
    let beyond = usage::beyond(&mut tx, &tenant, period, now).await?;
    let stored = crate::usage::of_tenant(&mut tx, id).await?.stored_bytes;
    let stored = i64::try_from(stored).unwrap_or(i64::MAX);
    let measured = [
        ("storage", stored, Some(tenant.plan.storage_bytes)),
        ("egress", beyond.egress_bytes, tenant.plan.egress_bytes),
        ("spending", beyond.total_cents(), spending.cap_cents),
    ];
    for (resource, used, of) in measured {
        let Some(of) = of else { continue };
        let mut newest = None;
        for percent in reached(&spending.thresholds, used, of) {
            if rows::note(&mut tx, id, resource, period.from, percent, now).await? {
                newest = Some(percent);
            }
        }
        if let Some(percent) = newest {
            let alert = Alert {
                resource,
                percent,
                used,
                of,
            };
            tell(&mut tx, cp, &tenant, &spending, &alert, period).await?;
        }
    }
    cap(&mut tx, cp, &tenant, &spending, period, &beyond).await?;
    tx.commit().await
}

struct Alert {
    resource: &'static str,
    percent: i32,
    used: i64,
    of: i64,
}

/// Nothing is reached where nothing is used.
fn reached(thresholds: &[i32], used: i64, of: i64) -> Vec<i32> {
    let is_reached =
        |percent: &i32| used > 0 && i128::from(used) * 100 >= i128::from(of) * i128::from(*percent);
    thresholds.iter().copied().filter(is_reached).collect()
}

async fn tell(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: &Tenant,
    spending: &Spending,
    alert: &Alert,
    period: Period,
) -> Result<(), Error> {
    let figure = |value: i64| match alert.resource {
        "spending" => format!(
            "{}.{:02} {}",
            value / 100,
            value % 100,
            tenant.plan.currency.to_uppercase()
        ),
        _ => format!(
            "{}.{:03} GB",
            value / 1_000_000_000,
            value % 1_000_000_000 / 1_000_000
        ),
    };
    let what = match alert.resource {
        "storage" => "what your plan includes in storage",
        "egress" => "what your plan includes in reading",
        _ => "your spending cap",
    };
    let end = match (alert.resource, alert.percent >= 100, spending.refuse_at_cap) {
        ("spending", true, true) => {
            "As you chose, writing and reading beyond the plan are refused until the period ends or the cap is raised."
        }
        ("spending", true, false) => "As you chose, everything goes on.",
        _ => "Everything goes on.",
    };
    let letter = UsageAlert {
        company: &tenant.name,
        percent: &alert.percent.to_string(),
        what,
        used: &figure(alert.used),
        of: &figure(alert.of),
        end,
        link: &mail::link(cp, "/billing"),
    };
    mail::enqueue(tx, cp, &tenant.email, &letter, None).await?;
    let details = json!({ "resource": alert.resource, "percent": alert.percent });
    audit::record(
        tx,
        cp,
        Some(tenant.id),
        "billing.alert",
        alert.resource,
        details,
    )
    .await?;
    if spending.webhook_url.is_none() {
        return Ok(());
    }
    let now = cp.clock().now();
    let id = Uuid::new_v4();
    let body = json!({
        "id": id.simple().to_string(), "type": "usage.threshold_reached", "created": now.timestamp(),
        "data": {
            "tenant_id": tenant.id, "resource": alert.resource, "percent": alert.percent,
            "used": alert.used, "of": alert.of,
            "unit": if alert.resource == "spending" { tenant.plan.currency.as_str() } else { "bytes" },
            "period_from": period.from, "period_to": period.to,
        },
    });
    rows::enqueue(tx, id, tenant.id, &body.to_string(), now).await
}

/// At the cap the plan's own quantities are the limits; below it, or where the customer wants to go on, the terms' are.
async fn cap(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: &Tenant,
    spending: &Spending,
    period: Period,
    beyond: &Beyond,
) -> Result<(), Error> {
    let before = db::tenants::caps(tx, tenant.id).await?;
    let capped = spending.refuse_at_cap
        && spending
            .cap_cents
            .is_some_and(|cap| beyond.total_cents() >= cap);
    let after = match capped {
        true => (
            Some(tenant.plan.storage_bytes),
            egress_cap(tx, cp, tenant, period, before.1).await?,
        ),
        false => (None, None),
    };
    if after == before {
        return Ok(());
    }
    db::tenants::set_caps(tx, tenant.id, after.0, after.1).await?;
    if before.0.is_some() != after.0.is_some() {
        let action = if capped {
            "billing.cap_reached"
        } else {
            "billing.cap_lifted"
        };
        audit::record(tx, cp, Some(tenant.id), action, "", json!({})).await?;
    }
    leases::recall_if_beyond(tx, cp, tenant.id).await?;
    db::revision::next_for_tenant(tx, tenant.id).await.map(drop)
}

/// Quotas of reading count calendar months: what was read in this one, and what the plan's price still includes. What was
/// said once is not raised.
async fn egress_cap(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: &Tenant,
    period: Period,
    before: Option<i64>,
) -> Result<Option<i64>, Error> {
    let Some(included) = tenant.plan.egress_bytes else {
        return Ok(None);
    };
    // With the hour that is not over yet.
    let until = cp.clock().now() + Duration::hours(1);
    let hours = usage::hours(tx, tenant, period, until).await?;
    let read: i64 = hours.iter().map(|hour| hour.egress_bytes).sum();
    let booked = leases::egress_bytes(tx, cp.clock(), tenant.id).await?;
    let booked = i64::try_from(booked).unwrap_or(i64::MAX);
    let cap = booked.saturating_add((included - read).max(0));
    Ok(Some(before.map_or(cap, |before| before.min(cap))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_reached_to_the_byte() {
        let of = 40_000_000_000_000;
        assert!(reached(&[50, 80, 100], of / 2 - 1, of).is_empty());
        assert_eq!(reached(&[50, 80, 100], of / 2, of), [50]);
        assert_eq!(reached(&[50, 80, 100], of, of), [50, 80, 100]);
        assert_eq!(reached(&[150], i64::MAX, of), [150]);
        assert!(reached(&[50], 0, 0).is_empty());
    }
}
