//! The stream from the control plane: every change is applied, written to disk, and acknowledged, in this order. What
//! cannot be applied is refused by name, and the last good configuration stays.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wire::{FromNode, PROTOCOL_VERSION, Revision, STREAM_PATH, ToNode};

use crate::cache::Cache;
use crate::node::Node;
use crate::tenants::Refused;

/// A control plane says something every two seconds; this much silence means a broken connection.
const SILENCE: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const MAX_MESSAGE: usize = 1 << 30;

/// The state of the stream, for health and metrics.
#[derive(Default)]
pub struct Link {
    connected: AtomicBool,
    /// Seconds since 1970 at which the control plane was last heard.
    heard_at: AtomicI64,
}

impl Link {
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// `None` before the control plane was ever heard in this process.
    pub fn heard_at(&self) -> Option<i64> {
        Some(self.heard_at.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

/// Waits that double from 100 ms to 5 s, each shortened at random by up to half, so that a fleet does not call at once.
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(Duration::from_millis(100))
    }
}

impl Backoff {
    pub fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        now.mul_f64(1.0 - rand::random::<f64>() / 2.0)
    }
}

type Disk = Arc<Mutex<Cache>>;

/// Never returns: a broken stream is opened again.
pub async fn run(node: Arc<Node>, cache: Cache, s3_address: String) {
    let disk = Arc::new(Mutex::new(cache));
    let boot_id = format!("{:016x}", rand::random::<u64>());
    let mut backoff = Backoff::default();
    let Some(mut outbox) = node.uplink.receiver() else {
        tracing::error!("the stream to the control plane is kept by another task already");
        return;
    };
    loop {
        let mut heard = false;
        let hello = (s3_address.as_str(), boot_id.as_str());
        let ended = session(&node, &disk, hello, &mut outbox, &mut heard).await;
        node.uplink.end();
        if node.link.connected.swap(false, Ordering::Relaxed) || heard {
            backoff = Backoff::default();
        }
        match ended {
            Ok(()) => tracing::info!("the control plane closed the stream"),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "no stream from the control plane"
            ),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn session(
    node: &Arc<Node>,
    disk: &Disk,
    (s3_address, boot_id): (&str, &str),
    outbox: &mut mpsc::Receiver<FromNode>,
    heard: &mut bool,
) -> anyhow::Result<()> {
    let url = node.control.stream_url(STREAM_PATH)?;
    let mut request = url.into_client_request()?;
    let token = format!("Bearer {}", node.control.token()?);
    request
        .headers_mut()
        .insert("authorization", token.parse()?);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let connecting = tokio_tungstenite::connect_async_with_config(request, Some(config), true);
    let (mut stream, _) = tokio::time::timeout(CONNECT_WITHIN, connecting)
        .await
        .context("connecting took too long")??;
    let hello = FromNode::Hello {
        protocol: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        s3_address: s3_address.to_owned(),
        boot_id: boot_id.to_owned(),
        revision: node.tenants.revision(),
    };
    stream.send(text(&hello)?).await?;
    // What was meant for an earlier stream.
    while outbox.try_recv().is_ok() {}
    node.uplink.begin();
    let mut silent_at = Instant::now() + SILENCE;
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            Some(message) = outbox.recv() => {
                stream.send(text(&message)?).await?;
                continue;
            }
            () = sleep_until(silent_at) => bail!("the control plane fell silent"),
        };
        let Some(message) = message.transpose()? else {
            return Ok(());
        };
        silent_at = Instant::now() + SILENCE;
        node.limits.heard(std::time::Instant::now());
        node.link
            .heard_at
            .store(node.clock.now().timestamp(), Ordering::Relaxed);
        if !node.link.connected.swap(true, Ordering::Relaxed) {
            *heard = true;
            tracing::info!("connected to the control plane");
        }
        match message {
            Message::Text(text_) => {
                if let Some(answer) = receive(node, disk, text_.as_str()).await {
                    stream.send(text(&answer)?).await?;
                }
            }
            Message::Close(_) => return Ok(()),
            _ => {}
        }
    }
}

fn text(message: &FromNode) -> anyhow::Result<Message> {
    Ok(Message::text(serde_json::to_string(message)?))
}

/// Applies one message, and says what to answer.
async fn receive(node: &Arc<Node>, disk: &Disk, text: &str) -> Option<FromNode> {
    let message: ToNode = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => {
            let reason = format!("the message cannot be read: {error}");
            tracing::error!(reason, "a push was refused");
            return Some(FromNode::Nack {
                revision: revision_of(text),
                reason,
            });
        }
    };
    let revision = match &message {
        ToNode::Heartbeat { .. } => return None,
        // What changes configuration bears a revision; the rest is advice, and a newer control plane may have more of it.
        ToNode::Unknown if revision_of(text) == 0 => return None,
        ToNode::Unknown => {
            return Some(FromNode::Nack {
                revision: revision_of(text),
                reason: "a message of an unknown type".to_owned(),
            });
        }
        ToNode::Snapshot(snapshot) => snapshot.revision,
        ToNode::Tenant(document) => document.revision,
        ToNode::Settings(settings) => settings.revision,
        ToNode::Allotment(_) => return allot(node.clone(), message).await,
    };
    if let Err(Refused(reason)) = node.tenants.apply(message.clone()) {
        tracing::error!(revision, reason, "a push was refused");
        return Some(FromNode::Nack { revision, reason });
    }
    match store(node.clone(), disk.clone(), message).await {
        Ok(()) => Some(FromNode::Ack { revision }),
        Err(error) => {
            tracing::error!(
                revision,
                error = format!("{error:#}"),
                "a push is applied, but could not be written to disk"
            );
            Some(FromNode::Nack {
                revision,
                reason: format!("applied, but not on disk: {error:#}"),
            })
        }
    }
}

/// Without an answer the control plane says it again.
async fn allot(node: Arc<Node>, message: ToNode) -> Option<FromNode> {
    let ToNode::Allotment(allotment) = message else {
        return None;
    };
    let applied = tokio::task::spawn_blocking(move || {
        node.limits.apply(&allotment, std::time::Instant::now())
    });
    match applied.await {
        Ok(Ok(allotted)) => Some(FromNode::Allotted(allotted)),
        Ok(Err(error)) => {
            tracing::error!(
                error = format!("{error:#}"),
                "shares cannot be written to disk"
            );
            None
        }
        Err(error) => {
            tracing::error!(%error, "shares were not applied");
            None
        }
    }
}

/// The revision of a message that could not be read, as far as that can be found out.
pub fn revision_of(text: &str) -> Revision {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    value
        .and_then(|value| value.get("revision")?.as_i64())
        .unwrap_or(0)
}

async fn store(node: Arc<Node>, disk: Disk, message: ToNode) -> anyhow::Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let mut cache = disk
            .lock()
            .map_err(|_| anyhow::anyhow!("an earlier write failed"))?;
        match message {
            ToNode::Snapshot(snapshot) => cache.replace(snapshot),
            // A snapshot of what is applied holds the change as well.
            message => match node.tenants.snapshot().filter(|_| cache.wants_snapshot()) {
                Some(snapshot) => cache.replace(snapshot),
                None => cache.append(&message),
            },
        }
    });
    written.await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let mut backoff = Backoff::default();
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let wait = backoff.next();
            assert!(wait >= Duration::from_millis(50) && wait <= Duration::from_secs(5));
            longest = longest.max(wait);
        }
        assert!(longest > Duration::from_secs(2));
    }

    #[test]
    fn the_revision_of_what_is_unreadable_is_found_if_it_is_there() {
        assert_eq!(
            revision_of("{\"type\":\"tenant\",\"revision\":7,\"limits\":3}"),
            7
        );
        assert_eq!(revision_of("nonsense"), 0);
    }
}
