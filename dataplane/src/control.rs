//! The requests that a node makes of the control plane: joining, and a customer's changes of configuration.

use std::sync::OnceLock;
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
use wire::{
    BUCKETS_PATH, BucketChanged, CreateBucket, DeleteBucket, JOIN_PATH, Join, Joined, Problem,
    SetBucket,
};

use crate::clock::Clock;
use crate::error::{Code, S3Error};
use crate::identity::{Identity, public_key};

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 64 * 1024;

pub struct Control {
    url: String,
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
    Unreachable(anyhow::Error),
}

impl Control {
    pub fn new(url: &str, clock: Clock) -> Self {
        Control {
            url: url.trim_end_matches('/').to_owned(),
            identity: OnceLock::new(),
            clock,
            client: client(),
        }
    }

    /// Says who this node is, once it knows.
    pub fn identify(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    pub fn token(&self) -> anyhow::Result<String> {
        self.identity
            .get()
            .context("this node has not joined yet")?
            .token(self.clock.now())
    }

    /// The same control plane as a WebSocket address.
    pub fn stream_url(&self, path: &str) -> anyhow::Result<String> {
        let rest = self
            .url
            .strip_prefix("http")
            .context("the control plane's URL must be http:// or https://")?;
        Ok(format!("ws{rest}{path}"))
    }

    /// Gives the node's id.
    pub async fn join(
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
        let url = format!("{}{JOIN_PATH}", url.trim_end_matches('/'));
        match ask::<Joined>(&client(), Method::POST, &url, None, &join).await {
            Ok(joined) => Ok(joined.node_id),
            Err(Failure::Refused(problem)) if problem.status < 500 => {
                Err(JoinError::Refused(problem.detail))
            }
            Err(Failure::Refused(problem)) => Err(JoinError::Unreachable(problem.title)),
            Err(Failure::Unreachable(error)) => Err(JoinError::Unreachable(format!("{error:#}"))),
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
        let url = format!("{}{BUCKETS_PATH}", self.url);
        ask(&self.client, method, &url, Some(&token), request)
            .await
            .map_err(|failure| match failure {
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
                Failure::Unreachable(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the control plane cannot be reached"
                    );
                    unavailable()
                }
            })
    }
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
        let request = request.body(Full::new(Bytes::from(serde_json::to_vec(body)?)))?;
        let response = client.request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        anyhow::Ok((
            status,
            body.map_err(|error| anyhow::anyhow!(error))?.to_bytes(),
        ))
    };
    let (status, bytes) = match tokio::time::timeout(ANSWER_WITHIN, exchange).await {
        Ok(answered) => answered.map_err(Failure::Unreachable)?,
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
