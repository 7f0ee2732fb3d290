//! Where the bytes of an upload come from: all of a request's body, or the file in a form.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Version, header, request};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::{Code, S3Error};
use crate::form::FileReader;
use crate::patience::Waiting;

/// What is read at most of a body that nobody wants. Parts, as SDKs cut them, are smaller.
const MOST_DRAINED: usize = 64 * 1024 * 1024;

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
        upload.drains = false;
    }
}

/// A request's body, as it comes in.
///
/// What is left of it when nobody wants it any more is read all the same, and thrown away: a client that is refused while it
/// sends hears why, and goes on with its connection. If that were closed with something unread, TCP would reset it, and the
/// answer might be lost. It is closed on those who send too much or too slowly; and on those who wait to be told to go on,
/// since reading would tell them. In HTTP/2 a stream ends without the others.
pub struct Upload {
    /// There until this is dropped.
    body: Option<Incoming>,
    patience: Duration,
    /// Whether what is left is to be read.
    drains: bool,
    /// Whether the client sends nothing before it is told to: with the first look for a piece.
    waits: bool,
}

impl Upload {
    /// `patience`: in which every 20 KiB of what is left have to come.
    pub fn new(head: &request::Parts, body: Incoming, patience: Duration) -> Upload {
        Upload {
            body: Some(body),
            patience,
            drains: head.version < Version::HTTP_2,
            waits: head.headers.contains_key(header::EXPECT),
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
            self.drains = false;
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
                self.drains = false;
                Some(Err(Code::RequestTimeout.into()))
            }),
        })
        .await;
        if let Some(Ok(piece)) = &piece {
            waiting.arrived(piece.len(), Instant::now());
        }
        piece
    }

    async fn drain(mut self) {
        let mut waiting = Waiting::new(self.patience);
        let mut left = MOST_DRAINED;
        while let Some(Ok(piece)) = self.piece(&mut waiting).await {
            let Some(rest) = left.checked_sub(piece.len()) else {
                break;
            };
            left = rest;
        }
        self.drains = false;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        let wanted = body.filter(|_| self.drains && !self.waits);
        if let (Some(body), Ok(runtime)) = (wanted, Handle::try_current()) {
            let rest = Upload {
                body: Some(body),
                patience: self.patience,
                drains: true,
                waits: false,
            };
            runtime.spawn(rest.drain());
        }
    }
}
