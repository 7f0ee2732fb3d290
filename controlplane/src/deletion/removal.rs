//! Removes what deleted accounts have left, once their time is over: objects at the engine, then rows.
//! What bookkeeping needs stays: the tenant's name and plan, its usage by the hour, its invoices and
//! where it stood with paying, and its audit log.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use tracing::Instrument as _;

use crate::engine::Removed;
use crate::ids::{BucketId, TenantId};
use crate::{ControlPlane, Error, audit, buckets, db, tenants, usage};

const LOOK_EVERY: Duration = Duration::from_secs(600);
const AT_ONCE: i64 = 20;

/// One control plane does it.
pub(crate) async fn remove_daily(cp: ControlPlane) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, remove_due(&cp)).await {
            tracing::warn!(%error, "deleted accounts could not be looked for");
        }
    }
}

/// How many accounts are gone now. What cannot be removed (the engine is down, an object is locked) stays for the next
/// time, with all that is left of its account.
pub async fn remove_due(cp: &ControlPlane) -> Result<usize, Error> {
    // Not of the pool's: a connection that goes back to it would keep the lock if this ended early.
    let mut conn = cp.pool().acquire().await?.detach();
    if !db::deletions::try_lock(&mut conn).await? {
        return Ok(0);
    }
    let mut tx = cp.begin_system().await?;
    let due = db::deletions::due(&mut tx, cp.clock().now(), AT_ONCE).await?;
    drop(tx);
    let mut removed = 0;
    for tenant in due {
        let removing = remove(cp, tenant).instrument(telemetry::job("account.remove"));
        match removing.await {
            Ok(()) => {
                removed += 1;
                tracing::info!(%tenant, "a deleted account is removed");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(%tenant, error, "a deleted account cannot be removed yet");
                let mut tx = cp.begin_system().await?;
                db::deletions::note_failure(&mut tx, tenant, cp.clock().now(), &error).await?;
                tx.commit().await?;
            }
        }
    }
    db::deletions::unlock(&mut conn).await?;
    Ok(removed)
}

/// In steps that can each be repeated: a bucket's row goes after the bucket, the tenant's rows after its buckets.
async fn remove(cp: &ControlPlane, tenant: TenantId) -> anyhow::Result<()> {
    let mut tx = cp.begin_system().await?;
    let rows = db::buckets::all_of_tenant(&mut tx, tenant).await?;
    drop(tx);
    for row in rows {
        remove_bucket(cp, tenant, &row)
            .await
            .with_context(|| format!("bucket {}", row.id))?;
    }
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    tenants::lock(&mut tx, tenant).await?;
    db::usage::lock_tenants(&mut tx, &[tenant]).await?;
    db::deletions::forget(&mut tx, tenant, now).await?;
    audit::record(&mut tx, cp, Some(tenant), "tenant.remove", "", json!({})).await?;
    Ok(tx.commit().await?)
}

async fn remove_bucket(
    cp: &ControlPlane,
    tenant: TenantId,
    row: &db::buckets::Row,
) -> anyhow::Result<()> {
    let mut tx = cp.begin_system().await?;
    let able = db::engines::capabilities(&mut tx, &row.engine_id).await?;
    drop(tx);
    let engine = cp.engine(&row.engine_id).await?;
    let (bucket, prefix) = (&row.engine_bucket, &row.prefix);
    engine
        .empty(bucket, prefix, able.versioning, row.object_lock)
        .await?;
    match buckets::remove_at_engine(&engine, row, able.versioning).await? {
        Removed::Gone => {}
        Removed::NotEmpty => anyhow::bail!("something in it cannot be deleted"),
    }
    let mut tx = cp.begin_system().await?;
    tenants::lock(&mut tx, tenant).await?;
    db::buckets::forget(&mut tx, row.id).await?;
    tx.commit().await?;
    Ok(usage::forget_bucket(cp, tenant, BucketId(row.id)).await?)
}
