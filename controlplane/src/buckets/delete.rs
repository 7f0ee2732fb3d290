//! Deleting, in two steps: nodes stop writing, then the engine is asked whether anything is there.
//! What is not empty, or cannot be found out, becomes active again.

use http::StatusCode;
use serde_json::json;
use wire::{Revision, TenantStatus};

use super::{Change, aborted, no_such_bucket};

use crate::engine::{Engine, Removed};
use crate::ids::BucketId;
use crate::plane::APPLY_TIMEOUT;
use crate::{Error, Receipt, audit, db, tenants, usage};

pub(super) async fn run(change: Change) -> Result<Receipt, Error> {
    let (row, versioning, revision) = claim(&change).await?;
    let stopped = change.cp.wait_applied(revision, APPLY_TIMEOUT).await;
    let removed = if stopped.pending.iter().any(|n| n.connected) {
        // A node that still writes could put an object where nobody would ever find it, or where it goes with the
        // engine's bucket.
        Err(aborted())
    } else {
        let removing = async {
            let engine = change.cp.engine(&row.engine_id).await?;
            remove_at_engine(&engine, &row, versioning).await
        };
        change.at_engine(removing).await
    };
    let mut tx = change.begin().await?;
    tenants::lock(&mut tx, change.tenant).await?;
    let ours = match &removed {
        Ok(Removed::Gone) => db::buckets::delete(&mut tx, BucketId(row.id), change.claim).await?,
        _ => db::buckets::activate(&mut tx, row.id, change.claim, None).await?,
    };
    if !ours {
        return Err(aborted());
    }
    let (cp, tenant) = (&change.cp, change.tenant);
    if matches!(removed, Ok(Removed::Gone)) {
        audit::record(
            &mut tx,
            cp,
            Some(tenant),
            "bucket.delete",
            &change.name,
            json!({}),
        )
        .await?;
    }
    let revision = db::revision::next_for_tenant(&mut tx, tenant).await?;
    tx.commit().await?;
    // What this misses is found daily.
    if matches!(removed, Ok(Removed::Gone))
        && let Err(error) = usage::forget_bucket(cp, tenant, BucketId(row.id)).await
    {
        tracing::warn!(%error, "a deleted bucket's usage is not forgotten yet");
    }
    let receipt = cp.wait_applied(revision, APPLY_TIMEOUT).await;
    match removed? {
        Removed::Gone => Ok(receipt),
        Removed::NotEmpty => {
            let message = "The bucket is not empty.";
            Err(Error::s3(StatusCode::CONFLICT, "BucketNotEmpty", message))
        }
    }
}

/// The row in state `deleting`, ours for now, whether its engine keeps versions, and the revision in which nodes hear
/// of it.
async fn claim(change: &Change) -> Result<(db::buckets::Row, bool, Revision), Error> {
    let mut tx = change.begin().await?;
    let tenant = tenants::lock(&mut tx, change.tenant)
        .await
        .map_err(|error| match error {
            Error::NotFound(_) => no_such_bucket(),
            other => other,
        })?;
    if !matches!(tenant.status, TenantStatus::Active | TenantStatus::ReadOnly) {
        let message = "This account may not delete buckets at the moment.";
        return Err(Error::s3(StatusCode::FORBIDDEN, "AccessDenied", message));
    }
    let row = db::buckets::find(&mut tx, change.tenant, &change.name)
        .await?
        .filter(|row| row.status != "creating")
        .ok_or_else(no_such_bucket)?;
    if change.is_claimed(&row) {
        return Err(aborted());
    }
    let able = db::engines::capabilities(&mut tx, &row.engine_id).await?;
    db::buckets::set(&mut tx, row.id, "deleting", change.claimed()).await?;
    let revision = if row.status == "deleting" {
        tenant.revision
    } else {
        db::revision::next_for_tenant(&mut tx, change.tenant).await?
    };
    tx.commit().await?;
    Ok((row, able.versioning, revision))
}

/// Emptiness first: in a bucket that stays, unfinished uploads stay as well.
pub(crate) async fn remove_at_engine(
    engine: &Engine,
    row: &db::buckets::Row,
    versioning: bool,
) -> anyhow::Result<Removed> {
    let bucket = row.engine_bucket.as_str();
    let is_empty = async || {
        // In a pool there is no versioning that a customer could switch on or look into.
        let versions = row.prefix.is_empty() && engine.has_versions(bucket, versioning).await?;
        Ok::<_, anyhow::Error>(!versions && engine.is_empty(bucket, &row.prefix).await?)
    };
    if !is_empty().await? {
        return Ok(Removed::NotEmpty);
    }
    engine.abort_uploads(bucket, &row.prefix).await?;
    // An upload may have been completed just before it could be aborted.
    if !is_empty().await? {
        return Ok(Removed::NotEmpty);
    }
    if row.prefix.is_empty() {
        engine.remove_bucket(bucket).await
    } else {
        Ok(Removed::Gone)
    }
}
