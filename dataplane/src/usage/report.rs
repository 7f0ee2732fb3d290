//! Batches on their way: closes a segment every second while there is a stream, sends what is not booked, and again after the stream was cut.
//! A segment goes when the control plane has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use wire::FromNode;

use super::lines::{lines, taken};
use crate::journal::Name;
use crate::node::Node;

const LOOK_EVERY: Duration = Duration::from_millis(200);
const CLOSE_EVERY: Duration = Duration::from_secs(1);
/// A batch that is not booked by then is sent again on the same stream.
const BOOKED_WITHIN: Duration = Duration::from_secs(15);
/// Batches that may be on their way at once.
const ON_THEIR_WAY: usize = 8;

/// Never returns.
pub async fn run(node: Arc<Node>) {
    let mut connected = node.uplink.connected();
    let mut booked = node.booked.subscribe();
    let mut sent: HashMap<Name, Instant> = HashMap::new();
    let mut closed_at = Instant::now();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut hurried = false;
        tokio::select! {
            _ = tick.tick() => {}
            Ok(()) = booked.changed() => {}
            // Whatever was on its way on another stream is not any more.
            Ok(()) = connected.changed() => sent.clear(),
            () = node.leases.flush.notified() => hurried = true,
        }
        node.journal.probe();
        // While nobody listens one segment is written on until it is full: a week has some thousand, and not a million.
        let heard = *connected.borrow() > 0;
        let due =
            heard && (hurried || closed_at.elapsed() >= CLOSE_EVERY) && !node.journal.is_empty();
        if due || node.journal.is_full() {
            closed_at = Instant::now();
            close(&node);
        }
        send(&node, &mut sent);
    }
}

fn close(node: &Node) {
    if let Err(error) = node.journal.rotate() {
        tracing::error!(%error, "the journal's next segment cannot be made; the one before is written on");
    }
}

fn send(node: &Node, sent: &mut HashMap<Name, Instant>) {
    if *node.uplink.connected().borrow() == 0 {
        return;
    }
    let unbooked = node.journal.unbooked();
    sent.retain(|name, at| at.elapsed() < BOOKED_WITHIN && unbooked.binary_search(name).is_ok());
    let waiting = unbooked
        .iter()
        .filter(|name| !sent.contains_key(name))
        .take(ON_THEIR_WAY.saturating_sub(sent.len()))
        .copied()
        .collect::<Vec<_>>();
    for name in waiting {
        match node.journal.read(name) {
            Ok(read) => {
                let message = FromNode::Usage {
                    boot: format!("{:016x}", name.boot),
                    sequence: name.sequence,
                    lines: lines(&read.entries),
                    taken: taken(&read.entries),
                };
                if !node.uplink.send(message) {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(sequence = name.sequence, %error, "a journal segment cannot be read");
            }
        }
        sent.insert(name, Instant::now());
    }
}

/// The control plane has a batch.
pub fn booked(node: &Node, boot: &str, sequence: u64) {
    if let Ok(boot) = u64::from_str_radix(boot, 16) {
        node.journal.booked(Name::new(sequence, boot));
        node.booked.send_replace(());
    }
}

/// At the end: waits until everything is booked, for as long as that is likely.
pub async fn flush(node: &Node, within: Duration) {
    close(node);
    let mut booked = node.booked.subscribe();
    let all = async {
        while *node.uplink.connected().borrow() > 0 && !node.journal.unbooked().is_empty() {
            let _ = booked.changed().await;
        }
    };
    if tokio::time::timeout(within, all).await.is_err() {
        tracing::info!("usage that is not booked yet is sent after the next start");
    }
}
