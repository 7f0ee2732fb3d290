//! The copy of a customer's state in Stripe: fetched as a whole, under a lock, in the transaction that acts on it, so that
//! the newest state wins whatever was said in which order. Only prices that this system made itself entitle to anything.

use chrono::{DateTime, Utc};

use super::client::{Failure, Stripe};
use super::meters;
use super::objects::{Charge, Dispute, Invoice, Refund, Subscription, time};
use crate::billing::ladder::{self, SubscriptionState};
use crate::db::stripe as rows;
use crate::ids::TenantId;
use crate::{ControlPlane, Error, Tx, billing, leases, tenants};

/// What is known of a tenant's customer in Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub tenant: TenantId,
    pub customer_id: String,
    pub subscription_id: Option<String>,
    pub subscription_status: Option<String>,
    pub status_since: Option<DateTime<Utc>>,
    pub cancel_at: Option<DateTime<Utc>>,
    pub period_from: Option<DateTime<Utc>>,
    pub period_to: Option<DateTime<Utc>>,
    pub refunded_at: Option<DateTime<Utc>>,
    pub dispute_status: Option<String>,
    pub disputed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StripeInvoice {
    pub invoice_id: String,
    pub number: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible`, `void`
    pub status: String,
    pub currency: String,
    pub total_cents: i64,
    pub amount_paid_cents: i64,
    pub created_at: DateTime<Utc>,
    pub period_from: Option<DateTime<Utc>>,
    pub period_to: Option<DateTime<Utc>>,
    /// Stripe's page, where it can be paid.
    pub hosted_url: Option<String>,
    pub pdf_url: Option<String>,
}

impl Mirror {
    /// There is one that has not ended.
    pub(crate) fn is_subscribed(&self) -> bool {
        matches!(
            self.state(),
            Some(
                SubscriptionState::Active | SubscriptionState::PastDue | SubscriptionState::Unpaid
            )
        )
    }

    pub(crate) fn period(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        self.is_subscribed()
            .then_some(self.period_from.zip(self.period_to))?
    }

    fn state(&self) -> Option<SubscriptionState> {
        Some(state(self.subscription_status.as_deref()?))
    }

    /// As the ladder asks.
    pub(crate) fn subscription(&self) -> Option<ladder::Subscription> {
        let dispute = self.dispute_status.as_deref().map(|status| match status {
            "lost" => ladder::Dispute::Lost,
            "won" | "warning_closed" | "prevented" => ladder::Dispute::Won,
            _ => ladder::Dispute::Open,
        });
        Some(ladder::Subscription {
            state: self.state()?,
            since: self.status_since?,
            refunded_at: self.refunded_at,
            dispute: dispute.zip(self.disputed_at),
        })
    }
}

/// Source: <https://docs.stripe.com/api/subscriptions/object#subscription_object-status>
fn state(status: &str) -> SubscriptionState {
    match status {
        "active" | "trialing" => SubscriptionState::Active,
        "past_due" => SubscriptionState::PastDue,
        "unpaid" => SubscriptionState::Unpaid,
        "canceled" => SubscriptionState::Canceled,
        _ => SubscriptionState::Void,
    }
}

/// The one in the mode that this system runs in; `None` where Stripe is not set up.
pub(crate) async fn mirrored(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
) -> Result<Option<Mirror>, Error> {
    match cp.stripe() {
        Some(stripe) => rows::mirror(tx, tenant, stripe.live()).await,
        None => Ok(None),
    }
}

/// The tenant's of a tenant's transaction, newest first.
pub async fn stripe_invoices(tx: &mut Tx, cp: &ControlPlane) -> Result<Vec<StripeInvoice>, Error> {
    let tenant = tx.tenant()?;
    match cp.stripe() {
        Some(stripe) => rows::invoices(tx, tenant, stripe.live()).await,
        None => Ok(Vec::new()),
    }
}

/// What Stripe says of a customer now.
pub(super) struct State {
    /// Of those that sell what this system sells, the one that counts.
    pub subscription: Option<Subscription>,
    /// Of the same, how many have not ended: more than one is a mistake of somebody's.
    pub living: usize,
    pub since: Option<DateTime<Utc>>,
    pub invoices: Vec<Invoice>,
    pub refunded_at: Option<DateTime<Utc>>,
    pub dispute: Option<Dispute>,
}

impl State {
    pub(super) async fn fetch(
        stripe: &Stripe,
        customer: &str,
        prices: &[rows::Price],
    ) -> Result<Self, Failure> {
        let of = [("customer", customer)];
        let all = [("customer", customer), ("status", "all")];
        let mut subscriptions: Vec<Subscription> = stripe.list("/v1/subscriptions", &all).await?;
        subscriptions.retain(|subscription| base_price(subscription, prices).is_some());
        let invoices: Vec<Invoice> = stripe.list("/v1/invoices", &of).await?;
        let charges: Vec<Charge> = stripe.list("/v1/charges", &of).await?;
        let paid = charges.into_iter().filter(|charge| charge.paid);
        let newest = paid.max_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        let (refunded_at, dispute) = match newest {
            Some(charge) => went_back(stripe, &charge).await?,
            None => (None, None),
        };
        let living = subscriptions.iter().filter(|s| rank(s) > 1).count();
        let subscription = subscriptions
            .into_iter()
            .max_by(|a, b| (rank(a), a.created, &a.id).cmp(&(rank(b), b.created, &b.id)));
        let since = subscription.as_ref().map(|s| since(s, &invoices));
        Ok(Self {
            subscription,
            living,
            since,
            invoices,
            refunded_at,
            dispute,
        })
    }
}

/// What became of the payment later.
async fn went_back(
    stripe: &Stripe,
    charge: &Charge,
) -> Result<(Option<DateTime<Utc>>, Option<Dispute>), Failure> {
    let of = [("charge", charge.id.as_str())];
    let mut refunded_at = None;
    if charge.refunded {
        let refunds: Vec<Refund> = stripe.list("/v1/refunds", &of).await?;
        let newest = refunds.iter().map(|refund| refund.created).max();
        refunded_at = Some(time(newest.unwrap_or(charge.created)));
    }
    let mut dispute = None;
    if charge.disputed {
        let disputes: Vec<Dispute> = stripe.list("/v1/disputes", &of).await?;
        dispute = disputes.into_iter().max_by_key(|dispute| dispute.created);
    }
    Ok((refunded_at, dispute))
}

/// The one that leaves most counts.
fn rank(subscription: &Subscription) -> u8 {
    match state(&subscription.status) {
        SubscriptionState::Active => 4,
        SubscriptionState::PastDue => 3,
        SubscriptionState::Unpaid => 2,
        SubscriptionState::Canceled => 1,
        SubscriptionState::Void => 0,
    }
}

/// The price for the plan itself, if it is one of ours.
pub(super) fn base_price<'a>(
    subscription: &Subscription,
    prices: &'a [rows::Price],
) -> Option<&'a rows::Price> {
    let items = subscription.items.data.iter();
    let mut known = items.filter_map(|item| {
        let known = prices.iter().filter(|price| price.kind == "base");
        known
            .into_iter()
            .find(|price| price.price_id == item.price.id)
    });
    known.next()
}

/// From when it is as it is: from what Stripe keeps, not from when this was heard.
fn since(subscription: &Subscription, invoices: &[Invoice]) -> DateTime<Utc> {
    let at = match state(&subscription.status) {
        SubscriptionState::PastDue | SubscriptionState::Unpaid => {
            let owed = invoices.iter().filter(|invoice| {
                invoice.is_of(&subscription.id)
                    && invoice.amount_remaining > 0
                    && matches!(invoice.status.as_deref(), Some("open" | "uncollectible"))
            });
            let finalized = owed.map(|i| i.status_transitions.finalized_at.unwrap_or(i.created));
            finalized.min()
        }
        SubscriptionState::Canceled => subscription.ended_at.or(subscription.canceled_at),
        SubscriptionState::Active | SubscriptionState::Void => None,
    };
    time(at.unwrap_or(subscription.created))
}

/// The customer's row is held from before the fetch to the end of the transaction, so that of two that fetch at once the
/// later one has the later state. `None`: it is no customer of ours.
pub(super) async fn refresh(
    tx: &mut Tx,
    cp: &ControlPlane,
    stripe: &Stripe,
    customer: &str,
) -> Result<Option<TenantId>, Error> {
    let Some(before) = rows::lock_customer(tx, customer, stripe.live()).await? else {
        return Ok(None);
    };
    let prices = rows::prices(tx, stripe.live()).await?;
    let state = State::fetch(stripe, customer, &prices).await?;
    let now = cp.clock().now();
    let tenant = before.tenant;
    tenants::lock(tx, tenant).await?;
    let after = after(&before, &state);
    if before.period() != after.period() {
        meters::close(tx, cp, stripe, &before).await?;
    }
    rows::put_mirror(tx, &after, &before, now).await?;
    for invoice in &state.invoices {
        rows::put_invoice(tx, tenant, stripe.live(), &read(invoice)).await?;
    }
    let sold = state.subscription.as_ref().filter(|s| rank(s) > 1);
    let mut moved = false;
    if let Some(price) = sold.and_then(|s| base_price(s, &prices)) {
        let terms = (price.plan_id.as_str(), price.version);
        moved = tenants::move_to(tx, cp, tenant, terms).await?;
    }
    if moved {
        leases::recall_if_beyond(tx, cp, tenant).await?;
    }
    let settled = billing::settle(tx, cp, tenant).await?;
    if moved && settled.is_none() {
        crate::db::revision::next_for_tenant(tx, tenant).await?;
    }
    Ok(Some(tenant))
}

pub(super) fn after(before: &Mirror, state: &State) -> Mirror {
    let subscription = state.subscription.as_ref();
    let item = subscription.and_then(|s| s.items.data.first());
    Mirror {
        tenant: before.tenant,
        customer_id: before.customer_id.clone(),
        subscription_id: subscription.map(|s| s.id.clone()),
        subscription_status: subscription.map(|s| s.status.clone()),
        status_since: state.since,
        cancel_at: subscription.and_then(|s| s.cancel_at).map(time),
        period_from: item.map(|item| time(item.current_period_start)),
        period_to: item.map(|item| time(item.current_period_end)),
        refunded_at: state.refunded_at,
        dispute_status: state.dispute.as_ref().map(|d| d.status.clone()),
        disputed_at: state.dispute.as_ref().map(|d| time(d.created)),
    }
}

fn read(invoice: &Invoice) -> StripeInvoice {
    StripeInvoice {
        invoice_id: invoice.id.clone(),
        number: invoice.number.clone(),
        status: invoice.status.clone().unwrap_or_default(),
        currency: invoice.currency.clone(),
        total_cents: invoice.total,
        amount_paid_cents: invoice.amount_paid,
        created_at: time(invoice.created),
        period_from: Some(time(invoice.period_start)),
        period_to: Some(time(invoice.period_end)),
        hosted_url: invoice.hosted_invoice_url.clone(),
        pdf_url: invoice.invoice_pdf.clone(),
    }
}
