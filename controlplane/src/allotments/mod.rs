//! Tenants' limits, divided among nodes. One round at a time over all control planes: it reads what nodes hold and what is
//! asked of them, plans, and writes down what they are to be told. It tells nobody before that is committed.

mod fair;
mod grant;
mod inbox;
mod plan;
mod store;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;
use wire::{Allotment, FromNode, Shares, TenantShares, ToNode};

use crate::ids::NodeId;
use crate::{ControlPlane, Error, db};
use store::Fleet;

/// A lost notification costs this much, and what is not acknowledged is said again after as long.
const POLL: Duration = Duration::from_secs(1);
/// Rounds do not follow each other faster.
const PAUSE: Duration = Duration::from_millis(20);
const PROBE_WITHIN: Duration = Duration::from_millis(300);
const KEEP_DEMANDS: TimeDelta = TimeDelta::seconds(60);

pub(crate) struct Allotments {
    inbox: mpsc::Sender<(NodeId, FromNode)>,
    due: Notify,
    news: Notify,
    /// By node that is connected here: the newest number that it was told.
    told: Mutex<HashMap<NodeId, i64>>,
    /// Nodes whose address refused a connection while they were not connected.
    dead: Mutex<Vec<NodeId>>,
}

impl Allotments {
    /// The second half goes to [`inbox::run`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<(NodeId, FromNode)>) {
        let (inbox, receiver) = mpsc::channel(1024);
        let allotments = Self {
            inbox,
            due: Notify::new(),
            news: Notify::new(),
            told: Mutex::default(),
            dead: Mutex::default(),
        };
        (allotments, receiver)
    }

    /// What a node said of shares, demand or refusals. What comes faster than it can be written is lost: nodes say it
    /// again.
    pub(crate) fn heard(&self, node: NodeId, message: FromNode) {
        if self.inbox.try_send((node, message)).is_err() {
            tracing::warn!(%node, "what a node said was not written down: the database is slow");
        }
    }

    fn told(&self) -> MutexGuard<'_, HashMap<NodeId, i64>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dead(&self) -> MutexGuard<'_, Vec<NodeId>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts what goes on as long as the control plane.
pub(crate) fn start(cp: &ControlPlane, inbox: mpsc::Receiver<(NodeId, FromNode)>) {
    cp.spawn(inbox::run(cp.clone(), inbox));
    cp.spawn(listen(cp.clone()));
    cp.spawn(divide(cp.clone()));
    cp.spawn(tell(cp.clone()));
    cp.spawn(probe(cp.clone()));
}

/// All that a node must know before it may serve anything: a round in which it is there, and what came of it.
pub(crate) async fn welcome(cp: &ControlPlane, node: NodeId) -> Result<ToNode, Error> {
    let mut tx = cp.begin_system().await?;
    db::allotments::lock(tx.connection()).await?;
    round(cp, tx.connection()).await?;
    let fleet = db::allotments::nodes(tx.connection()).await?;
    let me = fleet.iter().find(|row| row.id == node.0);
    let (number, floor) = me.map_or((0, 0), |row| (row.floor_number, row.floor));
    let rows = db::allotments::of_nodes(tx.connection(), &[node.0], -1, cp.clock().now()).await?;
    let last = rows.iter().map(|row| row.number).max();
    cp.allotments()
        .told()
        .insert(node, last.unwrap_or(0).max(number));
    db::allotments::announce(tx.connection(), "tell").await?;
    tx.commit().await?;
    Ok(ToNode::Allotment(Allotment {
        number,
        floor: floor.unsigned_abs(),
        hold_seconds: cp.config().share_hold_seconds,
        whole: true,
        draining: me.is_some_and(|row| row.draining_at.is_some()),
        tenants: rows.iter().map(tenant_shares).collect(),
    }))
}

fn tenant_shares(row: &db::allotments::Row) -> TenantShares {
    TenantShares {
        tenant_id: crate::ids::TenantId(row.tenant_id).to_string(),
        number: row.number,
        shares: (!row.released).then_some(Shares {
            requests: row.requests.unsigned_abs(),
            concurrency: row.concurrency.unsigned_abs(),
            bandwidth: row.bandwidth.unsigned_abs(),
        }),
    }
}

/// One round; the caller holds the lock. Whether there is anything new to tell.
async fn round(cp: &ControlPlane, conn: &mut sqlx::PgConnection) -> Result<bool, sqlx::Error> {
    let now = cp.clock().now();
    let dead = cp.allotments().dead().clone();
    let hold = TimeDelta::seconds(cp.config().share_hold_seconds.into());
    let mut fleet = Fleet::read(conn, now, hold, &dead).await?;
    plan::plan(&mut fleet.nodes, &mut fleet.tenants, now);
    fleet.write(conn, now).await
}

async fn divide(cp: ControlPlane) {
    let mut cleaned = Instant::now();
    loop {
        let _ = timeout(POLL, cp.allotments().due.notified()).await;
        if let Err(error) = db::in_time(db::PATIENCE, divide_once(&cp)).await {
            tracing::warn!(%error, "limits could not be divided anew");
        }
        if cleaned.elapsed() > 10 * POLL {
            cleaned = Instant::now();
            clean(&cp).await;
        }
        sleep(PAUSE).await;
    }
}

async fn divide_once(cp: &ControlPlane) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    db::allotments::lock(tx.connection()).await?;
    if round(cp, tx.connection()).await? {
        db::allotments::announce(tx.connection(), "tell").await?;
    }
    tx.commit().await
}

async fn clean(cp: &ControlPlane) {
    let done = async {
        let mut tx = cp.begin_system().await?;
        let before = cp.clock().now() - KEEP_DEMANDS;
        db::allotments::forget_demands(tx.connection(), before).await?;
        tx.commit().await
    };
    if let Err(error) = db::in_time(db::PATIENCE, done).await {
        tracing::warn!(%error, "old demands could not be removed");
    }
}

/// Tells the nodes that are connected here what is new for them, and what they did not answer.
async fn tell(cp: ControlPlane) {
    loop {
        let _ = timeout(POLL, cp.allotments().news.notified()).await;
        if let Err(error) = db::in_time(db::PATIENCE, tell_once(&cp)).await {
            tracing::warn!(%error, "nodes could not be told their shares");
        }
    }
}

async fn tell_once(cp: &ControlPlane) -> Result<(), Error> {
    let here = cp.push().outboxes.nodes();
    let told: HashMap<NodeId, i64> = {
        let mut told = cp.allotments().told();
        told.retain(|node, _| here.contains(node));
        told.clone()
    };
    if told.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = told.keys().map(|node| node.0).collect();
    let oldest = told.values().copied().min().unwrap_or(0);
    let unanswered = cp.clock().now() - TimeDelta::seconds(1);
    let mut tx = cp.begin_system().await?;
    let nodes = db::allotments::nodes(tx.connection()).await?;
    let mut rows: HashMap<Uuid, Vec<db::allotments::Row>> = HashMap::new();
    for row in db::allotments::of_nodes(tx.connection(), &ids, oldest, unanswered).await? {
        rows.entry(row.node_id).or_default().push(row);
    }
    drop(tx);
    for node in nodes {
        let id = NodeId(node.id);
        let Some(before) = told.get(&id) else {
            continue;
        };
        let mut rows = rows.remove(&node.id).unwrap_or_default();
        rows.retain(|row| row.number > *before || row.acked != row.number);
        let floor = node.floor_number > *before || node.floor_acked != node.floor_number;
        if rows.is_empty() && !floor {
            continue;
        }
        let newest = rows.iter().map(|row| row.number).max().unwrap_or(0);
        let newest = newest.max(node.floor_number).max(*before);
        let message = Allotment {
            number: node.floor_number,
            floor: node.floor.unsigned_abs(),
            hold_seconds: cp.config().share_hold_seconds,
            whole: false,
            draining: node.draining_at.is_some(),
            tenants: rows.iter().map(tenant_shares).collect(),
        };
        if cp.push().outboxes.send(id, ToNode::Allotment(message)) {
            let mut told = cp.allotments().told();
            if let Some(last) = told.get_mut(&id) {
                *last = (*last).max(newest);
            }
        }
    }
    Ok(())
}

/// Looks whether nodes that are not connected still live: where their address refuses connections, nothing serves.
async fn probe(cp: ControlPlane) {
    loop {
        sleep(POLL).await;
        let asked = db::in_time(db::PATIENCE, async {
            let mut conn = cp.pool().acquire().await?;
            Ok(db::allotments::nodes(&mut conn).await?)
        });
        let Ok(nodes) = asked.await else {
            continue;
        };
        let now = cp.clock().now();
        let mut dead = Vec::new();
        for node in nodes {
            let connected = node.connected_until.is_some_and(|until| until > now);
            if !connected && node.floor_held > 0 && refuses(&node.s3_address).await {
                dead.push(NodeId(node.id));
            }
        }
        let news = {
            let mut known = cp.allotments().dead();
            let news = dead.iter().any(|node| !known.contains(node));
            *known = dead;
            news
        };
        if news {
            cp.allotments().due.notify_one();
        }
    }
}

async fn refuses(address: &str) -> bool {
    match timeout(PROBE_WITHIN, TcpStream::connect(address)).await {
        Ok(Err(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => false,
    }
}

/// Waits for announcements on a connection of its own, for ever.
async fn listen(cp: ControlPlane) {
    loop {
        if let Err(error) = listen_once(&cp).await {
            tracing::warn!(%error, "not listening for demand; polling");
        }
        sleep(POLL).await;
    }
}

async fn listen_once(cp: &ControlPlane) -> Result<(), sqlx::Error> {
    let mut listener = db::listener_on(cp.pool(), db::allotments::CHANNEL).await?;
    loop {
        let said = db::announced(&mut listener).await?;
        let what = said.as_ref().map(|said| said.payload());
        if what != Some("tell") {
            cp.allotments().due.notify_one();
        }
        if what != Some("divide") {
            cp.allotments().news.notify_one();
        }
    }
}
