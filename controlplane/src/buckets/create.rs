//! Creating: a row that nodes do not see yet, then the engine's bucket, then a revision.
//! Whatever breaks in between leaves the row, and the next attempt takes it up.

use http::StatusCode;
use serde_json::json;
use sqlx::types::Json;
use wire::TenantStatus;

use super::{Change, NewBucket, aborted, is_valid_name};

use crate::engine::Removed;
use crate::ids::BucketId;
use crate::plane::APPLY_TIMEOUT;
use crate::{Error, Receipt, audit, db, tenants};

pub(super) async fn run(change: Change, new: NewBucket) -> Result<Receipt, Error> {
    if !is_valid_name(&new.name) {
        let message = "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens.";
        return Err(Error::s3(
            StatusCode::BAD_REQUEST,
            "InvalidBucketName",
            message,
        ));
    }
    let row = match claim(&change, &new).await {
        Err(error) if change.may_try_again(&error).await? => claim(&change, &new).await?,
        other => other?,
    };
    if let Err(error) = make(&change, &new, &row).await {
        // Perhaps it was made all the same: the row stays, with the engine bucket's name in it.
        let mut tx = change.begin().await?;
        db::buckets::release(&mut tx, row.id, change.claim).await?;
        tx.commit().await?;
        return Err(error);
    }
    let mut tx = change.begin().await?;
    tenants::lock(&mut tx, change.tenant).await?;
    let now = change.cp.clock().now();
    if !db::buckets::activate(&mut tx, row.id, change.claim, Some(now)).await? {
        return Err(aborted());
    }
    let (cp, tenant) = (&change.cp, change.tenant);
    audit::record(
        &mut tx,
        cp,
        Some(tenant),
        "bucket.create",
        &new.name,
        json!({ "public_read": new.public_read, "object_lock": new.object_lock }),
    )
    .await?;
    let revision = db::revision::next_for_tenant(&mut tx, tenant).await?;
    tx.commit().await?;
    Ok(cp.wait_applied(revision, APPLY_TIMEOUT).await)
}

/// A row in state `creating` that is ours for now. A public name is reserved by it.
async fn claim(change: &Change, new: &NewBucket) -> Result<db::buckets::Row, Error> {
    let mut tx = change.begin().await?;
    let tenant = tenants::lock(&mut tx, change.tenant).await?;
    if tenant.status != TenantStatus::Active {
        let message = "This account may not create buckets at the moment.";
        return Err(Error::s3(StatusCode::FORBIDDEN, "AccessDenied", message));
    }
    let mut left = db::buckets::find(&mut tx, change.tenant, &new.name).await?;
    if let Some(row) = &left {
        if row.status == "active" {
            let message = "There is a bucket of this name already.";
            return Err(Error::s3(
                StatusCode::CONFLICT,
                "BucketAlreadyOwnedByYou",
                message,
            ));
        }
        if row.status == "deleting" || change.is_claimed(row) {
            return Err(aborted());
        }
    }
    let at = db::engines::for_new_bucket(&mut tx, change.tenant).await?;
    let at = at.filter(|at| !at.disabled).ok_or_else(|| {
        tracing::error!(tenant = %change.tenant, "the engine on which new buckets are made is disabled");
        Error::Unavailable("No buckets can be made at the moment.")
    })?;
    // Begun on another engine: what was made there, if anything, is empty, and nobody's.
    if let Some(row) = left.take_if(|row| row.engine_id != at.id) {
        db::buckets::forget(&mut tx, row.id).await?;
    }
    let taken_up = left.is_some();
    let row = left.unwrap_or_else(|| place(change, new, at));
    if new.object_lock {
        let able = db::engines::capabilities(&mut tx, &row.engine_id).await?;
        if !row.prefix.is_empty() || !able.object_lock {
            let message = "Object lock is not implemented where this bucket would be stored.";
            return Err(Error::s3(
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                message,
            ));
        }
    }
    if taken_up {
        db::buckets::set(&mut tx, row.id, "creating", change.claimed()).await?;
        db::buckets::set_public_read(&mut tx, row.id, new.public_read).await?;
    } else {
        let limit = tenant.bucket_limit;
        if db::buckets::count(&mut tx, change.tenant).await? >= i64::from(limit) {
            let message = format!("The plan allows {limit} buckets.");
            return Err(Error::s3(
                StatusCode::BAD_REQUEST,
                "TooManyBuckets",
                message,
            ));
        }
        db::buckets::insert(&mut tx, &row).await?;
    }
    tx.commit().await?;
    Ok(row)
}

/// The engine's bucket, if it is to be one of its own. Whether it has object lock is decided when it is made, so that
/// what a former attempt made otherwise goes first.
async fn make(change: &Change, new: &NewBucket, row: &db::buckets::Row) -> Result<(), Error> {
    if !row.prefix.is_empty() {
        return Ok(());
    }
    let engine = change.cp.engine(&row.engine_id).await?;
    let bucket = &row.engine_bucket;
    if row.object_lock != new.object_lock {
        let discard = async {
            // No node ever heard of it.
            let versions = engine.has_versions(bucket, false).await?;
            let empty = !versions && engine.is_empty(bucket, "").await?;
            anyhow::ensure!(empty, "{bucket} was never in use, and holds something");
            let removed = engine.remove_bucket(bucket).await?;
            anyhow::ensure!(removed == Removed::Gone, "{bucket} cannot be removed");
            Ok(())
        };
        change.at_engine(discard).await?;
        let mut tx = change.begin().await?;
        let ours =
            db::buckets::set_object_lock(&mut tx, row.id, change.claim, new.object_lock).await?;
        if !ours {
            return Err(aborted());
        }
        tx.commit().await?;
    }
    let made = engine.create_bucket(bucket, new.object_lock);
    change.at_engine(made).await
}

/// Ids alone: nothing that a customer chose is part of where the objects are.
fn place(change: &Change, new: &NewBucket, at: db::engines::ForNew) -> db::buckets::Row {
    let id = BucketId::random();
    let (engine_bucket, prefix) = match (at.placement.as_str(), at.pool_bucket) {
        ("pooled", Some(pool)) => (pool, format!("t/{}/{id}/", change.tenant)),
        _ => (format!("vt-{id}"), String::new()),
    };
    let claimed = change.claimed();
    db::buckets::Row {
        id: id.0,
        tenant_id: change.tenant.0,
        name: new.name.clone(),
        status: "creating".to_owned(),
        engine_id: at.id,
        engine_bucket,
        prefix,
        created_at: change.cp.clock().now(),
        claim: claimed.map(|(claim, _)| claim),
        claimed_until: claimed.map(|(_, until)| until),
        public_read: new.public_read,
        cors: Json::default(),
        object_lock: new.object_lock,
    }
}
