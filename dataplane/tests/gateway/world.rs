//! Two tenants, A and B, each with a bucket of the same name and one of its own; a node that serves both.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use dataplane::{Bound, Clock, Config, Patience, Tls};
use tokio::sync::oneshot;
use wire::*;

use crate::client::Client;
use crate::control::Control;
use crate::engine::Engine;

pub const KEY_A: &str = "VLTAAAAAAAAAAAAAAAAA";
pub const SECRET_A: &str = "secret-of-a";
pub const KEY_B: &str = "VLTBBBBBBBBBBBBBBBBB";
pub const SECRET_B: &str = "secret-of-b";
const ENGINE_SECRET: &str = "secret-of-the-engine";

/// The history that the control plane's revisions are of.
pub const EPOCH: &str = "the-first";

pub fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-04T05:06:07Z")
        .unwrap()
        .to_utc()
}

pub fn signing_keys(secret: &str) -> SigningKeys {
    let first = now().date_naive() - TimeDelta::days(8);
    let keys = (0..=16).map(|n| {
        let date = (first + TimeDelta::days(n)).format("%Y%m%d").to_string();
        sigv4::derive_signing_key(secret, &date, "us-east-1", "s3")
    });
    SigningKeys::new(first, keys.collect())
}

fn bucket(tenant: char, n: u8, name: &str, pooled: bool) -> Bucket {
    let id: String = [tenant.to_string(), n.to_string()].concat().repeat(16);
    let placement = match pooled {
        true => Placement {
            engine: "e1".into(),
            bucket: "pool".into(),
            prefix: format!("t/{}/{id}/", tenant.to_string().repeat(32)),
        },
        false => Placement {
            engine: "e1".into(),
            bucket: format!("vt-{id}"),
            prefix: String::new(),
        },
    };
    Bucket {
        id,
        name: name.into(),
        created_at: now(),
        status: BucketStatus::Active,
        placement,
        public_read: false,
        cors: Vec::new(),
    }
}

pub fn tenant(letter: char, revision: Revision, pooled: bool) -> TenantDocument {
    let (key, secret) = if letter == 'a' {
        (KEY_A, SECRET_A)
    } else {
        (KEY_B, SECRET_B)
    };
    TenantDocument {
        tenant_id: letter.to_string().repeat(32),
        revision,
        status: TenantStatus::Active,
        limits: Limits {
            requests_per_second: 10_000,
            burst: 10_000,
            concurrent_requests: None,
            bytes_per_second: None,
            quota_bytes: None,
            quota_objects: None,
            quota_egress_bytes: None,
        },
        max_staleness_seconds: None,
        access_keys: vec![AccessKey {
            access_key_id: key.into(),
            status: AccessKeyStatus::Active,
            expires_at: None,
            scope: Scope::default(),
            signing_keys: signing_keys(secret),
        }],
        buckets: vec![
            bucket(letter, 1, "shared-name", pooled),
            bucket(
                letter,
                2,
                if letter == 'a' { "abkt" } else { "bvic" },
                pooled,
            ),
        ],
    }
}

pub fn snapshot(endpoint: &str, pooled: bool) -> Snapshot {
    let engine = wire::Engine {
        id: "e1".into(),
        endpoint: endpoint.into(),
        region: "us-east-1".into(),
        access_key_id: "ENGINEKEY".into(),
        signing_keys: signing_keys(ENGINE_SECRET),
        capabilities: EngineCapabilities {
            exact_keys: true,
            byte_order: true,
            checksums: true,
            trailers: false,
            conditional_writes: true,
            ..EngineCapabilities::default()
        },
    };
    Snapshot {
        revision: 10,
        settings: Settings {
            revision: 1,
            region: "us-east-1".into(),
            engines: vec![engine],
            token_keys: vec![STANDARD.encode([5; 32])],
            dashboard_origin: None,
        },
        tenants: vec![tenant('a', 1, pooled), tenant('b', 2, pooled)],
    }
}

pub struct World {
    pub engine: Engine,
    pub control: Control,
    pub control_url: String,
    pub control_task: tokio::task::JoinHandle<()>,
    pub snapshot: Snapshot,
    pub node: RunningNode,
    pub dir: tempfile::TempDir,
    pub a: Client,
    pub b: Client,
}

pub struct RunningNode {
    pub s3: std::net::SocketAddr,
    pub health: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl RunningNode {
    pub async fn start(control_url: &str, dir: &Path) -> RunningNode {
        RunningNode::start_with(control_url, dir, Some("good")).await
    }

    pub async fn start_with(
        control_url: &str,
        dir: &Path,
        join_token: Option<&str>,
    ) -> RunningNode {
        let join_token = join_token.map(Into::into);
        let change = |config: &mut Config| config.join_token = join_token;
        RunningNode::launch(control_url, dir, Clock::from_fn(now), change).await
    }

    pub async fn start_with_tls(control_url: &str, dir: &Path, tls: Tls) -> RunningNode {
        let change = |config: &mut Config| config.tls = Some(tls);
        RunningNode::launch(control_url, dir, Clock::from_fn(now), change).await
    }

    pub async fn start_with_drain_delay(
        control_url: &str,
        dir: &Path,
        delay: Duration,
    ) -> RunningNode {
        let change = |config: &mut Config| config.drain_delay = delay;
        RunningNode::launch(control_url, dir, Clock::from_fn(now), change).await
    }

    pub async fn start_with_patience(
        control_url: &str,
        dir: &Path,
        patience: Patience,
    ) -> RunningNode {
        let change = |config: &mut Config| config.patience = patience;
        RunningNode::launch(control_url, dir, Clock::from_fn(now), change).await
    }

    /// With all the patience that a node has.
    pub async fn start_with_clock(control_url: &str, dir: &Path, clock: Clock) -> RunningNode {
        let change = |config: &mut Config| config.patience = Patience::default();
        RunningNode::launch(control_url, dir, clock, change).await
    }

    async fn launch(
        control_url: &str,
        dir: &Path,
        clock: Clock,
        change: impl FnOnce(&mut Config),
    ) -> RunningNode {
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            health: "127.0.0.1:0".parse().unwrap(),
            control_url: control_url.into(),
            join_token: Some("good".into()),
            data_dir: dir.join("node"),
            s3_address: "127.0.0.1:9000".into(),
            domains: vec!["s3.test".into()],
            patience: Patience {
                head: Duration::from_millis(400),
                body: Duration::from_millis(400),
                answer: Duration::from_secs(5),
                complete: Duration::from_secs(5),
                stall: Duration::from_millis(800),
            },
            tls: None,
            drain_delay: Duration::ZERO,
            metrics_tenants: 1,
        };
        change(&mut config);
        let bound = Bound::bind(config, clock).await.unwrap();
        let (s3, health) = (bound.s3_address().unwrap(), bound.health_address().unwrap());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(bound.run(async { drop(stopped.await) }));
        RunningNode {
            s3,
            health,
            stop: Some(stop),
            task,
        }
    }

    /// Asks for the end.
    pub fn end(&mut self) {
        drop(self.stop.take());
    }

    /// Asks for the end, and waits for it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stop.take());
        tokio::time::timeout(Duration::from_secs(10), self.task)
            .await
            .expect("the node stops")
            .unwrap()
    }

    /// Waits for the run to end by itself.
    pub async fn ended(self) -> anyhow::Result<()> {
        tokio::time::timeout(Duration::from_secs(10), self.task)
            .await
            .expect("the node ends")
            .unwrap()
    }

    pub fn client(&self, access_key_id: &'static str, secret: &'static str) -> Client {
        Client {
            address: self.s3,
            access_key_id,
            secret,
            now: now(),
        }
    }
}

impl World {
    pub async fn start() -> World {
        World::build(false, |_| ()).await
    }

    pub async fn pooled() -> World {
        World::build(true, |_| ()).await
    }

    pub async fn pooled_with(change: impl FnOnce(&mut Snapshot)) -> World {
        World::build(true, change).await
    }

    pub async fn with(change: impl FnOnce(&mut Snapshot)) -> World {
        World::build(false, change).await
    }

    async fn build(pooled: bool, change: impl FnOnce(&mut Snapshot)) -> World {
        let (engine, endpoint) = Engine::start().await;
        let mut snapshot = snapshot(&endpoint, pooled);
        change(&mut snapshot);
        let (control, control_url, control_task) =
            Control::start(snapshot.messages(EPOCH, 1)).await;
        let dir = tempfile::tempdir().unwrap();
        let node = RunningNode::start(&control_url, dir.path()).await;
        control.acked(snapshot.revision).await;
        let (a, b) = (node.client(KEY_A, SECRET_A), node.client(KEY_B, SECRET_B));
        World {
            engine,
            control,
            control_url,
            control_task,
            snapshot,
            node,
            dir,
            a,
            b,
        }
    }

    /// The request was refused, and the engine never heard of it.
    pub fn assert_engine_saw_nothing(&self, what: &str) {
        let looks = self.engine.take_looks();
        let seen = self.engine.take_seen();
        assert!(seen.is_empty(), "{what}: the engine saw {seen:?}");
        assert!(
            looks.is_empty(),
            "{what}: the engine was asked about {looks:?}"
        );
    }
}
