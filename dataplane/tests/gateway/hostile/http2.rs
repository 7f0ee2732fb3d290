//! HTTP/2, where the host is said in a pseudo-header, and perhaps again in a header.

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo};

use tokio::task::JoinHandle;

use super::{FORBIDDEN_WORDS, with_secret};
use crate::client::Client;
use crate::world::World;

/// Sends a request that is signed for `signed_host`, to `authority`, with a host header or without; status and body.
async fn send(
    client: &Client,
    path: &str,
    signed_host: &str,
    authority: &str,
    host: Option<&str>,
) -> (StatusCode, String) {
    let (answer, serving) = begin(client, path, signed_host, authority, host).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serving.abort();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// As [`send`], to the head of the answer. The client takes 64 KiB that it does not read, and no more.
async fn begin(
    client: &Client,
    path: &str,
    signed_host: &str,
    authority: &str,
    host: Option<&str>,
) -> (Response<Incoming>, JoinHandle<hyper::Result<()>>) {
    let stream = tokio::net::TcpStream::connect(client.address)
        .await
        .unwrap();
    let (mut sender, connection) = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let serving = tokio::spawn(connection);
    let (_, head) = client.call("GET", path).host(signed_host).head();
    let mut request = Request::builder()
        .version(Version::HTTP_2)
        .uri(format!("http://{authority}{path}"));
    let signed = ["x-amz-date", "x-amz-content-sha256", "authorization"];
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(": ")
            && signed.contains(&name)
        {
            request = request.header(name, value);
        }
    }
    if let Some(host) = host {
        request = request.header("host", host);
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    (sender.send_request(request).await.unwrap(), serving)
}

/// The connection as a whole has room, and this one answer has none.
#[tokio::test]
async fn row_30_whoever_never_reads_an_answer_is_let_go() {
    let world = World::start().await;
    let object = "x".repeat(1 << 20);
    world.engine.answer_next(StatusCode::OK, &object);
    let host = world.a.address.to_string();
    let (answer, _serving) = begin(&world.a, "/abkt/k", &host, &host, None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // It waits for what is under way.
    world.node.stop().await.unwrap();
    let read = answer.into_body().collect().await;
    assert!(read.is_err(), "it was cut");

    let world = World::start().await;
    world.engine.answer_next(StatusCode::OK, &object);
    let host = world.a.address.to_string();
    let (status, body) = send(&world.a, "/abkt/k", &host, &host, None).await;
    assert_eq!((status, body.len()), (StatusCode::OK, object.len()));
}

#[tokio::test]
async fn row_42_an_authority_and_a_host_are_one() {
    let world = World::start().await;
    with_secret(&world).await;
    world.a.put("/abkt/k", "v").await;
    world.engine.take_seen();
    let (own, theirs) = ("abkt.s3.test", "bvic.s3.test");
    for (path, signed, authority, host, status, code) in [
        ("/secret", theirs, theirs, None, 404, "NoSuchBucket"),
        ("/k", own, own, Some(theirs), 400, "InvalidRequest"),
        ("/k", theirs, own, Some(theirs), 400, "InvalidRequest"),
        ("/k", own, theirs, Some(own), 400, "InvalidRequest"),
        ("/k", own, theirs, None, 403, "SignatureDoesNotMatch"),
        ("/abkt/../bvic/secret", "x", "x", None, 400, "InvalidURI"),
        (
            "/k",
            own,
            "x@abkt.s3.test",
            None,
            403,
            "SignatureDoesNotMatch",
        ),
    ] {
        let (got, body) = send(&world.a, path, signed, authority, host).await;
        assert_eq!(got, status, "{authority} {host:?}: {body}");
        assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
        for word in FORBIDDEN_WORDS {
            assert!(!body.contains(word), "{word} in {body}");
        }
        world.assert_engine_saw_nothing(authority);
    }
    for host in [None, Some(own)] {
        let (status, body) = send(&world.a, "/k", own, own, host).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, "v"));
    }
}
