//! One node's stream: brings the node up to date, keeps it so, and takes its acknowledgements.
//! What a node says counts for that node alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use chrono::NaiveDate;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use uuid::Uuid;
use wire::{FromNode, Revision, ToNode, negotiate};

use super::feed::{self, Feed, Next, Sink};
use crate::db::nodes::{Connect, Progress};
use crate::ids::NodeId;
use crate::{ControlPlane, allotments, db, leases, nodes, usage};

const HEARTBEAT: Duration = Duration::from_secs(2);
/// A node that says nothing for this long, not even to a ping, is not connected.
const SILENCE: Duration = Duration::from_secs(10);
/// Acknowledgements are written to the table this often at most.
const REPORT_EVERY: Duration = Duration::from_millis(100);
const MAX_REASON: usize = 500;

/// After a refusal everything is sent anew, at first after this long.
const HEAL_AFTER: Duration = Duration::from_secs(2);
const HEAL_AFTER_AT_MOST: Duration = Duration::from_secs(60);

/// What the two halves of a stream tell each other.
pub(super) struct Sent {
    /// An acknowledgement beyond this is not believed.
    pub revision: AtomicI64,
    /// What was sent and is not answered yet, in order.
    unanswered: Mutex<VecDeque<Unanswered>>,
    /// How many messages the node has refused.
    pub refused: AtomicU32,
    /// Told of each answer.
    answers: Notify,
}

/// A message that the node will acknowledge or refuse.
struct Unanswered {
    revision: Revision,
    what: What,
}

/// What an acknowledgement says beside its revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Change,
    /// Everything is there, with signing keys as of this day.
    Snapshot(NaiveDate),
    /// Every tenant has signing keys as of this day.
    Keys(NaiveDate),
}

/// What an answer was about.
#[derive(Default)]
struct Answered {
    snapshot: bool,
    keys: Option<NaiveDate>,
}

impl Sent {
    pub fn record(&self, revision: Revision, what: What) {
        let mut unanswered = self
            .unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unanswered.push_back(Unanswered { revision, what });
        self.revision.store(revision, Ordering::Release);
    }

    /// What an answer for `revision` is about: everything before it, and the first message of that revision itself.
    fn answered(&self, revision: Revision) -> Answered {
        let mut unanswered = self
            .unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut answered = Answered::default();
        while let Some(first) = unanswered
            .front()
            .filter(|first| first.revision <= revision)
        {
            let last = first.revision == revision;
            match first.what {
                What::Change => {}
                What::Snapshot(day) => {
                    answered.snapshot = true;
                    answered.keys = Some(day);
                }
                What::Keys(day) => answered.keys = Some(day),
            }
            unanswered.pop_front();
            if last {
                break;
            }
        }
        drop(unanswered);
        self.answers.notify_one();
        answered
    }

    /// How many messages wait for their answer.
    pub fn unanswered(&self) -> usize {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// Serves the stream to its end and tells the log why it ended.
pub(crate) async fn serve(cp: ControlPlane, node: NodeId, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let end = match greet(&cp, node, &mut stream).await {
        Ok((id, revision, keys_day)) => {
            let end = run(&cp, node, id, revision, keys_day, &mut sink, &mut stream).await;
            cp.push().acks.end(node, id);
            cp.push().outboxes.end(node, id);
            let _ = db::in_time(db::PATIENCE, async {
                let mut conn = cp.pool().acquire().await?;
                Ok(db::nodes::disconnect(&mut conn, node, id).await?)
            })
            .await;
            end
        }
        Err(error) => Err(error),
    };
    let reason = match end {
        Ok(()) => "stopping".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    tracing::info!(%node, %reason, "stream ended");
    let frame = CloseFrame {
        code: axum::extract::ws::close_code::AWAY,
        // A close frame has 125 bytes in all.
        reason: Utf8Bytes::from(reason.chars().take(30).collect::<String>()),
    };
    let _ = timeout(
        Duration::from_secs(1),
        sink.send(Message::Close(Some(frame))),
    )
    .await;
}

/// Reads the node's Hello and enters it in the table. Answers the stream's id, the revision that the node has, and
/// the day of its signing keys.
async fn greet(
    cp: &ControlPlane,
    node: NodeId,
    stream: &mut SplitStream<WebSocket>,
) -> anyhow::Result<(Uuid, Revision, Option<NaiveDate>)> {
    let first = timeout(SILENCE, stream.next())
        .await
        .context("no Hello in time")?;
    let Some(Ok(Message::Text(text))) = first else {
        bail!("no Hello");
    };
    let hello = serde_json::from_str(&text).context("the Hello cannot be read")?;
    let FromNode::Hello {
        protocol,
        version,
        s3_address,
        boot_id,
        revision,
        epoch,
        whole,
        at,
    } = hello
    else {
        bail!("the first message is no Hello");
    };
    let spoken =
        negotiate(protocol).with_context(|| format!("protocol {protocol} is not spoken here"))?;
    ensure!(revision >= 0, "a negative revision");
    ensure!(
        s3_address.len() <= 255
            && version.len() <= 100
            && boot_id.len() <= 100
            && epoch.len() <= 100,
        "too long"
    );
    let id = Uuid::new_v4();
    let now = cp.clock().now();
    let connect = Connect {
        node,
        stream: id,
        s3_address: &s3_address,
        version: &version,
        boot_id: &boot_id,
        revision,
        clock_skew_ms: at.map(|at| (at - now).num_milliseconds()),
        now,
        until: now + SILENCE,
    };
    let (keys_day, ours) = db::in_time(db::PATIENCE, async {
        let mut conn = cp.pool().acquire().await?;
        let keys_day = db::nodes::connect(&mut conn, connect).await?;
        Ok((keys_day, db::revision::position(&mut *conn).await?))
    })
    .await?;
    let same = revision == 0 || epoch == ours.epoch.simple().to_string();
    // What a node followed another database for, or a newer copy of this one, is nothing of this one.
    let foreign = !same || revision > ours.head;
    if foreign {
        tracing::error!(%node, revision, epoch, "the node follows another database, or a newer copy of this one, and takes this one only if it is told to: vaultaire node accept");
    }
    cp.push()
        .acks
        .begin(node, id, if foreign { 0 } else { revision });
    let keys_day = keys_day.filter(|_| whole && !foreign);
    tracing::info!(%node, %s3_address, %version, protocol = spoken, revision, "node connected");
    Ok((id, revision, keys_day))
}

async fn run(
    cp: &ControlPlane,
    node: NodeId,
    id: Uuid,
    revision: Revision,
    keys_day: Option<NaiveDate>,
    sink: &mut Sink,
    stream: &mut SplitStream<WebSocket>,
) -> anyhow::Result<()> {
    let sent = Sent {
        revision: AtomicI64::new(revision),
        unanswered: Mutex::default(),
        refused: AtomicU32::new(0),
        answers: Notify::new(),
    };
    let mut over = cp.push().over.subscribe();
    let feed = Feed::new(cp, node, &sent, keys_day);
    tokio::select! {
        end = write(cp, node, cp.push().outboxes.begin(node, id), sink, &sent, feed) => end,
        end = read(cp, node, id, stream, &sent) => end,
        () = cp.stopping() => Ok(()),
        _ = over.changed() => bail!("the history of this database begins anew"),
    }
}

async fn write(
    cp: &ControlPlane,
    node: NodeId,
    mut outbox: mpsc::Receiver<ToNode>,
    sink: &mut Sink,
    sent: &Sent,
    mut feed: Feed<'_>,
) -> anyhow::Result<()> {
    feed.send(sink, &allotments::welcome(cp, node).await?)
        .await?;
    let mut head = cp.push().head();
    let (mut healed, mut heal_after, mut refused_at) = (0, HEAL_AFTER, None);
    let mut tick = interval(HEARTBEAT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = feed.step(sink).await?;
        tokio::select! {
            biased;
            _ = tick.tick() => {
                let revision = sent.revision.load(Ordering::Acquire);
                feed.send(sink, &ToNode::Heartbeat { revision, at: cp.clock().now() }).await?;
                sink.send(Message::Ping(axum::body::Bytes::new())).await?;
                let refused = sent.refused.load(Ordering::Acquire);
                let since = *refused_at.get_or_insert_with(Instant::now);
                if refused == healed {
                    refused_at = None;
                } else if since.elapsed() >= heal_after || feed.is_accepted().await? {
                    feed.start_over();
                    (healed, refused_at) = (refused, None);
                    heal_after = (heal_after * 2).min(HEAL_AFTER_AT_MOST);
                }
            }
            changed = head.changed() => {
                changed?;
                feed.wake();
            }
            // The sender is gone when another stream has taken the node over.
            message = outbox.recv() => {
                feed.send(sink, &message.context("the node has another stream")?).await?;
            }
            () = std::future::ready(()), if next == Next::Go => {}
            place = feed::place(cp), if next == Next::Place => feed.take_place(place?),
            () = sent.answers.notified(), if next == Next::Answer => {}
        }
    }
}

async fn read(
    cp: &ControlPlane,
    node: NodeId,
    id: Uuid,
    stream: &mut SplitStream<WebSocket>,
    sent: &Sent,
) -> anyhow::Result<()> {
    let mut progress = Progress {
        revision: sent.revision.load(Ordering::Acquire),
        ..Progress::default()
    };
    let mut heard = Instant::now();
    let mut report_at = heard + HEARTBEAT;
    let mut reported = heard;
    loop {
        tokio::select! {
            message = stream.next() => {
                let message = message.context("the node closed the stream")?;
                heard = Instant::now();
                if let Message::Text(text) = message.context("receiving failed")? {
                    let message = serde_json::from_str(&text).context("a message cannot be read")?;
                    hear(cp, node, id, message, sent, &mut progress);
                    report_at = report_at.min(reported + REPORT_EVERY);
                }
            }
            () = sleep_until(report_at) => {
                ensure!(heard.elapsed() < SILENCE, "the node is silent");
                let now = cp.clock().now();
                // A stream whose database is dead ends, and lets go of what the others wait for.
                let ours = db::in_time(db::PATIENCE, async {
                    let mut conn = cp.pool().acquire().await?;
                    Ok(db::nodes::report(&mut conn, node, id, &progress, now, now + SILENCE).await?)
                })
                .await?;
                ensure!(ours, "the node has another stream");
                reported = Instant::now();
                report_at = reported + HEARTBEAT;
            }
        }
    }
}

fn hear(
    cp: &ControlPlane,
    node: NodeId,
    id: Uuid,
    message: FromNode,
    sent: &Sent,
    progress: &mut Progress,
) {
    match message {
        FromNode::Ack { revision } if revision <= sent.revision.load(Ordering::Acquire) => {
            let answered = sent.answered(revision);
            progress.keys_day = answered.keys.or(progress.keys_day);
            if answered.snapshot {
                progress.whole = true;
                progress.nack = None;
            }
            // What came after a refused change does not stand in for it: only a snapshot does.
            if progress.nack.is_none() {
                progress.revision = revision;
                cp.push().acks.record(node, id, revision);
            }
        }
        FromNode::Ack { revision } => {
            tracing::warn!(%node, revision, "the node acknowledges what it was not sent");
        }
        FromNode::Nack { revision, reason } => {
            let reason: String = reason.chars().take(MAX_REASON).collect();
            tracing::warn!(%node, revision, %reason, "the node refuses a revision");
            sent.answered(revision);
            sent.refused.fetch_add(1, Ordering::Release);
            progress.nack = Some((revision, reason));
        }
        message
        @ (FromNode::Allotted(_) | FromNode::Demands { .. } | FromNode::Refusals { .. }) => {
            cp.allotments().heard(node, message)
        }
        FromNode::Usage {
            boot,
            sequence,
            lines,
            taken,
        } => cp.spawn(usage::receive(
            cp.clone(),
            node,
            boot,
            sequence,
            lines,
            taken,
        )),
        message @ (FromNode::Ledger { .. } | FromNode::Ask(_)) => leases::hear(cp, node, message),
        FromNode::Leave => cp.spawn(nodes::left(cp.clone(), node, id)),
        FromNode::Hello { .. } | FromNode::Unknown => {}
    }
}
