//! The copy of what Stripe knows: prices, customers with their subscriptions, and invoices.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::billing::StripeInvoice;
use crate::billing::stripe::Mirror;
use crate::ids::TenantId;
use crate::{Error, Tx};

/// A price in Stripe, and the terms that it sells.
pub(crate) struct Price {
    pub price_id: String,
    pub plan_id: String,
    pub version: i32,
    /// `base`, `storage`, `egress`
    pub kind: String,
}

pub(crate) async fn prices(tx: &mut Tx, live: bool) -> Result<Vec<Price>, Error> {
    let prices = query_as!(
        Price,
        "SELECT price_id, plan_id, version, kind FROM stripe_prices WHERE live = $1 ORDER BY plan_id, version, kind",
        live
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(prices)
}

pub(crate) async fn put_price(
    tx: &mut Tx,
    price: &Price,
    live: bool,
    product: &str,
) -> Result<(), Error> {
    query!(
        "INSERT INTO stripe_prices (price_id, live, plan_id, version, kind, product_id) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
        price.price_id,
        live,
        price.plan_id,
        price.version,
        price.kind,
        product
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

struct MirrorRow {
    tenant_id: Uuid,
    customer_id: String,
    subscription_id: Option<String>,
    subscription_status: Option<String>,
    status_since: Option<DateTime<Utc>>,
    cancel_at: Option<DateTime<Utc>>,
    period_from: Option<DateTime<Utc>>,
    period_to: Option<DateTime<Utc>>,
    refunded_at: Option<DateTime<Utc>>,
    dispute_status: Option<String>,
    disputed_at: Option<DateTime<Utc>>,
}

impl From<MirrorRow> for Mirror {
    fn from(row: MirrorRow) -> Self {
        Self {
            tenant: row.tenant_id.into(),
            customer_id: row.customer_id,
            subscription_id: row.subscription_id,
            subscription_status: row.subscription_status,
            status_since: row.status_since,
            cancel_at: row.cancel_at,
            period_from: row.period_from,
            period_to: row.period_to,
            refunded_at: row.refunded_at,
            dispute_status: row.dispute_status,
            disputed_at: row.disputed_at,
        }
    }
}

macro_rules! select_mirror {
    ($tail:literal $(, $arg:expr)*) => {
        query_as!(
            MirrorRow,
            "SELECT tenant_id, customer_id, subscription_id, subscription_status, status_since, cancel_at, period_from,
                    period_to, refunded_at, dispute_status, disputed_at
             FROM stripe_customers " + $tail
            $(, $arg)*
        )
    };
}

pub(crate) async fn mirror(
    tx: &mut Tx,
    tenant: TenantId,
    live: bool,
) -> Result<Option<Mirror>, Error> {
    let row = select_mirror!("WHERE tenant_id = $1 AND live = $2", tenant.0, live)
        .fetch_optional(tx.connection())
        .await?;
    Ok(row.map(Mirror::from))
}

pub(crate) async fn mirrors(tx: &mut Tx, live: bool) -> Result<Vec<Mirror>, Error> {
    let rows = select_mirror!("WHERE live = $1 ORDER BY tenant_id", live)
        .fetch_all(tx.connection())
        .await?;
    Ok(rows.into_iter().map(Mirror::from).collect())
}

/// Nobody else reads it for a change before this transaction ends. `None`: it was not made by this system.
pub(crate) async fn lock_customer(
    tx: &mut Tx,
    customer: &str,
    live: bool,
) -> Result<Option<Mirror>, Error> {
    let row = select_mirror!(
        "WHERE customer_id = $1 AND live = $2 FOR UPDATE",
        customer,
        live
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(Mirror::from))
}

pub(crate) async fn insert_customer(
    tx: &mut Tx,
    tenant: TenantId,
    live: bool,
    customer: &str,
) -> Result<(), Error> {
    query!(
        "INSERT INTO stripe_customers (tenant_id, live, customer_id) VALUES ($1, $2, $3)",
        tenant.0,
        live,
        customer
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Where the period is another, the one before it stays known.
pub(crate) async fn put_mirror(
    tx: &mut Tx,
    mirror: &Mirror,
    before: &Mirror,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let last = before
        .period()
        .filter(|_| before.period() != mirror.period());
    query!(
        "UPDATE stripe_customers SET subscription_id = $2, subscription_status = $3, status_since = $4, cancel_at = $5,
            period_from = $6, period_to = $7, refunded_at = $8, dispute_status = $9, disputed_at = $10, fetched_at = $11,
            last_from = COALESCE($12, last_from), last_to = COALESCE($13, last_to)
         WHERE customer_id = $1",
        mirror.customer_id,
        mirror.subscription_id,
        mirror.subscription_status,
        mirror.status_since,
        mirror.cancel_at,
        mirror.period_from,
        mirror.period_to,
        mirror.refunded_at,
        mirror.dispute_status,
        mirror.disputed_at,
        now,
        last.map(|(from, _)| from),
        last.map(|(_, to)| to)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Customers of deleted tenants that have a subscription, or of whom that is not known since the tenant was deleted.
pub(crate) async fn to_cancel(tx: &mut Tx, live: bool) -> Result<Vec<String>, Error> {
    let customers = query_scalar!(
        "SELECT c.customer_id FROM stripe_customers c JOIN tenants t ON t.id = c.tenant_id
         WHERE c.live = $1 AND t.status = 'deleted'
           AND (c.fetched_at IS NULL OR c.fetched_at <= t.deleted_at
                OR c.subscription_status NOT IN ('canceled', 'incomplete_expired'))
         ORDER BY c.customer_id",
        live
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(customers)
}

/// Customers of tenants that are not deleted, that have a subscription or had one until lately.
pub(crate) async fn subscribed(tx: &mut Tx, live: bool) -> Result<Vec<String>, Error> {
    let customers = query_scalar!(
        "SELECT c.customer_id FROM stripe_customers c JOIN tenants t ON t.id = c.tenant_id
         WHERE c.live = $1 AND t.status <> 'deleted'
           AND (c.subscription_status IN ('active', 'trialing', 'past_due', 'unpaid') OR c.last_to IS NOT NULL)
         ORDER BY c.customer_id",
        live
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(customers)
}

pub(crate) async fn last_period(
    tx: &mut Tx,
    customer: &str,
) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, Error> {
    let row = query!(
        "SELECT last_from, last_to FROM stripe_customers WHERE customer_id = $1",
        customer
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.last_from.zip(row.last_to))
}

pub(crate) async fn put_invoice(
    tx: &mut Tx,
    tenant: TenantId,
    live: bool,
    invoice: &StripeInvoice,
) -> Result<(), Error> {
    query!(
        "INSERT INTO stripe_invoices (invoice_id, tenant_id, live, number, status, currency, total_cents,
                                      amount_paid_cents, created_at, period_from, period_to, hosted_url, pdf_url)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (invoice_id) DO UPDATE SET number = $4, status = $5, currency = $6, total_cents = $7,
            amount_paid_cents = $8, period_from = $10, period_to = $11, hosted_url = $12, pdf_url = $13",
        invoice.invoice_id,
        tenant.0,
        live,
        invoice.number,
        invoice.status,
        invoice.currency,
        invoice.total_cents,
        invoice.amount_paid_cents,
        invoice.created_at,
        invoice.period_from,
        invoice.period_to,
        invoice.hosted_url,
        invoice.pdf_url
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A tenant's, newest first.
pub(crate) async fn invoices(
    tx: &mut Tx,
    tenant: TenantId,
    live: bool,
) -> Result<Vec<StripeInvoice>, Error> {
    let invoices = query_as!(
        StripeInvoice,
        "SELECT invoice_id, number, status, currency, total_cents, amount_paid_cents, created_at, period_from, period_to,
                hosted_url, pdf_url
         FROM stripe_invoices WHERE tenant_id = $1 AND live = $2 ORDER BY created_at DESC, invoice_id",
        tenant.0,
        live
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(invoices)
}

/// `false`: it was done after `before`.
pub(crate) async fn begin_comparison(
    tx: &mut Tx,
    now: DateTime<Utc>,
    before: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO stripe_compared AS c (at) VALUES ($1)
         ON CONFLICT (only_row) DO UPDATE SET at = $1 WHERE c.at <= $2",
        now,
        before
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
