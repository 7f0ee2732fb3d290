//! The stream from the control plane: every change is applied, written to disk, and acknowledged, in this order. What
//! cannot be applied is refused by name, and the last good configuration stays.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wire::{FromNode, PROTOCOL_VERSION, STREAM_PATH};

use crate::cache::Cache;
use crate::intake::Intake;
use crate::node::Node;

/// A control plane says something every two seconds; this much silence means a broken connection.
const SILENCE: Duration = Duration::from_secs(10);
/// Seconds.
const KEEP_EVERY: i64 = 10;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A tenant's document may have some megabytes; a snapshot comes in pages.
const MAX_MESSAGE: usize = 64 << 20;

/// The state of the stream, for health and metrics.
#[derive(Default)]
pub struct Link {
    connected: AtomicBool,
    /// Seconds since 1970 at which a control plane that this node follows was last heard.
    heard_at: AtomicI64,
    /// Where this is kept over a restart, and what is there.
    kept: Mutex<Option<(PathBuf, i64)>>,
}

impl Link {
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Seconds since 1970; `None` before the control plane was ever heard.
    pub fn heard_at(&self) -> Option<i64> {
        Some(self.heard_at.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// Goes on from what an earlier process heard.
    pub fn remember(&self, path: PathBuf) {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let at = text.trim().parse().unwrap_or(0);
        self.heard_at.store(at, Ordering::Relaxed);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((path, at));
    }

    fn hear(&self, now: i64) {
        self.heard_at.store(now, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, at)) = &mut *kept
            && now - *at >= KEEP_EVERY
        {
            // Not synced: a node that loses it is taken for one that heard nothing for longer.
            let partial = path.with_extension("partial");
            let written = std::fs::write(&partial, format!("{now}\n"))
                .and_then(|()| std::fs::rename(&partial, &*path));
            if let Err(error) = written {
                tracing::warn!(%error, "when a control plane was last heard could not be kept");
            }
            *at = now;
        }
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

/// Never returns: a broken stream is opened again.
pub async fn run(node: Arc<Node>, cache: Cache, s3_address: String) {
    let intake = Arc::new(Intake::new(node.clone(), cache));
    let boot_id = node.journal.boot();
    let mut backoff = Backoff::default();
    let Some(mut outbox) = node.uplink.receiver() else {
        tracing::error!("the stream to the control plane is kept by another task already");
        return;
    };
    loop {
        let mut heard = false;
        let hello = (s3_address.as_str(), boot_id.as_str());
        let ended = session(&node, &intake, hello, &mut outbox, &mut heard).await;
        node.uplink.end();
        node.control.turn();
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
    intake: &Arc<Intake>,
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
        epoch: node.tenants.epoch(),
        whole: node.tenants.is_whole(),
        at: Some(node.clock.now()),
    };
    node.tenants.start_over();
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
        if node.tenants.is_following() {
            node.link.hear(node.clock.now().timestamp());
        }
        if !node.link.connected.swap(true, Ordering::Relaxed) {
            *heard = true;
            tracing::info!("connected to the control plane");
        }
        match message {
            Message::Text(text_) => {
                // Reading a page, and writing it to the disk, takes a while.
                let intake = intake.clone();
                let answer = tokio::task::spawn_blocking(move || intake.receive(text_.as_str()));
                if let Some(answer) = answer.await? {
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
}
