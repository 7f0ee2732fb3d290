//! Configuration on its way to the nodes: what the newest revision is, who has acknowledged what.
//! LISTEN/NOTIFY only wakes; the number in the database decides, so a lost notification costs a second at most.

mod acks;
mod causes;
mod documents;
mod feed;
mod outboxes;
mod stream;
mod tail;

use std::time::Duration;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, Semaphore, watch};
use wire::Revision;

pub(crate) use acks::Acks;
pub(crate) use causes::Causes;
pub(crate) use outboxes::Outboxes;
pub(crate) use stream::serve;

use crate::{ControlPlane, Error, db, leases};

/// Each holds a transaction, and a connection, for as long as its node takes to read it.
const SNAPSHOTS_AT_ONCE: usize = 4;

const POLL: Duration = Duration::from_secs(1);

pub(crate) struct Push {
    head: watch::Sender<Revision>,
    woken: Notify,
    pub acks: Acks,
    pub outboxes: Outboxes,
    pub(crate) causes: Causes,
    /// Told when every stream is to begin anew.
    over: watch::Sender<()>,
    /// Bytes of messages sent to nodes by this process.
    sent_bytes: AtomicU64,
    tail: tail::Tail,
    snapshots: Arc<Semaphore>,
}

impl Push {
    pub(crate) fn new() -> Self {
        Self {
            head: watch::Sender::new(0),
            woken: Notify::new(),
            acks: Acks::new(),
            outboxes: Outboxes::default(),
            causes: Causes::default(),
            over: watch::Sender::new(()),
            sent_bytes: AtomicU64::new(0),
            tail: tail::Tail::default(),
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE)),
        }
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Ends every stream of this process; the nodes come back.
    pub(crate) fn end_streams(&self) {
        self.over.send_replace(());
    }

    /// The newest revision that this process has heard of.
    pub(crate) fn head(&self) -> watch::Receiver<Revision> {
        self.head.subscribe()
    }
}

/// Asks the database for the newest revision and tells the streams.
pub(crate) async fn refresh(cp: &ControlPlane) -> Result<(), Error> {
    let number = db::revision::head(cp.pool()).await?;
    cp.push().head.send_if_modified(|head| {
        let changed = *head != number;
        *head = number;
        changed
    });
    Ok(())
}

/// Refreshes whenever woken, and every second in case that a notification was lost.
pub(crate) async fn follow(cp: ControlPlane) {
    loop {
        let _ = tokio::time::timeout(POLL, cp.push().woken.notified()).await;
        if let Err(error) = db::in_time(db::PATIENCE, refresh(&cp)).await {
            tracing::warn!(%error, "cannot ask for the newest revision");
        }
    }
}

/// Waits for notifications on a connection of its own, for ever.
pub(crate) async fn listen(cp: ControlPlane) {
    loop {
        if let Err(error) = listen_once(&cp).await {
            tracing::warn!(%error, "not listening for changes; polling");
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn listen_once(cp: &ControlPlane) -> Result<(), sqlx::Error> {
    let mut listener = db::listener(cp.pool()).await?;
    loop {
        // `None`: the connection was lost and is there again; something may have been missed.
        let notification = db::announced(&mut listener).await?;
        match notification {
            Some(note) if note.channel() != db::leases::CHANNEL => {
                cp.push().causes.note(note.payload());
                cp.push().woken.notify_one();
            }
            None => cp.push().woken.notify_one(),
            Some(note) => {
                let plane = cp.clone();
                cp.spawn(async move {
                    let heard = leases::hear_note(&plane, note.payload());
                    if let Err(error) = db::in_time(db::PATIENCE, heard).await {
                        tracing::warn!(%error, "a note about leases could not be passed on");
                    }
                });
            }
        }
    }
}
