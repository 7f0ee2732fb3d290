//! The stand-in for Stripe (`e2e/stripe`) beside a control plane whose clock stands still: both at the same moment, and what
//! Stripe tells is brought by hand, so that a test says in which order.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use axum::body::Body;
use chrono::{DateTime, Duration, Utc};
use controlplane::billing::{self, StripeConfig};
use controlplane::ids::TenantId;
use controlplane::{Actor, Origin};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

use crate::plane::{Plane, noon};

pub const SECRET: &str = "whsec_for_tests";
/// A card that pays.
pub const PAYS: &str = "4242424242424242";

/// One that runs; dropping it ends it.
pub struct Standin {
    pub url: String,
    key: &'static str,
    child: Child,
    http: reqwest::Client,
}

impl Drop for Standin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Standin {
    pub fn start(live: bool) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let tools = std::env::var_os("VAULTAIRE_TOOLS");
        let tools = tools.map_or_else(|| root.join(".tools"), PathBuf::from);
        let python = tools.join("stripe/bin/python");
        assert!(
            python.exists(),
            "{} is not there; `make test` installs it",
            python.display()
        );
        let mut command = Command::new(python);
        command.arg("-B").arg(root.join("e2e/stripe/standin.py"));
        command.arg("--now").arg(noon().timestamp().to_string());
        if live {
            command.arg("--livemode");
        }
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = said.next().expect("the stand-in says where it is").unwrap();
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.to_owned();
            }
        };
        // Whatever else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || said.for_each(drop));
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            url: format!("http://{address}"),
            key: if live {
                "sk_live_standin"
            } else {
                "sk_test_standin"
            },
            child,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub fn config(&self) -> StripeConfig {
        StripeConfig {
            secret_key: self.key.to_owned(),
            webhook_secret: SECRET.to_owned(),
            api_base: self.url.clone(),
        }
    }

    /// `POST /_test/<what>`.
    pub async fn does(&self, what: &str, with: Value) -> Value {
        let request = self.http.post(format!("{}/_test/{what}", self.url));
        let answer = request.json(&with).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{what}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Every object of this kind, the oldest first.
    pub async fn all(&self, kind: &str) -> Vec<Value> {
        let url = format!("{}/_test/objects/{kind}", self.url);
        let shown: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        shown["data"].as_array().unwrap().clone()
    }

    pub async fn only(&self, kind: &str) -> Value {
        let mut all = self.all(kind).await;
        assert_eq!(all.len(), 1, "{kind}: {all:?}");
        all.remove(0)
    }

    /// What a person at Stripe's dashboard, or another program with the key, does.
    pub async fn api(&self, method: http::Method, path: &str, fields: &[(&str, &str)]) -> Value {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let pairs = fields
            .iter()
            .map(|(n, v)| format!("{}={}", encode(n), encode(v)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(self.key);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Every event, the oldest first.
    pub async fn events(&self) -> Vec<Value> {
        self.all("event").await
    }
}

/// A control plane with Stripe.
pub struct World {
    pub plane: Plane,
    pub stripe: Standin,
    heard: HashSet<String>,
}

impl World {
    /// Plans are in Stripe already.
    pub async fn start() -> Self {
        let world = Self::in_mode(false).await;
        billing::sync(&world.plane.cp, Origin::default())
            .await
            .unwrap();
        world
    }

    pub async fn in_mode(live: bool) -> Self {
        let stripe = Standin::start(live);
        let plane = Plane::with_stripe(stripe.config()).await;
        Self {
            plane,
            stripe,
            heard: HashSet::new(),
        }
    }

    pub async fn checkout(
        &self,
        tenant: TenantId,
        plan: &str,
    ) -> Result<String, controlplane::Error> {
        let who = (Actor::System, Origin::default());
        billing::checkout(&self.plane.cp, tenant, plan, who).await
    }

    /// A tenant that has chosen the plan and paid with this card; nothing was told yet.
    pub async fn buys(&self, email: &str, card: &str) -> TenantId {
        let tenant = self.plane.tenant(email).await.id;
        let page = self.checkout(tenant, "business").await.unwrap();
        let session = page.rsplit('/').next().unwrap();
        let path = format!("checkout/{session}/pay");
        self.stripe.does(&path, json!({ "card": card })).await;
        tenant
    }

    /// Time passes for both.
    pub async fn passes(&self, time: Duration) {
        self.plane.clock.advance(time);
        let to = self.plane.clock.now().timestamp();
        self.stripe.does("clock", json!({ "to": to })).await;
    }

    /// What was not told yet, the oldest first.
    pub async fn untold(&mut self) -> Vec<Value> {
        let mut events = self.stripe.events().await;
        events.retain(|event| self.heard.insert(event["id"].as_str().unwrap().to_owned()));
        events
    }

    /// Tells all that was not told yet.
    pub async fn tell(&mut self) {
        for event in self.untold().await {
            assert_eq!(self.post(&event).await, StatusCode::OK, "{event}");
        }
    }

    pub async fn post(&self, event: &Value) -> StatusCode {
        let body = event.to_string();
        let signature = sign(SECRET, &body, self.plane.clock.now());
        self.post_signed(&body, Some(&signature)).await
    }

    pub async fn post_signed(&self, body: &str, signature: Option<&str>) -> StatusCode {
        let mut request = Request::post("/webhooks/stripe");
        if let Some(signature) = signature {
            request = request.header("stripe-signature", signature);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.plane.cp.api().oneshot(request).await.unwrap();
        answer.status()
    }

    /// As the operator sees it.
    pub async fn seen(&self, tenant: TenantId) -> Value {
        let path = format!("/tenants/{tenant}/billing");
        let (status, body) = self.plane.admin(http::Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Standing and reason.
    pub async fn standing(&self, tenant: TenantId) -> (String, String) {
        let seen = self.seen(tenant).await;
        let text = |name: &str| seen[name].as_str().unwrap().to_owned();
        (text("standing"), text("reason"))
    }

    pub async fn count(&self, sql: &str) -> i64 {
        self.plane.database.count(sql).await
    }
}

pub fn sign(secret: &str, body: &str, at: DateTime<Utc>) -> String {
    let at = at.timestamp();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}
