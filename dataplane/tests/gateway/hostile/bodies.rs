//! Bodies that are not what their heads say.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use sigv4::ChunkSigner;

use super::{assert_refused, assert_tells_nothing};
use crate::client::parse;
use crate::world::World;
use crate::writes::{CRC32_OF_HELLO, put_with_trailer, trailer_body};

#[tokio::test]
async fn row_26_a_body_that_does_not_match_is_no_object() {
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
        ("x-amz-checksum-crc16", "AAA=", "InvalidRequest"),
        (
            "x-amz-checksum-md5",
            "XrY7u+Ae7tCTyyK7j1rNww==",
            "BadDigest",
        ),
        ("x-amz-checksum-xxhash64", "AAAAAAAAAAA=", "BadDigest"),
        ("x-amz-checksum-xxhash3", "AAAAAAAAAAA=", "BadDigest"),
        (
            "x-amz-checksum-xxhash128",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "BadDigest",
        ),
        ("x-amz-checksum-sha512", "AAAA", "InvalidRequest"),
    ] {
        let answer = world
            .a
            .call("PUT", "/abkt/k")
            .header(name, value)
            .body(b"hello")
            .send()
            .await;
        assert_eq!((answer.status, answer.code()), (400, code), "{name}");
        assert_tells_nothing(&world, &answer, name);
    }
    assert!(world.engine.objects().is_empty());
    world.assert_engine_saw_nothing("bodies of one piece");
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

/// The chunks of a body, each signed, and the trailer, signed as well. `seed`: the signature of the head.
fn signed_body(world: &World, seed: String, chunks: &[&str], trailer: Option<&str>) -> String {
    let a = &world.a;
    let mut signer = ChunkSigner::new(a.signing_key(), a.timestamp(), a.scope(), seed);
    let mut body = String::new();
    for chunk in chunks.iter().chain([&""]) {
        let signature = signer.next_chunk(&hex::encode(Sha256::digest(chunk)));
        let size = chunk.len();
        body.push_str(&format!("{size:x};chunk-signature={signature}\r\n"));
        if size > 0 {
            body.push_str(&format!("{chunk}\r\n"));
        }
    }
    if let Some(trailer) = trailer {
        let signature = signer.trailer(&hex::encode(Sha256::digest(format!("{trailer}\n"))));
        body.push_str(&format!("{trailer}\r\n{TRAILER_SIGNATURE}{signature}\r\n"));
    }
    body + "\r\n"
}

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature:";

#[tokio::test]
async fn row_27_signed_chunks_are_verified() {
    for chunks in [&["hello!"][..], &["hello ", "world"]] {
        signed_chunks_are_verified(chunks).await;
    }
}

async fn signed_chunks_are_verified(chunks: &[&str]) {
    let world = World::start().await;
    const END: &str = "END";
    let cut = "\r\n0;chunk-signature=";
    for (tamper, expected) in [
        (None, (200, "")),
        (Some(("hello", "jello")), (403, "SignatureDoesNotMatch")),
        (Some(("6;", "6;x=y;")), (400, "IncompleteBody")),
        (
            Some(("\r\nhello", ";x=y\r\nhello")),
            (403, "SignatureDoesNotMatch"),
        ),
        (
            Some((";chunk-signature=", ";chunk-signature=0")),
            (403, "SignatureDoesNotMatch"),
        ),
        (Some(("\r\nhello", "\nhello")), (400, "IncompleteBody")),
        (Some(("6;", "-6;")), (400, "IncompleteBody")),
        (Some(("6;", "ffffffffffffffff;")), (400, "IncompleteBody")),
        (
            Some((cut, "\r\n1;chunk-signature=")),
            (400, "IncompleteBody"),
        ),
        // Truncated: what follows the data never comes.
        (Some((cut, END)), (400, "IncompleteBody")),
    ] {
        let whole = chunks.concat();
        let call = world
            .a
            .call("PUT", "/abkt/k")
            .payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
            .header("x-amz-decoded-content-length", &whole.len().to_string());
        let (seed, _) = call.head();
        let mut body = signed_body(&world, seed, chunks, None);
        if let Some((from, to)) = tamper {
            body = body.replacen(from, to, 1);
            body.truncate(body.find(END).unwrap_or(body.len()));
        }
        let answer = call.body(body.as_bytes()).send().await;
        let got = (answer.status, answer.code());
        assert_eq!(got, expected, "{tamper:?} {}", answer.body);
        assert_tells_nothing(&world, &answer, "a body in chunks");
        if tamper.is_none() {
            assert_eq!(world.a.get("/abkt/k").await.body, whole);
            world.a.call("DELETE", "/abkt/k").send().await;
            world.engine.take_seen();
        }
        assert!(world.engine.objects().is_empty());
        // Of what came before a second chunk the engine may have heard, and never the end.
        match chunks.len() {
            1 => world.assert_engine_saw_nothing("a body in one chunk"),
            _ => assert!(world.engine.take_seen().iter().all(|s| s.body.is_none())),
        }
    }
}

#[tokio::test]
async fn row_27_signed_trailers_are_verified() {
    let world = World::start().await;
    let call = || {
        let call = world.a.call("PUT", "/abkt/k");
        call.payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", "5")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
    };
    let crc = format!("x-amz-checksum-crc32:{CRC32_OF_HELLO}");
    let signed = |trailer| signed_body(&world, call().head().0, &["hello"], Some(trailer));
    let good = signed(&crc);
    let (before, signature) = good.split_once(TRAILER_SIGNATURE).unwrap();
    let data = before.strip_suffix(&format!("{crc}\r\n")).unwrap();
    let zeros = "0".repeat(64);
    let forged = (403, "SignatureDoesNotMatch");
    let malformed = (400, "MalformedTrailerError");
    for (what, body, expected) in [
        (
            "a bad signature",
            format!("{before}{TRAILER_SIGNATURE}{zeros}\r\n\r\n"),
            forged,
        ),
        ("no signature", format!("{before}\r\n"), malformed),
        ("no end", before.to_owned(), malformed),
        ("no trailer", format!("{data}\r\n"), malformed),
        (
            "the signature of another",
            format!("{data}{TRAILER_SIGNATURE}{signature}"),
            forged,
        ),
        (
            "another value",
            good.replace(CRC32_OF_HELLO, "AAAAAA=="),
            forged,
        ),
        ("another name", good.replace("-crc32:", "-crc32c:"), forged),
        (
            "one more",
            good.replace(&crc, &format!("x-a:b\r\n{crc}")),
            forged,
        ),
        ("another body", good.replace("hello", "jello"), forged),
        (
            "a checksum of another body",
            signed("x-amz-checksum-crc32:AAAAAA=="),
            (400, "BadDigest"),
        ),
    ] {
        let answer = call().body(body.as_bytes()).send().await;
        assert_refused(&world, &answer, expected, what);
        assert!(world.engine.objects().is_empty(), "{what}");
    }
    let answer = call().body(good.as_bytes()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["x-amz-checksum-crc32"], CRC32_OF_HELLO);
    assert_eq!(world.a.get("/abkt/k").await.body, "hello");
}

#[tokio::test]
async fn row_27_trailers_are_verified() {
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
    world.assert_engine_saw_nothing("small bodies");
    let good = put_with_trailer(&world, &trailer_body(CRC32_OF_HELLO), "5").await;
    assert_eq!(good.status, 200);
    let stored = world.engine.take_seen().pop().unwrap();
    assert_eq!(stored.body.unwrap(), "hello");
    assert!(!stored.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn row_27_lengths_are_asked_for_and_bounded() {
    let world = World::start().await;
    let too_long = world
        .a
        .call("PUT", "/abkt/k")
        .content_length("5368709121")
        .payload("UNSIGNED-PAYLOAD")
        .send()
        .await;
    assert_refused(
        &world,
        &too_long,
        (400, "EntityTooLarge"),
        "5 GiB and a byte",
    );
    let streaming = || {
        let call = world.a.call("PUT", "/abkt/k");
        call.payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .body(b"5\r\nhello\r\n0\r\n\r\n")
    };
    let answer = streaming().send().await;
    assert_refused(&world, &answer, (411, "MissingContentLength"), "streaming");
    let (_, head) = world.a.call("PUT", "/abkt/k").head();
    let without = head.replace("content-length: 0\r\n", "");
    let answer = parse(&world.a.raw(without.as_bytes()).await);
    assert_refused(&world, &answer, (411, "MissingContentLength"), "no length");

    let told = streaming().header("x-amz-decoded-content-length", "5");
    assert_eq!(told.send().await.status, 200);
    assert_eq!(world.a.get("/abkt/k").await.body, "hello");
    assert_eq!(parse(&world.a.raw(head.as_bytes()).await).status, 200);
}

/// What the kernel has counted of it.
fn cpu_of_this_thread() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn row_29_documents_are_bounded() {
    let world = World::start().await;
    let doctype =
        b"<!DOCTYPE d [<!ENTITY a \"aaaa\">]><Delete><Object><Key>&a;</Key></Object></Delete>";
    let many = format!(
        "<Delete>{}</Delete>",
        "<Object><Key>k</Key></Object>".repeat(1001)
    );
    let deep = "<a>".repeat(100_000);
    let laughs = b"<!DOCTYPE d [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\"><!ENTITY c \"&b;&b;\">]><Delete><Object><Key>&c;</Key></Object></Delete>";
    for document in [
        &doctype[..],
        many.as_bytes(),
        b"",
        b"{}",
        laughs,
        deep.as_bytes(),
    ] {
        let before = cpu_of_this_thread();
        let answer = world
            .a
            .call("POST", "/abkt?delete")
            .body(document)
            .send()
            .await;
        assert_refused(&world, &answer, (400, "MalformedXML"), "a document");
        // The node, the client and the engine of a test run in one thread.
        let spent = cpu_of_this_thread() - before;
        assert!(spent < Duration::from_millis(100), "{spent:?}");
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

#[tokio::test]
async fn row_44_a_batch_is_read_as_it_was_sent() {
    let world = World::start().await;
    // `gzip` of a batch that deletes `k`: no coding is taken off a document.
    let zipped = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0];
    for (encoding, body, code) in [
        ("gzip", &zipped[..], "MalformedXML"),
        ("deflate", &zipped[10..], "MalformedXML"),
        (
            "identity",
            b"<Delete><Object><Key>a\0b</Key></Object></Delete>",
            "MalformedXML",
        ),
        (
            "identity",
            b"<Delete><Object><Key>a&#0;b</Key></Object></Delete>",
            "MalformedXML",
        ),
    ] {
        let call = world.a.call("POST", "/abkt?delete");
        let answer = call
            .header("content-encoding", encoding)
            .body(body)
            .send()
            .await;
        assert_refused(&world, &answer, (400, code), encoding);
    }
    let utf_16: Vec<u8> = "<Delete><Object><Key>k</Key></Object></Delete>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let answer = world
        .a
        .call("POST", "/abkt?delete")
        .body(&utf_16)
        .send()
        .await;
    assert_refused(&world, &answer, (400, "MalformedXML"), "UTF-16");
    let batch = b"<Delete><Object><Key>k</Key></Object></Delete>";
    let call = world.a.call("POST", "/abkt?delete").body(batch);
    assert_eq!(call.send().await.status, 200);
}
