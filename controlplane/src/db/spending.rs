//! Caps, alerts that were told, and webhooks to customers that are on their way.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use crate::billing::Spending;
use crate::ids::TenantId;
use crate::{Error, Tx};

pub(crate) async fn get(tx: &mut Tx, tenant: TenantId) -> Result<Option<Spending>, Error> {
    let row = query_as!(
        Spending,
        "SELECT cap_cents, refuse_at_cap, thresholds, webhook_url FROM spending WHERE tenant_id = $1",
        tenant.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// `secret` (sealed) goes with a new address; without one the old one stays.
pub(crate) async fn put(
    tx: &mut Tx,
    tenant: TenantId,
    spending: &Spending,
    secret: Option<&[u8]>,
) -> Result<(), Error> {
    query!(
        "INSERT INTO spending (tenant_id, cap_cents, refuse_at_cap, thresholds, webhook_url, webhook_secret)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id) DO UPDATE SET cap_cents = $2, refuse_at_cap = $3, thresholds = $4, webhook_url = $5",
        tenant.0,
        spending.cap_cents,
        spending.refuse_at_cap,
        &spending.thresholds,
        spending.webhook_url,
        secret
    )
    .execute(tx.connection())
    .await?;
    if secret.is_some() {
        query!(
            "UPDATE spending SET webhook_secret = $2 WHERE tenant_id = $1",
            tenant.0,
            secret
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Those that have a cap, or have used so much of what their plan includes that something may have to be told. Reading
/// counts from the calendar month `since` on; `percent` holds where the tenant chose no thresholds.
pub(crate) async fn near(tx: &mut Tx, since: i32, percent: i32) -> Result<Vec<TenantId>, Error> {
    let near = query_scalar!(
        "SELECT t.id FROM tenants t
         JOIN terms p ON p.id = t.plan_id AND p.version = t.terms_version
         LEFT JOIN spending s ON s.tenant_id = t.id
         LEFT JOIN tenant_usage u ON u.tenant_id = t.id
         CROSS JOIN LATERAL (SELECT COALESCE(min(x), $2)::numeric AS least FROM unnest(s.thresholds) AS x) th
         CROSS JOIN LATERAL (SELECT COALESCE(sum(e.bytes), 0) AS bytes FROM egress_months e
                             WHERE e.tenant_id = t.id AND e.month >= $1) e
         WHERE t.status <> 'deleted'
           AND (s.cap_cents IS NOT NULL OR t.cap_storage_bytes IS NOT NULL
                OR u.stored_bytes > 0 AND u.stored_bytes::numeric * 100 >= p.storage_bytes * th.least
                OR e.bytes > 0 AND e.bytes * 100 >= p.egress_bytes * th.least)
         ORDER BY t.id",
        since,
        percent
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(near.into_iter().map(TenantId).collect())
}

/// `false`: it was told in this period.
pub(crate) async fn note(
    tx: &mut Tx,
    tenant: TenantId,
    resource: &str,
    period_from: DateTime<Utc>,
    percent: i32,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO usage_alerts (tenant_id, resource, period_from, percent, at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        tenant.0,
        resource,
        period_from,
        percent,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn enqueue(
    tx: &mut Tx,
    id: Uuid,
    tenant: TenantId,
    body: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "INSERT INTO customer_webhooks (id, tenant_id, body, created_at, next_attempt_at) VALUES ($1, $2, $3, $4, $4)",
        id,
        tenant.0,
        body,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A webhook, and where it goes now.
pub(crate) struct Due {
    pub id: Uuid,
    pub tenant: TenantId,
    pub body: String,
    pub created_at: DateTime<Utc>,
    pub attempts: i32,
    pub url: Option<String>,
    /// Sealed.
    pub secret: Option<Vec<u8>>,
}

/// One that is due, held to the end of the transaction.
pub(crate) async fn due(tx: &mut Tx, now: DateTime<Utc>) -> Result<Option<Due>, Error> {
    let row = query!(
        r#"SELECT w.id, w.tenant_id, w.body, w.created_at, w.attempts, s.webhook_url AS "url?",
                  s.webhook_secret AS "secret?"
           FROM customer_webhooks w LEFT JOIN spending s ON s.tenant_id = w.tenant_id
           WHERE w.next_attempt_at <= $1 AND w.failed_at IS NULL ORDER BY w.next_attempt_at, w.id LIMIT 1 FOR UPDATE OF w SKIP LOCKED"#,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Due {
        id: row.id,
        tenant: row.tenant_id.into(),
        body: row.body,
        created_at: row.created_at,
        attempts: row.attempts,
        url: row.url,
        secret: row.secret,
    }))
}

/// Or nobody wants it any more.
pub(crate) async fn delivered(tx: &mut Tx, id: Uuid) -> Result<(), Error> {
    query!("DELETE FROM customer_webhooks WHERE id = $1", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// It is not sent any more, unless somebody says so. The older ones of those are forgotten.
pub(crate) async fn give_up(
    tx: &mut Tx,
    id: Uuid,
    now: DateTime<Utc>,
    error: &str,
    forget_before: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE customer_webhooks SET attempts = attempts + 1, failed_at = $2, last_error = $3 WHERE id = $1",
        id,
        now,
        error
    )
    .execute(tx.connection())
    .await?;
    query!(
        "DELETE FROM customer_webhooks WHERE failed_at < $1",
        forget_before
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn postpone(
    tx: &mut Tx,
    id: Uuid,
    to: DateTime<Utc>,
    error: &str,
) -> Result<(), Error> {
    query!(
        "UPDATE customer_webhooks SET attempts = attempts + 1, next_attempt_at = $2, last_error = $3 WHERE id = $1",
        id,
        to,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
