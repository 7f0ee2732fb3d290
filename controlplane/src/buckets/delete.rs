//! Deleting, in two steps: nodes stop writing, then the engine is asked whether anything is there.
//! What is not empty, or cannot be found out, becomes active again.

use http::StatusCode;
use serde_json::json;
use wire::{Revision, TenantStatus};

use super::{APPLY_TIMEOUT, Change, aborted, no_such_bucket};
use crate::engine::Removed;
use crate::ids::BucketId;
use crate::{Error, Receipt, audit, db, tenants};

pub(super) async fn run(change: Change) -> Result<Receipt, Error> {
    let (row, revision) = claim(&change).await?;
    let stopped = change.cp.wait_applied(revision, APPLY_TIMEOUT).await;
    let removed = if !row.prefix.is_empty() && stopped.pending.iter().any(|n| n.connected) {
        // A node that still writes could put an object where nobody would ever find it. (An engine bucket of its
        // own refuses to go while anything is in it, and takes no write afterwards.)
        Err(aborted())
    } else {
        change.at_engine(remove(&change, &row)).await
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
    let receipt = cp.wait_applied(revision, APPLY_TIMEOUT).await;
    match removed? {
        Removed::Gone => Ok(receipt),
        Removed::NotEmpty => {
            let message = "The bucket is not empty.";
            Err(Error::s3(StatusCode::CONFLICT, "BucketNotEmpty", message))
        }
    }
}

/// The row in state `deleting`, ours for now, and the revision in which nodes hear of it.
async fn claim(change: &Change) -> Result<(db::buckets::Row, Revision), Error> {
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
    db::buckets::set(&mut tx, row.id, "deleting", change.claimed()).await?;
    let revision = if row.status == "deleting" {
        tenant.revision
    } else {
        db::revision::next_for_tenant(&mut tx, change.tenant).await?
    };
    tx.commit().await?;
    Ok((row, revision))
}

/// Emptiness first: in a bucket that stays, unfinished uploads stay as well.
async fn remove(change: &Change, row: &db::buckets::Row) -> anyhow::Result<Removed> {
    let engine = change.cp.engine();
    if !engine.is_empty(&row.engine_bucket, &row.prefix).await? {
        return Ok(Removed::NotEmpty);
    }
    engine
        .abort_uploads(&row.engine_bucket, &row.prefix)
        .await?;
    if row.prefix.is_empty() {
        return engine.remove_bucket(&row.engine_bucket).await;
    }
    // An upload may have been completed just before it could be aborted.
    if engine.is_empty(&row.engine_bucket, &row.prefix).await? {
        Ok(Removed::Gone)
    } else {
        Ok(Removed::NotEmpty)
    }
}
