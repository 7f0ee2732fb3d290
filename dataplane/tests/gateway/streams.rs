//! A client of HTTP/2: requests side by side on one connection.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::{Answer, Call, Client};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

pub struct Connection {
    sender: SendRequest<Body>,
    scheme: &'static str,
}

/// A request whose body comes as a test sends it.
pub struct Upload {
    pieces: mpsc::Sender<Bytes>,
    pub answer: JoinHandle<Answer>,
}

impl Connection {
    pub async fn to(client: &Client) -> Connection {
        let stream = TcpStream::connect(client.address).await.unwrap();
        Connection::over(stream, "http").await
    }

    /// It takes 64 KiB of an answer that nobody reads, and no more.
    pub async fn over<S>(stream: S, scheme: &'static str) -> Connection
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, serving) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(64 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(serving);
        Connection { sender, scheme }
    }

    /// To the head of the answer.
    pub async fn begin(&self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        begin(self.sender.clone(), request).await
    }

    pub async fn send(&self, call: &Call<'_>) -> Answer {
        self.send_request(request(call, self.scheme)).await
    }

    pub async fn send_request(&self, request: Request<Body>) -> Answer {
        whole(self.begin(request).await.unwrap()).await
    }

    /// The head is sent, and nothing of the body.
    pub fn upload(&self, call: &Call<'_>) -> Upload {
        let (pieces, coming) = mpsc::channel(1);
        let coming = stream::unfold(coming, |mut coming| async {
            coming.recv().await.map(|piece| (piece, coming))
        });
        let body = StreamBody::new(coming.map(|piece| Ok(Frame::data(piece))));
        let request = request(call, self.scheme).map(|_| body.boxed_unsync());
        let begun = begin(self.sender.clone(), request);
        let answer = tokio::spawn(async move { whole(begun.await.unwrap()).await });
        Upload { pieces, answer }
    }
}

impl Upload {
    /// Whether anybody takes more of the body.
    pub async fn piece(&self, bytes: &[u8]) -> bool {
        self.pieces
            .send(Bytes::copy_from_slice(bytes))
            .await
            .is_ok()
    }

    /// The body is over.
    pub async fn end(self) -> Answer {
        drop(self.pieces);
        self.answer.await.unwrap()
    }
}

async fn begin(
    mut sender: SendRequest<Body>,
    request: Request<Body>,
) -> hyper::Result<Response<Incoming>> {
    let answer = sender.send_request(request);
    let answered = tokio::time::timeout(Duration::from_secs(40), answer);
    answered.await.expect("an answer")
}

/// As [`Call::send`] would send it, in HTTP/2's terms.
pub fn request(call: &Call<'_>, scheme: &str) -> Request<Body> {
    let (_, head) = call.head();
    let (first, headers) = head.split_once("\r\n").unwrap();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut request = Request::builder().version(Version::HTTP_2).method(method);
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        request = match name {
            "host" => request.uri(format!("{scheme}://{value}{target}")),
            "connection" => request,
            _ => request.header(name, value),
        };
    }
    let body = Full::new(Bytes::copy_from_slice(call.content()));
    request.body(body.boxed_unsync()).unwrap()
}

async fn whole(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers = head.headers.iter();
    Answer {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
