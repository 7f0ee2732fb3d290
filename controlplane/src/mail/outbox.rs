//! Sends what lies in the outbox, one mail after the other, by one control plane at a time.
//! A mail's row goes in the same transaction that saw it sent: after a crash it may be sent twice, never not at all.

use std::time::Duration;

use anyhow::Context;

use tracing::Instrument as _;

use super::Content;
use super::transport::Outgoing;
use crate::secrets::Purpose;
use crate::{ControlPlane, Error, db};

/// What another control plane enqueued, and what is to be tried again, is found so soon.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// That a mail was given up can be looked up for so long.
const GIVEN_UP_KEPT: chrono::Duration = chrono::Duration::days(7);
const FIRST_PAUSE_SECONDS: i64 = 15;
const LONGEST_PAUSE_SECONDS: i64 = 3600;

/// Runs until the control plane stops.
pub(crate) async fn deliver(cp: ControlPlane) {
    loop {
        match db::in_time(db::PATIENCE_OF_JOBS, next(&cp)).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the outbox cannot be read"),
        }
        let due = cp.mailer().due.notified();
        let _ = tokio::time::timeout(LOOK_EVERY, due).await;
    }
}

/// Whether there was one that is due.
async fn next(cp: &ControlPlane) -> Result<bool, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    if !db::mails::try_lock(&mut tx).await? {
        return Ok(false);
    }
    let Some(row) = db::mails::due(&mut tx, now).await? else {
        return Ok(false);
    };
    if row.give_up_at <= now {
        tracing::error!(mail = %row.id, kind = row.kind, attempts = row.attempts, "mail given up");
        db::mails::give_up(&mut tx, row.id, now).await?;
        db::mails::forget(&mut tx, now - GIVEN_UP_KEPT).await?;
        tx.commit().await?;
        return Ok(true);
    }
    match send(cp, &row).instrument(telemetry::job("mail.send")).await {
        Ok(()) => db::mails::delete(&mut tx, row.id).await?,
        Err(error) => {
            let pause = pause_seconds(row.attempts);
            tracing::warn!(
                mail = %row.id, kind = row.kind, error = format!("{error:#}"), pause,
                "mail not sent; it is tried again"
            );
            let at = now + chrono::Duration::seconds(pause);
            let error = format!("{error:#}");
            db::mails::postpone(&mut tx, row.id, at, &error).await?;
        }
    }
    tx.commit().await?;
    Ok(true)
}

async fn send(cp: &ControlPlane, row: &db::mails::Row) -> anyhow::Result<()> {
    let plain = cp
        .master_key()
        .open(Purpose::Mail, &row.id.to_string(), &row.content)?;
    let content: Content = serde_json::from_slice(&plain).context("the mail's content")?;
    let mail = Outgoing {
        id: row.id,
        kind: &row.kind,
        recipient: &row.recipient,
        content: &content,
        now: cp.clock().now(),
    };
    cp.mailer().transport.send(mail).await
}

/// Twice as long after each attempt, up to an hour.
fn pause_seconds(attempts: i32) -> i64 {
    let doubled = attempts.clamp(0, 16).unsigned_abs();
    (FIRST_PAUSE_SECONDS << doubled).min(LONGEST_PAUSE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::pause_seconds;

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses: Vec<i64> = [0, 1, 2, 8, 1000].map(pause_seconds).into();
        assert_eq!(pauses, [15, 30, 60, 3600, 3600]);
    }
}
