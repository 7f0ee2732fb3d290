//! One control plane on a database of its own, with a clock that stands still and an engine in this process.

mod node;

use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use controlplane::accounts::{self, Proof, SignedIn};
use controlplane::billing::StripeConfig;
use controlplane::ids::TenantId;
use controlplane::{
    Clock, Config, ControlPlane, EngineConfig, MailConfig, MasterKey, Origin, PlacementKind,
};
use ed25519_dalek::SigningKey;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;
use wire::FromNode;

use crate::database::Database;
use crate::engine::Engine;
use crate::sign_up::sign_up;

pub use self::node::{Node, Stream, hello};

pub const ADMIN_TOKEN: &str = "an-admin-token-for-tests";
pub const ENGINE_SECRET: &str = "the-engines-own-secret";
pub const PASSWORD: &str = "correct horse battery";
/// In the plane's folder.
pub const KEY_FILE: &str = "master.key";
pub const BROWSER: &str = "the browser's secret";
/// Longer than anything takes; a test that waits for it fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Plane {
    pub cp: ControlPlane,
    pub clock: Clock,
    pub engine: Engine,
    pub database: Database,
    endpoint: String,
    placement: PlacementKind,
    stripe: Option<StripeConfig>,
    pub folder: tempfile::TempDir,
    _watch: Watch,
}

/// Ends the whole run where one test does not end, and says which: a node that waits for a word that does not come hears
/// heartbeats for ever.
struct Watch(#[allow(dead_code)] std::sync::mpsc::Sender<()>);

impl Watch {
    /// Many times what the longest test takes on a busy machine.
    const LONGEST: Duration = Duration::from_secs(600);

    fn start() -> Self {
        let (held, released) = std::sync::mpsc::channel::<()>();
        let test = std::thread::current();
        std::thread::spawn(move || {
            use std::io::Write;
            use std::sync::mpsc::RecvTimeoutError;
            if released.recv_timeout(Self::LONGEST) == Err(RecvTimeoutError::Timeout) {
                let name = test.name().unwrap_or_default();
                // Not `eprintln!`, which is kept for when the test ends.
                let _ = writeln!(
                    std::io::stderr(),
                    "the test {name} has not ended after ten minutes"
                );
                std::process::exit(101);
            }
        });
        Self(held)
    }
}

pub fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

impl Plane {
    pub async fn start() -> Self {
        Self::with(PlacementKind::Dedicated).await
    }

    pub async fn with(placement: PlacementKind) -> Self {
        Self::on(placement, |_| {}).await
    }

    /// On an engine that was prepared before the control plane came to it.
    pub async fn on(placement: PlacementKind, prepare: impl FnOnce(&Engine)) -> Self {
        Self::made(placement, None, prepare).await
    }

    /// Where customers pay through Stripe.
    pub async fn with_stripe(stripe: StripeConfig) -> Self {
        Self::made(PlacementKind::Dedicated, Some(stripe), |_| {}).await
    }

    async fn made(
        placement: PlacementKind,
        stripe: Option<StripeConfig>,
        prepare: impl FnOnce(&Engine),
    ) -> Self {
        let database = Database::create().await;
        let (engine, endpoint) = Engine::start().await;
        prepare(&engine);
        let clock = Clock::at(noon());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(KEY_FILE), key_line(1, 3)).unwrap();
        let mut config = config(&database, &endpoint, placement, folder.path());
        config.stripe.clone_from(&stripe);
        let cp = ControlPlane::start(config, clock.clone()).await.unwrap();
        let plane = Self {
            cp,
            clock,
            engine,
            database,
            endpoint,
            placement,
            stripe,
            folder,
            _watch: Watch::start(),
        };
        // The probe's result is a change like any other; tests want to see their own alone.
        plane.probed().await;
        plane
    }

    /// What this control plane was started with.
    pub fn config(&self) -> Config {
        let folder = self.folder.path();
        let mut config = config(&self.database, &self.endpoint, self.placement, folder);
        config.stripe.clone_from(&self.stripe);
        config
    }

    /// Another control plane on the same database.
    pub async fn beside(&self) -> ControlPlane {
        ControlPlane::start(self.config(), self.clock.clone())
            .await
            .unwrap()
    }

    /// The same control plane on another database; the one that it had is destroyed.
    pub async fn moved_to(mut self, database: Database) -> Self {
        self.cp.shut_down().await;
        std::mem::replace(&mut self.database, database).drop().await;
        self.cp = self.beside().await;
        self
    }

    async fn probed(&self) {
        let mut conn = self.database.superuser().await;
        eventually(async || {
            let sql = "SELECT count(*) FROM engines WHERE probed_at IS NOT NULL";
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
            count == 1
        })
        .await;
    }

    pub async fn stop(self) {
        self.cp.shut_down().await;
        self.database.drop().await;
    }

    pub async fn sign_up(&self, email: &str) -> SignedIn {
        let sent = accounts::sign_up(&self.cp, sign_up(email), &Origin::default()).await;
        let link = sent.unwrap().link.expect("one machine, a new address");
        let (_, token) = link.split_once("?token=").unwrap();
        let proof = Proof {
            browser: BROWSER,
            password: None,
        };
        accounts::confirm_sign_up(&self.cp, token, proof, &Origin::default())
            .await
            .unwrap()
    }

    /// A tenant by the operator's hand.
    pub async fn tenant(&self, email: &str) -> NewTenant {
        let body = json!({ "name": email, "email": email });
        let (status, body) = self.admin(Method::POST, "/tenants", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        NewTenant {
            id: text("tenant_id").parse().unwrap(),
            access_key_id: text("access_key_id"),
            secret_access_key: text("secret_access_key"),
        }
    }

    pub async fn admin(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let path = format!("/api/v1/admin{path}");
        self.request(method, &path, Some(ADMIN_TOKEN), body).await
    }

    /// Through the real router, in this process.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map_or(Body::empty(), |b| Body::from(b.to_string()));
        let response = self
            .cp
            .api()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let status = response.status();
        assert!(response.headers().contains_key("x-request-id"));
        let problem = response.headers().get("content-type").cloned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(problem.unwrap(), "application/problem+json");
        }
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// A node that has joined and is not connected.
    pub async fn node(&self) -> Node {
        let (status, body) = self.admin(Method::POST, "/join-tokens", None).await;
        assert_eq!(status, StatusCode::CREATED);
        let key = SigningKey::from_bytes(uuid_bytes().as_slice().try_into().unwrap());
        let mut node = Node {
            id: String::new(),
            key,
        };
        let join = node.join_body(body["join_token"].as_str().unwrap());
        let (status, body) = self
            .request(Method::POST, wire::JOIN_PATH, None, Some(join))
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        node.id = body["node_id"].as_str().unwrap().to_owned();
        node
    }

    /// A node that says it has `revision`, connected to this control plane.
    pub async fn connect(&self, node: &Node, revision: i64) -> Stream {
        let address = serve(&self.cp).await;
        let mut stream = Stream::open(&address, &node.token(self.clock.now()))
            .await
            .unwrap();
        let mut hello = hello(revision);
        if let FromNode::Hello { epoch, .. } = &mut hello {
            *epoch = self.epoch().await;
        }
        stream.say(&hello).await;
        stream
    }

    /// The name of the database's history, as nodes hear it.
    pub async fn epoch(&self) -> String {
        let mut conn = self.database.superuser().await;
        let sql = "SELECT replace(epoch::text, '-', '') FROM revision";
        sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
    }
}

fn config(
    database: &Database,
    endpoint: &str,
    placement: PlacementKind,
    folder: &std::path::Path,
) -> Config {
    Config {
        database_url: database.url(),
        public_url: "http://127.0.0.1:8080".to_owned(),
        s3_endpoint: "http://127.0.0.1:9000".to_owned(),
        region: "us-east-1".to_owned(),
        master_key: MasterKey::parse(&std::fs::read_to_string(folder.join(KEY_FILE)).unwrap())
            .unwrap(),
        master_key_file: Some(folder.join(KEY_FILE)),
        admin_token: ADMIN_TOKEN.to_owned(),
        engine: EngineConfig {
            endpoint: endpoint.to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "engine-access-key".to_owned(),
            secret_access_key: ENGINE_SECRET.to_owned(),
            placement,
            pool_bucket: (placement == PlacementKind::Pooled).then(|| "pool".to_owned()),
        },
        share_hold_seconds: 600,
        mail: MailConfig::Folder(folder.join("mail")),
        trusted_proxies: Vec::new(),
        stripe: None,
        webhooks_to_private: true,
    }
}

/// The line of this version in a key file.
pub fn key_line(version: u8, byte: u8) -> String {
    format!("{version}:{}\n", STANDARD.encode([byte; 32]))
}

pub struct NewTenant {
    pub id: TenantId,
    pub access_key_id: String,
    pub secret_access_key: String,
}

fn uuid_bytes() -> Vec<u8> {
    [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()]
        .map(|u| *u.as_bytes())
        .concat()
}

/// A real listener on a free port.
pub async fn serve(cp: &ControlPlane) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let api = cp.api();
    tokio::spawn(async move { axum::serve(listener, api).await });
    address
}

/// What is heard in between does not make the wait longer.
pub async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(3 * PATIENCE, wait)
        .await
        .expect("the control plane says other things, and not what is waited for")
}

/// Waits for the condition, asking again and again.
pub async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met)
        .await
        .expect("the condition was never met");
}
