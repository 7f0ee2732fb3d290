//! Creating: a row that nodes do not see yet, then the engine's bucket, then a revision.
//! Whatever breaks in between leaves the row, and the next attempt takes it up.

use http::StatusCode;
use serde_json::json;
use wire::TenantStatus;

use super::{APPLY_TIMEOUT, Change, aborted, is_valid_name};
use crate::engine::ENGINE_ID;
use crate::ids::BucketId;
use crate::{Error, PlacementKind, Receipt, audit, db, tenants};

pub(super) async fn run(change: Change) -> Result<Receipt, Error> {
    if !is_valid_name(&change.name) {
        let message = "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens.";
        return Err(Error::s3(
            StatusCode::BAD_REQUEST,
            "InvalidBucketName",
            message,
        ));
    }
    let row = claim(&change).await?;
    if row.prefix.is_empty() {
        let engine = change.cp.engine();
        let made = change
            .at_engine(engine.create_bucket(&row.engine_bucket, false))
            .await;
        if let Err(error) = made {
            // Perhaps it was made all the same: the row stays, with the engine bucket's name in it.
            let mut tx = change.begin().await?;
            db::buckets::release(&mut tx, row.id, change.claim).await?;
            tx.commit().await?;
            return Err(error);
        }
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
        &change.name,
        json!({}),
    )
    .await?;
    let revision = db::revision::next_for_tenant(&mut tx, tenant).await?;
    tx.commit().await?;
    Ok(cp.wait_applied(revision, APPLY_TIMEOUT).await)
}

/// A row in state `creating` that is ours for now.
async fn claim(change: &Change) -> Result<db::buckets::Row, Error> {
    let mut tx = change.begin().await?;
    let tenant = tenants::lock(&mut tx, change.tenant).await?;
    if tenant.status != TenantStatus::Active {
        let message = "This account may not create buckets at the moment.";
        return Err(Error::s3(StatusCode::FORBIDDEN, "AccessDenied", message));
    }
    let row = match db::buckets::find(&mut tx, change.tenant, &change.name).await? {
        Some(row) if row.status == "active" => {
            let message = "There is a bucket of this name already.";
            return Err(Error::s3(
                StatusCode::CONFLICT,
                "BucketAlreadyOwnedByYou",
                message,
            ));
        }
        Some(row) if row.status == "deleting" || change.is_claimed(&row) => return Err(aborted()),
        Some(row) => {
            db::buckets::set(&mut tx, row.id, "creating", change.claimed()).await?;
            row
        }
        None => {
            let limit = tenant.plan.bucket_limit;
            if db::buckets::count(&mut tx, change.tenant).await? >= i64::from(limit) {
                let message = format!("The plan allows {limit} buckets.");
                return Err(Error::s3(
                    StatusCode::BAD_REQUEST,
                    "TooManyBuckets",
                    message,
                ));
            }
            let row = place(change);
            db::buckets::insert(&mut tx, &row).await?;
            row
        }
    };
    tx.commit().await?;
    Ok(row)
}

/// Ids alone: nothing that a customer chose is part of where the objects are.
fn place(change: &Change) -> db::buckets::Row {
    let id = BucketId::random();
    let engine = &change.cp.config().engine;
    let (engine_bucket, prefix) = match (engine.placement, &engine.pool_bucket) {
        (PlacementKind::Pooled, Some(pool)) => (pool.clone(), format!("t/{}/{id}/", change.tenant)),
        _ => (format!("vt-{id}"), String::new()),
    };
    let claimed = change.claimed();
    db::buckets::Row {
        id: id.0,
        tenant_id: change.tenant.0,
        name: change.name.clone(),
        status: "creating".to_owned(),
        engine_id: ENGINE_ID.to_owned(),
        engine_bucket,
        prefix,
        created_at: change.cp.clock().now(),
        claim: claimed.map(|(claim, _)| claim),
        claimed_until: claimed.map(|(_, until)| until),
    }
}
