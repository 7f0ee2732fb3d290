//! What waits to be done, in five tables.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use crate::{Error, Tx};

/// What is put off for so long is given up.
const NEVER: chrono::Duration = chrono::Duration::days(365);

pub(crate) struct Row {
    pub kind: String,
    pub id: String,
    pub what: String,
    pub tenant_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub next_at: Option<DateTime<Utc>>,
    pub failed: bool,
    pub running: bool,
}

/// The oldest first, so many of each kind at most. Mails and removals are done by whoever holds an advisory lock, the
/// longest due first; of the others nobody knows who is at them.
pub(crate) async fn list(tx: &mut Tx, now: DateTime<Utc>, most: i64) -> Result<Vec<Row>, Error> {
    let rows = query_as!(
        Row,
        r#"WITH held AS (
               SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
               WHERE locktype = 'advisory' AND granted AND objsubid = 1
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           )
           SELECT kind AS "kind!", id AS "id!", what AS "what!", tenant_id, created_at AS "created_at!",
                  attempts AS "attempts!", last_error, next_at, failed AS "failed!", running AS "running!"
           FROM (
               (SELECT 'mail' AS kind, replace(id::text, '-', '') AS id, kind AS what, NULL::uuid AS tenant_id, created_at,
                       attempts, last_error, next_attempt_at AS next_at, failed_at IS NOT NULL AS failed,
                       failed_at IS NULL AND next_attempt_at <= $1
                           AND next_attempt_at = (SELECT min(next_attempt_at) FROM mails WHERE failed_at IS NULL)
                           AND EXISTS (SELECT FROM held WHERE key = $4) AS running
                FROM mails ORDER BY created_at, id LIMIT $3)
               UNION ALL
               (SELECT 'stripe_event', event_id, kind, tenant_id, received_at, attempts, last_error, next_attempt_at, false,
                       false
                FROM stripe_events WHERE state = 'failed' ORDER BY received_at, event_id LIMIT $3)
               UNION ALL
               (SELECT 'webhook', replace(id::text, '-', ''), 'usage alert', tenant_id, created_at, attempts, last_error,
                       next_attempt_at, failed_at IS NOT NULL, false
                FROM customer_webhooks ORDER BY created_at, id LIMIT $3)
               UNION ALL
               (SELECT 'meter_event', identifier, kind, tenant_id, created_at, attempts, last_error, next_attempt_at,
                       next_attempt_at > $2, false
                FROM meter_events WHERE sent_at IS NULL ORDER BY created_at, identifier LIMIT $3)
               UNION ALL
               (SELECT 'removal', replace(id::text, '-', ''), 'deleted account', id, deleted_at, removal_attempts,
                       removal_error, remove_after, false,
                       remove_after <= $1 AND EXISTS (SELECT FROM held WHERE key = $5)
                FROM tenants WHERE remove_after IS NOT NULL AND removed_at IS NULL ORDER BY deleted_at, id LIMIT $3)
           ) jobs ORDER BY created_at, kind, id"#,
        now,
        now + NEVER,
        most,
        super::mails::LOCK,
        super::deletions::LOCK
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

fn uuid(id: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(id).map_err(|_| Error::NotFound("job"))
}

pub(crate) async fn hasten_mail(tx: &mut Tx, id: &str, now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE mails SET next_attempt_at = $2 WHERE id = $1 AND failed_at IS NULL",
        uuid(id)?,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn hasten_stripe_event(
    tx: &mut Tx,
    id: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE stripe_events SET next_attempt_at = $2 WHERE event_id = $1 AND state = 'failed'",
        id,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// One that was given up, too.
pub(crate) async fn hasten_webhook(tx: &mut Tx, id: &str, now: DateTime<Utc>) -> Result<(), Error> {
    query!(
        "UPDATE customer_webhooks SET next_attempt_at = $2, failed_at = NULL WHERE id = $1",
        uuid(id)?,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn hasten_meter_event(
    tx: &mut Tx,
    id: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE meter_events SET next_attempt_at = $2 WHERE identifier = $1 AND sent_at IS NULL",
        id,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
