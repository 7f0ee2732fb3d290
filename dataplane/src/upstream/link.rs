//! One connection to an engine. Who asks moves it on, in their own task: no other has to be woken, neither for the request
//! nor for the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep};

use super::EngineBody;

pub type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// How often a connection is moved on before others have their turn.
const TURNS: usize = 16;

pub struct Link {
    sender: SendRequest<EngineBody>,
    pub(super) line: Line,
    /// One for all its requests: putting a timer off costs less than another.
    late: Pin<Box<Sleep>>,
}

/// The connection itself, and what wakes for it.
pub(super) struct Line {
    /// `None`: it has ended.
    connection: Option<Connection<Stream, EngineBody>>,
    alarm: Arc<Alarm>,
    /// The alarm's.
    waker: Waker,
}

/// Why there is no answer.
pub enum Unanswered {
    Failed(Box<TrySendError<Request<EngineBody>>>),
    Late,
}

impl Link {
    pub async fn new(stream: Stream) -> hyper::Result<Box<Link>> {
        let (sender, connection) = handshake(stream).await?;
        let alarm = Arc::new(Alarm::default());
        Ok(Box::new(Link {
            sender,
            line: Line {
                connection: Some(connection),
                waker: alarm.clone().into(),
                alarm,
            },
            late: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }))
    }

    /// Sends and awaits the head of the answer, until then if there is a bound.
    pub async fn send(
        &mut self,
        request: Request<EngineBody>,
        until: Option<Instant>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let answered = self.sender.try_send_request(request);
        let mut answered = std::pin::pin!(answered);
        if let Some(until) = until {
            self.late.as_mut().reset(until);
        }
        others_first().await;
        let answered = std::future::poll_fn(|cx| {
            let (late, mut looked) = (&mut self.late, false);
            self.line.poll(cx, |cx| match answered.as_mut().poll(cx) {
                Poll::Ready(answered) => {
                    Poll::Ready(answered.map_err(|error| Unanswered::Failed(Box::new(error))))
                }
                // What has come by now is in time.
                Poll::Pending if until.is_some() && std::mem::replace(&mut looked, true) => {
                    late.as_mut().poll(cx).map(|()| Err(Unanswered::Late))
                }
                Poll::Pending => Poll::Pending,
            })
        })
        .await;
        others_first().await;
        answered
    }

    /// Whether it can take another request, as far as is known now.
    pub fn is_free(&mut self) -> bool {
        if !self.is_ready() {
            // It may not have seen yet that its last answer has ended.
            self.line.turn();
        }
        self.is_ready()
    }

    /// Whether the engine has not closed it meanwhile.
    pub fn is_open(&mut self) -> bool {
        self.line.turn();
        self.is_ready()
    }

    fn is_ready(&self) -> bool {
        !self.line.has_ended() && self.sender.is_ready()
    }

    /// Until it can take another request: the last one may still be on its way, however early the answer was.
    pub async fn freed(&mut self) -> hyper::Result<()> {
        std::future::poll_fn(|cx| {
            let sender = &mut self.sender;
            self.line.poll(cx, |cx| sender.poll_ready(cx))
        })
        .await
    }

    /// Nobody uses it for now.
    pub fn rest(&self) {
        self.line.alarm.task.take();
    }
}

impl Line {
    pub fn has_ended(&self) -> bool {
        self.connection.is_none()
    }

    /// Moves the connection on until there is what it brings.
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut brings: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.alarm.attend(cx.waker());
        let waker = self.waker.clone();
        let its = &mut Context::from_waker(&waker);
        if let Poll::Ready(brought) = brings(its) {
            return Poll::Ready(brought);
        }
        for _ in 0..TURNS {
            self.alarm.rung.swap(false, Ordering::SeqCst);
            self.turn();
            if let Poll::Ready(brought) = brings(its) {
                return Poll::Ready(brought);
            }
            if self.alarm.rest() {
                return Poll::Pending;
            }
            if !has_budget_remaining() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn turn(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let turned = Pin::new(connection).poll(&mut Context::from_waker(&self.waker));
        if let Poll::Ready(ended) = turned {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an engine ended early");
            }
            // Whoever waits for something of it learns that then.
            self.connection = None;
        }
    }
}

/// Lets whatever is ready on this thread come as far as this, before any of it goes on: a processor that does one step for
/// several requests in a row finds its instructions in its cache (decision 0033).
async fn others_first() {
    let mut waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Wakes the task that waits for a connection, and not the one that is at work on it.
#[derive(Default)]
struct Alarm {
    task: AtomicWaker,
    waits: AtomicBool,
    rung: AtomicBool,
}

impl Alarm {
    fn attend(&self, task: &Waker) {
        self.task.register(task);
        self.waits.store(false, Ordering::SeqCst);
    }

    /// Whether the task may wait: nothing has happened since it looked.
    fn rest(&self) -> bool {
        self.waits.store(true, Ordering::SeqCst);
        if self.rung.load(Ordering::SeqCst) {
            self.waits.store(false, Ordering::SeqCst);
            return false;
        }
        true
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        if self.waits.swap(false, Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_alarm_wakes_who_waits_once_and_nobody_who_is_at_work() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(count.clone());
        let alarm = Arc::new(Alarm::default());
        let woken = || count.0.load(Ordering::SeqCst);

        alarm.attend(&task);
        alarm.wake_by_ref();
        assert_eq!(woken(), 0, "it is at work");
        assert!(!alarm.rest(), "and has to look again");

        alarm.rung.swap(false, Ordering::SeqCst);
        assert!(alarm.rest());
        alarm.wake_by_ref();
        alarm.wake_by_ref();
        assert_eq!(woken(), 1);

        alarm.attend(&task);
        alarm.rung.swap(false, Ordering::SeqCst);
        assert!(alarm.rest(), "what rang before was looked at");
    }
}
