//! Heads that smuggle or never end, bodies that drip.

use dataplane::Patience;

use super::{assert_refused, assert_tells_nothing, worlds};
use crate::client::{Answer, Call, decode, parse};
use crate::engine::Seen;
use crate::world::{KEY_A, RunningNode, SECRET_A, World};

#[tokio::test]
async fn row_07_no_header_is_injected() {
    for world in worlds().await {
        for key in [
            "x%0d%0aSet-Cookie:a",
            "x%0aSet-Cookie:a%0a%0a",
            "%0d%0a%0d%0a",
        ] {
            let path = format!("/abkt/{key}");
            // A key like others, which nobody has.
            for (method, status, code) in [
                ("GET", 404, "NoSuchKey"),
                ("HEAD", 404, ""),
                ("DELETE", 204, ""),
            ] {
                let answer = world.a.call(method, &path).send().await;
                let plain = world.a.call(method, "/abkt/none").send().await;
                let got = (answer.status, answer.code());
                assert_eq!(got, (status, code), "{method} {path}");
                assert_eq!(names(&answer), names(&plain), "{method} {path}");
                assert_tells_nothing(&world, &answer, &path);
                let uri = world.engine.take_seen().remove(0).uri;
                assert!(uri.ends_with(&format!("/{}", encoded(key))), "{uri}");
            }
            assert_eq!(world.a.put(&path, key).await.status, 200);
            assert_eq!(world.a.put("/abkt/k", "v").await.status, 200);
            let (stored, plain) = (world.a.get(&path).await, world.a.get("/abkt/k").await);
            assert_eq!((stored.status, stored.body.as_str()), (200, key));
            assert_eq!(names(&stored), names(&plain), "{path}");
            for key in ["k", key] {
                let gone = world.a.call("DELETE", &format!("/abkt/{key}")).send().await;
                assert_eq!(gone.status, 204);
            }
            assert!(world.engine.objects().is_empty());
            world.engine.take_seen();
        }
        for path in [
            "/abkt/%00",
            "/abkt/a%00b",
            "/abkt%00/k",
            "/abkt/%ff",
            "/abkt/%c0%ae%c0%ae/x",
            "/abkt/%zz",
        ] {
            for method in ["GET", "PUT", "DELETE"] {
                let head = signed_for(&world, method, path);
                let answer = parse(&world.a.raw(head.as_bytes()).await);
                assert_refused(&world, &answer, (400, "InvalidURI"), path);
            }
        }
        assert_eq!(world.a.put("/abkt/x%09y", "v").await.status, 200);
    }
}

fn names(answer: &Answer) -> Vec<&String> {
    answer.headers.keys().collect()
}

/// As the node writes what a client wrote.
fn encoded(key: &str) -> String {
    sigv4::uri_encode(decode(key).as_bytes(), false).into_owned()
}

/// A head that is well signed for another path: the path is refused before anybody looks.
fn signed_for(world: &World, method: &str, path: &str) -> String {
    let (_, head) = world.a.call(method, "/abkt/k").head();
    head.replacen("/abkt/k", path, 1)
}

#[tokio::test]
async fn row_18_ambiguous_framing_is_refused_and_the_connection_closed() {
    let world = World::start().await;
    // For longer than anybody here waits, an idle connection stays open.
    world.control.forget();
    let dir = tempfile::tempdir().unwrap();
    let patience = Patience::default();
    let node = RunningNode::start_with_patience(&world.control_url, dir.path(), patience).await;
    world.control.acked(world.snapshot.revision).await;
    let a = node.client(KEY_A, SECRET_A);
    let kept = |call: Call<'_>| call.head().1.replace("connection: close\r\n", "");
    let (put, get) = (
        kept(a.call("PUT", "/abkt/k").body(b"hello")),
        kept(a.call("GET", "/abkt/k")),
    );
    let framed = |framing: &str| put.replace("content-length: 5\r\n", framing);
    for request in [
        framed("content-length: 5\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n",
        framed("transfer-encoding: chunked\r\ncontent-length: 5\r\n") + "0\r\n\r\n",
        framed("content-length: 5\r\ncontent-length: 6\r\n") + "hello",
        framed("content-length: 5, 5\r\n") + "hello",
        framed("content-length: +5\r\n") + "hello",
        framed("transfer-encoding: xchunked\r\n") + "hello",
        framed("connection: keep-alive\r\ntransfer-encoding: chunked\r\n")
            .replace("HTTP/1.1", "HTTP/1.0")
            + "0\r\n\r\n",
        get.replace(
            "content-length: 0\r\n",
            "content-length: 50\r\ntransfer-encoding: chunked\r\n",
        ) + "0\r\n\r\n",
        get.replace("\r\n\r\n", "\r\nno colon here\r\n\r\n"),
        get.replace("\r\n\r\n", "\r\nx-a: b\r\n folded: c\r\n\r\n"),
        get.replace("HTTP/1.1", "HTTP/9.9"),
    ] {
        // What follows is not taken for a request.
        let answers = a.raw([request.as_str(), &get].concat().as_bytes()).await;
        let text = String::from_utf8_lossy(&answers);
        assert_eq!(text.matches("HTTP/1.").count(), 1, "{request}: {text}");
        let answer = parse(&answers);
        assert_eq!(answer.status, 400, "{request}: {}", answer.body);
        assert_tells_nothing(&world, &answer, &request);
        world.assert_engine_saw_nothing(&request);
    }
    // Two lengths that agree are one, by RFC 9110, section 8.6.
    let twice = framed("content-length: 5\r\ncontent-length: 5\r\n");
    let last = a.call("GET", "/abkt/k").head().1;
    let answers = a
        .raw(
            [&put, "hello", &twice, "hello", &get, &last]
                .concat()
                .as_bytes(),
        )
        .await;
    let text = String::from_utf8(answers).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4, "{text}");
}

#[tokio::test]
async fn row_30_heads_that_never_end_and_bodies_that_drip_are_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let (_, head) = world.a.call("PUT", "/abkt/k").body(&[b'x'; 1000]).head();
    for (start, drip) in [
        ("GET /abkt/k HTTP/1.1\r\nhost: x\r\n", "x-a: b\r\n"),
        (head.as_str(), "x"),
    ] {
        let stream = tokio::net::TcpStream::connect(world.a.address)
            .await
            .unwrap();
        let (mut reader, mut writer) = stream.into_split();
        writer.write_all(start.as_bytes()).await.unwrap();
        let dripping = tokio::spawn(async move {
            while writer.write_all(drip.as_bytes()).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        });
        // Others are unharmed meanwhile.
        assert_eq!(world.b.put("/bvic/other", "v").await.status, 200);
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(
            std::time::Duration::from_secs(10),
            reader.read_to_end(&mut answer),
        )
        .await;
        assert!(closed.is_ok(), "{start}: still open");
        dripping.abort();
        // Of a body it may have heard the beginning, and never the end.
        let begun = |seen: &Seen| drip == "x" && seen.body.is_none();
        let others = world.engine.take_seen();
        assert!(
            others
                .iter()
                .all(|seen| seen.uri.ends_with("/other") || begun(seen)),
            "{start}: {others:?}"
        );
    }
    assert_eq!(world.a.put("/abkt/k", "v").await.status, 200);
}

#[tokio::test]
async fn row_43_whoever_is_told_to_go_on_and_does_not_is_let_go() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let call = world
        .a
        .call("PUT", "/abkt/k")
        .header("expect", "100-continue");
    let (_, waiting) = call.body(b"hello").head();
    let missing = waiting.replace("content-length: 5\r\n", "");
    for head in [waiting.as_str(), missing.as_str()] {
        let mut stream = tokio::net::TcpStream::connect(world.a.address)
            .await
            .unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let closed = tokio::time::timeout(std::time::Duration::from_secs(10), read).await;
        assert!(closed.is_ok(), "still open");
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
        world.assert_engine_saw_nothing("no body");
    }
    assert!(world.engine.objects().is_empty());
    // Another expectation is none that is known, and the body is read as ever.
    let call = world
        .a
        .call("PUT", "/abkt/k")
        .header("expect", "the-unexpected");
    let answer = call.body(b"hello").send().await;
    assert!([200, 417].contains(&answer.status), "{}", answer.status);
    let call = world
        .a
        .call("GET", "/abkt/none")
        .header("expect", "100-continue");
    assert_eq!(call.send().await.code(), "NoSuchKey");
}
