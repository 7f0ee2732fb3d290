//! HTTP/2, where the host is said in a pseudo-header, and perhaps again in a header; and where what ends one stream must
//! not end its neighbours.

use std::time::Duration;

use http::{HeaderName, Request, StatusCode};
use http_body_util::BodyExt;
use wire::Resource;

use super::{assert_refused, assert_tells_nothing, with_secret};
use crate::client::{Answer, Client};
use crate::quota;
use crate::streams::{Body, Connection, request};
use crate::world::World;

/// The engine heard of one object alone, and has it whole.
fn assert_engine_saw_only(world: &World, key: &str, bytes: usize) {
    let looks = world.engine.take_looks();
    assert!(looks.iter().all(|path| path.ends_with(key)), "{looks:?}");
    let seen = world.engine.take_seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].uri.ends_with(key), "{seen:?}");
    assert_eq!(seen[0].body.as_ref().unwrap().len(), bytes);
}

/// The connection as a whole has room, and this one answer has none.
#[tokio::test]
async fn row_30_whoever_never_reads_an_answer_is_let_go() {
    let world = World::start().await;
    let object = "x".repeat(1 << 20);
    world.engine.answer_next(StatusCode::OK, &object);
    let connection = Connection::to(&world.a).await;
    let get = request(&world.a.call("GET", "/abkt/k"), "http");
    let answer = connection.begin(get).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    // It waits for what is under way.
    world.node.stop().await.unwrap();
    let read = answer.into_body().collect().await;
    assert!(read.is_err(), "it was cut");

    let world = World::start().await;
    world.engine.answer_next(StatusCode::OK, &object);
    let connection = Connection::to(&world.a).await;
    let answer = connection.send(&world.a.call("GET", "/abkt/k")).await;
    assert_eq!((answer.status, answer.body.len()), (200, object.len()));
}

/// Sends a request that is signed for `signed_host`, to `authority`, with a host header or without.
async fn get(
    client: &Client,
    path: &str,
    signed_host: &str,
    authority: &str,
    host: Option<&str>,
) -> Answer {
    let mut request = request(&client.call("GET", path).host(signed_host), "http");
    *request.uri_mut() = format!("http://{authority}{path}").parse().unwrap();
    if let Some(host) = host {
        request.headers_mut().insert("host", host.parse().unwrap());
    }
    Connection::to(client).await.send_request(request).await
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
        let answer = get(&world.a, path, signed, authority, host).await;
        assert_refused(&world, &answer, (status, code), authority);
    }
    for host in [None, Some(own)] {
        let answer = get(&world.a, "/k", own, own, host).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "v"));
    }
}

/// An upload that nobody reads would fill what the connection may hold of all of them, and stop the others.
#[tokio::test]
async fn an_upload_that_is_refused_ends_its_own_stream_alone() {
    let body = vec![b'x'; 100_000];
    // The upload that is under way takes all of it.
    let world = quota::world(Resource::StoredBytes, 100_000).await;
    let answering = quota::always_full(&world.control);
    let connection = Connection::to(&world.a).await;
    let call = world.a.call("PUT", "/abkt/under-way").body(&body);
    let upload = connection.upload(&call);
    assert!(upload.piece(&body[..80_000]).await);
    world.engine.begun(1).await;

    let stranger = Client {
        access_key_id: "VLTNNNNNNNNNNNNNNNNN",
        ..world.a.clone()
    };
    let forger = Client {
        secret: "wrong",
        ..world.a.clone()
    };
    for (client, code) in [
        (&stranger, "InvalidAccessKeyId"),
        (&forger, "SignatureDoesNotMatch"),
        (&world.a, "QuotaExceeded"),
    ] {
        for size in [100, 3_000_000] {
            let call = client.call("PUT", "/abkt/k").body(&vec![b'x'; size]);
            let answer = connection.send(&call).await;
            let got = (answer.status, answer.code());
            assert_eq!(got, (403, code), "{size}: {}", answer.body);
            assert_eq!(answer.headers["content-type"], "application/xml");
            assert_tells_nothing(&world, &answer, code);
        }
        // One whose client has more to send, and waits.
        let waiting = connection.upload(&client.call("PUT", "/abkt/k").body(&body));
        assert!(waiting.piece(b"x").await);
        assert_eq!(waiting.answer.await.unwrap().code(), code);
    }
    assert!(upload.piece(&body[80_000..]).await);
    let answer = upload.end().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_engine_saw_only(&world, "/under-way", body.len());
    answering.abort();
}

/// A request with so many more headers, each of so many bytes.
fn padded(world: &World, headers: usize, bytes: usize) -> Request<Body> {
    let mut request = request(&world.a.call("PUT", "/abkt/k").body(b"v"), "http");
    for n in 0..headers {
        let name: HeaderName = format!("x-{n}").parse().unwrap();
        let value = "v".repeat(bytes).parse().unwrap();
        request.headers_mut().insert(name, value);
    }
    request
}

#[tokio::test]
async fn row_28_large_heads_are_refused_and_the_next_is_served() {
    let world = World::start().await;
    let connection = Connection::to(&world.a).await;
    let too_large = (400, "RequestHeaderSectionTooLarge");
    for (headers, bytes) in [(1, 9000), (100, 1)] {
        let answer = connection
            .send_request(padded(&world, headers, bytes))
            .await;
        assert_refused(&world, &answer, too_large, "a large head");
    }
    for (headers, bytes) in [(1, 17_000), (600, 1)] {
        let answer = connection
            .send_request(padded(&world, headers, bytes))
            .await;
        assert_refused(&world, &answer, (431, ""), "a larger head");
    }
    // One that goes on and on costs its connection.
    let flood = Connection::to(&world.a).await;
    assert!(flood.begin(padded(&world, 20_000, 1)).await.is_err());
    assert!(flood.begin(padded(&world, 0, 0)).await.is_err());
    world.assert_engine_saw_nothing("large heads");
    let answer = connection.send_request(padded(&world, 1, 7000)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_engine_saw_only(&world, "/k", 1);
    let answer = connection.send_request(padded(&world, 90, 1)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn row_30_a_body_that_drips_ends_its_own_stream_alone() {
    let world = World::start().await;
    let connection = Connection::to(&world.a).await;
    let body = vec![b'x'; 2_000_000];
    let upload = |path| connection.upload(&world.a.call("PUT", path).body(&body));
    let (mut slow, steady) = (upload("/abkt/slow"), upload("/abkt/steady"));
    let mut pieces = body.chunks(40_000);
    let answer = loop {
        // Each has the same number of pieces in the same time.
        steady.piece(pieces.next().expect("it ends before")).await;
        slow.piece(b"x").await;
        tokio::select! {
            answer = &mut slow.answer => break answer.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    };
    let got = (answer.status, answer.code());
    assert_eq!(got, (400, "RequestTimeout"), "{}", answer.body);
    assert_tells_nothing(&world, &answer, "a body that drips");
    for piece in pieces {
        assert!(steady.piece(piece).await);
    }
    let answer = steady.end().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let stored = world.engine.objects();
    assert!(
        stored.len() == 1 && stored[0].ends_with("/steady"),
        "{stored:?}"
    );
}

#[tokio::test]
async fn a_body_of_another_length_than_was_said_is_no_object() {
    let world = World::start().await;
    let connection = Connection::to(&world.a).await;
    for length in ["0", "3", "11"] {
        let call = world.a.call("PUT", "/abkt/k").body(b"hello");
        let put = request(&call.content_length(length), "http");
        let error = format!("{:?}", connection.begin(put).await.unwrap_err());
        // The node's word, and not this client's own.
        assert!(
            error.contains("PROTOCOL_ERROR, Remote"),
            "{length}: {error}"
        );
        world.assert_engine_saw_nothing(length);
    }
    let put = world.a.call("PUT", "/abkt/k").body(b"hello");
    assert_eq!(connection.send(&put).await.status, 200);
    assert_engine_saw_only(&world, "/k", 5);
}

#[tokio::test]
async fn an_upload_that_its_client_takes_back_is_no_object() {
    let world = World::start().await;
    let connection = Connection::to(&world.a).await;
    let body = vec![b'x'; 100_000];
    let upload = connection.upload(&world.a.call("PUT", "/abkt/k").body(&body));
    assert!(upload.piece(&body[..80_000]).await);
    world.engine.begun(1).await;
    upload.answer.abort();
    drop(upload);
    let broken = async {
        loop {
            match world.engine.take_seen().pop() {
                Some(seen) => break seen,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let broken = tokio::time::timeout(Duration::from_secs(10), broken).await;
    assert!(broken.expect("the engine is let go").body.is_none());
    assert!(world.engine.objects().is_empty());
    let put = world.a.call("PUT", "/abkt/k").body(&body);
    assert_eq!(connection.send(&put).await.status, 200);
    assert_engine_saw_only(&world, "/k", body.len());
}
