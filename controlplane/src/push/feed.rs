//! What one node is sent, in pieces of which none takes long, so that neither heartbeats nor what else there is to say
//! to the node wait behind a snapshot, and changes do not wait behind signing keys for another day.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use wire::{SnapshotBegin, TenantDocument, ToNode};

use super::documents;
use super::stream::{Sent, What};
use crate::ids::{NodeId, TenantId};
use crate::{ControlPlane, db};

const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// New signing keys reach a node within this time of midnight UTC, each node at a time of its own.
const SPREAD: TimeDelta = TimeDelta::hours(20);
/// A page is cut where it gets longer than this; a tenant that is longer by itself goes alone.
const PAGE_BYTES: usize = 1024 * 1024;
/// Pages of signing keys that a node need not have acknowledged before it gets the next.
const UNANSWERED: usize = 2;

pub(super) type Sink = SplitSink<WebSocket, Message>;

/// What there is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More, at once.
    Go,
    /// Something when the head has moved, or a day has passed.
    Rest,
    /// More when there is a place for a snapshot.
    Place,
    /// More when the node has acknowledged something.
    Answer,
}

pub(super) struct Feed<'a> {
    cp: &'a ControlPlane,
    node: NodeId,
    sent: &'a Sent,
    /// The day of the signing keys that the node has or is being sent; `None`: it is to get a snapshot.
    day: Option<NaiveDate>,
    /// Held from the beginning of a snapshot to its end.
    place: Option<OwnedSemaphorePermit>,
    snapshot: Option<Snapshot>,
    refresh: Option<Refresh>,
    /// Whether nothing has happened since the changes were asked for.
    asked: bool,
}

/// A snapshot that is under way.
struct Snapshot {
    all: documents::Snapshot,
    /// How many messages the node had refused when it began.
    refused: u32,
}

/// New signing keys that are under way, up to a tenant.
struct Refresh {
    day: NaiveDate,
    after: Option<TenantId>,
    begun: bool,
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        cp: &'a ControlPlane,
        node: NodeId,
        sent: &'a Sent,
        day: Option<NaiveDate>,
    ) -> Self {
        Self {
            cp,
            node,
            sent,
            day,
            place: None,
            snapshot: None,
            refresh: None,
            asked: false,
        }
    }

    /// The head may have moved.
    pub(super) fn wake(&mut self) {
        self.asked = false;
    }

    /// The node has refused something: it gets everything anew.
    pub(super) fn start_over(&mut self) {
        self.day = None;
    }

    pub(super) fn take_place(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// Whether the operator wants the node to take this database's snapshot.
    pub(super) async fn is_accepted(&self) -> anyhow::Result<bool> {
        let mut conn = self.cp.pool().acquire().await?;
        Ok(db::nodes::is_accepted(&mut conn, self.node).await?)
    }

    /// One bounded piece of work.
    pub(super) async fn step(&mut self, sink: &mut Sink) -> anyhow::Result<Next> {
        if let Some(snapshot) = self.snapshot.take() {
            return self.go_on(snapshot, sink).await;
        }
        let Some(day) = self.day else {
            return self.begin_snapshot(sink).await;
        };
        if !self.asked {
            return self.changes(sink).await;
        }
        if self.refresh.is_none() && day < due(self.node, self.cp.clock().now()) {
            self.refresh = Some(Refresh {
                day: self.cp.clock().today(),
                after: None,
                begun: false,
            });
        }
        match self.refresh.take() {
            Some(refresh) => self.refresh(refresh, sink).await,
            None => Ok(Next::Rest),
        }
    }

    async fn changes(&mut self, sink: &mut Sink) -> anyhow::Result<Next> {
        let after = self.sent.revision.load(Ordering::Acquire);
        let Some(changes) = self.cp.push().tail.after(self.cp, after).await? else {
            self.day = None;
            return Ok(Next::Go);
        };
        self.asked = changes.is_empty();
        for change in changes {
            self.sent.record(change.revision, What::Change);
            self.send_text(sink, change.text).await?;
        }
        Ok(Next::Go)
    }

    async fn begin_snapshot(&mut self, sink: &mut Sink) -> anyhow::Result<Next> {
        if self.place.is_none() {
            match self.cp.push().snapshots.clone().try_acquire_owned() {
                Ok(place) => self.place = Some(place),
                Err(_) => return Ok(Next::Place),
            }
        }
        self.refresh = None;
        let refused = self.sent.refused.load(Ordering::Acquire);
        let all = documents::Snapshot::begin(self.cp).await?;
        let accepted = self.is_accepted().await?;
        let begin = SnapshotBegin {
            revision: all.revision,
            epoch: all.epoch.simple().to_string(),
            accepted,
            settings: all.settings.clone(),
            tenants: all.tenants,
        };
        self.sent.record(all.revision, What::Snapshot(all.day));
        self.day = Some(all.day);
        self.send(sink, &ToNode::SnapshotBegin(begin)).await?;
        self.snapshot = Some(Snapshot { all, refused });
        Ok(Next::Go)
    }

    async fn go_on(&mut self, mut snapshot: Snapshot, sink: &mut Sink) -> anyhow::Result<Next> {
        let revision = snapshot.all.revision;
        let over = self.sent.refused.load(Ordering::Acquire) != snapshot.refused;
        let page = match over {
            true => None,
            false => snapshot.all.page().await?,
        };
        if let Some(tenants) = page {
            for text in pages(tenants, |tenants| ToNode::SnapshotPage {
                revision,
                tenants,
            })? {
                self.send_text(sink, text).await?;
            }
            self.snapshot = Some(snapshot);
            return Ok(Next::Go);
        }
        self.place = None;
        self.asked = false;
        if !over {
            self.send(sink, &ToNode::SnapshotEnd { revision }).await?;
        }
        Ok(Next::Go)
    }

    pub(super) async fn send(&self, sink: &mut Sink, message: &ToNode) -> anyhow::Result<()> {
        self.send_text(sink, serde_json::to_string(message)?.into())
            .await
    }

    async fn send_text(&self, sink: &mut Sink, text: Utf8Bytes) -> anyhow::Result<()> {
        let sent = &self.cp.push().sent_bytes;
        sent.fetch_add(text.len() as u64, Ordering::Relaxed);
        timeout(SEND_TIMEOUT, sink.send(Message::Text(text)))
            .await
            .context("the node does not read")?
            .context("sending failed")
    }

    /// One page of documents with keys of the new day.
    async fn refresh(&mut self, mut refresh: Refresh, sink: &mut Sink) -> anyhow::Result<Next> {
        if self.sent.unanswered() >= UNANSWERED {
            self.refresh = Some(refresh);
            return Ok(Next::Answer);
        }
        let revision = self.sent.revision.load(Ordering::Acquire);
        let settings = match refresh.begun {
            true => None,
            false => documents::settings_again(self.cp, revision).await?,
        };
        let page = documents::again(self.cp, refresh.after, refresh.day, revision).await?;
        let last = page.is_none();
        let (after, tenants) = page.map_or((None, Vec::new()), |(id, page)| (Some(id), page));
        let mut settings = Some(settings);
        let texts = pages(tenants, |tenants| ToNode::Refresh {
            revision,
            settings: settings.take().flatten(),
            tenants,
        })?;
        let count = texts.len();
        for (i, text) in texts.into_iter().enumerate() {
            let what = match last && i + 1 == count {
                true => What::Keys(refresh.day),
                false => What::Change,
            };
            self.sent.record(revision, what);
            self.send_text(sink, text).await?;
        }
        if last {
            self.day = Some(refresh.day);
        } else {
            refresh.after = after;
            refresh.begun = true;
            self.refresh = Some(refresh);
        }
        Ok(Next::Go)
    }
}

/// The newest day whose keys this node should have by now.
fn due(node: NodeId, now: DateTime<Utc>) -> NaiveDate {
    let (high, low) = node.as_uuid().as_u64_pair();
    let spread = SPREAD.num_seconds().unsigned_abs();
    let offset = TimeDelta::seconds(i64::try_from((high ^ low) % spread).unwrap_or(0));
    (now - offset).date_naive()
}

/// Messages with these tenants, in order, each of bounded length; one where there are none.
fn pages(
    tenants: Vec<TenantDocument>,
    mut message: impl FnMut(Vec<TenantDocument>) -> ToNode,
) -> anyhow::Result<Vec<Utf8Bytes>> {
    let mut texts = Vec::new();
    let (mut page, mut bytes) = (Vec::new(), 0);
    for tenant in tenants {
        let length = length(&tenant);
        if !page.is_empty() && bytes + length > PAGE_BYTES {
            texts.push(serde_json::to_string(&message(std::mem::take(&mut page)))?.into());
            bytes = 0;
        }
        bytes += length;
        page.push(tenant);
    }
    if !page.is_empty() || texts.is_empty() {
        texts.push(serde_json::to_string(&message(page))?.into());
    }
    Ok(texts)
}

/// About how long a document is as text: most of it is signing keys and places.
fn length(tenant: &TenantDocument) -> usize {
    let keys = tenant.access_keys.iter().map(|key| {
        let scope = &key.scope;
        let names = scope.buckets.iter().chain(&scope.prefixes);
        200 + key.signing_keys.len() * 43
            + names.map(|name| name.len() + 3).sum::<usize>()
            + scope.source_addresses.len() * 40
    });
    let buckets = tenant.buckets.iter().map(|bucket| {
        let rules = bucket.cors.iter().map(|rule| {
            let parts = [
                &rule.allowed_origins,
                &rule.allowed_methods,
                &rule.allowed_headers,
                &rule.expose_headers,
            ];
            200 + parts
                .into_iter()
                .flatten()
                .map(|part| part.len() + 3)
                .sum::<usize>()
        });
        400 + rules.sum::<usize>()
    });
    300 + keys.sum::<usize>() + buckets.sum::<usize>()
}

/// A place for a snapshot, as soon as there is one.
pub(super) async fn place(cp: &ControlPlane) -> anyhow::Result<OwnedSemaphorePermit> {
    Ok(Arc::clone(&cp.push().snapshots).acquire_owned().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_get_new_keys_at_different_times_of_the_day_and_all_before_it_is_over() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap_or_default();
        let nodes: Vec<NodeId> = (0..1000).map(|_| NodeId::random()).collect();
        let yesterday = at("2026-03-01T12:00:00Z").date_naive();
        let renewed = |now: &str| {
            nodes
                .iter()
                .filter(|node| due(**node, at(now)) > yesterday)
                .count()
        };
        assert_eq!(renewed("2026-03-01T23:59:59Z"), 0);
        let five_hours = renewed("2026-03-02T05:00:00Z");
        assert!((150..350).contains(&five_hours), "{five_hours}");
        assert_eq!(renewed("2026-03-02T20:00:00Z"), 1000);
    }
}
