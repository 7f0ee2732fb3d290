//! Inventory: what a bucket really holds, from the engine's own list, puts right what was booked. What moved while the
//! list was read may or may not be in it, so that much is not put right, and the next inventory is.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;

use tracing::Instrument as _;

use super::{Moved, correct};
use crate::db::usage_buckets::{self, Held, Place};
use crate::engine::Measured;
use crate::ids::{BucketId, TenantId};
use crate::{ControlPlane, Error, db, engine};

const EVERY: TimeDelta = TimeDelta::hours(24);
const LOOK_EVERY: Duration = Duration::from_secs(300);
const AT_ONCE: i64 = 100;
/// What was answered while the list was read is booked by then: nodes send every second.
const BOOKED_AFTER: Duration = Duration::from_secs(4);
/// An upload that the engine does not know, and that has not changed for so long, is gone.
const UPLOADS_CHANGE_WITHIN: TimeDelta = TimeDelta::hours(1);

const KEEP_BATCHES: TimeDelta = TimeDelta::days(400);
const KEEP_FREED: TimeDelta = TimeDelta::days(1);
/// Longer than a node that was cut off may go on.
const KEEP_UPLOADS: TimeDelta = TimeDelta::days(14);

/// What one bucket's inventory came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    pub bucket: String,
    /// As the engine lists it, with the parts of unfinished uploads.
    pub found_bytes: u64,
    pub found_objects: u64,
    /// What was put right; 0 where all was as booked.
    pub corrected_bytes: i64,
    pub corrected_objects: i64,
    /// Nothing moved meanwhile: what is booked now is what the engine holds.
    pub exact: bool,
}

/// Of all of a tenant's buckets, or of the one of this name.
pub async fn take(
    cp: &ControlPlane,
    tenant: TenantId,
    bucket: Option<&str>,
) -> Result<Vec<Inventory>, Error> {
    let mut tx = cp.begin_system().await?;
    let places = usage_buckets::places(&mut tx, tenant, bucket).await?;
    drop(tx);
    if places.is_empty() && bucket.is_some() {
        return Err(Error::NotFound("bucket"));
    }
    let mut taken = Vec::new();
    for place in places {
        taken.push(take_one(cp, &place).await?);
    }
    Ok(taken)
}

/// Looks every few minutes for buckets that nobody has looked at for a day. One control plane does.
pub(crate) async fn take_daily(cp: ControlPlane) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, take_due(&cp)).await {
            tracing::warn!(%error, "inventories could not be taken");
        }
    }
}

async fn take_due(cp: &ControlPlane) -> Result<(), Error> {
    // Not of the pool's: a connection that goes back to it would keep the lock if this ended early.
    let mut conn = cp.pool().acquire().await?.detach();
    if !usage_buckets::try_lock(&mut conn).await? {
        return Ok(());
    }
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    db::usage::purge(
        &mut tx,
        now - KEEP_BATCHES,
        now - KEEP_FREED,
        now - KEEP_UPLOADS,
    )
    .await?;
    let orphans = usage_buckets::orphans(&mut tx).await?;
    let due = usage_buckets::due(&mut tx, now - EVERY, AT_ONCE).await?;
    tx.commit().await?;
    for (tenant, bucket) in orphans {
        super::forget_bucket(cp, tenant, bucket).await?;
    }
    for place in due {
        let taking = take_one(cp, &place).instrument(telemetry::job("usage.inventory"));
        match taking.await {
            Ok(taken) => tracing::info!(bucket = %place.id, ?taken, "inventory"),
            Err(error) => tracing::warn!(bucket = %place.id, %error, "no inventory could be taken"),
        }
    }
    usage_buckets::unlock(&mut conn).await?;
    Ok(())
}

/// Where the bucket of this id is.
pub(crate) async fn place(cp: &ControlPlane, bucket: uuid::Uuid) -> Result<Place, Error> {
    let mut tx = cp.begin_system().await?;
    let place = usage_buckets::place(&mut tx, bucket).await?;
    place.ok_or(Error::NotFound("bucket"))
}

/// What an inventory would put right.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub place: Place,
    /// More than is booked, or less.
    pub bytes: i64,
    pub objects: i64,
}

/// Of every bucket, and nothing is booked: with the engines whose buckets could not all be listed, and why.
pub(crate) async fn differences(
    cp: &ControlPlane,
) -> Result<(Vec<Difference>, BTreeMap<String, String>), Error> {
    let mut tx = cp.begin_system().await?;
    let places = usage_buckets::all_places(&mut tx).await?;
    drop(tx);
    let (mut looked, mut failed) = (Vec::new(), BTreeMap::new());
    for place in places {
        let (tenant, bucket) = (TenantId(place.tenant_id), BucketId(place.id));
        let mut tx = cp.begin_system().await?;
        let before = usage_buckets::held(&mut tx, tenant, bucket).await?;
        drop(tx);
        match measure(cp, &place).await {
            Ok(measured) => looked.push((place, before, measured)),
            Err(error) => {
                let reason = format!("usage is not compared: {}", engine::brief(&error));
                failed.insert(place.engine_id, reason);
            }
        }
    }
    if !looked.is_empty() {
        tokio::time::sleep(BOOKED_AFTER).await;
    }
    let mut differences = Vec::new();
    for (place, before, measured) in looked {
        let (tenant, bucket) = (TenantId(place.tenant_id), BucketId(place.id));
        let mut tx = cp.begin_system().await?;
        let parts = usage_buckets::open_parts(&mut tx, tenant, bucket).await?;
        let after = usage_buckets::held(&mut tx, tenant, bucket).await?;
        drop(tx);
        let drift = drift(before, after, &measured, parts);
        let (bytes, objects) = (drift.moved.stored(), drift.moved.objects());
        if (bytes, objects) != (0, 0) {
            differences.push(Difference {
                place,
                bytes,
                objects,
            });
        }
    }
    Ok((differences, failed))
}

pub(crate) async fn take_one(cp: &ControlPlane, place: &Place) -> Result<Inventory, Error> {
    let (tenant, bucket) = (TenantId(place.tenant_id), BucketId(place.id));
    let begun = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let before = usage_buckets::held(&mut tx, tenant, bucket).await?;
    drop(tx);
    let measured = measure(cp, place).await.map_err(|error| {
        tracing::warn!(bucket = %place.id, error = format!("{error:#}"), "the engine's list cannot be read");
        Error::Unavailable("The storage engine cannot be reached.")
    })?;
    tokio::time::sleep(BOOKED_AFTER).await;

    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    db::usage::lock_tenants(&mut tx, &[tenant]).await?;
    if !measured.has_uploads {
        let since = begun - UPLOADS_CHANGE_WITHIN;
        usage_buckets::close_uploads(&mut tx, tenant, bucket, since).await?;
    }
    let parts = usage_buckets::open_parts(&mut tx, tenant, bucket).await?;
    let after = usage_buckets::held(&mut tx, tenant, bucket).await?;
    let drift = drift(before, after, &measured, parts);
    if drift.moved != Moved::default() {
        correct(&mut tx, tenant, bucket, drift.moved, now).await?;
    }
    usage_buckets::set_inventory(&mut tx, tenant, bucket, now).await?;
    tx.commit().await?;
    Ok(Inventory {
        bucket: place.name.clone(),
        found_bytes: (measured.bytes + parts).max(0).unsigned_abs(),
        found_objects: measured.objects.max(0).unsigned_abs(),
        corrected_bytes: drift.moved.stored(),
        corrected_objects: drift.moved.objects(),
        exact: drift.exact,
    })
}

async fn measure(cp: &ControlPlane, place: &Place) -> anyhow::Result<Measured> {
    let engine = cp.engine(&place.engine_id).await?;
    engine.measure(&place.engine_bucket, &place.prefix).await
}

struct Drift {
    moved: Moved,
    exact: bool,
}

/// `parts`: bytes of unfinished uploads, as they are booked.
fn drift(before: Option<Held>, after: Option<Held>, measured: &Measured, parts: i64) -> Drift {
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let bytes = put_right(
        measured.bytes + parts,
        after.stored_bytes,
        after.added_bytes - before.added_bytes,
        after.removed_bytes - before.removed_bytes,
    );
    let objects = put_right(
        measured.objects,
        after.objects,
        after.added_objects - before.added_objects,
        after.removed_objects - before.removed_objects,
    );
    Drift {
        moved: Moved {
            added_bytes: bytes.max(0),
            removed_bytes: (-bytes).max(0),
            added_objects: objects.max(0),
            removed_objects: (-objects).max(0),
        },
        exact: after.added_bytes == before.added_bytes
            && after.removed_bytes == before.removed_bytes
            && after.added_objects == before.added_objects
            && after.removed_objects == before.removed_objects,
    }
}

/// What is there now is between `found - removed` and `found + added`: the difference from `booked` to that, 0 where
/// `booked` is in between.
fn put_right(found: i64, booked: i64, added: i64, removed: i64) -> i64 {
    let (least, most) = (found - removed, found + added);
    booked.clamp(least, most) - booked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_move_is_put_right_to_the_byte() {
        assert_eq!(put_right(10, 12, 0, 0), -2);
        assert_eq!(put_right(10, 7, 0, 0), 3);
        assert_eq!(put_right(10, 10, 0, 0), 0);
    }

    #[test]
    fn what_moved_may_be_in_the_list_or_not() {
        // 5 were added: seen already or not.
        assert_eq!(put_right(10, 10, 5, 0), 0);
        assert_eq!(put_right(10, 15, 5, 0), 0);
        assert_eq!(put_right(10, 16, 5, 0), -1);
        assert_eq!(put_right(10, 9, 5, 0), 1);
        // 4 were removed: gone from the list already or not.
        assert_eq!(put_right(10, 6, 0, 4), 0);
        assert_eq!(put_right(10, 5, 0, 4), 1);
    }

    #[test]
    fn unfinished_uploads_are_not_lost() {
        let measured = Measured {
            bytes: 10,
            objects: 2,
            has_uploads: true,
        };
        let held = Held {
            stored_bytes: 14,
            objects: 1,
            ..Held::default()
        };
        let drift = drift(Some(held), Some(held), &measured, 3);
        assert!(drift.exact);
        assert_eq!((drift.moved.stored(), drift.moved.objects()), (-1, 1));
    }
}
