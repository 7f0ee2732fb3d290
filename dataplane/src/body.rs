//! The bodies that leave: a small document, or an engine's stream. What they cost is counted as they end.

use std::future::Future;
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
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
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
