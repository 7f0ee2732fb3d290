//! Kept connections to engines, of one runtime. One is given back when its answer has ended: the last used is the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderValue, Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::EngineBody;
use super::answer::EngineAnswer;
use super::link::{Link, Unanswered};

/// A connection that nobody used in [`IDLE`] looks, one every [`LOOK`], is closed: after 40 to 50 s.
const LOOK: Duration = Duration::from_secs(10);
const IDLE: u8 = 5;
/// What is left of a request that was answered early is sent for so long.
const DRAIN: Duration = Duration::from_secs(60);

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
    #[error("no answer in time")]
    Late,
    #[error("the body stood still")]
    Stalled,
}

/// Where an engine is, read once.
pub struct Address {
    /// As it is written in the configuration.
    endpoint: Box<str>,
    uri: Uri,
    /// `Host`.
    pub host: HeaderValue,
}

/// Where a connection goes back to.
pub struct Home {
    kept: Arc<Mutex<Kept>>,
    address: Arc<Address>,
}

#[derive(Default)]
struct Kept {
    engines: Vec<Engine>,
    /// Somebody closes what is idle.
    swept: bool,
}

/// The connections to one address.
struct Engine {
    address: Arc<Address>,
    /// The last used last.
    idle: Vec<Idle>,
}

struct Idle {
    link: Box<Link>,
    looks: u8,
}

impl Address {
    /// `None`: this is not the URL of a host.
    fn read(endpoint: &str) -> Option<Address> {
        let uri: Uri = endpoint.trim_end_matches('/').parse().ok()?;
        let host = HeaderValue::from_str(uri.authority()?.as_str()).ok()?;
        let alone = uri.scheme().is_some() && uri.path() == "/" && uri.query().is_none();
        alone.then_some(Address {
            endpoint: endpoint.into(),
            uri,
            host,
        })
    }
}

impl Pool {
    pub fn new(connector: HttpsConnector<HttpConnector>) -> Self {
        Pool {
            connector,
            kept: Arc::default(),
        }
    }

    /// `None`: this is no endpoint.
    pub fn address(&self, endpoint: &str) -> Option<Arc<Address>> {
        let mut kept = lock(&self.kept);
        let known = |engine: &&Engine| *engine.address.endpoint == *endpoint;
        if let Some(known) = kept.engines.iter().find(known) {
            return Some(known.address.clone());
        }
        let address = Arc::new(Address::read(endpoint)?);
        kept.engines.push(Engine {
            address: address.clone(),
            idle: Vec::new(),
        });
        if !std::mem::replace(&mut kept.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.kept)));
        }
        Some(address)
    }

    /// Sends to the engine at this address, and awaits the head of its answer, for so long if there is a bound. What was not
    /// begun on a kept connection, because the engine had closed it, is sent on another. The request is taken from where it
    /// is: moved from future to future it would be in each of them.
    pub async fn send(
        &self,
        address: &Arc<Address>,
        request: &mut Request<EngineBody>,
        within: Option<Duration>,
    ) -> Result<Response<EngineAnswer>, Failure> {
        let until = within.map(|within| Instant::now() + within);
        loop {
            let kept = lock(&self.kept).take(address);
            let reused = kept.is_some();
            let mut link = match kept {
                Some(link) => link,
                // Seldom, and so large that every request would carry it about.
                None => Box::pin(self.connect(&address.uri, until)).await?,
            };
            let taken = std::mem::replace(request, Request::new(EngineBody::Empty));
            let mut error = match link.send(taken, until).await {
                Ok(response) => {
                    let home = Home {
                        kept: self.kept.clone(),
                        address: address.clone(),
                    };
                    return Ok(response.map(|body| EngineAnswer::new(body, link, home)));
                }
                Err(Unanswered::Late) => return Err(Failure::Late),
                Err(Unanswered::Failed(error)) => error,
            };
            match error.take_message() {
                Some(unsent) if reused => *request = unsent,
                Some(_) => return Err(Failure::Connect(Box::new(error.into_error()))),
                None => return Err(Failure::Send(error.into_error())),
            }
        }
    }

    async fn connect(&self, uri: &Uri, until: Option<Instant>) -> Result<Box<Link>, Failure> {
        let connecting = async {
            let stream = self.connector.clone().oneshot(uri.clone()).await?;
            Ok(Link::new(stream).await?)
        };
        match until {
            Some(until) => tokio::time::timeout_at(until, connecting)
                .await
                .map_err(|_| Failure::Late)?,
            None => connecting.await,
        }
        .map_err(Failure::Connect)
    }
}

impl Home {
    /// Its answer has ended. What the engine did not wait for is still sent to it: closed at once, the client's connection
    /// would be closed as well, perhaps before it has read the answer.
    pub fn give_back(self, mut link: Box<Link>) {
        if link.is_free() {
            return self.keep(link);
        }
        if link.line.has_ended() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(DRAIN, link.freed()).await {
                self.keep(link);
            }
        });
    }

    fn keep(&self, link: Box<Link>) {
        link.rest();
        if let Some(engine) = lock(&self.kept).engine(&self.address) {
            engine.idle.push(Idle { link, looks: 0 });
        }
    }
}

impl Kept {
    fn engine(&mut self, address: &Arc<Address>) -> Option<&mut Engine> {
        self.engines
            .iter_mut()
            .find(|engine| Arc::ptr_eq(&engine.address, address))
    }

    fn take(&mut self, address: &Arc<Address>) -> Option<Box<Link>> {
        Some(self.engine(address)?.idle.pop()?.link)
    }

    /// Closes what is idle for too long, or closed by its engine, and forgets engines that are asked no more.
    fn sweep(&mut self) {
        for engine in &mut self.engines {
            engine.idle.retain_mut(|idle| {
                idle.looks += 1;
                idle.looks < IDLE && idle.link.is_open()
            });
        }
        self.engines
            .retain(|engine| !engine.idle.is_empty() || Arc::strong_count(&engine.address) > 1);
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
