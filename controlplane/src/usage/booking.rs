//! The arithmetic of booking: what lines of a batch come to, given what is known. Pure, so that any order of batches can
//! be tried: the sums are the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use wire::{RequestClass, UploadChange, UploadEnd, UsageLine};

use crate::ids::{BucketId, TenantId};

/// More than any figure is; sums of them fit into 64 bits.
const MOST: u64 = 1 << 52;

/// A line with its ids read.
pub(crate) struct Line<'a> {
    pub tenant: TenantId,
    /// Zero where there is none.
    pub bucket: BucketId,
    pub hour: DateTime<Utc>,
    pub class: &'static str,
    line: &'a UsageLine,
}

/// What may still be given back, what is known of uploads, which buckets there are.
#[derive(Default)]
pub(crate) struct Known {
    pub fresh: HashSet<(TenantId, i64)>,
    pub uploads: HashMap<UploadKey, Upload>,
    pub buckets: HashSet<(TenantId, BucketId)>,
}

pub(crate) type UploadKey = (TenantId, BucketId, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Upload {
    pub part_bytes: i64,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum End {
    #[default]
    Open,
    /// `None`: as large as its parts.
    Completed(Option<i64>),
    Aborted,
}

/// What a row of `usage_hours` is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HourKey {
    pub tenant: TenantId,
    pub hour: DateTime<Utc>,
    pub bucket: BucketId,
    pub access_key_id: String,
    pub class: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HourSum {
    pub requests: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    pub stored: i64,
    pub objects: i64,
}

/// What moved in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moved {
    pub added_bytes: i64,
    pub removed_bytes: i64,
    pub added_objects: i64,
    pub removed_objects: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Booked {
    pub hours: BTreeMap<HourKey, HourSum>,
    pub buckets: BTreeMap<(TenantId, BucketId), Moved>,
    pub uploads: BTreeMap<UploadKey, Upload>,
}

impl<'a> Line<'a> {
    /// `None`: no node of ours wrote this.
    pub fn read(line: &'a UsageLine) -> Option<Line<'a>> {
        let bucket = match line.bucket_id.as_str() {
            "" => BucketId(Uuid::nil()),
            text => text.parse().ok()?,
        };
        let class = match line.class {
            RequestClass::A => "a",
            RequestClass::B => "b",
            RequestClass::Free => "free",
            RequestClass::Unknown => return None,
        };
        Some(Line {
            tenant: line.tenant_id.parse().ok()?,
            bucket,
            hour: DateTime::from_timestamp(i64::from(line.hour) * 3600, 0)?,
            class,
            line,
        })
    }

    pub fn freed(&self) -> impl Iterator<Item = (TenantId, i64)> {
        let tenant = self.tenant;
        let freed = self.line.freed.iter();
        freed.map(move |freed| (tenant, freed.what.cast_signed()))
    }

    pub fn uploads(&self) -> impl Iterator<Item = UploadKey> {
        let (tenant, bucket) = (self.tenant, self.bucket);
        let uploads = self.line.uploads.iter();
        uploads.map(move |change| (tenant, bucket, change.upload.cast_signed()))
    }

    /// What the line moves. Whatever is given back here is given back nowhere else.
    fn moves(&self, known: &mut Known, booked: &mut Booked) -> Moved {
        let mut moved = Moved {
            added_bytes: figure(self.line.stored_bytes),
            added_objects: figure(self.line.stored_objects),
            ..Moved::default()
        };
        for freed in &self.line.freed {
            if known.fresh.remove(&(self.tenant, freed.what.cast_signed())) {
                moved.removed_bytes += figure(freed.bytes);
                moved.removed_objects += 1;
            }
        }
        for change in &self.line.uploads {
            let key = (self.tenant, self.bucket, change.upload.cast_signed());
            let upload = known.uploads.entry(key).or_default();
            let before = upload.holds();
            upload.apply(change);
            let after = upload.holds();
            moved.added_bytes += after.0;
            moved.removed_bytes += before.0;
            moved.added_objects += after.1;
            moved.removed_objects += before.1;
            booked.uploads.insert(key, *upload);
        }
        moved
    }
}

impl Upload {
    /// Bytes and objects.
    pub fn holds(&self) -> (i64, i64) {
        match self.end {
            End::Open => (self.part_bytes, 0),
            End::Completed(bytes) => (bytes.unwrap_or(self.part_bytes), 1),
            End::Aborted => (0, 0),
        }
    }

    fn apply(&mut self, change: &UploadChange) {
        self.part_bytes += figure(change.part_bytes);
        self.end = match (self.end, change.end) {
            (End::Completed(one), UploadEnd::Completed { bytes }) => {
                End::Completed(one.max(bytes.map(figure)))
            }
            (_, UploadEnd::Completed { bytes }) => End::Completed(bytes.map(figure)),
            (End::Open, UploadEnd::Aborted) => End::Aborted,
            (end, _) => end,
        };
    }
}

impl Moved {
    pub fn stored(&self) -> i64 {
        self.added_bytes - self.removed_bytes
    }

    pub fn objects(&self) -> i64 {
        self.added_objects - self.removed_objects
    }

    fn add(&mut self, other: &Moved) {
        self.added_bytes += other.added_bytes;
        self.removed_bytes += other.removed_bytes;
        self.added_objects += other.added_objects;
        self.removed_objects += other.removed_objects;
    }
}

/// Adds the lines up. In a bucket that is gone nothing moves any more.
pub(crate) fn book(lines: &[Line<'_>], known: &mut Known) -> Booked {
    let mut booked = Booked::default();
    for line in lines {
        let moved = line.moves(known, &mut booked);
        let bucket = (line.tenant, line.bucket);
        let key = HourKey {
            tenant: line.tenant,
            hour: line.hour,
            bucket: line.bucket,
            access_key_id: line.line.access_key_id.clone(),
            class: line.class,
        };
        let sum = booked.hours.entry(key).or_default();
        sum.requests += figure(line.line.requests);
        sum.bytes_in += figure(line.line.bytes_in);
        sum.bytes_out += figure(line.line.bytes_out);
        if known.buckets.contains(&bucket) && moved != Moved::default() {
            sum.stored += moved.stored();
            sum.objects += moved.objects();
            booked.buckets.entry(bucket).or_default().add(&moved);
        }
    }
    booked
}

/// When each access key was last used, as far as lines can tell: by now, and within the line's hour, whenever the batch
/// comes.
pub(crate) fn uses<'a>(
    lines: &[Line<'a>],
    now: DateTime<Utc>,
) -> BTreeMap<(TenantId, &'a str), DateTime<Utc>> {
    let mut uses = BTreeMap::new();
    for line in lines {
        let key = line.line.access_key_id.as_str();
        if key.is_empty() || line.line.requests == 0 {
            continue;
        }
        let at = now.min(line.hour + TimeDelta::hours(1));
        let last = uses.entry((line.tenant, key)).or_insert(at);
        *last = at.max(*last);
    }
    uses
}

fn figure(value: u64) -> i64 {
    value.min(MOST).cast_signed()
}

#[cfg(test)]
#[path = "booking_tests.rs"]
mod tests;
