//! The body of a write, on its way from client to engine: decoded, counted, verified, and never held but for its last
//! piece. That piece goes out only when everything agrees, so that an object that does not match never comes to exist.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use wire::EngineCapabilities;

use crate::authenticate::PayloadHash;
use crate::chunked::ChunkedDecoder;
use crate::error::{Code, S3Error};
use crate::gate::Standing;
use crate::hashing::Hashing;
use crate::integrity::{Algorithm, Checks, announced};
use crate::limits::Pace;
use crate::patience::Waiting;
use crate::reencode::Reencode;
use crate::request::S3Request;
use crate::source::Source;

/// 5 GiB, the most that one PUT may bring.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MAX_OBJECT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// What went wrong or right with a body, for whoever waits for the engine's answer.
#[derive(Debug, Default)]
pub struct Outcome {
    failure: OnceLock<S3Error>,
    checksum: OnceLock<(Algorithm, String)>,
    received: AtomicU64,
    whole: AtomicBool,
    /// Milliseconds since the body was made at which it last moved.
    moved: AtomicU64,
}

impl Outcome {
    pub fn failure(&self) -> Option<&S3Error> {
        self.failure.get()
    }

    /// The verified checksum, once the body was whole.
    pub fn checksum(&self) -> Option<&(Algorithm, String)> {
        self.checksum.get()
    }

    /// Decoded bytes so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether all of the body has been received and agrees.
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    /// When the body last moved, in milliseconds of its own life.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

pub struct Payload {
    source: Source,
    decoder: Option<ChunkedDecoder>,
    input: Bytes,
    hashing: Hashing,
    length: u64,
    received: u64,
    /// The last piece, until it is known that another follows or that all is well.
    held: Option<Bytes>,
    /// What [`Payload::prime`] has taken out already.
    first: Option<Frame<Bytes>>,
    standing: Option<Standing>,
    /// What else has to have happened before the last piece goes out.
    awaited: Option<oneshot::Receiver<()>>,
    /// The trailer with which the body goes on, if it goes on with one.
    reencode: Option<Reencode>,
    outcome: Arc<Outcome>,
    born: Instant,
    waiting: Waiting,
    pace: Pace,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Streaming,
    /// All is read; what is hashed beside may not be.
    Verifying,
    /// Verified; what is left goes out.
    Flushing,
    Ended,
}

impl Payload {
    /// Reads the request's announcements. Refused before anything of the body is read: no length, too long, digests
    /// that make no sense. `engine`: what the one that it goes to can do; nothing, where it goes to none.
    pub fn new(
        request: &S3Request,
        hash: &PayloadHash,
        chunks: Option<sigv4::ChunkSigner>,
        source: Source,
        engine: EngineCapabilities,
        patience: Duration,
    ) -> Result<Payload, S3Error> {
        let length = decoded_length(request, hash)?;
        let sha256 = match hash {
            PayloadHash::Sha256(hash) => Some(hash.as_str()),
            _ => None,
        };
        let announced = announced(&request.headers)?;
        let in_trailer = announced.filter(|announced| announced.value.is_none());
        let decoder = match hash {
            PayloadHash::Chunked { trailer, .. } => Some(ChunkedDecoder::new(chunks, *trailer)),
            _ if in_trailer.is_some() => return Err(Code::MalformedTrailerError.into()),
            _ => None,
        };
        let reencode = in_trailer
            .filter(|announced| announced.algorithm.may_trail_to(engine))
            .map(|announced| Reencode::new(announced.algorithm));
        Ok(Payload {
            source,
            decoder,
            input: Bytes::new(),
            hashing: Hashing::new(Checks::new(&request.headers, sha256)?, length),
            length,
            received: 0,
            held: None,
            first: None,
            standing: None,
            awaited: None,
            reencode,
            outcome: Arc::default(),
            born: Instant::now(),
            waiting: Waiting::new(patience),
            pace: Pace::new(None),
            state: State::Streaming,
        })
    }

    /// At what pace the body is read. Waiting for it is nobody's slowness.
    pub fn pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Asked before the last piece goes out; a refusal makes the body fail.
    pub fn release_if(&mut self, standing: Standing) {
        self.standing = Some(standing);
    }

    /// The last piece waits for this, or for the sender to be dropped. Says whether it can: it may have gone out.
    pub fn release_after(&mut self) -> Option<oneshot::Sender<()>> {
        if self.state != State::Streaming {
            return None;
        }
        let (done, awaited) = oneshot::channel();
        self.awaited = Some(awaited);
        Some(done)
    }

    /// Decoded bytes, as announced.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn outcome(&self) -> Arc<Outcome> {
        self.outcome.clone()
    }

    /// The headers that tell the engine in which form the body comes, and `x-amz-content-sha256`.
    pub fn engine_headers(&self, hash: &PayloadHash) -> (Vec<(&'static str, String)>, String) {
        match (&self.reencode, hash) {
            (Some(reencode), _) => (
                vec![
                    ("content-encoding", "aws-chunked".into()),
                    ("x-amz-decoded-content-length", self.length.to_string()),
                    ("x-amz-trailer", reencode.algorithm.header().into()),
                ],
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER".into(),
            ),
            (None, PayloadHash::Sha256(hash)) => (vec![], hash.clone()),
            (None, _) => (vec![], "UNSIGNED-PAYLOAD".into()),
        }
    }

    /// Waits for the first piece that can go on, or for the verified end, and tells whether there is anything to send.
    /// Some engines make an empty object of a request that breaks off before its first byte: once this has returned,
    /// nothing breaks off there.
    pub async fn prime(&mut self) -> Result<bool, S3Error> {
        if self.first.is_none() {
            self.first = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx))
                .await
                .transpose()?;
        }
        Ok(self.first.is_some())
    }

    /// Reads it whole, for the small documents of some operations.
    pub async fn collect(mut self: Box<Self>, most: u64) -> Result<Bytes, S3Error> {
        if self.length > most {
            return Err(Code::MaxMessageLengthExceeded.into());
        }
        let mut out = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await
        {
            match frame {
                Ok(frame) => out.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Err(error) => return Err(error),
            }
        }
        Ok(out.into())
    }

    fn fail(&mut self, error: S3Error) -> Poll<Option<Result<Frame<Bytes>, S3Error>>> {
        self.state = State::Ended;
        let _ = self.outcome.failure.set(error.clone());
        Poll::Ready(Some(Err(error)))
    }

    /// The next decoded piece; `None` behind the last one.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, S3Error>> {
        loop {
            if !self.input.is_empty() {
                ready!(self.hashing.poll_room(cx))?;
                let data = match &mut self.decoder {
                    None => Some(std::mem::take(&mut self.input)),
                    Some(decoder) => decoder.decode(&mut self.input)?,
                };
                if let Some(data) = data {
                    self.received += data.len() as u64;
                    if self.received > self.length {
                        return Poll::Ready(Err(Code::IncompleteBody.into()));
                    }
                    self.hashing.update(&data);
                    self.outcome
                        .received
                        .store(self.received, Ordering::Relaxed);
                    return Poll::Ready(Ok(Some(data)));
                }
            }
            ready!(self.pace.poll_ready(cx));
            let piece = match self.source.poll_piece(cx) {
                Poll::Ready(piece) => piece,
                Poll::Pending => {
                    ready!(self.waiting.poll_over(cx, tokio::time::Instant::now()));
                    self.source.abandon();
                    return Poll::Ready(Err(Code::RequestTimeout.into()));
                }
            };
            match piece {
                Some(Ok(piece)) => {
                    self.pace.passed(piece.len());
                    self.input = piece;
                    self.waiting
                        .arrived(self.input.len(), tokio::time::Instant::now());
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn poll_verified(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S3Error>> {
        if let Some(decoder) = &self.decoder {
            decoder.finish()?;
        }
        if self.received != self.length {
            return Poll::Ready(Err(Code::IncompleteBody.into()));
        }
        if let Some(awaited) = &mut self.awaited {
            let _ = ready!(Pin::new(awaited).poll(cx));
            self.awaited = None;
        }
        let checks = ready!(self.hashing.poll_checks(cx))?;
        let decoder = &self.decoder;
        let trailer = |name: &str| {
            decoder
                .as_ref()
                .and_then(|d| d.trailer(name))
                .map(str::to_owned)
        };
        if let Some(checksum) = checks.verify(trailer)? {
            let _ = self.outcome.checksum.set(checksum);
        }
        if let Some(standing) = &self.standing {
            standing.check()?;
        }
        self.outcome.whole.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    /// Puts data into the form in which it goes on.
    fn emit(&mut self, data: Bytes) -> Bytes {
        let length = self.length;
        match &mut self.reencode {
            None => data,
            Some(reencode) => {
                reencode.push(data, length);
                reencode.pop().unwrap_or_default()
            }
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = S3Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, S3Error>>> {
        let this = &mut *self;
        let moved = u64::try_from(this.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        this.outcome.moved.store(moved, Ordering::Relaxed);
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            if let Some(queued) = this.reencode.as_mut().and_then(|r| r.pop()) {
                return Poll::Ready(Some(Ok(Frame::data(queued))));
            }
            match this.state {
                State::Ended => return Poll::Ready(None),
                State::Flushing => {
                    if let Some(data) = this.held.take() {
                        return Poll::Ready(Some(Ok(Frame::data(this.emit(data)))));
                    }
                    this.state = State::Ended;
                    if let (Some(reencode), Some((_, value))) =
                        (&mut this.reencode, this.outcome.checksum.get())
                    {
                        reencode.close(value);
                    }
                }
                State::Streaming => match ready!(this.poll_data(cx)) {
                    Ok(Some(data)) => {
                        if let Some(before) = this.held.replace(data) {
                            return Poll::Ready(Some(Ok(Frame::data(this.emit(before)))));
                        }
                    }
                    Ok(None) => this.state = State::Verifying,
                    Err(error) => return this.fail(error),
                },
                State::Verifying => match ready!(this.poll_verified(cx)) {
                    Ok(()) => this.state = State::Flushing,
                    Err(error) => return this.fail(error),
                },
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.reencode {
            Some(reencode) => reencode.encoded_length(self.length),
            None => self.length,
        })
    }
}

/// How long the object will be: Content-Length, or what aws-chunked says of the decoded body.
fn decoded_length(request: &S3Request, hash: &PayloadHash) -> Result<u64, S3Error> {
    let name = match hash {
        PayloadHash::Chunked { .. } => "x-amz-decoded-content-length",
        _ => "content-length",
    };
    let bodiless = request.method == http::Method::DELETE || request.method == http::Method::GET;
    let length = match request.header(name)? {
        Some(text) => text.parse::<u64>().map_err(|_| {
            S3Error::with(
                Code::InvalidArgument,
                format!("The header {name} is not a length."),
            )
        })?,
        None if bodiless
            || (request.method == http::Method::POST
                && !request.headers.contains_key("transfer-encoding")) =>
        {
            0
        }
        None => return Err(Code::MissingContentLength.into()),
    };
    if length > MAX_OBJECT_BYTES {
        return Err(S3Error::new(Code::EntityTooLarge)
            .detail("ProposedSize", length.to_string())
            .detail("MaxSizeAllowed", MAX_OBJECT_BYTES.to_string()));
    }
    Ok(length)
}
