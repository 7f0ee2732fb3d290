//! The bodies that leave: a small document, or an engine's stream. What they cost is counted as they end.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::limits::{Pace, UnderWay};
use crate::metrics::Account;
use crate::upstream::EngineAnswer;

pub enum Content {
    Empty,
    Full(Bytes),
    Engine(EngineAnswer),
}

impl Content {
    /// Bytes, where all of them are here already.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Content::Engine(_) => self.length().filter(|length| *length == 0),
            _ => self.length(),
        }
    }

    /// Bytes, where they are known before.
    pub fn length(&self) -> Option<u64> {
        match self {
            Content::Empty => Some(0),
            Content::Full(bytes) => Some(bytes.len() as u64),
            Content::Engine(body) => body.size_hint().exact(),
        }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Full(Bytes::from(text))
    }
}

/// An answer's body with its account, which is closed when the body ends or is dropped.
pub struct AnswerBody {
    content: Content,
    account: Account,
    /// How long the engine may keep the client waiting.
    stall: Duration,
    pace: Pace,
    /// What is left of an answer whose length is known.
    left: Option<u64>,
    /// Runs while the engine keeps the client waiting.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// Why an answer broke off. The client sees a body that is too short.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the engine's answer broke off")]
    Engine(#[source] hyper::Error),
    #[error("the engine stood still")]
    Stalled,
    #[error("the answer could not be written down")]
    Unwritable,
    #[error("it panicked")]
    Panicked,
}

impl AnswerBody {
    /// What is not whole here is written down when its last byte is about to go out.
    pub fn new(content: Content, mut account: Account, stall: Duration) -> Self {
        account.sends(true);
        let paced = account.under_way.as_ref().and_then(UnderWay::paced);
        AnswerBody {
            left: content.length(),
            content,
            account,
            stall,
            pace: Pace::new(paced),
            stalled: None,
        }
    }

    /// Before the piece goes out, or before the end is said.
    fn written_down(&mut self, piece: Option<&Frame<Bytes>>) -> Result<(), Broken> {
        let length = piece
            .and_then(Frame::data_ref)
            .map_or(0, |data| data.len() as u64);
        let last = match &mut self.left {
            Some(left) => {
                *left = left.saturating_sub(length);
                *left == 0
            }
            None => piece.is_none(),
        };
        if last && self.account.book(length).is_err() {
            return Err(Broken::Unwritable);
        }
        Ok(())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self;
        // Until there is a piece, it is somebody else's to bring.
        this.account.sends(false);
        let mut frame = match &mut this.content {
            Content::Empty => None,
            Content::Full(bytes) if bytes.is_empty() => None,
            Content::Full(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            // Trailers of an engine stay here.
            Content::Engine(body) => loop {
                ready!(this.pace.poll_ready(cx));
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => {
                        let stall = this.stall;
                        let stalled = this.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
                        ready!(stalled.as_mut().poll(cx));
                        tracing::warn!("an engine stood still in the middle of an answer");
                        break Some(Err(Broken::Stalled));
                    }
                    Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                        this.stalled = None;
                        break Some(Ok(frame));
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => break Some(Err(Broken::Engine(error))),
                    Poll::Ready(None) => break None,
                }
            },
        };
        if let Some(Ok(_)) | None = &frame {
            let piece = frame.as_ref().and_then(|frame| frame.as_ref().ok());
            if let Err(broken) = this.written_down(piece) {
                frame = Some(Err(broken));
            }
        }
        this.account.sends(true);
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.pace.passed(bytes);
                this.account.sent(bytes);
            }
            Some(Err(_)) => this.account.broke(),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn panicked(&mut self) -> Broken {
        self.account.panicked();
        self.account.broke();
        self.account.sends(true);
        if let Content::Engine(body) = &mut self.content {
            body.abandon();
        }
        Broken::Panicked
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    /// A panic ends this one answer, as what an engine breaks off does.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        catch_unwind(AssertUnwindSafe(|| self.poll_piece(cx)))
            .unwrap_or_else(|_| Poll::Ready(Some(Err(self.panicked()))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            // Where the length is not known the end is polled for, and written down there.
            Content::Engine(body) => self.left.is_some() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Engine(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::Instant;

    use chrono::{DateTime, Utc};
    use http::Method;
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::{Builder, Runtime};
    use wire::Engine;

    use super::*;
    use crate::metrics::Metrics;
    use crate::patience::Patience;
    use crate::tenants::tests::{key, settings};
    use crate::upstream::{Connector, EngineRequest, Upstream};

    /// An answer of ten bytes, five of which were read, and the engine's end of its connection.
    async fn half_read(metrics: &Arc<Metrics>) -> (AnswerBody, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let engine = Engine {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            signing_keys: key("E", &[now.date_naive()]).signing_keys,
            ..settings(1).engines.remove(0)
        };
        let upstream = Upstream::new(Connector::default(), Patience::default());
        let request = EngineRequest::new(&engine, Method::GET, "b");
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
            stream.write_all(half).await.unwrap();
            stream
        };
        let (answer, stream) = tokio::join!(upstream.send(request, now), answering);
        let answer = Content::Engine(answer.unwrap().into_body());
        let account = Account::open(metrics.clone(), "ID".into(), Method::GET, Instant::now());
        let mut body = AnswerBody::new(answer, account, Duration::from_secs(60));
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "hello");
        (body, stream)
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_panic_ends_an_answer_and_its_connection_to_the_engine() {
        let (runtime, metrics) = (runtime(), Arc::new(Metrics::new(1)));
        let (mut body, mut stream) = runtime.block_on(half_read(&metrics));
        // Without a runtime there is no timer for what the engine keeps back: asking for one panics.
        let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Some(Err(Broken::Panicked)))));
        let end = runtime.block_on(stream.read(&mut [0]));
        assert_eq!(end.unwrap(), 0, "it is closed");
        drop(body);
        let counted = "vaultaire_requests_total{operation=\"none\",status=\"5xx\"} 1\n";
        assert!(metrics.render().contains(counted), "{}", metrics.render());
    }

    #[test]
    fn an_answer_that_comes_late_is_whole() {
        let (runtime, metrics) = (runtime(), Arc::new(Metrics::new(1)));
        runtime.block_on(async {
            let (mut body, mut stream) = half_read(&metrics).await;
            let waiting = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx)));
            assert!(waiting.await.is_pending());
            stream.write_all(b"world").await.unwrap();
            let rest = body.collect().await.unwrap();
            assert_eq!(rest.to_bytes(), "world");
        });
    }
}
