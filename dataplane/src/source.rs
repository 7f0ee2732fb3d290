//! Where the bytes of an upload come from: all of a request's body, or the file in a form.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;

use crate::error::{Code, S3Error};
use crate::form::FileReader;

pub enum Source {
    Whole(Incoming),
    File(Box<FileReader>, Incoming),
}

impl Source {
    /// The next piece, which may be empty; `None` at the end. A form that does not end as it must is an error in place
    /// of that end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, S3Error>>> {
        match self {
            Source::Whole(body) => poll_body(body, cx),
            Source::File(file, body) => loop {
                if let Some(data) = file.next().transpose() {
                    return Poll::Ready(Some(data));
                }
                match ready!(poll_body(body, cx)) {
                    Some(Ok(piece)) => file.push(piece),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(file.finish().err().map(Err)),
                }
            },
        }
    }
}

fn poll_body(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, S3Error>>> {
    // Of a request that was answered early, hyper does not say the end until the next one comes.
    if body.is_end_stream() {
        return Poll::Ready(None);
    }
    let frame = ready!(Pin::new(body).poll_frame(cx));
    Poll::Ready(frame.map(|frame| match frame {
        Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
        Err(_) => Err(Code::IncompleteBody.into()),
    }))
}
