//! Heads that smuggle or never end, bodies that drip.

use super::{assert_refused, assert_tells_nothing, worlds};
use crate::client::parse;
use crate::connections::raw;
use crate::engine::Seen;
use crate::world::World;

#[tokio::test]
async fn row_07_no_header_is_injected() {
    for world in worlds().await {
        for key in [
            "x%0d%0aSet-Cookie:a",
            "x%0aSet-Cookie:a%0a%0a",
            "%0d%0a%0d%0a",
        ] {
            let path = format!("/abkt/{key}");
            for method in ["GET", "HEAD", "DELETE"] {
                let answer = world.a.call(method, &path).send().await;
                let expected = if method == "DELETE" { 204 } else { 404 };
                assert_eq!(answer.status, expected, "{method} {path}");
                assert!(!answer.headers.contains_key("set-cookie"), "{path}");
                assert_tells_nothing(&world, &answer, &path);
            }
            let uri = world.engine.take_seen().remove(0).uri;
            assert!(
                uri.to_lowercase()
                    .ends_with(&key.to_lowercase().replace(':', "%3a")),
                "{uri}"
            );
        }
        for path in [
            "/abkt/%00",
            "/abkt/a%00b",
            "/abkt%00/k",
            "/abkt/%ff",
            "/abkt/%c0%ae%c0%ae/x",
            "/abkt/%zz",
        ] {
            let answer = world.a.raw(signed_for(&world, path).as_bytes()).await;
            assert_refused(&world, &parse(&answer), (400, "InvalidURI"), path);
        }
        assert_eq!(world.a.put("/abkt/x%09y", "v").await.status, 200);
    }
}

/// A head that is well signed for another path: the path is refused before anybody looks.
fn signed_for(world: &World, path: &str) -> String {
    let (_, head) = world.a.call("GET", "/abkt/k").head();
    head.replacen("/abkt/k", path, 1)
}

#[tokio::test]
async fn row_18_ambiguous_framing_is_refused_and_the_connection_closed() {
    let world = World::start().await;
    for head in [
        "PUT /abkt/k HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: HOST\r\n\r\n",
        "PUT /abkt/k HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "PUT /abkt/k HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "PUT /abkt/k HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: xchunked\r\n\r\nhello",
        "PUT /abkt/k HTTP/1.0\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /abkt/k HTTP/1.1\r\nhost: HOST\r\nno colon here\r\n\r\n",
        "GET /abkt/k HTTP/1.1\r\nhost: HOST\r\nx-a: b\r\n folded: c\r\n\r\n",
        "GET /abkt/\u{e9} HTTP/9.9\r\nhost: HOST\r\n\r\n",
    ] {
        let answer = raw(&world, head).await;
        assert_eq!(answer.status, 400, "{head:?}");
        assert_tells_nothing(&world, &answer, head);
        world.assert_engine_saw_nothing(head);
    }
    let hidden = "GET /abkt/k HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ncontent-length: 50\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: HOST\r\n\r\n";
    let answers = world
        .a
        .raw(
            hidden
                .replace("HOST", &world.a.address.to_string())
                .as_bytes(),
        )
        .await;
    assert_eq!(
        String::from_utf8(answers)
            .unwrap()
            .matches("HTTP/1.1 ")
            .count(),
        1
    );
    assert_eq!(world.a.put("/abkt/k", "v").await.status, 200);
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
