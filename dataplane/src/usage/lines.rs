//! A closed segment as the batch that is sent: its entries added up. The same entries give the same lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::{Freed, RequestClass, Resource, Taken, UploadChange, UploadEnd, UsageLine};

use crate::journal::{Answered, Change, Entry, Id};
use crate::leases;

type Key = (u32, Id, Id, Arc<str>, RequestClass);

#[derive(Default)]
struct Sum {
    requests: u64,
    bytes_in: u64,
    bytes_out: u64,
    stored_bytes: u64,
    stored_objects: u64,
    freed: Vec<Freed>,
    uploads: BTreeMap<u64, UploadChange>,
}

pub fn lines(entries: &[Entry]) -> Vec<UsageLine> {
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    for entry in entries {
        let Entry::Answered(answered) = entry else {
            continue;
        };
        let Answered {
            hour,
            tenant,
            bucket,
            access_key_id,
            class,
            ..
        } = answered;
        let key = (*hour, *tenant, *bucket, access_key_id.clone(), *class);
        sums.entry(key).or_default().add(answered);
    }
    sums.into_iter().map(line).collect()
}

/// What the entries took of this node's leases.
pub fn taken(entries: &[Entry]) -> Vec<Taken> {
    let mut sums: BTreeMap<(u128, leases::Key), (u64, u64)> = BTreeMap::new();
    let mut take = |ledger, key, amount: u64, used: u64| {
        let sum = sums.entry((ledger, key)).or_default();
        *sum = (sum.0.saturating_add(amount), sum.1.saturating_add(used));
    };
    for entry in entries {
        match *entry {
            Entry::Lease(leases::Entry::Settled {
                ledger,
                claim,
                kept,
                ..
            }) => {
                for (key, amount) in claim.parts() {
                    // What is stored stands in a line of its own.
                    let sent = kept && key.resource == Resource::EgressBytes;
                    take(ledger, key, amount, if sent { amount } else { 0 });
                }
            }
            Entry::Lease(leases::Entry::Returned {
                ledger,
                key,
                amount,
                ..
            }) => take(ledger, key, amount, 0),
            _ => {}
        }
    }
    sums.into_iter()
        .map(|((ledger, key), (amount, used))| Taken {
            ledger: leases::name(ledger),
            quota: key.written(),
            amount,
            used,
        })
        .collect()
}

impl Sum {
    fn add(&mut self, answered: &Answered) {
        self.requests += answered.requests;
        self.bytes_in = self.bytes_in.saturating_add(answered.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(answered.bytes_out);
        for change in &answered.changes {
            match *change {
                Change::Stored { bytes } => {
                    self.stored_bytes = self.stored_bytes.saturating_add(bytes);
                    self.stored_objects += 1;
                }
                Change::Freed { what, bytes } => self.freed.push(Freed { what, bytes }),
                Change::Part { upload, bytes } => {
                    let upload = self.upload(upload);
                    upload.part_bytes = upload.part_bytes.saturating_add(bytes);
                }
                Change::Completed { upload, bytes } => {
                    self.upload(upload).end = UploadEnd::Completed { bytes };
                }
                Change::Aborted { upload } => {
                    let upload = self.upload(upload);
                    if upload.end == UploadEnd::Open {
                        upload.end = UploadEnd::Aborted;
                    }
                }
            }
        }
    }

    fn upload(&mut self, upload: u64) -> &mut UploadChange {
        self.uploads.entry(upload).or_insert(UploadChange {
            upload,
            part_bytes: 0,
            end: UploadEnd::Open,
        })
    }
}

fn line(((hour, tenant, bucket, access_key_id, class), sum): (Key, Sum)) -> UsageLine {
    let bucket_id = match bucket {
        0 => String::new(),
        bucket => format!("{bucket:032x}"),
    };
    UsageLine {
        hour,
        tenant_id: format!("{tenant:032x}"),
        bucket_id,
        access_key_id: access_key_id.to_string(),
        class,
        requests: sum.requests,
        bytes_in: sum.bytes_in,
        bytes_out: sum.bytes_out,
        stored_bytes: sum.stored_bytes,
        stored_objects: sum.stored_objects,
        freed: sum.freed,
        uploads: sum.uploads.into_values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(key: &str, bytes_in: u64, changes: Vec<Change>) -> Entry {
        Entry::Answered(Answered {
            hour: 3,
            tenant: 0xa,
            bucket: 0,
            access_key_id: key.into(),
            class: RequestClass::A,
            requests: 1,
            bytes_in,
            bytes_out: 1,
            changes,
        })
    }

    #[test]
    fn what_has_the_same_key_is_added_up() {
        let upload = 9;
        let completed = Change::Completed {
            upload,
            bytes: Some(5),
        };
        let entries = [
            answered("K", 5, vec![Change::Stored { bytes: 5 }]),
            answered("L", 7, vec![]),
            answered("K", 6, vec![Change::Part { upload, bytes: 6 }]),
            answered("K", 0, vec![completed, Change::Freed { what: 1, bytes: 2 }]),
        ];
        let lines = lines(&entries);
        assert_eq!(lines.len(), 2);
        let line = &lines[0];
        assert_eq!((line.requests, line.bytes_in, line.bytes_out), (3, 11, 3));
        assert_eq!((line.stored_bytes, line.stored_objects), (5, 1));
        assert_eq!(line.freed, [Freed { what: 1, bytes: 2 }]);
        let end = UploadEnd::Completed { bytes: Some(5) };
        let expected = UploadChange {
            upload,
            part_bytes: 6,
            end,
        };
        assert_eq!(line.uploads, [expected]);
        assert_eq!((line.bucket_id.as_str(), line.tenant_id.len()), ("", 32));
        assert_eq!(
            (lines[1].access_key_id.as_str(), lines[1].bytes_in),
            ("L", 7)
        );
    }
}
