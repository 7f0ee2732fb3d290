//! Another try at once, of one job or of many. Many are retried only by whoever says how many there are.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::{Filter, Job, Kind, State, list};
use crate::{ControlPlane, Error, Tx, audit, billing, db, deletion};

/// Stripe knows a meter event's identifier for 24 hours: later it would count it a second time if it has it already.
const METERS_KNOWN_FOR: Duration = Duration::hours(23);

/// One job is tried again now. Refused with `job_over` where that would do harm, or nobody waits for it any more.
pub async fn retry(cp: &ControlPlane, mut tx: Tx, kind: Kind, id: &str) -> Result<Job, Error> {
    let of_kind = Filter {
        kind: Some(kind),
        state: None,
    };
    let jobs = list(&mut tx, cp, &of_kind).await?;
    let job = jobs.into_iter().find(|job| job.id == id);
    let job = job.ok_or(Error::NotFound("job"))?;
    may_be_tried(&job, cp.clock().now())?;
    hasten(&mut tx, cp, &job).await?;
    let details = json!({ "kind": kind, "attempts": job.attempts });
    audit::record(&mut tx, cp, job.tenant_id, "job.retry", id, details).await?;
    tx.commit().await?;
    set_off(cp, &[kind]);
    Ok(job)
}

/// All that have failed or wait for their next try, and that the filter lets through. `confirmed` is how many the operator
/// was told there are: with another number nothing is tried, and the answer, `confirm_needed`, says how many there are. How
/// many were tried.
pub async fn retry_all(
    cp: &ControlPlane,
    mut tx: Tx,
    filter: &Filter,
    confirmed: Option<u64>,
) -> Result<u64, Error> {
    let now = cp.clock().now();
    let mut jobs = list(&mut tx, cp, filter).await?;
    jobs.retain(|job| would_try(job, now));
    let count = jobs.len() as u64;
    if count > 1 || confirmed.is_some() {
        confirm(confirmed, count)?;
    }
    let mut kinds: Vec<Kind> = jobs.iter().map(|job| job.kind).collect();
    for job in &jobs {
        hasten(&mut tx, cp, job).await?;
        let details = json!({ "kind": job.kind, "attempts": job.attempts, "of": count });
        audit::record(&mut tx, cp, job.tenant_id, "job.retry", &job.id, details).await?;
    }
    tx.commit().await?;
    kinds.sort_unstable();
    kinds.dedup();
    set_off(cp, &kinds);
    Ok(count)
}

/// Whether the job is one of those that [`retry_all`] tries again.
pub fn would_try(job: &Job, now: DateTime<Utc>) -> bool {
    matches!(job.state, State::Failed | State::Retrying) && may_be_tried(job, now).is_ok()
}

fn confirm(confirmed: Option<u64>, count: u64) -> Result<(), Error> {
    if confirmed == Some(count) {
        return Ok(());
    }
    Err(Error::Conflict {
        code: "confirm_needed",
        message: format!("This tries {count} jobs again: confirm the number {count}."),
    })
}

fn may_be_tried(job: &Job, now: DateTime<Utc>) -> Result<(), Error> {
    let message = match (job.kind, job.state) {
        (_, State::Running) => "Somebody is at it now.",
        (Kind::Mail, State::Failed) => {
            "It was given up: what it says has ended, or is known by now."
        }
        (Kind::MeterEvent, _) if now - job.created_at > METERS_KNOWN_FOR => {
            "Stripe may have it and would count it twice: compare with `vaultaire billing reconcile`."
        }
        (Kind::Removal, State::Queued) if job.next_at.is_some_and(|at| at > now) => {
            "The account can still be restored: its time is not over."
        }
        _ => return Ok(()),
    };
    Err(Error::Conflict {
        code: "job_over",
        message: message.to_owned(),
    })
}

async fn hasten(tx: &mut Tx, cp: &ControlPlane, job: &Job) -> Result<(), Error> {
    let now = cp.clock().now();
    match job.kind {
        Kind::Mail => db::jobs::hasten_mail(tx, &job.id, now).await,
        Kind::StripeEvent => db::jobs::hasten_stripe_event(tx, &job.id, now).await,
        Kind::Webhook => db::jobs::hasten_webhook(tx, &job.id, now).await,
        Kind::MeterEvent => db::jobs::hasten_meter_event(tx, &job.id, now).await,
        // Whoever looks next finds it: it is due for as long as it is not done.
        Kind::Removal => Ok(()),
    }
}

/// Beside the answer: how it went is in the list.
fn set_off(cp: &ControlPlane, kinds: &[Kind]) {
    for kind in kinds {
        let plane = cp.clone();
        match kind {
            Kind::Mail => cp.mailer().wake(),
            Kind::Webhook => cp.spawn(async move {
                complain(billing::deliver_webhooks(&plane).await);
            }),
            Kind::StripeEvent | Kind::MeterEvent => cp.spawn(async move {
                complain(billing::look_at_stripe(&plane).await);
            }),
            Kind::Removal => cp.spawn(async move {
                complain(deletion::remove_due(&plane).await.map(drop));
            }),
        }
    }
}

fn complain(outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "what was to be tried again could not be looked for");
    }
}
