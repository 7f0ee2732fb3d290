//! The way to an engine: signs a request that was built here from parts that were decided here, sends it, and turns
//! whatever goes wrong into an S3 error that names no engine.

mod answer;
mod link;
mod pool;
mod refusal;
pub mod sign;

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use md5::{Digest, Md5};
use sha2::Sha256;
use tracing::Instrument as _;
use wire::Engine;

pub use self::answer::EngineAnswer;
use self::pool::{Address, Failure, Pool};
use self::refusal::{refusal, translate};
use self::sign::sign;
use crate::error::{Code, S3Error};
use crate::headers::EngineHeaders;
use crate::patience::Patience;
use crate::payload::{Outcome, Payload};
use crate::xml;

/// The largest document that is read from an engine: a list of 1,000 keys of 1,024 escaped bytes each, and room.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// Kept connections to engines. They belong to the runtime on which they were asked for.
pub struct Upstream {
    pool: Pool,
    patience: Patience,
}

/// How engines are connected to. Clones share what TLS remembers.
#[derive(Clone)]
pub struct Connector(HttpsConnector<HttpConnector>);

/// What is sent to an engine.
pub enum EngineBody {
    Empty,
    Full(Bytes),
    Stream(Box<Payload>),
}

/// One request to an engine, every part of it decided here.
pub struct EngineRequest<'a> {
    pub engine: &'a Engine,
    pub method: Method,
    pub bucket: &'a str,
    /// Decoded; it is encoded here, once.
    pub key: Option<String>,
    pub query: Vec<(String, String)>,
    pub headers: EngineHeaders,
    /// `x-amz-content-sha256`.
    pub payload_hash: Cow<'static, str>,
    pub body: EngineBody,
    /// What an `AccessDenied` of the engine would be about.
    pub denial: Denial,
}

/// An engine denies access to us, which is our failure; or to the object, which is the customer's to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    OfUs,
    /// Object lock forbids it.
    Locked,
    /// The customer's key is not the one that the object was encrypted with.
    CustomerKey,
}

impl<'a> EngineRequest<'a> {
    pub fn new(engine: &'a Engine, method: Method, bucket: &'a str) -> Self {
        EngineRequest {
            engine,
            method,
            bucket,
            key: None,
            query: Vec::new(),
            headers: EngineHeaders::default(),
            payload_hash: sigv4::EMPTY_SHA256.into(),
            body: EngineBody::Empty,
            denial: Denial::OfUs,
        }
    }

    pub fn key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// An XML document as the body, with the hashes that S3 asks for.
    pub fn document(mut self, document: String) -> Result<Self, S3Error> {
        let body = Bytes::from(document);
        self.headers
            .set("content-md5", &STANDARD.encode(Md5::digest(&body)))?;
        self.headers.set("content-type", "application/xml")?;
        self.payload_hash = hex::encode(Sha256::digest(&body)).into();
        self.body = EngineBody::Full(body);
        Ok(self)
    }
}

impl Default for Connector {
    fn default() -> Self {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(Duration::from_secs(5)));
        http.set_nodelay(true);
        // An engine whose machine is gone says nothing, and nothing tells its connections from idle ones.
        http.set_keepalive(Some(Duration::from_secs(15)));
        http.set_keepalive_interval(Some(Duration::from_secs(5)));
        http.set_keepalive_retries(Some(3));
        http.enforce_http(false);
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map(|builder| builder.https_or_http().enable_http1().wrap_connector(http));
        // The provider is ring's own, whose cipher suites rustls knows: there is no other outcome.
        match connector {
            Ok(connector) => Connector(connector),
            #[expect(
                clippy::unreachable,
                reason = "ring's own cipher suites are known to rustls"
            )]
            Err(error) => unreachable!("ring offers no TLS version: {error}"),
        }
    }
}

impl Upstream {
    pub fn new(connector: Connector, patience: Patience) -> Self {
        let pool = Pool::new(connector.0);
        Upstream { pool, patience }
    }

    /// Sends and awaits the head of a successful answer. 304 counts as an error, `NotModified`.
    pub async fn send(
        &self,
        mut request: EngineRequest<'_>,
        now: DateTime<Utc>,
    ) -> Result<Response<EngineAnswer>, S3Error> {
        let head_only = request.method == Method::HEAD;
        let denial = request.denial;
        let response = self.exchange(&mut request, now).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        // Seldom, and no small future.
        Err(Box::pin(refusal(response, head_only, denial, self.patience.stall)).await)
    }

    /// Sends and reads an XML document as the answer. An `<Error>` under a 200 is an error all the same: so engines
    /// report what failed after they had begun to answer.
    pub async fn document(
        &self,
        request: EngineRequest<'_>,
        now: DateTime<Utc>,
    ) -> Result<(HeaderMap, xml::Element), S3Error> {
        let (headers, bytes) = self.fetch(request, now).await?;
        let element = xml::parse(&bytes).map_err(|_| unreadable(&"not an XML document"))?;
        if element.name == "Error" {
            return Err(failed(element.value("Code").unwrap_or("")));
        }
        Ok((headers, element))
    }

    /// Sends and reads the whole of the answer: at most 16 MiB. Whether it is an `<Error>` is its reader's to see.
    pub async fn fetch(
        &self,
        request: EngineRequest<'_>,
        now: DateTime<Utc>,
    ) -> Result<(HeaderMap, Bytes), S3Error> {
        let (head, body) = self.send(request, now).await?.into_parts();
        let collected = tokio::time::timeout(
            self.patience.stall,
            Limited::new(body, MAX_DOCUMENT).collect(),
        )
        .await
        .map_err(|_| unreadable(&"it broke off"))?;
        let bytes = collected.map_err(|error| unreadable(&*error))?.to_bytes();
        Ok((head.headers, bytes))
    }

    async fn exchange(
        &self,
        request: &mut EngineRequest<'_>,
        now: DateTime<Utc>,
    ) -> Result<Response<EngineAnswer>, S3Error> {
        // Asking again is safe when nothing can have changed and there is no body to send twice.
        let mut again = matches!(request.body, EngineBody::Empty)
            && matches!(request.method, Method::GET | Method::HEAD);
        let within = if request.query.iter().any(|(n, _)| n == "uploadId")
            && request.method == Method::POST
        {
            self.patience.complete
        } else {
            self.patience.answer
        };
        let outcome = match &request.body {
            EngineBody::Stream(payload) => Some(payload.outcome()),
            _ => None,
        };
        let address = self.pool.address(&request.engine.endpoint).ok_or_else(|| {
            tracing::error!(
                engine = request.engine.id,
                "the engine's endpoint is no URL of a host"
            );
            S3Error::new(Code::ServiceUnavailable)
        })?;
        loop {
            let body = std::mem::replace(&mut request.body, EngineBody::Empty);
            let mut signed = sign(request, &address.host, body, now)?;
            let to = (request.engine, &address);
            let answered = self
                .attempt(&mut signed, to, outcome.as_deref(), within)
                .await;
            match answered {
                Err(error) if again && error.code == Code::ServiceUnavailable => again = false,
                other => return other,
            }
        }
    }

    /// As [`sent`](Self::sent), with a span where the customer's request has one.
    async fn attempt(
        &self,
        request: &mut http::Request<EngineBody>,
        (engine, address): (&Engine, &Arc<Address>),
        outcome: Option<&Outcome>,
        within: Duration,
    ) -> Result<Response<EngineAnswer>, S3Error> {
        let span = telemetry::outbound("engine", request.method());
        if !span.is_disabled() {
            span.record("vaultaire.engine", engine.id.as_str());
            // Beside what is signed: an engine, or what stands before it, may take it or leave it.
            telemetry::tell(&span, request.headers_mut());
        }
        let answered = self
            .sent(request, address, outcome, within)
            .instrument(span.clone())
            .await;
        match &answered {
            Ok(response) => telemetry::status(&span, response.status()),
            Err(error) => telemetry::failed(&span, error.code.as_str()),
        }
        answered
    }

    async fn sent(
        &self,
        request: &mut http::Request<EngineBody>,
        address: &Arc<Address>,
        outcome: Option<&Outcome>,
        within: Duration,
    ) -> Result<Response<EngineAnswer>, S3Error> {
        let answered = match outcome {
            None => self.pool.send(address, request, Some(within)).await,
            Some(outcome) => tokio::select! {
                answered = self.pool.send(address, request, None) => answered,
                () = stalled(outcome, within, self.patience.stall) => Err(Failure::Stalled),
            },
        };
        let failure = match answered {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        let told = outcome.and_then(Outcome::failure).cloned();
        Err(match failure {
            Failure::Late | Failure::Stalled => {
                tracing::warn!(reason = %failure, "the engine was given up on");
                told.unwrap_or_else(|| Code::ServiceUnavailable.into())
            }
            Failure::Connect(_) | Failure::Send(_) => told.unwrap_or_else(|| {
                tracing::warn!(error = %Chain(&failure), "the engine cannot be reached");
                S3Error {
                    undone: matches!(failure, Failure::Connect(_)),
                    ..S3Error::new(Code::ServiceUnavailable).retry_after(1)
                }
            }),
        })
    }
}

/// Returns when a body has not moved for too long, or was whole and the answer is overdue.
async fn stalled(outcome: &Outcome, within: Duration, stall: Duration) {
    let born = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(5).min(stall));
    loop {
        tick.tick().await;
        let still = born
            .elapsed()
            .saturating_sub(Duration::from_millis(outcome.moved()));
        let most = if outcome.is_whole() { within } else { stall };
        if still > most {
            return;
        }
    }
}

/// What an `<Error>` under a 200 comes to.
pub fn failed(code: &str) -> S3Error {
    let error = translate(code, StatusCode::INTERNAL_SERVER_ERROR);
    S3Error {
        undone: error.status().is_client_error(),
        ..error
    }
}

pub fn unreadable(error: &(impl std::fmt::Display + ?Sized)) -> S3Error {
    tracing::warn!(%error, "the engine's answer cannot be read");
    Code::InternalError.into()
}

/// An error with its causes, for the log.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Body for EngineBody {
    type Data = Bytes;
    type Error = S3Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, S3Error>>> {
        match &mut *self {
            EngineBody::Empty => Poll::Ready(None),
            EngineBody::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            EngineBody::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            EngineBody::Stream(payload) => Pin::new(payload.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            EngineBody::Empty => true,
            EngineBody::Full(bytes) => bytes.is_empty(),
            EngineBody::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            EngineBody::Empty => SizeHint::with_exact(0),
            EngineBody::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            EngineBody::Stream(payload) => payload.size_hint(),
        }
    }
}
