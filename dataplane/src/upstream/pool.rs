//! Kept connections to engines, of one runtime. One is given back as soon as its answer begins, and used again once the
//! answer was read to its end: no task waits for that, which a small request would pay for dearly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tower::ServiceExt as _;

use super::EngineBody;

/// A connection that nobody used in [`IDLE`] looks, one every [`LOOK`], is closed: after 40 to 50 s.
const LOOK: Duration = Duration::from_secs(10);
const IDLE: u8 = 5;
/// How many connections that still answer are looked at before a new one is made.
const PATIENCE: usize = 4;

pub struct Pool {
    connector: HttpsConnector<HttpConnector>,
    kept: Arc<Mutex<Kept>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing was sent.
    #[error("client error (Connect)")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("client error (SendRequest)")]
    Send(#[source] hyper::Error),
}

#[derive(Default)]
struct Kept {
    engines: Vec<Engine>,
    /// Somebody closes what is idle.
    swept: bool,
}

/// The connections to one address.
struct Engine {
    scheme: Scheme,
    authority: Authority,
    /// The last used last.
    idle: Vec<Idle>,
    /// Given back while the answer was being read.
    answering: VecDeque<SendRequest<EngineBody>>,
}

struct Idle {
    sender: SendRequest<EngineBody>,
    looks: u8,
}

impl Pool {
    pub fn new(connector: HttpsConnector<HttpConnector>) -> Self {
        Pool {
            connector,
            kept: Arc::default(),
        }
    }

    /// Sends to the engine that the URI names, and awaits the head of its answer. What was not begun on a kept connection,
    /// because the engine had closed it, is sent on another. The request is taken from where it is: moved from future to
    /// future it would be in each of them.
    pub async fn send(
        &self,
        request: &mut Request<EngineBody>,
    ) -> Result<Response<Incoming>, Failure> {
        let uri = std::mem::take(request.uri_mut());
        if let Some(target) = uri.path_and_query() {
            *request.uri_mut() = target.clone().into();
        }
        loop {
            let kept = lock(&self.kept).take(&uri);
            let reused = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                // Seldom, and so large that every request would carry it about.
                None => Box::pin(self.connect(&uri))
                    .await
                    .map_err(Failure::Connect)?,
            };
            let taken = std::mem::replace(request, Request::new(EngineBody::Empty));
            match sender.try_send_request(taken).await {
                Ok(response) => {
                    self.give_back(&uri, sender);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused => *request = unsent,
                    _ => return Err(Failure::Send(error.into_error())),
                },
            }
        }
    }

    async fn connect(
        &self,
        uri: &Uri,
    ) -> Result<SendRequest<EngineBody>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = self.connector.clone().oneshot(uri.clone()).await?;
        let (mut sender, connection) = handshake(stream).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an engine ended early");
            }
        });
        sender.ready().await?;
        Ok(sender)
    }

    fn give_back(&self, uri: &Uri, sender: SendRequest<EngineBody>) {
        let mut kept = lock(&self.kept);
        if let Some(engine) = kept.engine(uri) {
            engine.answering.push_back(sender);
            return;
        }
        if let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) {
            kept.engines.push(Engine {
                scheme: scheme.clone(),
                authority: authority.clone(),
                idle: Vec::new(),
                answering: [sender].into(),
            });
        }
        if !std::mem::replace(&mut kept.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.kept)));
        }
    }
}

impl Kept {
    fn engine(&mut self, uri: &Uri) -> Option<&mut Engine> {
        self.engines.iter_mut().find(|engine| {
            Some(&engine.scheme) == uri.scheme() && Some(&engine.authority) == uri.authority()
        })
    }

    fn take(&mut self, uri: &Uri) -> Option<SendRequest<EngineBody>> {
        let engine = self.engine(uri)?;
        engine.look(PATIENCE);
        while let Some(Idle { sender, .. }) = engine.idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// Closes what is idle for too long, and forgets engines that are asked no more.
    fn sweep(&mut self) {
        for engine in &mut self.engines {
            engine.look(engine.answering.len());
            engine.idle.retain_mut(|idle| {
                idle.looks += 1;
                idle.looks < IDLE && !idle.sender.is_closed()
            });
        }
        self.engines
            .retain(|engine| !engine.idle.is_empty() || !engine.answering.is_empty());
    }
}

impl Engine {
    /// Takes for idle what has answered, until so many were found that have not.
    fn look(&mut self, most: usize) {
        let mut answering = 0;
        while answering < most
            && let Some(sender) = self.answering.pop_front()
        {
            if sender.is_ready() {
                self.idle.push(Idle { sender, looks: 0 });
            } else if !sender.is_closed() {
                self.answering.push_back(sender);
                answering += 1;
            }
        }
    }
}

async fn sweep(kept: Weak<Mutex<Kept>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(kept) = kept.upgrade() else { return };
        lock(&kept).sweep();
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
