//! Hard quotas on a node: a request is admitted if this node's leases hold what it needs, and what it was promised is on
//! disk before anything of it goes to an engine. Only the control plane says how much a lease holds.

mod ask;
mod checkpoint;
pub mod ledger;
mod request;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use wire::{FromNode, Limits, Period, Resource, TenantDocument, TenantStatus, ToNode};

pub use self::checkpoint::Checkpoint;
pub use self::ledger::{Claim, Entry, Key, Leased, Ledger, name, number};
pub use self::request::Held;

use crate::clock::Clock;
use crate::journal::{self, Journal};
use crate::uplink::Uplink;

pub struct Leases {
    journal: Arc<Journal>,
    checkpoint: PathBuf,
    state: Mutex<State>,
    /// Whether the control plane at the other end of the stream has opened this node's ledger.
    opened: watch::Sender<bool>,
    /// Wakes whoever sends the journal's batches.
    pub flush: Notify,
}

struct State {
    ledger: Ledger,
    /// Counts questions up.
    asked: u64,
    waiting: HashMap<u64, (Key, oneshot::Sender<ask::Answer>)>,
    /// When stock was last asked for.
    laid_in: HashMap<Key, Instant>,
    /// What is over and could not be written down yet.
    /// Whether something was stored.
    overdue: Vec<(u64, bool)>,
    /// Entries since the last checkpoint.
    unsaved: u64,
}

impl State {
    /// Writes the entries down, and then goes by them.
    fn write(&mut self, journal: &Journal, entries: &[Entry]) -> Result<(), journal::Unwritable> {
        let lines: Vec<journal::Entry> =
            entries.iter().copied().map(journal::Entry::Lease).collect();
        journal.append_all(&lines)?;
        self.apply(entries);
        Ok(())
    }

    fn apply(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.ledger.apply(entry);
        }
        self.unsaved += entries.len() as u64;
    }
}

impl Leases {
    /// Begins a ledger if there is none, and ends what the process before this one left open.
    pub fn begin(
        checkpoint: PathBuf,
        ledger: Ledger,
        journal: Arc<Journal>,
    ) -> Result<Leases, journal::Unwritable> {
        let mut state = State {
            ledger,
            asked: 0,
            waiting: HashMap::new(),
            laid_in: HashMap::new(),
            overdue: Vec::new(),
            unsaved: 0,
        };
        if state.ledger.id() == 0 {
            state.write(&journal, &[new_ledger()])?;
        }
        for entry in state.ledger.abandoned() {
            let Entry::Settled { claim, .. } = entry else {
                continue;
            };
            let stored = request::as_stored(&claim).map(journal::Entry::Answered);
            let lines: Vec<journal::Entry> = stored
                .into_iter()
                .chain([journal::Entry::Lease(entry)])
                .collect();
            journal.append_all(&lines)?;
            state.apply(&[entry]);
        }
        Ok(Leases {
            journal,
            checkpoint,
            state: Mutex::new(state),
            opened: watch::Sender::new(false),
            flush: Notify::new(),
        })
    }

    /// What the control plane says of leases; `node_id` is this node's.
    pub fn hear(&self, message: &ToNode, node_id: &str, uplink: &Uplink) {
        match message {
            ToNode::Grants(grants) => self.granted(grants),
            ToNode::Full(full) => {
                let waiting = self.lock().waiting.remove(&full.answers);
                if let Some((_, waiting)) = waiting {
                    let _ = waiting.send(ask::Answer::Full(full.clone()));
                }
            }
            ToNode::Recall(recall) => {
                if let Some(key) = Key::read(&recall.quota) {
                    self.recalled(key, recall.keeps.as_deref() == Some(node_id));
                }
            }
            ToNode::Renew { ledger } => self.renew(ledger, uplink),
            _ => {}
        }
    }

    fn granted(&self, grants: &wire::Grants) {
        let mut state = self.lock();
        let entries: Vec<Entry> = grants
            .grants
            .iter()
            .filter_map(|grant| {
                let key = Key::read(&grant.quota)?;
                state.ledger.grant(&grants.ledger, key, grant.total)
            })
            .collect();
        // What cannot be written down is not used: it is said again.
        let _ = state.write(&self.journal, &entries);
        if grants.ledger == state.ledger.name() {
            self.opened.send_replace(true);
        }
        let answered = |number: &u64, key: &Key| {
            grants.answers == Some(*number)
                || entries
                    .iter()
                    .any(|entry| matches!(entry, Entry::Granted { key: other, .. } if other == key))
        };
        let woken = state
            .waiting
            .extract_if(|number, (key, _)| answered(number, key));
        for (_, (_, waiting)) in woken {
            let _ = waiting.send(ask::Answer::Granted);
        }
    }

    /// Gives back what no request was promised; a node at which a request waits for more keeps what it has.
    fn recalled(&self, key: Key, keeps: bool) {
        let mut state = self.lock();
        let waits = state.waiting.values().any(|(other, _)| *other == key);
        if !keeps
            && !waits
            && let Some(entry) = state.ledger.give_back(key)
        {
            let _ = state.write(&self.journal, &[entry]);
        }
        drop(state);
        self.flush.notify_one();
    }

    /// Gives back everything that no request was promised.
    pub fn give_back_all(&self) {
        let mut state = self.lock();
        for key in state.ledger.with_balance() {
            // What cannot be written down is kept.
            if let Some(entry) = state.ledger.give_back(key)
                && state.write(&self.journal, &[entry]).is_err()
            {
                break;
            }
        }
        drop(state);
        self.flush.notify_one();
    }

    fn renew(&self, ledger: &str, uplink: &Uplink) {
        let mut state = self.lock();
        if ledger == state.ledger.name() && state.write(&self.journal, &[new_ledger()]).is_ok() {
            tracing::warn!("this node's leases were given to others; it begins a new ledger");
        }
        uplink.send(FromNode::Ledger {
            ledger: state.ledger.name(),
        });
    }

    /// A tenant is new here or has changed: what it may use is asked for before it is needed.
    pub fn lay_in_for(&self, document: &TenantDocument, uplink: &Uplink, now: DateTime<Utc>) {
        if document.status != TenantStatus::Active {
            return;
        }
        let Some(tenant) = number(&document.tenant_id) else {
            return;
        };
        for (resource, period) in periods(now) {
            let key = Key {
                tenant,
                resource,
                period,
            };
            if document.limits.quota(resource).is_some() {
                self.lay_in(key, uplink);
            }
        }
    }

    /// Runs beside everything else: opens the ledger at every stream, and keeps the file that a start begins from.
    pub async fn follow(&self, uplink: &Uplink, clock: &Clock) {
        let mut streams = uplink.connected();
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut saved = Instant::now();
        loop {
            tokio::select! {
                changed = streams.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.stream_began(*streams.borrow_and_update() > 0, uplink);
                }
                _ = tick.tick() => {
                    self.settle_overdue();
                    if saved.elapsed() >= checkpoint::EVERY {
                        self.save(month(clock.now().date_naive()));
                        saved = Instant::now();
                    }
                }
            }
        }
    }

    fn stream_began(&self, began: bool, uplink: &Uplink) {
        let mut state = self.lock();
        self.opened.send_replace(false);
        // Whoever waits hears nothing any more.
        state.waiting.clear();
        if began {
            uplink.send(FromNode::Ledger {
                ledger: state.ledger.name(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_ledger() -> Entry {
    Entry::Opened {
        ledger: rand::random::<u128>().max(1),
    }
}

/// What a tenant has a quota of. `None`: of nothing.
pub fn leased(limits: &Limits) -> Option<Leased> {
    let leased = Leased {
        bytes: limits.quota_bytes.is_some(),
        objects: limits.quota_objects.is_some(),
        egress: limits.quota_egress_bytes.is_some(),
    };
    (leased != Leased::default()).then_some(leased)
}

/// Hours since 1970, UTC.
pub fn hour(now: DateTime<Utc>) -> u32 {
    u32::try_from(now.timestamp() / 3600).unwrap_or(0)
}

/// As `202603`.
pub fn month(day: chrono::NaiveDate) -> Period {
    day.year_ce().1 * 100 + day.month()
}

/// What is counted now; on a month's last day egress of the next one too, so that it does not end with the month where
/// no control plane is there.
fn periods(now: DateTime<Utc>) -> impl Iterator<Item = (Resource, Period)> {
    let this = month(now.date_naive());
    let next = month((now + TimeDelta::days(1)).date_naive());
    [
        Some((Resource::StoredBytes, 0)),
        Some((Resource::Objects, 0)),
        Some((Resource::EgressBytes, this)),
        (next != this).then_some((Resource::EgressBytes, next)),
    ]
    .into_iter()
    .flatten()
}
