//! Billing without Stripe: the operator says until when a tenant has paid, which writes the invoice. The ladder is the same.

use chrono::{DateTime, Months, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;
use wire::Revision;

use super::invoice::InvoiceLine;
use super::{period, settle, usage};
use crate::ids::TenantId;
use crate::tenants::{self, Tenant};
use crate::{ControlPlane, Error, Tx, audit, db};

/// Five years.
const MOST_MONTHS: u32 = 60;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paid {
    pub tenant_id: TenantId,
    pub paid_until: DateTime<Utc>,
    pub invoice_id: Uuid,
    pub invoice_number: i64,
    pub total_cents: i64,
    pub currency: String,
    #[serde(skip)]
    pub revision: Option<Revision>,
}

/// Paid up to `until`: `price_cents` for the plan, or each month's price that has begun by then; and what was used beyond
/// the plan in periods that are over. Needs a system transaction.
pub async fn mark_paid(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
    until: DateTime<Utc>,
    price_cents: Option<i64>,
) -> Result<Paid, Error> {
    let tenant = tenants::lock(tx, id).await?;
    let now = cp.clock().now();
    let account = db::billing::account(tx, id).await?;
    let before = account.and_then(|account| account.paid_until);
    let from = before.unwrap_or(tenant.terms_since).max(tenant.terms_since);
    if until <= from || until <= now {
        let from = from.max(now).format("%Y-%m-%d");
        let message = format!("It is a day after {from}, up to which is paid or gone by already.");
        return Err(Error::validation("until", message));
    }
    let months = months(from, until)?;
    let price = match price_cents {
        Some(cents) if cents < 0 => {
            return Err(Error::validation("price_cents", "It is 0 or more."));
        }
        Some(cents) => cents,
        None if tenant.plan.price_cents == 0 => {
            let message = format!(
                "The plan `{}` costs nothing: give the tenant another first, or say what was paid.",
                tenant.plan.id
            );
            return Err(Error::validation("price_cents", message));
        }
        None => tenant.plan.price_cents.saturating_mul(i64::from(months)),
    };
    let mut lines = vec![InvoiceLine {
        description: format!("{} plan", tenant.plan.name),
        quantity: i64::from(months),
        unit: if months == 1 { "month" } else { "months" }.to_owned(),
        amount_cents: price,
    }];
    let usage_to = add_usage(tx, &tenant, &mut lines, now).await?;
    let total = lines.iter().map(|line| line.amount_cents);
    let total_cents = total.fold(0i64, i64::saturating_add);
    let invoice_id = Uuid::new_v4();
    let new = db::billing::NewInvoice {
        id: invoice_id,
        tenant: id,
        company: &tenant.name,
        email: &tenant.email,
        currency: &tenant.plan.currency,
        lines: &lines,
        total_cents,
        period: (from, until),
        usage_to,
        now,
    };
    let invoice_number = db::billing::insert_invoice(tx, new).await?;
    db::billing::set_paid_until(tx, id, until, now).await?;
    let details = json!({
        "until": until, "total_cents": total_cents, "currency": tenant.plan.currency, "invoice": invoice_number,
    });
    audit::record(tx, cp, Some(id), "billing.mark_paid", "", details).await?;
    let revision = settle(tx, cp, id).await?;
    Ok(Paid {
        tenant_id: id,
        paid_until: until,
        invoice_id,
        invoice_number,
        total_cents,
        currency: tenant.plan.currency,
        revision,
    })
}

/// How many months begin from the one to before the other.
fn months(from: DateTime<Utc>, until: DateTime<Utc>) -> Result<u32, Error> {
    let reaches = |months: &u32| {
        from.checked_add_months(Months::new(*months))
            .is_some_and(|end| end >= until)
    };
    (1..=MOST_MONTHS)
        .find(reaches)
        .ok_or_else(|| Error::validation("until", "Five years at once are the most."))
}

/// Each period that is over and stands on no invoice yet. Up to where all do from then on.
async fn add_usage(
    tx: &mut Tx,
    tenant: &Tenant,
    lines: &mut Vec<InvoiceLine>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Error> {
    let mut to = db::billing::usage_to(tx, tenant.id).await?;
    let mut to = to.take().unwrap_or(tenant.terms_since);
    for period in period::ended(tenant.terms_since, to, now) {
        let beyond = usage::beyond(tx, tenant, period, now).await?;
        let days = format!(
            "{} to {}",
            period.from.format("%-d %b %Y"),
            period.to.format("%-d %b %Y")
        );
        if beyond.storage_gb_months > 0 && beyond.storage_cents > 0 {
            lines.push(InvoiceLine {
                description: format!("Stored beyond the plan, {days}"),
                quantity: beyond.storage_gb_months,
                unit: "GB-months".to_owned(),
                amount_cents: beyond.storage_cents,
            });
        }
        if beyond.egress_gb > 0 && beyond.egress_cents > 0 {
            lines.push(InvoiceLine {
                description: format!("Read beyond the plan, {days}"),
                quantity: beyond.egress_gb,
                unit: "GB".to_owned(),
                amount_cents: beyond.egress_cents,
            });
        }
        to = period.to;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_that_has_begun_counts() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let from = at("2026-01-31T00:00:00Z");
        let of = |until: &str| months(from, at(until)).ok();
        assert_eq!(of("2026-02-01T00:00:00Z"), Some(1));
        assert_eq!(of("2026-02-28T00:00:00Z"), Some(1));
        assert_eq!(of("2026-02-28T00:00:01Z"), Some(2));
        assert_eq!(of("2027-01-31T00:00:00Z"), Some(12));
        assert_eq!(of("2031-02-01T00:00:00Z"), None);
    }
}
