//! The body of an engine's answer. Reading it moves the connection on; at its end the connection goes back to its pool.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::link::Link;
use super::pool::Home;

/// How many pieces of an answer that nobody reads are taken for the sake of its connection.
const UNREAD: usize = 4;

/// Dropped before its end it closes the connection, unless the end is there already.
pub struct EngineAnswer {
    body: Incoming,
    /// Until the end.
    way: Option<(Box<Link>, Home)>,
}

impl EngineAnswer {
    pub(super) fn new(body: Incoming, link: Box<Link>, home: Home) -> Self {
        let mut answer = EngineAnswer {
            body,
            way: Some((link, home)),
        };
        if answer.body.is_end_stream() {
            answer.ended();
        }
        answer
    }

    /// Nothing more is asked of its connection, which is in no known state: it is closed.
    pub fn abandon(&mut self) {
        self.way = None;
    }

    fn ended(&mut self) {
        if let Some((link, home)) = self.way.take() {
            home.give_back(link);
        }
    }
}

impl Body for EngineAnswer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some((link, _)) = &mut this.way else {
            return Pin::new(&mut this.body).poll_frame(cx);
        };
        let body = &mut this.body;
        let frame = ready!(link.line.poll(cx, |cx| Pin::new(&mut *body).poll_frame(cx)));
        if frame.is_none() || body.is_end_stream() {
            this.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for EngineAnswer {
    fn drop(&mut self) {
        // A second panic would end the process.
        if std::thread::panicking() {
            return;
        }
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..UNREAD {
            if self.way.is_none() {
                return;
            }
            let Poll::Ready(Some(Ok(_))) = Pin::new(&mut *self).poll_frame(cx) else {
                return;
            };
        }
    }
}
