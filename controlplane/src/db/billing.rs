//! Where tenants stand with paying, and the invoices that this system writes itself.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::billing::{Invoice, InvoiceLine, Standing};
use crate::ids::TenantId;
use crate::{Error, Tx};

pub(crate) struct Account {
    pub paid_until: Option<DateTime<Utc>>,
    pub rung: String,
}

pub(crate) async fn account(tx: &mut Tx, tenant: TenantId) -> Result<Option<Account>, Error> {
    let account = query_as!(
        Account,
        "SELECT paid_until, rung FROM billing_accounts WHERE tenant_id = $1",
        tenant.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(account)
}

/// `moved`: it is another rung, from now on.
pub(crate) async fn put_standing(
    tx: &mut Tx,
    tenant: TenantId,
    standing: &Standing,
    now: DateTime<Utc>,
    moved: bool,
) -> Result<(), Error> {
    query!(
        "INSERT INTO billing_accounts AS a (tenant_id, rung, reason, due_at, since, next_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id) DO UPDATE SET rung = $2, reason = $3, due_at = $4,
            since = CASE WHEN $7 THEN $5 ELSE a.since END, next_at = $6",
        tenant.0,
        standing.rung.as_str(),
        standing.reason.as_str(),
        standing.due_at,
        now,
        standing.next.map(|(_, at)| at),
        moved
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_paid_until(
    tx: &mut Tx,
    tenant: TenantId,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "INSERT INTO billing_accounts (tenant_id, paid_until, since) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET paid_until = $2",
        tenant.0,
        until,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Up to a hundred whose next moment has come, or of whom nothing was said yet.
pub(crate) async fn due(tx: &mut Tx, now: DateTime<Utc>) -> Result<Vec<TenantId>, Error> {
    let due = query_scalar!(
        "SELECT t.id FROM tenants t LEFT JOIN billing_accounts a ON a.tenant_id = t.id
         WHERE t.status <> 'deleted' AND (a.tenant_id IS NULL OR a.next_at <= $1) ORDER BY t.id LIMIT 100",
        now
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(due.into_iter().map(TenantId).collect())
}

pub(crate) struct NewInvoice<'a> {
    pub id: Uuid,
    pub tenant: TenantId,
    pub company: &'a str,
    pub email: &'a str,
    pub currency: &'a str,
    pub lines: &'a [InvoiceLine],
    pub total_cents: i64,
    pub period: (DateTime<Utc>, DateTime<Utc>),
    pub usage_to: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

/// Paid already, for that is how it comes to be. Its number.
pub(crate) async fn insert_invoice(tx: &mut Tx, new: NewInvoice<'_>) -> Result<i64, Error> {
    let number = query_scalar!(
        "INSERT INTO invoices (id, tenant_id, company, email, currency, lines, total_cents, period_from, period_to,
                               usage_to, issued_at, paid_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) RETURNING number",
        new.id,
        new.tenant.0,
        new.company,
        new.email,
        new.currency,
        Json(new.lines) as _,
        new.total_cents,
        new.period.0,
        new.period.1,
        new.usage_to,
        new.now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(number)
}

/// Up to where what was used beyond the plan stands on an invoice.
pub(crate) async fn usage_to(
    tx: &mut Tx,
    tenant: TenantId,
) -> Result<Option<DateTime<Utc>>, Error> {
    let to = query_scalar!(
        "SELECT max(usage_to) FROM invoices WHERE tenant_id = $1",
        tenant.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(to)
}

/// A tenant's, newest first.
pub(crate) async fn invoices(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Invoice>, Error> {
    let rows = query_as!(
        Invoice,
        r#"SELECT id, number, company, email, currency, lines AS "lines: Json<Vec<InvoiceLine>>", total_cents,
                  period_from, period_to, issued_at, paid_at
           FROM invoices WHERE tenant_id = $1 ORDER BY number DESC"#,
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

pub(crate) async fn invoice(
    tx: &mut Tx,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<Invoice>, Error> {
    let row = query_as!(
        Invoice,
        r#"SELECT id, number, company, email, currency, lines AS "lines: Json<Vec<InvoiceLine>>", total_cents,
                  period_from, period_to, issued_at, paid_at
           FROM invoices WHERE tenant_id = $1 AND id = $2"#,
        tenant.0,
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// For each hour from `from` to before `to`: what is stored at its end, all buckets together, and what was read in it.
pub(crate) async fn hours(
    tx: &mut Tx,
    tenant: TenantId,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<crate::billing::Hour>, Error> {
    let hours = query_as!(
        crate::billing::Hour,
        r#"SELECT h.hour AS "hour!",
                  GREATEST(sum(COALESCE(d.stored, 0)) OVER (ORDER BY h.hour), 0)::bigint AS "stored_bytes!",
                  COALESCE(d.egress, 0)::bigint AS "egress_bytes!"
           FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS h (hour)
           LEFT JOIN (
               SELECT GREATEST(hour, $2) AS hour, sum(stored_delta) AS stored,
                      sum(CASE WHEN hour < $2 THEN 0 ELSE bytes_out END) AS egress
               FROM usage_hours WHERE tenant_id = $1 AND hour < $3 GROUP BY 1
           ) d ON d.hour = h.hour
           ORDER BY h.hour"#,
        tenant.0,
        from,
        to
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(hours)
}
