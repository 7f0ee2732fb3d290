//! Puts right what was found. Before each step the database is asked once more: what a row could own is left alone.

use serde_json::json;
use uuid::Uuid;

use super::{Finding, Kind, Report, Wish};
use crate::engine::{Removed, brief};
use crate::ids::TenantId;
use crate::{Actor, ControlPlane, Error, Origin, audit, buckets, db, tenants, usage};

pub(super) async fn repair(
    cp: &ControlPlane,
    wish: Wish,
    report: &mut Report,
    actor: &Actor,
    origin: &Origin,
) {
    for finding in &mut report.findings {
        let done = match finding.kind {
            Kind::OrphanBucket | Kind::OrphanPrefix if wish.delete_orphans => {
                delete_unowned(cp, finding).await
            }
            Kind::ProbeLeftover => delete_unowned(cp, finding).await,
            Kind::MissingBucket if wish.remake.is_some() => {
                remake(cp, finding, actor, origin).await
            }
            Kind::BrokenCreation => give_up(cp, finding).await,
            Kind::Usage => put_right(cp, finding).await,
            _ => continue,
        };
        finding.done = Some(done.unwrap_or_else(|error| {
            let error = match error.downcast_ref::<Error>() {
                Some(refusal) => refusal.message(),
                None => brief(&error),
            };
            format!("failed: {error}")
        }));
    }
}

/// Everything in it, and the bucket.
async fn delete_unowned(cp: &ControlPlane, finding: &Finding) -> anyhow::Result<String> {
    let (bucket, prefix) = (&finding.engine_bucket, &finding.prefix);
    let mut tx = cp.begin_system().await?;
    // Ids are random: what is in no row now will be in none.
    anyhow::ensure!(
        !db::drift::is_placed(&mut tx, bucket, prefix).await?,
        "it is in a row now"
    );
    let able = db::engines::capabilities(&mut tx, &finding.engine).await?;
    drop(tx);
    let engine = cp.engine(&finding.engine).await?;
    engine
        .empty(bucket, prefix, able.versioning, able.object_lock)
        .await?;
    if !prefix.is_empty() {
        return Ok("deleted".to_owned());
    }
    // An engine may remove a bucket with what is in it: so it is looked into first.
    anyhow::ensure!(
        !engine.has_versions(bucket, able.versioning).await? && engine.is_empty(bucket, "").await?,
        "something in it cannot be deleted"
    );
    match engine.remove_bucket(bucket).await? {
        Removed::Gone => Ok("deleted".to_owned()),
        Removed::NotEmpty => anyhow::bail!("something in it cannot be deleted"),
    }
}

/// An empty bucket in place of one that is gone.
async fn remake(
    cp: &ControlPlane,
    finding: &Finding,
    actor: &Actor,
    origin: &Origin,
) -> anyhow::Result<String> {
    let (tenant, id) = ids(finding)?;
    let engine = cp.engine(&finding.engine).await?;
    anyhow::ensure!(
        !engine.has_bucket(&finding.engine_bucket).await?,
        "it is there again"
    );
    let mut tx = cp
        .begin_system()
        .await?
        .acting(actor.clone(), origin.clone());
    tenants::lock(&mut tx, tenant).await?;
    // Locked for as long as the bucket is made, so that nobody deletes its row meanwhile.
    let row = db::drift::lock(&mut tx, id).await?;
    let row = row.filter(|row| row.status == "active");
    let Some(row) = row else {
        anyhow::bail!("its row is gone");
    };
    engine
        .create_bucket(&row.engine_bucket, row.object_lock)
        .await?;
    let details = json!({ "reason": "it was not at the engine", "empty": true });
    let tenant = Some(tenant);
    audit::record(&mut tx, cp, tenant, "bucket.remake", &row.name, details).await?;
    tx.commit().await?;
    let place = usage::place(cp, row.id).await?;
    usage::take_one(cp, &place).await?;
    Ok(
        "made anew, empty; its settings (versioning, lifecycle) are the engine's defaults"
            .to_owned(),
    )
}

/// The row of a creation that broke off goes, and what was made for it if that is empty.
async fn give_up(cp: &ControlPlane, finding: &Finding) -> anyhow::Result<String> {
    let (tenant, id) = ids(finding)?;
    let claim = Uuid::new_v4();
    let until = cp.clock().now() + buckets::CLAIM;
    let mut tx = cp.begin_system().await?;
    tenants::lock(&mut tx, tenant).await?;
    let row = db::drift::lock(&mut tx, id).await?;
    let now = cp.clock().now();
    let row = row.filter(|row| {
        row.status == "creating" && row.claimed_until.is_none_or(|until| until <= now)
    });
    if row.is_none() {
        return Ok("somebody has taken it up".to_owned());
    }
    db::buckets::set(&mut tx, id, "creating", Some((claim, until))).await?;
    tx.commit().await?;

    let removed = remove_made(cp, finding).await;
    let mut tx = cp.begin_system().await?;
    tenants::lock(&mut tx, tenant).await?;
    if matches!(removed, Ok(Removed::Gone)) {
        db::buckets::delete(&mut tx, id.into(), claim).await?;
    } else {
        db::buckets::release(&mut tx, id, claim).await?;
    }
    tx.commit().await?;
    match removed? {
        Removed::Gone => Ok("given up".to_owned()),
        Removed::NotEmpty => anyhow::bail!("something is in it: it stays"),
    }
}

/// In a pool nothing was made.
async fn remove_made(cp: &ControlPlane, finding: &Finding) -> anyhow::Result<Removed> {
    let engine = cp.engine(&finding.engine).await?;
    let (bucket, prefix) = (&finding.engine_bucket, &finding.prefix);
    if !prefix.is_empty() {
        return Ok(match engine.is_empty(bucket, prefix).await? {
            true => Removed::Gone,
            false => Removed::NotEmpty,
        });
    }
    if !engine.has_bucket(bucket).await? {
        return Ok(Removed::Gone);
    }
    if engine.has_versions(bucket, false).await? || !engine.is_empty(bucket, "").await? {
        return Ok(Removed::NotEmpty);
    }
    engine.remove_bucket(bucket).await
}

async fn put_right(cp: &ControlPlane, finding: &Finding) -> anyhow::Result<String> {
    let (_, id) = ids(finding)?;
    let place = usage::place(cp, id).await?;
    let taken = usage::take_one(cp, &place).await?;
    Ok(format!(
        "booked: {:+} bytes, {:+} objects",
        taken.corrected_bytes, taken.corrected_objects
    ))
}

fn ids(finding: &Finding) -> anyhow::Result<(TenantId, Uuid)> {
    match (finding.tenant_id, finding.bucket_id) {
        (Some(tenant), Some(bucket)) => Ok((tenant, bucket.0)),
        _ => anyhow::bail!("it is nobody's"),
    }
}
