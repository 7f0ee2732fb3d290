//! Usage: what nodes have answered, booked once, and what is stored. A batch that is in the database is acknowledged; one
//! that is not comes again.

mod booking;
mod inventory;
mod report;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use wire::{Taken, ToNode, UsageLine};

pub(crate) use booking::{Booked, End, HourKey, HourSum, Known, Line, Moved, Upload, UploadKey};
pub(crate) use inventory::{Difference, differences, place, take_daily, take_one};
pub use inventory::{Inventory, take};
pub use report::{By, Filter, Group, Report, Row, Span, report, report_where};

use crate::ids::{BucketId, NodeId, TenantId};
use crate::plane::CUT_OFF_MATTERS;
use crate::{ControlPlane, Error, Tx, db, leases};

/// Batches that are booked at once by this process, so that other work finds a database connection too.
pub(crate) const BOOKED_AT_ONCE: usize = 6;

/// What a tenant, or one of its buckets, holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stored {
    pub stored_bytes: u64,
    pub objects: u64,
}

/// Which batch: of this node, written by this process of it.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub node: NodeId,
    pub boot: String,
    pub sequence: i64,
}

/// Books a batch that came on a stream, and tells the node. What fails is not acknowledged, and comes again.
pub(crate) async fn receive(
    cp: ControlPlane,
    node: NodeId,
    boot: String,
    sequence: u64,
    lines: Vec<UsageLine>,
    taken: Vec<Taken>,
) {
    let batch = Batch {
        node,
        boot: boot.clone(),
        sequence: sequence.cast_signed(),
    };
    let Ok(_permit) = cp.booking().acquire().await else {
        return;
    };
    match db::in_time(db::PATIENCE, book(&cp, &batch, &lines, &taken)).await {
        Ok(_) => {
            cp.leases().has_booked();
            let told = ToNode::Booked { boot, sequence };
            cp.push().outboxes.send(node, told);
        }
        Err(error) => tracing::error!(%node, sequence, %error, "a batch of usage was not booked"),
    }
}

/// `false`: it was booked before. Lines of tenants that do not exist are dropped, and the log says so.
pub(crate) async fn book(
    cp: &ControlPlane,
    batch: &Batch,
    lines: &[UsageLine],
    taken: &[Taken],
) -> Result<bool, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    if !db::usage::insert_batch(&mut tx, batch, lines, now).await? {
        return Ok(false);
    }
    let mut read: Vec<Line<'_>> = lines.iter().filter_map(Line::read).collect();
    let leases = leases::Booking::new(lines, taken);
    let of_lines = read.iter().map(|line| line.tenant);
    let tenants: Vec<TenantId> = of_lines.chain(leases.tenants()).collect();
    let tenants = db::usage::lock_tenants(&mut tx, &tenants).await?;
    read.retain(|line| tenants.contains(&line.tenant));
    if read.len() < lines.len() {
        let dropped = lines.len() - read.len();
        tracing::error!(node = %batch.node, sequence = batch.sequence, dropped, "usage of tenants that do not exist");
    }
    let mut known = db::usage::known(&mut tx, &read, now).await?;
    let booked = booking::book(&read, &mut known);
    db::usage::apply(&mut tx, &booked, now).await?;
    let uses = booking::uses(&read, now);
    db::access_key_uses::note(&mut tx, batch.node, &uses).await?;
    leases.book(&mut tx, batch.node, &tenants).await?;
    tx.commit().await?;
    Ok(true)
}

/// All of a tenant's buckets together, as far as is booked.
pub async fn of_tenant(tx: &mut Tx, tenant: TenantId) -> Result<Stored, Error> {
    db::usage::of_tenant(tx, tenant).await
}

/// What each of the tenant's buckets holds, as far as is booked. One in which nothing was ever stored is not among them.
pub async fn of_buckets(tx: &mut Tx) -> Result<HashMap<BucketId, Stored>, Error> {
    let tenant = tx.tenant()?;
    db::usage_buckets::of_tenant(tx, tenant).await
}

/// A node whose last batches are not here yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Behind {
    pub s3_address: String,
    /// What it has answered after that may not be booked.
    pub since: DateTime<Utc>,
}

/// Nodes that are cut off and may still serve: figures are complete but for theirs.
pub async fn behind(tx: &mut Tx, now: DateTime<Utc>) -> Result<Vec<Behind>, Error> {
    db::usage_report::behind(tx, now, now - CUT_OFF_MATTERS).await
}

/// The bucket of this name, or of this id where it is gone and has left usage behind.
pub async fn bucket_named(tx: &mut Tx, text: &str) -> Result<BucketId, Error> {
    let tenant = tx.tenant()?;
    let id = db::usage_report::bucket_named(tx, tenant, text).await?;
    id.map(BucketId).ok_or(Error::NotFound("bucket"))
}

/// Refused where the tenant has no such access key, and none that has left usage behind.
pub async fn check_key(tx: &mut Tx, access_key_id: &str) -> Result<(), Error> {
    let tenant = tx.tenant()?;
    match db::usage_report::knows_key(tx, tenant, access_key_id).await? {
        true => Ok(()),
        false => Err(Error::NotFound("access key")),
    }
}

/// A deleted bucket holds nothing, whatever is booked for it later.
pub(crate) async fn forget_bucket(
    cp: &ControlPlane,
    tenant: TenantId,
    bucket: BucketId,
) -> Result<(), Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    db::usage::lock_tenants(&mut tx, &[tenant]).await?;
    if let Some(held) = db::usage_buckets::held(&mut tx, tenant, bucket).await? {
        let nothing = Moved {
            removed_bytes: held.stored_bytes,
            removed_objects: held.objects,
            ..Moved::default()
        };
        correct(&mut tx, tenant, bucket, nothing, now).await?;
        db::usage_buckets::delete(&mut tx, tenant, bucket).await?;
    }
    tx.commit().await
}

/// Books a difference that no request accounts for.
async fn correct(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: BucketId,
    moved: Moved,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let hour = now.timestamp() / 3600 * 3600;
    let key = HourKey {
        tenant,
        hour: DateTime::from_timestamp(hour, 0).unwrap_or(now),
        bucket,
        access_key_id: String::new(),
        class: "inventory",
    };
    let sum = HourSum {
        stored: moved.stored(),
        objects: moved.objects(),
        ..HourSum::default()
    };
    let booked = Booked {
        hours: [(key, sum)].into(),
        buckets: [((tenant, bucket), moved)].into(),
        ..Booked::default()
    };
    db::usage::apply(tx, &booked, now).await
}
