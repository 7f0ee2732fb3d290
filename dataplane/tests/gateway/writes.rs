//! What a client said of its body holds, or the object does not come to exist.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use sigv4::ChunkSigner;

use crate::world::World;

const CRC32_OF_HELLO: &str = "NhCmhg==";

#[tokio::test]
async fn a_body_that_does_not_match_is_no_object() {
    let world = World::start().await;
    let wrong_hash = hex::encode(Sha256::digest(b"jello"));
    let answer = world
        .a
        .call("PUT", "/abkt/k")
        .payload(&wrong_hash)
        .body(b"hello")
        .send()
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (400, "XAmzContentSHA256Mismatch")
    );
    for (name, value, code) in [
        ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==", "BadDigest"),
        ("content-md5", "short", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc32", "AA==", "InvalidRequest"),
    ] {
        let answer = world
            .a
            .call("PUT", "/abkt/k")
            .header(name, value)
            .body(b"hello")
            .send()
            .await;
        assert_eq!((answer.status, answer.code()), (400, code), "{name}");
    }
    assert!(world.engine.objects().is_empty());
    let good = world
        .a
        .call("PUT", "/abkt/k")
        .header("x-amz-checksum-crc32", CRC32_OF_HELLO)
        .body(b"hello")
        .send()
        .await;
    assert_eq!(
        (good.status, good.headers["x-amz-checksum-crc32"].as_str()),
        (200, CRC32_OF_HELLO)
    );
    assert_eq!(world.engine.objects().len(), 1);
}

#[tokio::test]
async fn an_empty_body_is_verified_too() {
    let world = World::start().await;
    let wrong = hex::encode(Sha256::digest(b"x"));
    assert_eq!(
        world
            .a
            .call("PUT", "/abkt/k")
            .payload(&wrong)
            .send()
            .await
            .code(),
        "XAmzContentSHA256Mismatch"
    );
    assert!(world.engine.objects().is_empty());
    assert_eq!(world.a.put("/abkt/k", "").await.status, 200);
    assert_eq!(world.engine.objects().len(), 1);
}

#[tokio::test]
async fn a_large_body_that_ends_wrong_or_early_is_no_object() {
    let world = World::start().await;
    let body = vec![b'x'; 3_000_000];
    let wrong = hex::encode(Sha256::digest(b"x"));
    let answer = world
        .a
        .call("PUT", "/abkt/k")
        .payload(&wrong)
        .body(&body)
        .send()
        .await;
    assert_eq!(answer.code(), "XAmzContentSHA256Mismatch");
    for cut in [0, 1, 70_000, 2_999_999] {
        world
            .a
            .call("PUT", "/abkt/k")
            .body(&body)
            .cut(cut)
            .send()
            .await;
    }
    assert!(
        world.engine.objects().is_empty(),
        "{:?}",
        world.engine.objects()
    );
    assert_eq!(
        world
            .a
            .call("PUT", "/abkt/k")
            .body(&body)
            .send()
            .await
            .status,
        200
    );
    assert_eq!(world.engine.objects().len(), 1);
}

#[tokio::test]
async fn lengths_are_asked_for_and_bounded() {
    let world = World::start().await;
    let too_long = world
        .a
        .call("PUT", "/abkt/k")
        .content_length("5368709121")
        .payload("UNSIGNED-PAYLOAD")
        .send()
        .await;
    assert_eq!((too_long.status, too_long.code()), (400, "EntityTooLarge"));
    let streaming = world
        .a
        .call("PUT", "/abkt/k")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .body(b"0\r\n\r\n")
        .send()
        .await;
    assert_eq!(
        (streaming.status, streaming.code()),
        (411, "MissingContentLength")
    );
    world.assert_engine_saw_nothing("lengths");
}

fn trailer_body(crc: &str) -> Vec<u8> {
    format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n").into_bytes()
}

async fn put_with_trailer(world: &World, body: &[u8], length: &str) -> crate::client::Answer {
    world
        .a
        .call("PUT", "/abkt/k")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", length)
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .body(body)
        .send()
        .await
}

#[tokio::test]
async fn unsigned_trailers_are_verified() {
    let world = World::start().await;
    let bad = put_with_trailer(&world, &trailer_body("AAAAAA=="), "5").await;
    assert_eq!((bad.status, bad.code()), (400, "BadDigest"));
    let other_length = put_with_trailer(&world, &trailer_body(CRC32_OF_HELLO), "6").await;
    assert_eq!(
        (other_length.status, other_length.code()),
        (400, "IncompleteBody")
    );
    let garbage = put_with_trailer(&world, b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n", "5").await;
    assert_eq!(
        (garbage.status, garbage.code()),
        (400, "MalformedTrailerError")
    );
    assert!(world.engine.objects().is_empty());
    let good = put_with_trailer(&world, &trailer_body(CRC32_OF_HELLO), "5").await;
    assert_eq!(good.status, 200);
    let stored = world.engine.take_seen().pop().unwrap();
    assert_eq!(stored.body.unwrap(), "hello");
    assert!(!stored.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_trailer_goes_on_to_an_engine_that_knows_them() {
    let world =
        World::with(|snapshot| snapshot.settings.engines[0].capabilities.trailers = true).await;
    assert_eq!(
        put_with_trailer(&world, &trailer_body(CRC32_OF_HELLO), "5")
            .await
            .status,
        200
    );
    let stored = world.engine.take_seen().pop().unwrap();
    assert_eq!(stored.body.unwrap(), trailer_body(CRC32_OF_HELLO));
    assert_eq!(
        stored.headers["x-amz-content-sha256"],
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    );
    assert_eq!(stored.headers["x-amz-decoded-content-length"], "5");
}

#[tokio::test]
async fn the_objects_own_encoding_stands_behind_the_transports() {
    let world =
        World::with(|snapshot| snapshot.settings.engines[0].capabilities.trailers = true).await;
    let answer = world
        .a
        .call("PUT", "/abkt/k")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked,gzip")
        .header("x-amz-decoded-content-length", "5")
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .body(&trailer_body(CRC32_OF_HELLO))
        .send()
        .await;
    assert_eq!(answer.status, 200);
    let stored = world.engine.take_seen().pop().unwrap();
    let encodings: Vec<_> = stored.headers.get_all("content-encoding").iter().collect();
    assert_eq!(encodings, ["aws-chunked,gzip"]);
}

#[tokio::test]
async fn signed_chunks_are_verified() {
    let world = World::start().await;
    for (tamper, expected) in [(None, 200), (Some(("hello", "jello")), 403)] {
        let call = world
            .a
            .call("PUT", "/abkt/k")
            .payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
            .header("x-amz-decoded-content-length", "11");
        let (seed, _) = call.head();
        let mut signer = ChunkSigner::new(
            world.a.signing_key(),
            world.a.timestamp(),
            world.a.scope(),
            seed,
        );
        let mut body = String::new();
        for chunk in ["hello ", "world", ""] {
            let signature = signer.next_chunk(&hex::encode(Sha256::digest(chunk)));
            body.push_str(&format!(
                "{:x};chunk-signature={signature}\r\n{chunk}\r\n",
                chunk.len()
            ));
        }
        if let Some((from, to)) = tamper {
            body = body.replacen(from, to, 1);
        }
        let answer = call.body(body.as_bytes()).send().await;
        assert_eq!(answer.status, expected, "{}", answer.body);
        if tamper.is_some() {
            assert_eq!(answer.code(), "SignatureDoesNotMatch");
        } else {
            assert_eq!(world.a.get("/abkt/k").await.body, "hello world");
            world.a.call("DELETE", "/abkt/k").send().await;
        }
        assert!(world.engine.objects().is_empty());
    }
}

#[tokio::test]
async fn what_an_engine_does_wrong_is_a_plain_error() {
    let world = World::start().await;
    let id = world
        .a
        .call("POST", "/abkt/k?uploads")
        .send()
        .await
        .element("UploadId")
        .to_owned();
    let document = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>";
    let target = format!("/abkt/k?uploadId={id}");
    for (status, body) in [
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "<Error><Code>InternalError</Code></Error>",
        ),
        (StatusCode::OK, "<Error><Code>InternalError</Code></Error>"),
        (StatusCode::OK, "garbage"),
        (StatusCode::BAD_GATEWAY, "<html>nginx at 10.0.0.7</html>"),
    ] {
        world.engine.answer_next(status, body);
        let answer = world.a.call("POST", &target).body(document).send().await;
        assert_eq!(
            (answer.status, answer.code()),
            (500, "InternalError"),
            "{status} {body}"
        );
        assert!(!answer.body.contains("10.0.0.7"));
    }
    world
        .engine
        .answer_next(StatusCode::OK, "<Error><Code>InvalidPart</Code></Error>");
    assert_eq!(
        world
            .a
            .call("POST", &target)
            .body(document)
            .send()
            .await
            .code(),
        "InvalidPart"
    );
    assert_eq!(
        world
            .a
            .call("POST", &target)
            .body(document)
            .send()
            .await
            .element("ETag"),
        "&quot;e-1&quot;"
    );
}

#[tokio::test]
async fn an_engine_that_is_gone_is_unavailable() {
    let world =
        World::with(|snapshot| snapshot.settings.engines[0].endpoint = "http://127.0.0.1:1".into())
            .await;
    for answer in [
        world.a.get("/abkt/k").await,
        world.a.put("/abkt/k", "x").await,
    ] {
        assert_eq!((answer.status, answer.code()), (503, "ServiceUnavailable"));
        assert!(!answer.body.contains("127.0.0.1:1"));
    }
}

#[tokio::test]
async fn documents_are_bounded() {
    let world = World::start().await;
    let doctype =
        b"<!DOCTYPE d [<!ENTITY a \"aaaa\">]><Delete><Object><Key>&a;</Key></Object></Delete>";
    let many = format!(
        "<Delete>{}</Delete>",
        "<Object><Key>k</Key></Object>".repeat(1001)
    );
    for document in [&doctype[..], many.as_bytes(), b"", b"{}"] {
        let answer = world
            .a
            .call("POST", "/abkt?delete")
            .body(document)
            .send()
            .await;
        assert_eq!((answer.status, answer.code()), (400, "MalformedXML"));
    }
    let large = vec![b' '; 9 * 1024 * 1024];
    let answer = world
        .a
        .call("POST", "/abkt?delete")
        .payload("UNSIGNED-PAYLOAD")
        .content_length(&large.len().to_string())
        .send()
        .await;
    assert_eq!(answer.code(), "MaxMessageLengthExceeded");
    world.assert_engine_saw_nothing("documents");
    let md5 = STANDARD.encode(md5::Md5::digest(
        b"<Delete><Object><Key>k</Key></Object></Delete>",
    ));
    let good = world
        .a
        .call("POST", "/abkt?delete")
        .header("content-md5", &md5);
    assert_eq!(
        good.body(b"<Delete><Object><Key>k</Key></Object></Delete>")
            .send()
            .await
            .status,
        200
    );
}
