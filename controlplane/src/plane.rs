//! The control plane as the program holds it: configuration, clock, database, engine, and the background tasks.
//! It decides nothing itself; the domain modules do.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_s3::config::SharedHttpClient;
use axum::Router;
use serde::Serialize;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;
use wire::Revision;

use crate::accounts::Throttle;
use crate::allotments::{self, Allotments};
use crate::billing::stripe::Stripe;
use crate::engine::Engine;
use crate::ids::{NodeId, TenantId};
use crate::leases::{self, Leases};
use crate::mail::{self, Mailer};
use crate::observe::{self, Routes};
use crate::passwords::Passwords;
use crate::push::{self, Push};
use crate::{
    Clock, Config, Error, MasterKey, Tx, api, billing, buckets, clock, console, db, deletion,
    engine, engines, master_key, operators, usage,
};

/// A node that was cut off serves from its cache for as long as its signing keys reach: eight days.
pub(crate) const CUT_OFF_MATTERS: chrono::Duration = chrono::Duration::days(9);
/// How long a change waits for the nodes.
pub(crate) const APPLY_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct ControlPlane(Arc<Inner>);

struct Inner {
    /// New at each start.
    instance: Uuid,
    config: Config,
    master_key: master_key::Held,
    clock: Clock,
    pool: PgPool,
    engines: engines::Connections,
    /// Connections to the data plane, for the dashboard's own requests.
    gateway: SharedHttpClient,
    passwords: Passwords,
    throttle: Throttle,
    api_limits: api::Limits,
    mailer: Mailer,
    stripe: Option<Stripe>,
    push: Push,
    allotments: Allotments,
    booking: Semaphore,
    leases: Leases,
    routes: Routes,
    stopping: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

/// Who serves a revision, and who does not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub revision: Revision,
    pub nodes: Vec<NodeAck>,
    pub pending: Vec<PendingNode>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeAck {
    pub node_id: NodeId,
    pub s3_address: String,
    /// From the start of the wait to the acknowledgement.
    pub millis: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingNode {
    pub node_id: NodeId,
    pub s3_address: String,
    /// A node that is cut off goes on serving what it has.
    pub connected: bool,
}

impl ControlPlane {
    /// Connects (trying for half a minute), brings the tables up to date, makes the engine known, and starts to
    /// push. The engine need not be up yet.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        anyhow::ensure!(!config.admin_token.is_empty(), "the admin token is empty");
        Engine::new(&config.engine).context("the engine's configuration")?;
        let pool = db::connect(&config.database_url).await?;
        db::migrate(&pool).await?;
        let (allotments, inbox) = Allotments::new();
        let cp = Self(Arc::new(Inner {
            instance: Uuid::new_v4(),
            master_key: master_key::Held::new(&config.master_key),
            engines: engines::Connections::default(),
            gateway: console::http(),
            pool,
            passwords: Passwords::new(),
            throttle: Throttle::new(clock.clone()),
            api_limits: api::Limits::new(clock.clone()),
            mailer: Mailer::new(&config.mail)?,
            stripe: config.stripe.clone().map(Stripe::new).transpose()?,
            push: Push::new(),
            allotments,
            booking: Semaphore::new(usage::BOOKED_AT_ONCE),
            leases: Leases::new(),
            routes: Routes::default(),
            stopping: watch::Sender::new(false),
            tasks: Mutex::new(JoinSet::new()),
            config,
            clock,
        }));
        clock::ask(&cp).await?;
        engine::register(&cp).await?;
        push::refresh(&cp).await?;
        allotments::start(&cp, inbox);
        cp.spawn(clock::follow(cp.clone()));
        cp.spawn(master_key::watch(cp.clone()));
        cp.spawn(push::listen(cp.clone()));
        cp.spawn(push::follow(cp.clone()));
        cp.spawn(engine::probe_all(cp.clone()));
        cp.spawn(engines::watch(cp.clone()));
        cp.spawn(buckets::heal(cp.clone()));
        cp.spawn(mail::deliver(cp.clone()));
        cp.spawn(billing::watch(cp.clone()));
        cp.spawn(usage::take_daily(cp.clone()));
        cp.spawn(leases::sweep(cp.clone()));
        cp.spawn(api::sweep(cp.clone()));
        cp.spawn(deletion::remove_daily(cp.clone()));
        cp.spawn(operators::impersonation::watch(cp.clone()));
        Ok(cp)
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// As it is at the moment: for one piece of work, not to be kept.
    pub(crate) fn master_key(&self) -> Arc<MasterKey> {
        self.0.master_key.get()
    }

    pub(crate) fn held_master_key(&self) -> &master_key::Held {
        &self.0.master_key
    }

    pub(crate) fn instance(&self) -> Uuid {
        self.0.instance
    }

    /// In a task of its own: a caller that goes away between BEGIN and its answer would leave the connection to the next
    /// one with a transaction open that sqlx knows nothing of. A transaction that nobody waits for is rolled back.
    async fn open(
        &self,
        begin: Option<&'static str>,
    ) -> Result<Transaction<'static, Postgres>, Error> {
        let pool = self.0.pool.clone();
        let begun = tokio::spawn(async move {
            match begin {
                Some(begin) => pool.begin_with(begin).await,
                None => pool.begin().await,
            }
        });
        Ok(begun.await.context("a transaction was not begun")??)
    }

    /// A transaction that sees this tenant's rows alone.
    pub async fn begin_tenant(&self, tenant: TenantId) -> Result<Tx, Error> {
        let mut tx = Tx::new(self.open(None).await?, Some(tenant));
        db::enter_tenant(tx.connection(), tenant).await?;
        Ok(tx)
    }

    /// A transaction that sees every tenant's rows: for log-in, push and the operator.
    pub async fn begin_system(&self) -> Result<Tx, Error> {
        let mut tx = Tx::new(self.open(None).await?, None);
        db::enter_system(tx.connection()).await?;
        Ok(tx)
    }

    /// As [`begin_system`](Self::begin_system), read only, and all statements see one moment.
    pub(crate) async fn begin_snapshot(&self) -> Result<Tx, Error> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut tx = Tx::new(self.open(Some(begin)).await?, None);
        db::enter_system(tx.connection()).await?;
        Ok(tx)
    }

    /// `/api/v1/**` and `/node/v1/**`.
    pub fn api(&self) -> Router {
        api::router(self.clone())
    }

    /// With figures and traces of every request; `router` is all that this control plane serves in public.
    pub fn observed(&self, router: Router) -> Router {
        observe::layered(self, router)
    }

    /// `/healthz`, `/readyz` and `/metrics`; for a port that is not public.
    pub fn health(&self) -> Router {
        api::health(self.clone())
    }

    /// Waits until every node that is connected, here or to another control plane, has acknowledged the revision.
    /// What is lost in the wait is told as pending, never as an error.
    pub async fn wait_applied(&self, revision: Revision, timeout: Duration) -> Receipt {
        let start = Instant::now();
        let mut changed = self.push().acks.changed();
        let mut receipt = Receipt {
            revision,
            nodes: Vec::new(),
            pending: Vec::new(),
        };
        let mut acked = HashSet::new();
        loop {
            match self.known_nodes().await {
                Ok(nodes) => {
                    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                    receipt.pending.clear();
                    for (node, applied) in nodes {
                        if applied < revision && !acked.contains(&node.node_id) {
                            receipt.pending.push(node);
                        } else if acked.insert(node.node_id) {
                            receipt.nodes.push(NodeAck {
                                node_id: node.node_id,
                                s3_address: node.s3_address,
                                millis,
                            });
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot ask which nodes have acknowledged"),
            }
            let waits = receipt.pending.iter().any(|node| node.connected);
            let left = timeout.saturating_sub(start.elapsed());
            if !waits || left.is_zero() {
                return receipt;
            }
            // Acknowledgements to this process wake at once; those to others are found in the table.
            let nap = left.min(Duration::from_millis(50));
            let _ = tokio::time::timeout(nap, changed.changed()).await;
        }
    }

    /// Every node that may serve something, and the revision that it acknowledged.
    pub(crate) async fn known_nodes(&self) -> Result<Vec<(PendingNode, Revision)>, Error> {
        let now = self.clock().now();
        let mut conn = self.0.pool.acquire().await?;
        let rows = db::nodes::list(&mut conn).await?;
        let known = rows.into_iter().filter_map(|row| {
            let seen = row.last_seen.filter(|_| row.left_at.is_none())?;
            let node_id = NodeId(row.id);
            let connected = row.connected_until.is_some_and(|until| until > now);
            if !connected && now - seen > CUT_OFF_MATTERS {
                return None;
            }
            let here = self.push().acks.of(node_id);
            let node = PendingNode {
                node_id,
                s3_address: row.s3_address,
                connected,
            };
            Some((node, here.unwrap_or(row.revision)))
        });
        Ok(known.collect())
    }

    /// Whether customers pay through Stripe, rather than the operator's hand.
    pub fn has_stripe(&self) -> bool {
        self.0.stripe.is_some()
    }

    /// Ends streams and background tasks, and closes the database's connections.
    pub async fn shut_down(&self) {
        self.0.stopping.send_replace(true);
        let tasks = {
            let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        let ended = tokio::time::timeout(Duration::from_secs(5), tasks.join_all()).await;
        if ended.is_err() {
            tracing::warn!("background tasks did not end in time");
        }
        let said = tokio::time::timeout(Duration::from_secs(1), master_key::ended(self)).await;
        if !matches!(said, Ok(Ok(()))) {
            tracing::debug!("the database was not told that this control plane ends");
        }
        let closed = tokio::time::timeout(Duration::from_secs(5), self.0.pool.close()).await;
        if closed.is_err() {
            tracing::warn!("a transaction is still open; its connection is abandoned");
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The engine of this id, as it is configured now.
    pub(crate) async fn engine(&self, id: &str) -> Result<Arc<Engine>, Error> {
        engines::connection(self, id).await
    }

    pub(crate) fn connections(&self) -> &engines::Connections {
        &self.0.engines
    }

    pub(crate) fn gateway(&self) -> &SharedHttpClient {
        &self.0.gateway
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    pub(crate) fn api_limits(&self) -> &api::Limits {
        &self.0.api_limits
    }

    pub(crate) fn mailer(&self) -> &Mailer {
        &self.0.mailer
    }

    /// `None`: billing is by hand.
    pub(crate) fn stripe(&self) -> Option<&Stripe> {
        self.0.stripe.as_ref()
    }

    /// Who books a batch of usage has one of these.
    pub(crate) fn booking(&self) -> &Semaphore {
        &self.0.booking
    }

    pub(crate) fn push(&self) -> &Push {
        &self.0.push
    }

    pub(crate) fn allotments(&self) -> &Allotments {
        &self.0.allotments
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.0.routes
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.0.leases
    }

    /// Becomes ready when [`shut_down`](Self::shut_down) is called.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.0.stopping.subscribe();
        async move {
            // An error: the sender is gone, and with it the control plane.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Runs beside everything else until it ends or [`shut_down`](Self::shut_down) is called.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping();
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stopping => {}
            }
        });
    }
}
