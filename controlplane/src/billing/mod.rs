//! What tenants owe and what follows from it. Money is whole numbers of the smallest unit, time is UTC; Stripe, or the
//! operator's hand, says what was paid, and one pure function ([`ladder`]) what that comes to.

mod alerts;
mod by_hand;
mod customer_webhook;
mod invoice;
pub mod ladder;
mod period;
pub(crate) mod stripe;
mod usage;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use wire::{Revision, TenantStatus};

pub use alerts::{Spending, look_at, set_spending, spending};
pub use by_hand::{Paid, mark_paid};
pub use invoice::{Invoice, InvoiceLine, invoice, invoices, pdf};
pub use ladder::{Reason, Rung, Standing};
pub use period::Period;
pub use stripe::{
    Difference, StripeConfig, StripeEvent, StripeInvoice, Synced, checkout, events, meter, portal,
    reconcile, retry_events, stripe_invoices, sync,
};
pub use usage::{Beyond, Hour, beyond, hours};

use tracing::Instrument as _;

use crate::ids::TenantId;
use crate::mail::{self, BillingStanding};
use crate::tenants::Tenant;
use crate::{ControlPlane, Error, Tx, audit, db, revenue, tenants};
use ladder::Facts;

/// Moments at which time alone changes something are found so soon.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Of these looks, every so manieth measures usage for Stripe.
const MEASURE_EVERY: u64 = 10;

/// What a tenant's page about billing shows.
pub struct Overview {
    pub tenant: Tenant,
    pub standing: Standing,
    /// By the operator's word.
    pub paid_until: Option<DateTime<Utc>>,
    pub period: Period,
    /// Up to the last full hour.
    pub beyond: Beyond,
    /// There is a subscription in Stripe that has not ended.
    pub subscribed: bool,
    pub cancel_at: Option<DateTime<Utc>>,
}

/// The tenant's of a tenant's transaction.
pub async fn overview(tx: &mut Tx, cp: &ControlPlane) -> Result<Overview, Error> {
    let tenant = tenants::get(tx).await?;
    let facts = facts(tx, cp, &tenant).await?;
    let now = cp.clock().now();
    let mirror = stripe::mirrored(tx, cp, tenant.id).await?;
    let period = period::of(&tenant, mirror.as_ref(), now);
    let beyond = usage::beyond(tx, &tenant, period, now).await?;
    Ok(Overview {
        standing: ladder::standing(&facts, now),
        paid_until: facts.paid_until,
        period,
        beyond,
        subscribed: mirror.as_ref().is_some_and(stripe::Mirror::is_subscribed),
        cancel_at: mirror.and_then(|mirror| mirror.cancel_at),
        tenant,
    })
}

/// Where the tenant of a tenant's transaction stands now.
pub async fn standing(tx: &mut Tx, cp: &ControlPlane) -> Result<Standing, Error> {
    let tenant = tenants::get(tx).await?;
    let facts = facts(tx, cp, &tenant).await?;
    Ok(ladder::standing(&facts, cp.clock().now()))
}

async fn facts(tx: &mut Tx, cp: &ControlPlane, tenant: &Tenant) -> Result<Facts, Error> {
    let account = db::billing::account(tx, tenant.id).await?;
    let mirror = stripe::mirrored(tx, cp, tenant.id).await?;
    Ok(Facts {
        price_cents: tenant.plan.price_cents,
        terms_since: tenant.terms_since,
        trial_ends_at: tenant.trial_ends_at,
        paid_until: account.and_then(|account| account.paid_until),
        subscription: mirror.and_then(|mirror| mirror.subscription()),
    })
}

/// Puts the tenant where it stands now: its status on every node, a mail and an entry in the audit log where that is
/// another rung. Doing it twice does nothing twice. `None`: nodes have nothing new to hear. A deleted tenant stands nowhere
/// until it is restored. Needs a system transaction.
pub(crate) async fn settle(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
) -> Result<Option<Revision>, Error> {
    let tenant = tenants::lock(tx, id).await?;
    let facts = facts(tx, cp, &tenant).await?;
    revenue::note(tx, cp, &tenant, &facts).await?;
    if tenant.operator_status == TenantStatus::Deleted {
        return Ok(None);
    }
    let now = cp.clock().now();
    let standing = ladder::standing(&facts, now);
    let before = db::billing::account(tx, id).await?;
    let before = before.map_or(Rung::Good.as_str().to_owned(), |account| account.rung);
    let moved = before != standing.rung.as_str();
    db::billing::put_standing(tx, id, &standing, now, moved).await?;
    if moved {
        let details = json!({
            "from": before, "to": standing.rung, "reason": standing.reason, "due_at": standing.due_at,
        });
        audit::record(tx, cp, Some(id), "billing.standing", "", details).await?;
        tell(tx, cp, &tenant, &standing).await?;
    }
    let status = standing.rung.status();
    if tenant.billing_status == status {
        return Ok(None);
    }
    db::tenants::set_billing_status(tx, id, status).await?;
    Ok(Some(db::revision::next_for_tenant(tx, id).await?))
}

/// Writes down what a new tenant pays, which is nothing yet, and on which terms it began.
pub(crate) async fn begin(tx: &mut Tx, cp: &ControlPlane, id: TenantId) -> Result<(), Error> {
    let tenant = tenants::by_id(tx, id).await?;
    let facts = facts(tx, cp, &tenant).await?;
    revenue::note(tx, cp, &tenant, &facts).await
}

async fn tell(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: &Tenant,
    standing: &Standing,
) -> Result<(), Error> {
    let words = Words::of(standing);
    let letter = BillingStanding {
        company: &tenant.name,
        headline: words.headline,
        detail: &words.detail,
        next: &words.next,
        link: &mail::link(cp, "/billing"),
    };
    mail::enqueue(tx, cp, &tenant.email, &letter, None).await
}

/// A standing as people read it, the same in mails and on pages.
pub struct Words {
    pub headline: &'static str,
    pub detail: String,
    /// What comes if nothing is paid; empty where nothing does.
    pub next: String,
}

impl Words {
    pub fn of(standing: &Standing) -> Self {
        let day = |at: DateTime<Utc>| at.format("%-d %b %Y, %H:%M UTC").to_string();
        let due = standing.due_at.map(day).unwrap_or_default();
        let why = match standing.reason {
            Reason::Paid => "Everything is paid.".to_owned(),
            Reason::Trial if standing.rung <= Rung::Ending => format!("The trial ends on {due}."),
            Reason::Trial => format!("The trial ended on {due}."),
            Reason::NeverPaid => format!("The plan has been owed since {due}."),
            Reason::PaidUntil if standing.rung <= Rung::Ending => {
                format!("It is paid until {due}.")
            }
            Reason::PaidUntil => format!("It was paid until {due}."),
            Reason::PastDue => format!("The payment that was due on {due} did not go through."),
            Reason::Unpaid => format!("The payment that was due on {due} was not made."),
            Reason::Canceled => format!("The subscription ended on {due}."),
            Reason::Refunded => format!("The last payment was given back on {due}."),
            Reason::Disputed => format!("The last payment has been disputed since {due}."),
            Reason::DisputeLost => {
                format!("The bank took the last payment back; it was disputed on {due}.")
            }
        };
        let (headline, holds) = match standing.rung {
            Rung::Good => ("Your account is in good standing", ""),
            Rung::Ending if standing.reason == Reason::Trial => ("Your trial ends soon", ""),
            Rung::Ending => ("A payment falls due soon", ""),
            Rung::Owing => ("A payment is due", " Nothing is limited yet."),
            Rung::ReadOnly => (
                "Your account is read-only",
                " Listing, downloading and deleting go on; nothing can be uploaded.",
            ),
            Rung::Suspended => (
                "Your account is suspended",
                " Every S3 request is refused. Your objects are kept.",
            ),
        };
        let mut next = match standing.next {
            Some((Rung::ReadOnly, at)) => {
                format!(
                    "Without a payment the account becomes read-only on {}.",
                    day(at)
                )
            }
            Some((Rung::Suspended, at)) => {
                format!("Without a payment the account is suspended on {}.", day(at))
            }
            _ => String::new(),
        };
        if let Some(kept) = standing.kept_until {
            let kept = kept.format("%-d %b %Y");
            next.push_str(&format!(
                " Nothing is deleted before {kept}. A payment puts everything right at once."
            ));
        }
        Self {
            headline,
            detail: format!("{why}{holds}"),
            next: next.trim_start().to_owned(),
        }
    }
}

/// Settles every tenant whose next moment has come, and what follows from usage. Several control planes may: each
/// tenant is locked, and what is done already is not done again.
pub async fn look(cp: &ControlPlane) -> Result<(), Error> {
    loop {
        let mut tx = cp.begin_system().await?;
        let due = db::billing::due(&mut tx, cp.clock().now()).await?;
        drop(tx);
        if due.is_empty() {
            break;
        }
        for id in due {
            let mut tx = cp.begin_system().await?;
            let settling = async {
                settle(&mut tx, cp, id).await?;
                tx.commit().await
            };
            settling
                .instrument(telemetry::job("billing.settle"))
                .await?;
        }
        cp.mailer().wake();
    }
    alerts::look(cp).await
}

/// Sends the webhooks to customers that are due.
pub async fn deliver_webhooks(cp: &ControlPlane) -> Result<(), Error> {
    customer_webhook::deliver(cp).await
}

/// Does at Stripe what waits to be done there.
pub async fn look_at_stripe(cp: &ControlPlane) -> Result<(), Error> {
    stripe::look(cp).await
}

/// Runs until the control plane stops.
pub(crate) async fn watch(cp: ControlPlane) {
    for round in 0u64.. {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, look(&cp)).await {
            tracing::warn!(%error, "billing could not be looked after");
        }
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, deliver_webhooks(&cp)).await {
            tracing::warn!(%error, "customers' webhooks could not be sent");
        }
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, look_at_stripe(&cp)).await {
            tracing::warn!(%error, "Stripe could not be looked after");
        }
        if round.is_multiple_of(MEASURE_EVERY)
            && let Err(error) = meter(&cp).await
        {
            tracing::warn!(%error, "usage could not be measured for Stripe");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_day_and_what_comes_next() {
        let facts = Facts {
            price_cents: 149_900,
            terms_since: DateTime::UNIX_EPOCH,
            trial_ends_at: None,
            paid_until: Some(DateTime::UNIX_EPOCH + chrono::Duration::days(30)),
            subscription: None,
        };
        let on = |day| {
            let now = DateTime::UNIX_EPOCH + chrono::Duration::days(day);
            Words::of(&ladder::standing(&facts, now))
        };
        assert_eq!(on(0).headline, "Your account is in good standing");
        let owing = on(30);
        assert_eq!(owing.headline, "A payment is due");
        assert!(owing.detail.starts_with("It was paid until 31 Jan 1970"));
        assert!(
            owing.next.contains("read-only on 7 Feb 1970"),
            "{}",
            owing.next
        );
        assert!(owing.next.contains("Nothing is deleted before 1 Apr 1970"));
        assert!(
            on(40)
                .detail
                .contains("Listing, downloading and deleting go on")
        );
    }
}
