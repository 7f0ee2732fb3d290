//! What becomes of a message of the stream: it is applied, written to disk, and only then acknowledged; or it is refused,
//! and the last good configuration stays, on disk too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context;
use tracing::Span;
use wire::{Allotment, Cause, FromNode, Revision, SnapshotBegin, ToNode};

use crate::cache::Cache;
use crate::node::Node;
use crate::tenants::{Applied, Refused, Tenant};
use crate::usage;

/// On disk: something was refused, so that a change may be missing in what is here. No message of the stream.
const INCOMPLETE: &[u8] = b"{\"type\":\"incomplete\"}";
/// Tenants to a page of the cache.
const PAGE: usize = 100;

pub struct Intake {
    node: Arc<Node>,
    cache: Mutex<Cache>,
    /// The snapshot that is arriving, as it is written to disk. `None`: there is none, or it cannot be written.
    arriving: Mutex<Option<u64>>,
}

/// A message without what it carries.
#[derive(Clone, Copy)]
enum Kind {
    Begin,
    Page,
    End,
    Change,
    Advice,
}

impl Intake {
    pub fn new(node: Arc<Node>, cache: Cache) -> Intake {
        Intake {
            node,
            cache: Mutex::new(cache),
            arriving: Mutex::default(),
        }
    }

    /// Applies one message, and says what to answer. It waits for the disk.
    pub fn receive(self: &Arc<Self>, text: &str) -> Option<FromNode> {
        let span = span(text);
        let answer = span.in_scope(|| self.take(text));
        if let Some(FromNode::Nack { .. }) = answer {
            telemetry::failed(&span, "refused");
        }
        answer
    }

    fn take(self: &Arc<Self>, text: &str) -> Option<FromNode> {
        let message: ToNode = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                return Some(self.refuse(
                    revision_of(text),
                    format!("the message cannot be read: {error}"),
                ));
            }
        };
        let (kind, revision) = match &message {
            ToNode::SnapshotBegin(begin) => (Kind::Begin, begin.revision),
            ToNode::SnapshotPage { revision, .. } => (Kind::Page, *revision),
            ToNode::SnapshotEnd { revision } => (Kind::End, *revision),
            ToNode::Refresh { revision, .. } => (Kind::Change, *revision),
            ToNode::Tenant(document) => (Kind::Change, document.revision),
            ToNode::Settings(settings) => (Kind::Change, settings.revision),
            ToNode::Allotment(allotment) => return self.allot(allotment),
            ToNode::Booked { boot, sequence } => {
                usage::report::booked(&self.node, boot, *sequence);
                return None;
            }
            ToNode::Grants(_) | ToNode::Full(_) | ToNode::Recall(_) | ToNode::Renew { .. } => {
                let id = self.node.control.node_id();
                self.node.leases.hear(&message, id, &self.node.uplink);
                return None;
            }
            ToNode::Left => {
                self.node.left.send_replace(true);
                return None;
            }
            // What changes configuration bears a revision; the rest is advice, and a newer control plane may have more
            // of it.
            ToNode::Unknown if revision_of(text) != 0 => {
                return Some(
                    self.refuse(revision_of(text), "a message of an unknown type".to_owned()),
                );
            }
            _ => (Kind::Advice, 0),
        };
        if let ToNode::Tenant(document) = &message {
            let now = self.node.clock.now();
            self.node
                .leases
                .lay_in_for(document, &self.node.uplink, now);
        }
        match self.node.tenants.apply(message) {
            Err(Refused(reason)) => Some(self.refuse(revision, reason)),
            Ok(applied) => self.store(kind, applied, text.as_bytes()),
        }
    }

    /// Without an answer the control plane says it again.
    fn allot(&self, allotment: &Allotment) -> Option<FromNode> {
        let before = self.node.limits.is_retiring();
        match self.node.limits.apply(allotment, Instant::now()) {
            Ok(allotted) => {
                if allotted.draining && !before {
                    tracing::info!("others are to serve in this node's place");
                    self.node.leases.give_back_all();
                }
                Some(FromNode::Allotted(allotted))
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "shares cannot be written to disk"
                );
                None
            }
        }
    }

    fn refuse(&self, revision: Revision, reason: String) -> FromNode {
        tracing::error!(revision, reason, "a push was refused");
        let arriving = lock(&self.arriving).take();
        let mut cache = lock(&self.cache);
        if let Some(generation) = arriving {
            cache.give_up(generation);
        }
        if self.node.tenants.is_whole() {
            self.node.tenants.miss();
            // Where there is nothing to append to, all will be written anew, with this.
            let _ = cache.append(INCOMPLETE);
        }
        FromNode::Nack { revision, reason }
    }

    fn store(self: &Arc<Self>, kind: Kind, applied: Applied, text: &[u8]) -> Option<FromNode> {
        let written = match (kind, applied) {
            (Kind::Begin, _) => {
                let begun = lock(&self.cache).begin(text);
                if let Err(error) = &begun {
                    tracing::error!(error = format!("{error:#}"), "a snapshot cannot be written");
                }
                *lock(&self.arriving) = begun.ok();
                Ok(())
            }
            (Kind::Page, _) => {
                let mut arriving = lock(&self.arriving);
                if let Some(generation) = *arriving
                    && let Err(error) = lock(&self.cache).add(generation, text)
                {
                    tracing::error!(error = format!("{error:#}"), "a snapshot cannot be written");
                    *arriving = None;
                }
                Ok(())
            }
            (Kind::End, Applied::Upto(_)) => self.finish(text),
            (Kind::Change, Applied::Upto(_)) => self.append(text),
            (Kind::End | Kind::Change | Kind::Advice, _) => Ok(()),
        };
        let Applied::Upto(revision) = applied else {
            return None;
        };
        Some(match written {
            Ok(()) => FromNode::Ack { revision },
            Err(error) => {
                let reason = format!("applied, but not on disk: {error:#}");
                tracing::error!(revision, reason, "a push could not be written");
                FromNode::Nack { revision, reason }
            }
        })
    }

    /// The snapshot is in force: what is on disk is not what is known, until this one is.
    fn finish(&self, end: &[u8]) -> anyhow::Result<()> {
        let arriving = lock(&self.arriving).take();
        let mut cache = lock(&self.cache);
        let finished = arriving
            .context("the snapshot could not be written")
            .and_then(|generation| cache.finish(generation, end));
        if finished.is_err() {
            cache.forget();
        }
        finished
    }

    fn append(self: &Arc<Self>, change: &[u8]) -> anyhow::Result<()> {
        let mut cache = lock(&self.cache);
        // What was lost with an earlier write is in a snapshot of what is applied, and so is this change.
        let whole = cache.is_whole();
        let appended = if whole { cache.append(change) } else { Ok(()) };
        if !cache.wants_snapshot() {
            return appended;
        }
        let Some(begin) = self.node.tenants.summary() else {
            return cache.append(change);
        };
        let tenants = self.node.tenants.all();
        let revision = begin.revision;
        let begin = ToNode::SnapshotBegin(SnapshotBegin {
            tenants: tenants.len() as u64,
            ..begin
        });
        let generation = cache.begin(&serde_json::to_vec(&begin)?)?;
        drop(cache);
        let this = self.clone();
        let rewrite = move || this.rewrite(generation, revision, &tenants);
        if !whole {
            return rewrite();
        }
        // Meanwhile changes are added to what is there, and to this one's end.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = rewrite() {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the cache was not written anew"
                );
            }
        });
        appended
    }

    /// Writes all that was known when the snapshot was begun, a page at a time.
    fn rewrite(
        &self,
        generation: u64,
        revision: Revision,
        tenants: &[Arc<Tenant>],
    ) -> anyhow::Result<()> {
        let written = self.write_pages(generation, revision, tenants);
        if written.is_err() {
            lock(&self.cache).give_up(generation);
        }
        written
    }

    fn write_pages(
        &self,
        generation: u64,
        revision: Revision,
        tenants: &[Arc<Tenant>],
    ) -> anyhow::Result<()> {
        for page in tenants.chunks(PAGE) {
            let page = ToNode::SnapshotPage {
                revision,
                tenants: page.iter().map(|t| t.document.clone()).collect(),
            };
            let page = serde_json::to_vec(&page)?;
            lock(&self.cache).add(generation, &page)?;
        }
        // Most of it gets to the disk while nobody waits for the cache.
        let unsynced = lock(&self.cache).unsynced()?;
        unsynced.sync_all()?;
        let end = serde_json::to_vec(&ToNode::SnapshotEnd { revision })?;
        let mut cache = lock(&self.cache);
        cache.finish(generation, &end)?;
        if !self.node.tenants.is_whole() {
            cache.append(INCOMPLETE)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of the trace of the change that this message is about, if it is traced.
fn span(text: &str) -> Span {
    // It is read a second time for this.
    let cause = telemetry::is_on().then(|| serde_json::from_str::<Cause>(text));
    let Some(Ok(cause)) = cause else {
        return Span::none();
    };
    let parent = cause.traceparent.and_then(|text| text.parse().ok());
    parent.map_or_else(Span::none, |parent| {
        telemetry::apply(parent, cause.revision)
    })
}

/// The revision of a message that could not be read, as far as that can be found out.
pub fn revision_of(text: &str) -> Revision {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    value
        .and_then(|value| value.get("revision")?.as_i64())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_of_what_is_unreadable_is_found_if_it_is_there() {
        assert_eq!(
            revision_of("{\"type\":\"tenant\",\"revision\":7,\"limits\":3}"),
            7
        );
        assert_eq!(revision_of("nonsense"), 0);
    }
}
