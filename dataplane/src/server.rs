//! Connections: accepts them, bounds what a client may make this node hold or wait for, gives every request its id,
//! and lets what is under way end at shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::body::{AnswerBody, Content};
use crate::cors;
use crate::error::{Code, S3Error, Whose};
use crate::form::{self, Arrived, Reply};
use crate::metrics::Account;
use crate::node::Node;
use crate::operation::{Effect, Operation, classify};
use crate::ops::{self, Call, quota};
use crate::patience::{Active, Activity, Watched};
use crate::request::{MAX_HEADERS, S3Request};
use crate::source::{MOST_DRAINED, Source, Upload};
use crate::upstream::Upstream;
use crate::usage::{self, Meter};
use crate::workers::Workers;
use crate::{gate, headers};

/// What is read at once of a body that comes fast. A request line and header section must fit in too; `request` bounds
/// these more tightly.
const READ_BUFFER: usize = 128 * 1024;
/// How long requests under way may go on after a shutdown began.
const DRAIN_WITHIN: Duration = Duration::from_secs(3600);

static X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
static X_AMZ_ID_2: HeaderName = HeaderName::from_static("x-amz-id-2");

/// Serves until `stop`, then stops accepting and waits for what is under way.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    node: Arc<Node>,
    workers: Workers,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                // With no room left the client is told so by the closed connection; others go on.
                let Some(room) = node.connections.admit(peer.ip()) else {
                    continue;
                };
                // It goes to another thread's runtime, and leaves this one's.
                let stream = stream.into_std();
                let (tls, node, stop) = (tls.clone(), node.clone(), stop.clone());
                let tracked = connections.token();
                workers.serve(|upstream| async move {
                    if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                        connection(stream, tls, peer, (node, upstream), stop).await;
                    }
                    drop((room, tracked));
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: give connections time to close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tracing::info!("draining");
    connections.close();
    if tokio::time::timeout(DRAIN_WITHIN, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("requests were cut at the end of the drain");
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
struct Client {
    address: SocketAddr,
    /// Over TLS.
    secure: bool,
}

/// The node, and the thread's own way to the engines.
type Way = (Arc<Node>, Arc<Upstream>);

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: SocketAddr,
    way: Way,
    stop: CancellationToken,
) {
    let activity = Arc::new(Activity::default());
    let stream = Watched::new(stream, activity.clone());
    let Some(tls) = tls else {
        let client = Client {
            address: peer,
            secure: false,
        };
        return exchange(stream, activity, client, way, stop).await;
    };
    let client = Client {
        address: peer,
        secure: true,
    };
    match tokio::time::timeout(way.0.patience.head, tls.accept(stream)).await {
        Ok(Ok(stream)) => exchange(stream, activity, client, way, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// What may happen to a connection beside its requests.
enum Aside {
    /// Nothing goes on there any more.
    Ceased,
    /// The node is to stop.
    Stopping,
}

/// Every request of one connection.
async fn exchange<S>(
    stream: S,
    activity: Arc<Activity>,
    client: Client,
    way: Way,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let patience = way.0.patience;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // `Activity` closes a connection whose next head does not come: no timer of its own for every request.
        .header_read_timeout(None)
        .max_buf_size(READ_BUFFER)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(16 * 1024)
        .keep_alive_interval(patience.head);
    let service = service_fn({
        let activity = activity.clone();
        move |request| answer(way.clone(), client, request, activity.begin())
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Looked at when they have something to say, and not at every step of a request; then in any case, even if what the
    // client sends without a pause has used up the task's turn.
    let ceased = tokio::task::unconstrained(activity.ceased(patience.head, patience.stall));
    let mut asides = FuturesUnordered::<BoxFuture<'_, Aside>>::new();
    asides.push(ceased.map(|()| Aside::Ceased).boxed());
    asides.push(stop.cancelled().map(|()| Aside::Stopping).boxed());
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            Some(aside) = asides.next() => match aside {
                Aside::Stopping => serving.as_mut().graceful_shutdown(),
                Aside::Ceased => {
                    tracing::debug!("a connection on which nothing went on was closed");
                    return;
                }
            },
        }
    }
}

/// One request, whatever happens: an answer, and one line in the log.
async fn answer(
    way: Way,
    client: Client,
    request: Request<Incoming>,
    active: Active,
) -> Result<Response<AnswerBody>, Infallible> {
    let id = hex::encode_upper(rand::random::<[u8; 8]>());
    let method = request.method().clone();
    let resource = request.uri().path().to_owned();
    // Whoever stands in front may have read another length: nothing after such a request is believed to be one.
    let close = request.headers().contains_key(header::TRANSFER_ENCODING);
    let ends_if_refused = ends_if_refused(&request, &active);
    let (node, stall) = (way.0.clone(), way.0.patience.stall);
    let mut account = Account::open(
        way.0.metrics.clone(),
        id.clone(),
        method.clone(),
        Instant::now(),
    );
    account.active = Some(active);
    account.span = telemetry::request(request.headers(), &method);
    let span = account.span.clone();
    let received = Arc::new(OnceLock::new());
    let mut cors = HeaderMap::new();
    let handling = handle(way, client, request, &mut account, &received, &mut cors);
    let handled = AssertUnwindSafe(handling.instrument(span))
        .catch_unwind()
        .await;
    let outcome = handled.unwrap_or_else(|_| {
        account.panicked();
        Err(Code::InternalError.into())
    });
    let heard = received.get().is_some_and(|outcome| outcome.received() > 0);
    let close = close || (ends_if_refused && !heard && outcome.is_err());
    let mut response = match outcome {
        Ok(response) => response,
        Err(error) => {
            account.code = Some(error.code.as_str());
            let kept = || node.refusals.keep(&node, &error, &account);
            if catch_unwind(AssertUnwindSafe(kept)).is_err() {
                account.panicked();
            }
            refuse(&error, &method, &resource, &id)
        }
    };
    response.headers_mut().extend(cors);
    if close {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    account.status = response.status();
    account.received = received.get().cloned();
    if let Ok(value) = HeaderValue::from_str(&id) {
        let headers = response.headers_mut();
        headers.insert(&X_AMZ_REQUEST_ID, value.clone());
        headers.insert(&X_AMZ_ID_2, value);
    }
    if let Some(meter) = &mut account.meter {
        meter.counts = usage::counts(account.status);
    }
    if let Some(length) = response.body().whole()
        && account.book(length).is_err()
    {
        return Ok(unwritable(account, &resource, stall));
    }
    Ok(response.map(|content| AnswerBody::new(content, account, stall)))
}

/// Whether a connection in HTTP/1.1 is of no more use once this request is refused at its head: a client that was not told
/// to go on may send its body, or may not; and of a large one not all is read.
fn ends_if_refused(request: &Request<Incoming>, active: &Active) -> bool {
    let body = request.body();
    if body.is_end_stream() || request.version() >= Version::HTTP_2 {
        return false;
    }
    let length = body.size_hint().upper().unwrap_or(u64::MAX);
    let too_much = active.drained().saturating_add(length) > MOST_DRAINED;
    too_much || request.headers().contains_key(header::EXPECT)
}

/// In place of an answer that could not be written down: nothing is answered that is not counted.
fn unwritable(mut account: Account, resource: &str, stall: Duration) -> Response<AnswerBody> {
    let error = S3Error::new(Code::InternalError);
    let response = refuse(&error, &account.method, resource, &account.request_id);
    account.status = response.status();
    account.code = Some(error.code.as_str());
    response.map(|content| AnswerBody::new(content, account, stall))
}

async fn handle(
    (node, upstream): Way,
    client: Client,
    request: Request<Incoming>,
    account: &mut Account,
    received: &Arc<OnceLock<Arc<crate::payload::Outcome>>>,
    cors: &mut HeaderMap,
) -> Result<Response<Content>, S3Error> {
    let (head, body) = request.into_parts();
    let body = Upload::new(&head, body, account.active.as_ref(), node.patience.body);
    let (id, peer) = (account.request_id.clone(), client.address.ip());
    // From here on it goes by its address: it is too large to be moved from hand to hand.
    let mut request = Box::new(S3Request::parse(id, head, peer, &node.domains)?);
    request.secure = client.secure;
    if request.method == Method::OPTIONS {
        account.operation = Some(Operation::OptionsObject);
        return cors::preflight(&node.tenants, &request);
    }
    let Arrived {
        mut request,
        form,
        body,
    } = arrive(&node, request, body, account, cors).await?;
    let admitted = gate::pass(&node, &request, form.as_ref()).inspect_err(|_| {
        account.operation = account.operation.or_else(|| classify(&request).ok());
        *cors = cors::headers(&node.tenants, &request, None);
    })?;
    account.operation = Some(admitted.operation);
    account.tenant = Some(admitted.identity.tenant.clone());
    let pace = admitted.under_way.paced();
    account.under_way = Some(admitted.under_way);
    if !node.journal.is_writable() {
        return Err(S3Error::new(Code::ServiceUnavailable).retry_after(1));
    }
    let meter = Meter::new(
        node.clone(),
        admitted.operation,
        &admitted.identity,
        request.bucket.as_deref(),
        received.clone(),
    );
    let (changes, held) = (meter.changes(), meter.held());
    account.meter = Some(meter);
    *cors = cors::headers(&node.tenants, &request, Some(&admitted.identity.tenant));
    headers::take_from_query(&mut request)?;
    headers::check(&request, admitted.operation)?;
    let (metered, tenant) = (node.clone(), admitted.identity.tenant.clone());
    let (access_key_id, bucket) = (
        admitted.identity.access_key_id.clone(),
        request.bucket.clone(),
    );
    let operation = admitted.operation;
    let call = Box::new(Call {
        node,
        upstream,
        operation: admitted.operation,
        request,
        identity: admitted.identity,
        shared: admitted.shared,
        body: Some(body),
        reply: form.map(|form| Reply::asked(&form.fields)),
        room: None,
        pace,
        changes,
        held: held.clone(),
        received: received.clone(),
    });
    let answered = async {
        let response = ops::perform(call).await?;
        if let Effect::List | Effect::Read = operation.effect() {
            quota::reserve_answer(&metered, &tenant, &held, response.body()).await?;
        }
        Ok(response)
    };
    answered.await.map_err(|refusal: S3Error| {
        refusal.attributed(|| Whose::new(&tenant, &access_key_id, bucket.as_deref()))
    })
}

/// A form is read up to its file: its fields say what other requests say in their head.
async fn arrive(
    node: &Node,
    request: Box<S3Request>,
    body: Upload,
    account: &mut Account,
    cors: &mut HeaderMap,
) -> Result<Arrived, S3Error> {
    if request.method == Method::POST
        && let Ok(Operation::PostObject) = classify(&request)
    {
        account.operation = Some(Operation::PostObject);
        *cors = cors::headers(&node.tenants, &request, None);
        return form::read(node, request, body).await;
    }
    Ok(Arrived {
        request,
        form: None,
        body: Source::Whole(body),
    })
}

fn refuse(error: &S3Error, method: &Method, resource: &str, id: &str) -> Response<Content> {
    let bodiless = method == Method::HEAD || error.code == Code::NotModified;
    let content = if bodiless {
        Content::Empty
    } else {
        Content::from(error.to_xml(resource, id))
    };
    let mut response = Response::new(content);
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    if !bodiless {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/xml"),
        );
    }
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    for (name, value) in &error.details {
        let header = match *name {
            "ETag" => header::ETAG,
            "LastModified" => header::LAST_MODIFIED,
            "DeleteMarker" => HeaderName::from_static("x-amz-delete-marker"),
            "VersionId" => HeaderName::from_static("x-amz-version-id"),
            "Region" => HeaderName::from_static("x-amz-bucket-region"),
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// hyper moves it to its place with every request, whatever of it is used: it was 20 KB once, a fiftieth of a small
    /// request's time.
    #[test]
    fn what_every_request_carries_about_is_small() {
        fn size<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(answer);
        assert!(size <= 5 * 1024, "{size} bytes");
    }
}
