//! Where the bytes of an upload come from: all of a request's body, or the file in a form.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Version, header, request};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::{Code, S3Error};
use crate::form::FileReader;
use crate::patience::{Active, Activity, Waiting};

/// What is read of bodies that nobody wants, on one connection. Parts, as SDKs cut them, are smaller.
pub const MOST_DRAINED: u64 = 64 * 1024 * 1024;
/// Bytes a second: nobody keeps a core busy with what is thrown away.
const DRAINED_A_SECOND: u32 = 16 * 1024 * 1024;
/// How many such bodies are read at once, in this process. Others are cut off.
static ROOM: Semaphore = Semaphore::const_new(64);

pub enum Source {
    Whole(Upload),
    File(Box<FileReader>, Upload),
}

impl Source {
    /// The next piece, which may be empty; `None` at the end. A form that does not end as it must is an error in place
    /// of that end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, S3Error>>> {
        match self {
            Source::Whole(upload) => upload.poll_piece(cx),
            Source::File(file, upload) => loop {
                if let Some(data) = file.next().transpose() {
                    return Poll::Ready(Some(data));
                }
                match ready!(upload.poll_piece(cx)) {
                    Some(Ok(piece)) => file.push(piece),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(file.finish().err().map(Err)),
                }
            },
        }
    }

    /// The client has been waited for long enough.
    pub fn abandon(&mut self) {
        let (Source::Whole(upload) | Source::File(_, upload)) = self;
        upload.rest = None;
    }
}

/// A request's body, as it comes in.
///
/// What is left of it when nobody wants it any more is read all the same, and thrown away: a client that is refused while it
/// sends hears why, and goes on with its connection. If that were closed with something unread, TCP would reset it, and the
/// answer might be lost. It is closed on those who send too much or take too long. Those who wait to be told to go on may
/// have given up waiting: they are read when they have their answer. In HTTP/2 a stream ends without the others.
pub struct Upload {
    /// There until this is dropped.
    body: Option<Incoming>,
    /// Whether the client sends nothing before it is told to: with the first look for a piece.
    waits: bool,
    rest: Option<Rest>,
}

/// Where what is left is read, and for how long.
struct Rest {
    connection: Arc<Activity>,
    within: Duration,
}

impl Upload {
    /// `within`: the time in which what is left may come.
    pub fn new(
        head: &request::Parts,
        body: Incoming,
        connection: Option<&Active>,
        within: Duration,
    ) -> Upload {
        let comes = !body.is_end_stream() && head.version < Version::HTTP_2;
        let connection = connection.filter(|_| comes).map(Active::connection);
        Upload {
            body: Some(body),
            waits: head.headers.contains_key(header::EXPECT),
            rest: connection.map(|connection| Rest { connection, within }),
        }
    }

    /// The next piece, which may be empty; `None` at the end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, S3Error>>> {
        self.waits = false;
        // Of a request that was answered early, hyper does not say the end until the next one comes.
        let Some(body) = self.body.as_mut().filter(|body| !body.is_end_stream()) else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
            Err(_) => Err(Code::IncompleteBody.into()),
        }))
    }

    /// The same, for as long as `waiting` lasts.
    pub async fn piece(&mut self, waiting: &mut Waiting) -> Option<Result<Bytes, S3Error>> {
        let piece = poll_fn(|cx| match self.poll_piece(cx) {
            Poll::Ready(piece) => Poll::Ready(piece),
            Poll::Pending => waiting.poll_over(cx, Instant::now()).map(|()| {
                self.rest = None;
                Some(Err(Code::RequestTimeout.into()))
            }),
        })
        .await;
        if let Some(Ok(piece)) = &piece {
            waiting.arrived(piece.len(), Instant::now());
        }
        piece
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(body), Some(rest)) = (self.body.take(), self.rest.take()) else {
            return;
        };
        let waits = self.waits;
        let (Ok(runtime), Ok(place)) = (Handle::try_current(), ROOM.try_acquire()) else {
            return;
        };
        // What is dropped with the runtime is the bare body: no drop of it reads any more.
        runtime.spawn(async move {
            let _place = place;
            let drained = async {
                if waits {
                    // Until the answer is out, hyper would tell the client to go on as soon as somebody reads.
                    rest.connection.answered().await;
                }
                drain(body, &rest.connection).await;
            };
            let _ = timeout(rest.within, drained).await;
        });
    }
}

async fn drain(mut body: Incoming, connection: &Activity) {
    let mut due = Instant::now();
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        if connection.drain(bytes) > MOST_DRAINED {
            return;
        }
        due += Duration::from_secs(1).mul_f64(bytes as f64 / f64::from(DRAINED_A_SECOND));
        sleep_until(due).await;
    }
}
