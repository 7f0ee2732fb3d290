//! What one request was promised, from its admission to the end of its answer: settled once, however it ends.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Claim, Entry, Leases};
use crate::journal::{self, Answered, Change, Unwritable};

/// The promises of one request, held by its meter.
#[derive(Default)]
pub struct Held(Mutex<Vec<Promise>>);

#[derive(Clone, Copy)]
struct Promise {
    id: u64,
    hour: u32,
}

impl Held {
    pub fn put(&self, id: u64, claim: &Claim) {
        let hour = claim.hour;
        self.lock().push(Promise { id, hour });
    }

    /// The hour in which the first was given: what it pays for belongs to the same month.
    pub fn hour(&self) -> Option<u32> {
        self.lock().first().map(|promise| promise.hour)
    }

    /// The request is over. `answered` is its own entry, if it has one: what it came to stands there, and it is written
    /// in one piece with what settles the promises.
    pub fn settle(
        &self,
        leases: &Leases,
        journal: &journal::Journal,
        answered: Option<Answered>,
    ) -> Result<(), Unwritable> {
        let promises = std::mem::take(&mut *self.lock());
        if !promises.is_empty() {
            let ids: Vec<u64> = promises.iter().map(|promise| promise.id).collect();
            return leases.settle(ids, answered);
        }
        match answered {
            Some(answered) => journal.append(&journal::Entry::Answered(answered)),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Promise>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leases {
    /// Where it cannot be written down nothing is answered, and the promises are settled later.
    fn settle(&self, ids: Vec<u64>, answered: Option<Answered>) -> Result<(), Unwritable> {
        let stored = answered.as_ref().is_some_and(|a| !a.changes.is_empty());
        let mut state = self.lock();
        // What is not there belonged to a ledger that is void.
        let entries: Vec<Entry> = ids
            .iter()
            .filter_map(|id| state.ledger.settle(*id, false))
            .collect();
        let mut lines: Vec<journal::Entry> =
            answered.into_iter().map(journal::Entry::Answered).collect();
        lines.extend(entries.iter().copied().map(journal::Entry::Lease));
        match self.journal.append_all(&lines) {
            Ok(()) => {
                state.apply(&entries);
                Ok(())
            }
            Err(unwritable) => {
                state.overdue.extend(ids.into_iter().map(|id| (id, stored)));
                Err(unwritable)
            }
        }
    }

    pub(super) fn settle_overdue(&self) {
        let overdue = std::mem::take(&mut self.lock().overdue);
        for (id, stored) in overdue {
            let claim = self.lock().ledger.claim(id);
            let answered = claim.filter(|_| stored).and_then(|claim| as_stored(&claim));
            // It is put back if it fails.
            let _ = self.settle(vec![id], answered);
        }
    }
}

/// The claim as something that was stored without anybody having been answered.
pub(super) fn as_stored(claim: &Claim) -> Option<Answered> {
    let change = match (claim.upload, claim.objects, claim.bytes) {
        (0, 0, 0) => return None,
        (0, _, bytes) => Change::Stored { bytes },
        (upload, 0, bytes) => Change::Part { upload, bytes },
        (upload, ..) => Change::Completed {
            upload,
            bytes: None,
        },
    };
    Some(Answered {
        hour: claim.hour,
        tenant: claim.tenant,
        bucket: claim.bucket,
        access_key_id: "".into(),
        class: wire::RequestClass::A,
        requests: 0,
        bytes_in: 0,
        bytes_out: 0,
        changes: vec![change],
    })
}
