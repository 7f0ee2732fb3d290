//! Metering: what a request came to, written into the journal before its answer ends, once. What Vaultaire refused
//! costs nothing and is not written.

pub mod lines;
pub mod look;
pub mod report;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::StatusCode;
use wire::RequestClass;

use crate::authenticate::Identity;
use crate::error::S3Error;
use crate::journal::{Answered, Change, Id, Unwritable};
use crate::leases::{self, Held};
use crate::node::Node;
use crate::operation::Operation;
use crate::payload::Outcome;

type Received = Arc<OnceLock<Arc<Outcome>>>;

/// One admitted request, until it is in the journal.
pub struct Meter {
    node: Arc<Node>,
    tenant: Id,
    bucket: Id,
    access_key_id: Arc<str>,
    class: RequestClass,
    changes: Arc<Changes>,
    held: Arc<Held>,
    received: Received,
    /// Whether the answer is one that counts; unknown while there is none.
    pub counts: bool,
}

impl Meter {
    /// `bucket`: the name in the request.
    pub fn new(
        node: Arc<Node>,
        operation: Operation,
        identity: &Identity,
        bucket: Option<&str>,
        received: Received,
    ) -> Meter {
        let tenant = &identity.tenant;
        let bucket = bucket.and_then(|name| tenant.bucket(name));
        Meter {
            tenant: id(tenant.id()),
            bucket: bucket.map_or(0, |bucket| id(&bucket.id)),
            access_key_id: identity.access_key_id.clone(),
            class: operation.class(),
            changes: Arc::default(),
            held: Arc::default(),
            received,
            counts: false,
            node,
        }
    }

    /// Where the operation says what it changed.
    pub fn changes(&self) -> Arc<Changes> {
        self.changes.clone()
    }

    /// Where it is kept what the request was promised of the tenant's quotas.
    pub fn held(&self) -> Arc<Held> {
        self.held.clone()
    }

    /// Writes it down, with so many bytes of the answer's body. Nothing is written of an answer that does not count,
    /// unless something changed all the same. A change is written once, however often this is asked.
    pub fn book(&self, sent: u64) -> Result<(), Unwritable> {
        let (node, held) = (&self.node, &self.held);
        // Asked before anything is taken that a panic would lose.
        let hour = held.hour();
        let hour = hour.unwrap_or_else(|| leases::hour(node.clock.now()));
        let changes = self.changes.take();
        if !self.counts && changes.is_empty() {
            return held.settle(&node.leases, &node.journal, None);
        }
        let received = self.received.get().map_or(0, |outcome| outcome.received());
        let of_answer = |figure: u64| if self.counts { figure } else { 0 };
        let answered = Answered {
            hour,
            tenant: self.tenant,
            bucket: self.bucket,
            access_key_id: self.access_key_id.clone(),
            class: self.class,
            requests: of_answer(1),
            bytes_in: of_answer(received),
            bytes_out: of_answer(sent),
            changes,
        };
        held.settle(&node.leases, &node.journal, Some(answered))
    }
}

/// Whether an answer with this status is one that the customer asked for: success, or what is so of the object.
pub fn counts(status: StatusCode) -> bool {
    status.is_success()
        || [
            // A form that asked to be led on.
            StatusCode::SEE_OTHER,
            StatusCode::NOT_MODIFIED,
            StatusCode::NOT_FOUND,
            StatusCode::PRECONDITION_FAILED,
            StatusCode::RANGE_NOT_SATISFIABLE,
        ]
        .contains(&status)
}

/// What one request changed of what is stored.
#[derive(Default)]
pub struct Changes(Mutex<Known>);

#[derive(Default)]
struct Known {
    done: Vec<Change>,
    asked: Option<Asked>,
}

/// What an engine was asked for and has not answered yet.
struct Asked {
    change: Change,
    /// Nothing can have come of a body that was not whole.
    body: Option<Arc<Outcome>>,
}

impl Changes {
    /// The engine is asked for this now. If nobody waits for its answer any more, it counts as done: too much is put
    /// right by the next inventory, too little would be given away.
    pub fn asked(&self, change: Change, body: Option<Arc<Outcome>>) {
        self.lock().asked = Some(Asked { change, body });
    }

    /// The engine has failed. What it has certainly not done is forgotten; the rest counts as done.
    pub fn failed(&self, error: &S3Error) {
        if error.undone {
            self.lock().asked = None;
        }
    }

    /// The engine did it.
    pub fn done(&self, changes: impl IntoIterator<Item = Change>) {
        let mut known = self.lock();
        known.asked = None;
        known.done.extend(changes);
    }

    fn take(&self) -> Vec<Change> {
        let mut known = self.lock();
        let mut changes = std::mem::take(&mut known.done);
        if let Some(asked) = known.asked.take()
            && asked.body.is_none_or(|body| body.is_whole())
        {
            changes.push(asked.change);
        }
        changes
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 32 hexadecimal digits as a number.
fn id(text: &str) -> Id {
    leases::number(text).unwrap_or_else(|| {
        tracing::error!(id = text, "usage cannot be booked under an id that is none");
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn answers_about_the_object_count_and_refusals_do_not() {
        for status in [200, 204, 206, 303, 304, 404, 412, 416] {
            assert!(counts(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [400, 403, 405, 409, 500, 501, 503] {
            assert!(!counts(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    #[test]
    fn what_nobody_waited_for_counts_as_done() {
        let changes = Changes::default();
        let stored = Change::Stored { bytes: 5 };
        changes.asked(stored, None);
        assert_eq!(changes.take(), [stored]);
        changes.asked(stored, Some(Arc::default()));
        assert_eq!(changes.take(), [], "the body was not whole");
        changes.asked(stored, None);
        changes.failed(&S3Error::new(Code::InternalError));
        assert_eq!(changes.take(), [stored], "nobody knows");
        changes.asked(stored, None);
        changes.failed(&S3Error {
            undone: true,
            ..S3Error::new(Code::InternalError)
        });
        assert_eq!(changes.take(), []);
        let freed = Change::Freed { what: 1, bytes: 4 };
        changes.asked(stored, None);
        changes.done([stored, freed]);
        assert_eq!(changes.take(), [stored, freed]);
    }
}
