//! The last changes, read and written out once for all streams of this process. A node that is further behind is
//! served from the database.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use axum::extract::ws::Utf8Bytes;
use chrono::NaiveDate;
use tokio::sync::Mutex;
use wire::{Revision, ToNode, Traced};

use super::documents::{self, Changes, Update};
use crate::ControlPlane;

/// Bytes of messages that are kept.
const ROOM: usize = 16 * 1024 * 1024;
/// Messages handed out at once.
const AT_ONCE: usize = 100;

#[derive(Default)]
pub(super) struct Tail(Mutex<Window>);

/// Changes in order: all of those after `start`, up to `end`.
#[derive(Default)]
struct Window {
    start: Revision,
    end: Revision,
    bytes: usize,
    changes: VecDeque<Change>,
    /// The day of the signing keys in them.
    day: Option<NaiveDate>,
}

/// A message of the stream, and its revision.
#[derive(Clone)]
pub(super) struct Change {
    pub revision: Revision,
    pub text: Utf8Bytes,
}

impl Tail {
    /// What changed after this revision, in order; the first part of it where it is much. `None`: the revision is newer
    /// than the database's.
    pub(super) async fn after(
        &self,
        cp: &ControlPlane,
        after: Revision,
    ) -> anyhow::Result<Option<Vec<Change>>> {
        {
            // One stream at a time: the others find what it has read.
            let mut window = self.0.lock().await;
            if let ControlFlow::Break(changes) = window.find(cp, after).await? {
                return Ok(changes);
            }
        }
        read(cp, after).await
    }
}

impl Window {
    /// Goes on where the window does not reach so far back.
    async fn find(
        &mut self,
        cp: &ControlPlane,
        after: Revision,
    ) -> anyhow::Result<ControlFlow<Option<Vec<Change>>>> {
        let today = Some(cp.clock().today());
        if self.day != today || after > self.end {
            *self = Self {
                start: after,
                end: after,
                day: today,
                ..Self::default()
            };
        }
        if after < self.start {
            return Ok(ControlFlow::Continue(()));
        }
        if after == self.end {
            let Some(changes) = read(cp, after).await? else {
                *self = Self::default();
                return Ok(ControlFlow::Break(None));
            };
            for change in changes {
                self.push(change);
            }
        }
        let from = self.changes.partition_point(|c| c.revision <= after);
        let found = self.changes.iter().skip(from).take(AT_ONCE).cloned();
        Ok(ControlFlow::Break(Some(found.collect())))
    }

    fn push(&mut self, change: Change) {
        self.end = change.revision;
        self.bytes += change.text.len();
        self.changes.push_back(change);
        // The newest stays, however long it is.
        while self.bytes > ROOM && self.changes.len() > AT_ONCE {
            let Some(first) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= first.text.len();
            self.start = first.revision;
        }
    }
}

async fn read(cp: &ControlPlane, after: Revision) -> anyhow::Result<Option<Vec<Change>>> {
    let Changes::Updates(updates) = documents::changes(cp, after).await? else {
        return Ok(None);
    };
    let changes = updates.into_iter().map(|update| {
        let revision = update.revision();
        let message = match update {
            Update::Tenant(document) => ToNode::Tenant(document),
            Update::Settings(settings) => ToNode::Settings(settings),
        };
        let traced = Traced {
            message: &message,
            traceparent: cp.push().causes.of(revision).map(|cause| cause.to_string()),
        };
        Ok(Change {
            revision,
            text: serde_json::to_string(&traced)?.into(),
        })
    });
    changes.collect::<anyhow::Result<_>>().map(Some)
}
