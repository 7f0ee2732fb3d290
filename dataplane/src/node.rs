//! One node of the data plane: its parts, how they start, and how they stop.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use wire::{FromNode, Revision, ToNode};

use crate::cache::Cache;
use crate::clock::Clock;
use crate::connections::{Connections, Room};
use crate::control::Control;
use crate::identity::Identity;
use crate::journal::{self, Journal};
use crate::leases::{Checkpoint, Leases};
use crate::limits::{self, Limiters};
use crate::metrics::Metrics;
use crate::patience::Patience;
use crate::push::Link;
use crate::refusals::{self, Refusals};
use crate::strangers::Strangers;
use crate::tenants::Tenants;
use crate::tls::{Certificate, Tls};
use crate::uplink::Uplink;
use crate::workers::Workers;
use crate::{health, push, server, usage};

/// How long the answer to a change of configuration waits for this node to serve it.
const APPLIED_WITHIN: Duration = Duration::from_secs(10);

/// How long a node that starts waits for another that has its journal open.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(15);
/// How long a node that ends waits for its last usage to be booked.
const BOOKED_WITHIN: Duration = Duration::from_secs(3);
/// How long a node that was drained waits for the same: it does not come back to tell it.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);
/// How long it waits for the control plane's word that it is gone.
const LEFT_WITHIN: Duration = Duration::from_secs(2);

/// The journal's folder in the data directory.
const JOURNAL: &str = "journal";

/// 64 MiB.
const DOCUMENT_ROOM: usize = 64 * 1024;

pub struct Config {
    /// Where S3 is served.
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub health: SocketAddr,
    /// The control plane, `http://host:port` or `https://…`; or several, separated by commas, of which each is as good.
    pub control_url: String,
    /// Lets a node in that has no identity yet.
    pub join_token: Option<String>,
    /// Holds the node's identity and its encrypted cache. Made if it is not there.
    pub data_dir: PathBuf,
    /// What the control plane shows as this node's address.
    pub s3_address: String,
    pub patience: Patience,
    /// DNS names under which buckets are addressed virtual-host style: with `s3.example`, `photos.s3.example` is the
    /// bucket `photos`.
    pub domains: Vec<String>,
    /// Serve S3 over TLS; without it, over plain HTTP.
    pub tls: Option<Tls>,
    /// For how long new connections are still taken after the end was asked for, while `/readyz` says 503 already: the
    /// time in which whoever stands in front takes notice.
    pub drain_delay: Duration,
    /// How many tenants, the busiest, have figures by name in `/metrics`.
    pub metrics_tenants: usize,
}

/// What every request on this node may borrow.
pub struct Node {
    pub tenants: Tenants,
    pub control: Control,
    pub metrics: Arc<Metrics>,
    pub link: Link,
    pub uplink: Uplink,
    /// What was answered, on its way to the control plane.
    pub journal: Arc<Journal>,
    /// What this node may use of tenants' quotas.
    pub leases: Arc<Leases>,
    /// Changes whenever a batch of it was booked.
    pub booked: watch::Sender<()>,
    /// The control plane has given to others what this node held.
    pub left: watch::Sender<bool>,
    pub clock: Clock,
    pub patience: Patience,
    pub domains: Vec<String>,
    pub strangers: Strangers,
    pub limits: Limiters,
    pub refusals: Refusals,
    /// Kilobytes of request documents that may be held at once, by all tenants together.
    pub document_room: Arc<Semaphore>,
    pub connections: Arc<Connections>,
    /// Cancelled when the end was asked for.
    pub ending: CancellationToken,
    /// For forms that are read before anybody knows who sent them.
    pub form_room: Arc<crate::form::room::Room>,
}

/// A node that listens, and does not serve yet.
pub struct Bound {
    config: Config,
    clock: Clock,
    s3: TcpListener,
    health: TcpListener,
}

impl Bound {
    /// Fails at once if an address is taken.
    pub async fn bind(config: Config, clock: Clock) -> anyhow::Result<Bound> {
        let s3 = bind(config.listen).await?;
        let health = bind(config.health).await?;
        Ok(Bound {
            config,
            clock,
            s3,
            health,
        })
    }

    /// Where S3 will be served: with port 0, the one that was free.
    pub fn s3_address(&self) -> std::io::Result<SocketAddr> {
        self.s3.local_addr()
    }

    pub fn health_address(&self) -> std::io::Result<SocketAddr> {
        self.health.local_addr()
    }

    /// Serves until `shutdown` resolves, then lets what is under way end. Fails if the data directory cannot be used,
    /// or the node has neither identity nor join token.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let Bound {
            config,
            clock,
            s3,
            health,
        } = self;
        std::fs::create_dir_all(&config.data_dir).with_context(|| {
            format!(
                "the data directory {} cannot be made",
                config.data_dir.display()
            )
        })?;
        let (journal, leases) = open_journal(&config.data_dir).await?;
        let (ending, stop) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn({
            let (ending, stop) = (ending.clone(), stop.clone());
            async move {
                shutdown.await;
                ending.cancel();
                tokio::time::sleep(config.drain_delay).await;
                stop.cancel();
            }
        });
        let node = Arc::new(Node {
            tenants: Tenants::default(),
            control: Control::new(&config.control_url, clock.clone()),
            metrics: Arc::new(Metrics::new(config.metrics_tenants)),
            link: Link::default(),
            uplink: Uplink::default(),
            journal,
            leases,
            booked: watch::Sender::new(()),
            left: watch::Sender::new(false),
            clock,
            patience: config.patience,
            domains: config
                .domains
                .iter()
                .map(|domain| domain.to_ascii_lowercase())
                .collect(),
            strangers: Strangers::default(),
            limits: Limiters::default(),
            refusals: Refusals::default(),
            document_room: Arc::new(Semaphore::new(DOCUMENT_ROOM)),
            connections: Connections::new(Room::default()),
            ending,
            form_room: crate::form::room::Room::new(),
        });
        let identity = Identity::load(&config.data_dir)?;
        node.limits.load(&config.data_dir, identity.is_some());
        let reporting = [
            tokio::spawn(limits::report(node.clone())),
            tokio::spawn(refusals::report(node.clone())),
            tokio::spawn(usage::report::run(node.clone())),
            tokio::spawn({
                let node = node.clone();
                async move { node.leases.follow(&node.uplink, &node.clock).await }
            }),
        ];
        let watching = tokio::spawn(health::serve(health, node.clone()));
        // A node that has joined before serves from its disk; a new one answers 503 until it has joined.
        let known = match identity {
            Some(identity) => Some(start_from_disk(&node, &config, identity)?),
            None => None,
        };
        tracing::info!(revision = node.tenants.revision(), tenants = node.tenants.len(), s3 = %config.listen, "serving");
        let certificate = config.tls.clone().map(Certificate::load).transpose()?;
        let acceptor = certificate
            .as_ref()
            .map(Certificate::acceptor)
            .transpose()?;
        let following = certificate.map(|certificate| tokio::spawn(certificate.follow()));
        let mut linked = tokio::spawn(link(node.clone(), config, known));
        let workers = Workers::start(node.patience).context("no threads can be started")?;
        let serving = server::serve(s3, acceptor, node.clone(), workers, stop);
        tokio::pin!(serving);
        let outcome = tokio::select! {
            () = &mut serving => Ok(()),
            ended = &mut linked => ended.unwrap_or_else(|error| Err(error.into())),
        };
        match outcome {
            Ok(()) if node.limits.is_retiring() => leave(&node).await,
            Ok(()) => usage::report::flush(&node, BOOKED_WITHIN).await,
            Err(_) => {}
        }
        linked.abort();
        watching.abort();
        reporting.iter().for_each(tokio::task::JoinHandle::abort);
        if let Some(following) = following {
            following.abort();
        }
        outcome
    }
}

/// The end of a node that was drained: it holds nothing any more, on disk neither, before it says so. Without an answer it is
/// as one that was merely stopped.
async fn leave(node: &Node) {
    node.leases.give_back_all();
    usage::report::flush(node, LEAVES_WITHIN).await;
    if *node.uplink.connected().borrow() == 0 || !node.journal.unbooked().is_empty() {
        tracing::warn!("this node leaves something to be told: it is not taken out yet");
        return;
    }
    if let Err(error) = node.limits.give_up(Instant::now()) {
        tracing::warn!(error = format!("{error:#}"), "shares cannot be given up");
        return;
    }
    let mut left = node.left.subscribe();
    node.uplink.send(FromNode::Leave);
    match tokio::time::timeout(LEFT_WITHIN, left.wait_for(|left| *left)).await {
        Ok(Ok(_)) => tracing::info!("this node has left"),
        _ => tracing::warn!("no control plane says that this node has left"),
    }
}

/// The journal, and the account of leases as it stands at its end. Waits a little for the process before this one to let
/// go of it.
async fn open_journal(data_dir: &Path) -> anyhow::Result<(Arc<Journal>, Arc<Leases>)> {
    let (dir, saved) = (data_dir.join(JOURNAL), data_dir.join("leases"));
    let until = tokio::time::Instant::now() + UNLOCKED_WITHIN;
    let (journal, entries) = loop {
        let mut entries = Vec::new();
        let keep = |sequence, entry| {
            if let journal::Entry::Lease(entry) = entry {
                entries.push((sequence, entry));
            }
        };
        match Journal::open(&dir, rand::random(), 0, keep) {
            Err(error)
                if error.kind() == std::io::ErrorKind::WouldBlock
                    && tokio::time::Instant::now() < until =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => {
                let journal = opened.with_context(|| {
                    format!("the journal in {} cannot be opened", dir.display())
                })?;
                break (Arc::new(journal), entries);
            }
        }
    };
    // Loaded when nobody else can save it any more.
    let mut checkpoint = Checkpoint::load(&saved);
    for (sequence, entry) in &entries {
        checkpoint.replay(*sequence, entry);
    }
    journal.keep_from(checkpoint.from);
    let leases = Leases::begin(saved, checkpoint.ledger, journal.clone())
        .context("the account of leases cannot be taken up")?;
    Ok((journal, Arc::new(leases)))
}

fn start_from_disk(node: &Node, config: &Config, identity: Identity) -> anyhow::Result<Cache> {
    let path = config.data_dir.join("config.cache");
    let cache = Cache::open(&path, &identity.cache_key(), |message| {
        if matches!(message, ToNode::Unknown) {
            node.tenants.miss();
        } else if let Err(refused) = node.tenants.apply(message) {
            tracing::warn!(reason = refused.0, "a cached document was refused");
        }
    })?;
    node.tenants.start_over();
    node.link.remember(config.data_dir.join("last-heard"));
    node.control.identify(identity);
    Ok(cache)
}

/// Joins if need be, then keeps the stream. It ends only when the control plane will not have this node.
async fn link(node: Arc<Node>, config: Config, cache: Option<Cache>) -> anyhow::Result<()> {
    let cache = match cache {
        Some(cache) => cache,
        None => {
            let identity = join(&config).await?;
            start_from_disk(&node, &config, identity)?
        }
    };
    push::run(node, cache, config.s3_address).await;
    Ok(())
}

/// Who the node in this data directory is, and whether it owes the control plane usage; `None` where none has joined. For a
/// node that does not run. Fails if the directory cannot be read.
pub fn left_behind(data_dir: &Path) -> anyhow::Result<Option<LeftBehind>> {
    let Some(identity) = Identity::load(data_dir)? else {
        return Ok(None);
    };
    Ok(Some(LeftBehind {
        node_id: identity.node_id,
        owes_usage: journal::has_unbooked(&data_dir.join(JOURNAL))?,
    }))
}

/// A node that does not run any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    pub node_id: String,
    /// It answered requests that no control plane has booked: it must run once more.
    pub owes_usage: bool,
}

/// [`Bound::bind`] and [`Bound::run`] by the system's clock.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    Bound::bind(config, Clock::system())
        .await?
        .run(shutdown)
        .await
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on"))
}

/// Asks until a control plane answers.
async fn join(config: &Config) -> anyhow::Result<Identity> {
    let token = config.join_token.as_deref().context(
        "this node has no identity yet: give it a join token (VAULTAIRE_JOIN_TOKEN), made by the control plane",
    )?;
    let key = crate::identity::new_key();
    let mut backoff = push::Backoff::default();
    loop {
        match Control::join(&config.control_url, token, &key, &config.s3_address).await {
            Ok(node_id) => return Identity::create(&config.data_dir, node_id, key),
            Err(crate::control::JoinError::Refused(reason)) => {
                anyhow::bail!("the control plane refused this node: {reason}")
            }
            Err(crate::control::JoinError::Unreachable(reason)) => {
                tracing::warn!(
                    reason,
                    "the control plane does not answer; joining is tried again"
                );
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

impl Node {
    /// Returns when this node serves the revision. A node that is cut off answers anyway after a while: the change
    /// itself is made.
    pub async fn wait_for(&self, revision: Revision) {
        let mut applied = self.tenants.watch();
        if tokio::time::timeout(
            APPLIED_WITHIN,
            applied.wait_for(|current| *current >= revision),
        )
        .await
        .is_err()
        {
            tracing::warn!(revision, "a change was made, but not received here in time");
        }
    }

    /// Returns when this node serves the bucket no more, or after the same while.
    pub async fn wait_until_gone(&self, tenant: &str, bucket: &str) {
        let mut applied = self.tenants.watch();
        let gone = |_: &Revision| {
            self.tenants
                .tenant(tenant)
                .is_none_or(|tenant| tenant.bucket(bucket).is_none())
        };
        let _ = tokio::time::timeout(APPLIED_WITHIN, applied.wait_for(gone)).await;
    }
}
