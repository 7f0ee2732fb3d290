//! Hard quotas: what is left of a tenant's quota is handed out to nodes in leases, and what is used and outstanding
//! together is never more than the quota. A node admits what its leases hold, and nothing else here decides about requests.

mod arithmetic;
mod ask;
mod book;
mod ledger;
mod notes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{Datelike, TimeDelta};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use wire::{FromNode, Period, Resource};

pub(crate) use book::Booking;
pub(crate) use ledger::{give_back, sweep};
pub(crate) use notes::{hear_note, recall_if_beyond};

use crate::ids::{NodeId, TenantId};
use crate::{Clock, ControlPlane, Error, Tx, db};
use db::leases::Quota;

/// Questions of nodes that are looked into at once.
const AT_ONCE: usize = 8;

/// What this process knows of leases beside the tables.
pub(crate) struct Leases {
    /// Changes whenever a batch was booked here: there may be room where there was none.
    booked: watch::Sender<()>,
    /// When each quota was last recalled, and one at a time asks about it.
    quotas: Mutex<HashMap<Quota, Arc<Desk>>>,
    at_once: Arc<Semaphore>,
}

/// Where the questions about one quota queue, so that they do not take up connections while they wait for its row.
#[derive(Default)]
struct Desk {
    turn: tokio::sync::Mutex<()>,
    recalled: Mutex<Option<Instant>>,
}

impl Leases {
    pub(crate) fn new() -> Self {
        Self {
            booked: watch::Sender::new(()),
            quotas: Mutex::default(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    fn desk(&self, quota: Quota) -> Arc<Desk> {
        let mut desks = lock(&self.quotas);
        // Those that nobody stands at.
        if desks.len() > 10_000 {
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        desks.entry(quota).or_default().clone()
    }

    pub(crate) fn has_booked(&self) {
        self.booked.send_replace(());
    }
}

/// What a node says that concerns leases. It is looked into beside the stream, which goes on.
pub(crate) fn hear(cp: &ControlPlane, node: NodeId, message: FromNode) {
    let plane = cp.clone();
    match message {
        FromNode::Ledger { ledger } => cp.spawn(async move {
            let opened = ledger::open(&plane, node, &ledger);
            if let Err(error) = db::in_time(db::PATIENCE, opened).await {
                tracing::warn!(%node, %error, "a node's ledger could not be opened");
            }
        }),
        FromNode::Ask(question) => cp.spawn(async move {
            let answered = ask::answer(&plane, node, &question);
            if let Err(error) = db::in_time(db::PATIENCE, answered).await {
                tracing::warn!(%node, %error, "a node's question about a lease could not be answered");
            }
        }),
        _ => {}
    }
}

/// Bytes that were read in this calendar month (UTC), as far as is booked: as it is shown and as it is enforced.
pub async fn egress_bytes(tx: &mut Tx, clock: &Clock, tenant: TenantId) -> Result<u64, Error> {
    let resource = Resource::EgressBytes;
    let period = period_of(resource, clock);
    let quota = Quota {
        tenant,
        resource,
        period,
    };
    let used = db::leases::used(tx.connection(), quota).await?;
    Ok(u64::try_from(used).unwrap_or(0))
}

/// The period that counts now.
fn period_of(resource: Resource, clock: &Clock) -> Period {
    match resource {
        Resource::EgressBytes => month(clock.today()),
        _ => 0,
    }
}

pub(crate) fn month(day: chrono::NaiveDate) -> Period {
    day.year_ce().1 * 100 + day.month()
}

/// Whether a node may ask about this period now: its clock may be off by a little.
fn is_current(resource: Resource, period: Period, clock: &Clock) -> bool {
    if resource != Resource::EgressBytes {
        return period == 0;
    }
    let now = clock.now();
    [-1, 0, 1]
        .iter()
        .any(|minutes| month((now + TimeDelta::minutes(*minutes)).date_naive()) == period)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
