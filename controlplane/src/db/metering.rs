//! Usage beyond the plan: what Stripe was told, or is about to be.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use crate::ids::TenantId;
use crate::{Error, Tx};

/// Notes that this much is told. What was told before, if that was less; `None`: nothing has to be said.
pub(crate) async fn raise(
    tx: &mut Tx,
    tenant: TenantId,
    kind: &str,
    period_from: DateTime<Utc>,
    quantity: i64,
) -> Result<Option<i64>, Error> {
    let before = query_scalar!(
        "SELECT quantity FROM metered WHERE tenant_id = $1 AND kind = $2 AND period_from = $3 FOR UPDATE",
        tenant.0,
        kind,
        period_from
    )
    .fetch_optional(tx.connection())
    .await?
    .unwrap_or(0);
    if quantity <= before {
        return Ok(None);
    }
    query!(
        "INSERT INTO metered (tenant_id, kind, period_from, quantity) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, kind, period_from) DO UPDATE SET quantity = $4",
        tenant.0,
        kind,
        period_from,
        quantity
    )
    .execute(tx.connection())
    .await?;
    Ok(Some(before))
}

pub(crate) struct NewEvent<'a> {
    pub identifier: String,
    pub tenant: TenantId,
    pub live: bool,
    pub customer: &'a str,
    pub kind: &'a str,
    pub quantity: i64,
    pub at: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

pub(crate) async fn enqueue(tx: &mut Tx, event: &NewEvent<'_>) -> Result<(), Error> {
    query!(
        "INSERT INTO meter_events (identifier, tenant_id, live, customer_id, kind, quantity, at, created_at, next_attempt_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        event.identifier,
        event.tenant.0,
        event.live,
        event.customer,
        event.kind,
        event.quantity,
        event.at,
        event.now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) struct Event {
    pub identifier: String,
    pub customer_id: String,
    pub kind: String,
    pub quantity: i64,
    pub at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub attempts: i32,
}

/// One that is due, held to the end of the transaction.
pub(crate) async fn next(
    tx: &mut Tx,
    live: bool,
    now: DateTime<Utc>,
) -> Result<Option<Event>, Error> {
    let event = query_as!(
        Event,
        "SELECT identifier, customer_id, kind, quantity, at, created_at, attempts FROM meter_events
         WHERE sent_at IS NULL AND live = $1 AND next_attempt_at <= $2
         ORDER BY next_attempt_at, identifier LIMIT 1 FOR UPDATE SKIP LOCKED",
        live,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(event)
}

pub(crate) async fn sent(tx: &mut Tx, identifier: &str, now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE meter_events SET sent_at = $2, last_error = NULL WHERE identifier = $1",
        identifier,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn postpone(
    tx: &mut Tx,
    identifier: &str,
    to: DateTime<Utc>,
    error: &str,
) -> Result<(), Error> {
    query!(
        "UPDATE meter_events SET attempts = attempts + 1, next_attempt_at = $2, last_error = $3 WHERE identifier = $1",
        identifier,
        to,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What was told of a period, and taken.
pub(crate) async fn sent_in(
    tx: &mut Tx,
    tenant: TenantId,
    kind: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<i64, Error> {
    let sum = query_scalar!(
        r#"SELECT COALESCE(sum(quantity), 0)::bigint AS "sum!" FROM meter_events
           WHERE tenant_id = $1 AND kind = $2 AND at >= $3 AND at < $4 AND sent_at IS NOT NULL"#,
        tenant.0,
        kind,
        from,
        to
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(sum)
}
