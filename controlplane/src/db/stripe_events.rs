//! What Stripe has told, each event once.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::billing::StripeEvent;
use crate::ids::TenantId;
use crate::{Error, Tx};

pub(crate) struct Event<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    pub customer: Option<&'a str>,
    pub created_at: DateTime<Utc>,
    pub attempt: i32,
    pub now: DateTime<Utc>,
}

/// `false`: it was acted on already. Whoever else brings it waits until this transaction ends.
pub(crate) async fn begin(tx: &mut Tx, event: &Event<'_>) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO stripe_events AS e (event_id, kind, customer_id, state, created_at, received_at, attempts)
         VALUES ($1, $2, $3, 'ignored', $4, $5, $6)
         ON CONFLICT (event_id) DO UPDATE SET state = 'ignored', attempts = $6, customer_id = $3, next_attempt_at = NULL
         WHERE e.state = 'failed'",
        event.id,
        event.kind,
        event.customer,
        event.created_at,
        event.now,
        event.attempt
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// `None`: it concerns no tenant.
pub(crate) async fn finish(tx: &mut Tx, id: &str, tenant: Option<TenantId>) -> Result<(), Error> {
    query!(
        "UPDATE stripe_events SET tenant_id = $2, last_error = NULL,
            state = CASE WHEN $2::uuid IS NULL THEN 'ignored' ELSE 'done' END
         WHERE event_id = $1",
        id,
        tenant.map(|tenant| tenant.0)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Unless it was acted on in the meantime.
pub(crate) async fn fail(
    tx: &mut Tx,
    event: &Event<'_>,
    next: DateTime<Utc>,
    error: &str,
) -> Result<(), Error> {
    query!(
        "INSERT INTO stripe_events AS e (event_id, kind, customer_id, state, created_at, received_at, attempts,
                                         next_attempt_at, last_error)
         VALUES ($1, $2, $3, 'failed', $4, $5, $6, $7, $8)
         ON CONFLICT (event_id) DO UPDATE SET attempts = $6, next_attempt_at = $7, last_error = $8
         WHERE e.state = 'failed'",
        event.id,
        event.kind,
        event.customer,
        event.created_at,
        event.now,
        event.attempt,
        next,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ids, and how often they were tried.
pub(crate) async fn failed(tx: &mut Tx, due: DateTime<Utc>) -> Result<Vec<(String, i32)>, Error> {
    let rows = query!(
        "SELECT event_id, attempts FROM stripe_events WHERE state = 'failed' AND next_attempt_at <= $1
         ORDER BY created_at, event_id LIMIT 100",
        due
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.event_id, row.attempts))
        .collect())
}

pub(crate) async fn postpone(
    tx: &mut Tx,
    id: &str,
    next: DateTime<Utc>,
    error: &str,
) -> Result<(), Error> {
    query!(
        "UPDATE stripe_events SET attempts = attempts + 1, next_attempt_at = $2, last_error = $3
         WHERE event_id = $1 AND state = 'failed'",
        id,
        next,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn list(
    tx: &mut Tx,
    failed_only: bool,
    limit: i64,
) -> Result<Vec<StripeEvent>, Error> {
    let rows = query!(
        "SELECT event_id, kind, state, customer_id, tenant_id, received_at, attempts, next_attempt_at, last_error
         FROM stripe_events WHERE state = 'failed' OR NOT $1 ORDER BY received_at DESC, event_id LIMIT $2",
        failed_only,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    let read = rows.into_iter().map(|row| StripeEvent {
        event_id: row.event_id,
        kind: row.kind,
        state: row.state,
        customer_id: row.customer_id,
        tenant_id: row.tenant_id.map(TenantId),
        received_at: row.received_at,
        attempts: row.attempts,
        next_attempt_at: row.next_attempt_at,
        last_error: row.last_error,
    });
    Ok(read.collect())
}
