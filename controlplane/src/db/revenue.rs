//! What tenants paid from when on, and who owes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::ids::TenantId;
use crate::revenue::Trial;
use crate::revenue::flow::Step;
use crate::{Error, Tx};

/// Unless the tenant's last step says the same.
pub(crate) async fn note(tx: &mut Tx, step: &Step) -> Result<(), Error> {
    query!(
        "INSERT INTO revenue_steps (tenant_id, at, plan_id, version, currency, mrr_cents, trial_ends_at)
         SELECT $1, $2, $3, $4, $5, $6, $7
         WHERE NOT EXISTS (
             SELECT FROM (SELECT * FROM revenue_steps WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1) last
             WHERE last.plan_id = $3 AND last.version = $4 AND last.currency = $5 AND last.mrr_cents = $6
               AND last.trial_ends_at IS NOT DISTINCT FROM $7)",
        step.tenant.0,
        step.at,
        step.plan,
        step.version,
        step.currency,
        step.cents,
        step.trial_ends_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// All there are, in the order in which they were written.
pub(crate) async fn steps(tx: &mut Tx) -> Result<Vec<Step>, Error> {
    let rows = query!(
        "SELECT tenant_id, at, plan_id, version, currency, mrr_cents, trial_ends_at FROM revenue_steps ORDER BY id"
    )
    .fetch_all(tx.connection())
    .await?;
    let steps = rows.into_iter().map(|row| Step {
        tenant: row.tenant_id.into(),
        at: row.at,
        plan: row.plan_id,
        version: row.version,
        currency: row.currency,
        cents: row.mrr_cents,
        trial_ends_at: row.trial_ends_at,
    });
    Ok(steps.collect())
}

pub(crate) async fn names(
    tx: &mut Tx,
    tenants: &[TenantId],
) -> Result<HashMap<TenantId, String>, Error> {
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = query!("SELECT id, name FROM tenants WHERE id = ANY($1)", &ids)
        .fetch_all(tx.connection())
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id.into(), row.name))
        .collect())
}

pub(crate) async fn trials_running(tx: &mut Tx, now: DateTime<Utc>) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"SELECT count(*) AS "count!" FROM tenants WHERE status <> 'deleted' AND trial_ends_at > $1"#,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

pub(crate) async fn trials_ending(
    tx: &mut Tx,
    now: DateTime<Utc>,
    before: DateTime<Utc>,
) -> Result<Vec<Trial>, Error> {
    let trials = query_as!(
        Trial,
        r#"SELECT id AS tenant_id, name, email, trial_ends_at AS "ends_at!" FROM tenants
           WHERE status <> 'deleted' AND trial_ends_at > $1 AND trial_ends_at <= $2 ORDER BY trial_ends_at, id"#,
        now,
        before
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(trials)
}

pub(crate) struct Owing {
    pub tenant_id: Uuid,
    pub name: String,
    pub email: String,
    pub currency: String,
    pub price_cents: i64,
    pub due_at: Option<DateTime<Utc>>,
    pub rung: String,
    pub reason: String,
    pub since: DateTime<Utc>,
    /// On Stripe's open invoices.
    pub open_cents: Option<i64>,
}

/// Those that owe for a plan with a price, the longest first. `live`: Stripe's mode; none where there is no Stripe.
pub(crate) async fn past_due(tx: &mut Tx, live: Option<bool>) -> Result<Vec<Owing>, Error> {
    let rows = query_as!(
        Owing,
        r#"SELECT t.id AS tenant_id, t.name, t.email, p.currency, p.price_cents, a.due_at, a.rung, a.reason, a.since,
                  (SELECT sum(i.total_cents - i.amount_paid_cents)::bigint FROM stripe_invoices i
                   WHERE i.tenant_id = t.id AND i.live = $1 AND i.status = 'open') AS open_cents
           FROM billing_accounts a
                JOIN tenants t ON t.id = a.tenant_id
                JOIN terms p ON p.id = t.plan_id AND p.version = t.terms_version
           WHERE t.status <> 'deleted' AND a.rung IN ('owing', 'read_only', 'suspended') AND p.price_cents > 0
           ORDER BY a.due_at, t.id"#,
        live
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
