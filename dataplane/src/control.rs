//! The requests that a node makes of the control plane: joining, and a customer's changes of configuration.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;
use wire::{
    BUCKETS_PATH, BucketChanged, CreateBucket, DeleteBucket, JOIN_PATH, Join, Joined, Problem,
    SetBucket,
};

use crate::clock::Clock;
use crate::error::{Code, S3Error};
use crate::identity::{Identity, public_key};

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 64 * 1024;

/// The control planes that this node may ask, of which one at a time is asked first.
pub struct Control {
    urls: Vec<String>,
    first: AtomicUsize,
    identity: OnceLock<Identity>,
    clock: Clock,
    client: HttpClient,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub enum JoinError {
    /// The token is not good: asking again does not help.
    Refused(String),
    Unreachable(String),
}

/// What an answer was, short of success.
enum Failure {
    Refused(Problem),
    /// It may have heard the question.
    Unreachable(anyhow::Error),
    /// It has heard nothing.
    NotConnected(anyhow::Error),
}

impl Control {
    /// `urls`: one or several, separated by commas.
    pub fn new(urls: &str, clock: Clock) -> Self {
        Control {
            urls: addresses(urls),
            first: AtomicUsize::new(0),
            identity: OnceLock::new(),
            clock,
            client: client(),
        }
    }

    /// Says who this node is, once it knows.
    pub fn identify(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    /// This node's id; empty before it has joined.
    pub fn node_id(&self) -> &str {
        self.identity.get().map_or("", |identity| &identity.node_id)
    }

    pub fn token(&self) -> anyhow::Result<String> {
        self.identity
            .get()
            .context("this node has not joined yet")?
            .token(self.clock.now())
    }

    /// The one that is asked first is of no use: from now on the next one is.
    pub fn turn(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    /// All of them, beginning with the one that is asked first.
    fn in_turn(&self) -> impl Iterator<Item = &str> {
        let first = self.first.load(Ordering::Relaxed) % self.urls.len().max(1);
        let urls = self.urls.iter().cycle().skip(first).take(self.urls.len());
        urls.map(String::as_str)
    }

    /// The control plane that is asked first, as a WebSocket address.
    pub fn stream_url(&self, path: &str) -> anyhow::Result<String> {
        let rest = self
            .in_turn()
            .next()
            .unwrap_or_default()
            .strip_prefix("http")
            .context("the control plane's URL must be http:// or https://")?;
        Ok(format!("ws{rest}{path}"))
    }

    /// Asks one after the other of `urls` until one answers. Gives the node's id.
    pub async fn join(
        urls: &str,
        token: &str,
        key: &SigningKey,
        s3_address: &str,
    ) -> Result<String, JoinError> {
        let mut outcome = Err(JoinError::Unreachable("there is no address".to_owned()));
        for url in addresses(urls) {
            outcome = Self::join_at(&url, token, key, s3_address).await;
            if !matches!(outcome, Err(JoinError::Unreachable(_))) {
                break;
            }
        }
        outcome
    }

    async fn join_at(
        url: &str,
        token: &str,
        key: &SigningKey,
        s3_address: &str,
    ) -> Result<String, JoinError> {
        let join = Join {
            join_token: token.to_owned(),
            public_key: public_key(key),
            s3_address: s3_address.to_owned(),
        };
        let url = format!("{url}{JOIN_PATH}");
        match ask::<Joined>(&client(), Method::POST, &url, None, &join).await {
            Ok(joined) => Ok(joined.node_id),
            Err(Failure::Refused(problem)) if problem.status < 500 => {
                Err(JoinError::Refused(problem.detail))
            }
            Err(Failure::Refused(problem)) => Err(JoinError::Unreachable(problem.title)),
            Err(Failure::Unreachable(error) | Failure::NotConnected(error)) => {
                Err(JoinError::Unreachable(format!("{error:#}")))
            }
        }
    }

    pub async fn create_bucket(&self, request: &CreateBucket) -> Result<BucketChanged, S3Error> {
        self.configure(Method::POST, request).await
    }

    pub async fn set_bucket(&self, request: &SetBucket) -> Result<BucketChanged, S3Error> {
        self.configure(Method::PATCH, request).await
    }

    pub async fn delete_bucket(&self, request: &DeleteBucket) -> Result<(), S3Error> {
        self.configure::<serde::de::IgnoredAny>(Method::DELETE, request)
            .await
            .map(|_| ())
    }

    async fn configure<T: DeserializeOwned>(
        &self,
        method: Method,
        request: &impl Serialize,
    ) -> Result<T, S3Error> {
        let unavailable = || {
            S3Error::with(
                Code::ServiceUnavailable,
                "Buckets cannot be made, changed or removed right now; objects are served.",
            )
            .retry_after(5)
        };
        let token = self.token().map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "no node token could be made");
            unavailable()
        })?;
        let mut outcome = Err(Failure::NotConnected(anyhow::anyhow!(
            "there is no address"
        )));
        for url in self.in_turn() {
            let url = format!("{url}{BUCKETS_PATH}");
            let asking = ask(&self.client, method.clone(), &url, Some(&token), request);
            let span = telemetry::outbound("controlplane", &method);
            outcome = asking.instrument(span).await;
            // Nobody is asked who could do a second time what was done.
            if !matches!(outcome, Err(Failure::NotConnected(_))) {
                break;
            }
        }
        outcome.map_err(|failure| match failure {
            Failure::Refused(problem) => match Code::from_name(&problem.code) {
                Some(code) if problem.detail.is_empty() => code.into(),
                Some(code) => S3Error::with(code, problem.detail),
                None => {
                    tracing::warn!(
                        status = problem.status,
                        code = problem.code,
                        "the control plane refused a change"
                    );
                    unavailable()
                }
            },
            Failure::Unreachable(error) | Failure::NotConnected(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the control plane cannot be reached"
                );
                unavailable()
            }
        })
    }
}

fn addresses(urls: &str) -> Vec<String> {
    let urls = urls.split(',').map(|url| url.trim().trim_end_matches('/'));
    urls.filter(|url| !url.is_empty())
        .map(str::to_owned)
        .collect()
}

fn client() -> HttpClient {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(Duration::from_secs(3)));
    http.enforce_http(false);
    let roots = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider());
    match roots {
        Ok(builder) => Client::builder(TokioExecutor::new())
            .build(builder.https_or_http().enable_http1().wrap_connector(http)),
        #[expect(
            clippy::unreachable,
            reason = "ring's own cipher suites are known to rustls"
        )]
        Err(error) => unreachable!("ring offers no TLS version: {error}"),
    }
}

async fn ask<T: DeserializeOwned>(
    client: &HttpClient,
    method: Method,
    url: &str,
    token: Option<&str>,
    body: &impl Serialize,
) -> Result<T, Failure> {
    let exchange = async {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(cause) = telemetry::cause() {
            request = request.header(telemetry::TRACEPARENT, cause.to_string());
        }
        let unsendable = |error: anyhow::Error| Failure::NotConnected(error);
        let body = serde_json::to_vec(body).map_err(|error| unsendable(error.into()))?;
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| unsendable(error.into()))?;
        let response = match client.request(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Err(Failure::NotConnected(error.into())),
            Err(error) => return Err(Failure::Unreachable(error.into())),
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        let body = body.map_err(|error| Failure::Unreachable(anyhow::anyhow!(error)))?;
        Ok((status, body.to_bytes()))
    };
    let (status, bytes) = match tokio::time::timeout(ANSWER_WITHIN, exchange).await {
        Ok(answered) => answered?,
        Err(_) => return Err(Failure::Unreachable(anyhow::anyhow!("no answer in time"))),
    };
    if !status.is_success() {
        return Err(Failure::Refused(
            serde_json::from_slice(&bytes).unwrap_or_else(|_| unknown_problem(status)),
        ));
    }
    let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| Failure::Unreachable(error.into()))
}

fn unknown_problem(status: StatusCode) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        title: status.to_string(),
        status: status.as_u16(),
        code: String::new(),
        detail: String::new(),
    }
}
