//! Checksums reach an engine as far as it keeps them, by algorithm, and what it says of them comes back.

use axum::http::StatusCode;
use wire::EngineCapabilities;

use super::able;
use crate::client::Answer;
use crate::world::World;

/// Of `x`.
const CRC32: (&str, &str) = ("x-amz-checksum-crc32", "jNwWgw==");
const XXHASH3: (&str, &str) = ("x-amz-checksum-xxhash3", "6vBsZICyzRE=");
const SAID: &str = "x-amz-sdk-checksum-algorithm";

async fn with(set: impl Fn(&mut EngineCapabilities)) -> World {
    World::with(|snapshot| set(&mut snapshot.settings.engines[0].capabilities)).await
}

/// Whether the engine saw the checksum, and which it is.
async fn seen_of_a_put(world: &World, (header, value): (&str, &str), name: &str) -> [bool; 2] {
    let call = world.a.call("PUT", "/abkt/k").header(SAID, name);
    let answer = call.header(header, value).body(b"x").send().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers[header], value, "verified, whoever keeps it");
    let seen = world.engine.take_seen().remove(0).headers;
    [header, SAID].map(|name| seen.contains_key(name))
}

#[tokio::test]
async fn an_engine_is_given_the_checksums_that_it_knows() {
    for (older, newer, locks) in [
        (false, false, false),
        (true, false, false),
        (false, true, false),
        (true, true, false),
        // S3 wants one with what may be locked.
        (false, false, true),
    ] {
        let world = with(|able| {
            (able.checksums, able.newer_checksums, able.object_lock) = (older, newer, locks);
        })
        .await;
        let seen = seen_of_a_put(&world, CRC32, "CRC32").await;
        assert_eq!(seen, [older || locks; 2], "{older} {newer} {locks}");
        let seen = seen_of_a_put(&world, XXHASH3, "XXHASH3").await;
        assert_eq!(seen, [newer; 2], "{older} {newer} {locks}");
    }
}

#[tokio::test]
async fn a_trailer_of_a_newer_algorithm_goes_on_where_it_is_known() {
    let body = format!("1\r\nx\r\n0\r\n{}:{}\r\n\r\n", XXHASH3.0, XXHASH3.1);
    for newer in [false, true] {
        let world = with(|able| (able.trailers, able.newer_checksums) = (true, newer)).await;
        let call = world.a.call("PUT", "/abkt/k");
        let call = call.payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let call = call.header("x-amz-decoded-content-length", "1");
        let call = call.header("x-amz-trailer", XXHASH3.0);
        let answer = call.body(body.as_bytes()).send().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers[XXHASH3.0], XXHASH3.1);
        let stored = world.engine.take_seen().pop().unwrap().body.unwrap();
        let whole = if newer { body.as_bytes() } else { b"x" };
        assert_eq!(stored, whole);
    }
}

#[tokio::test]
async fn the_algorithm_of_an_upload_or_a_copy_goes_on_where_it_is_kept() {
    const NAME: &str = "x-amz-checksum-algorithm";
    for newer in [false, true] {
        let world = with(|able| able.newer_checksums = newer).await;
        world.a.put("/abkt/from", "x").await;
        for (algorithm, kept) in [("SHA256", true), ("SHA512", newer)] {
            for (method, target) in [("POST", "/abkt/k?uploads"), ("PUT", "/abkt/k")] {
                world.engine.take_seen();
                let mut call = world.a.call(method, target).header(NAME, algorithm);
                if method == "PUT" {
                    call = call.header("x-amz-copy-source", "/abkt/from");
                }
                assert_eq!(call.send().await.status, 200, "{target} {algorithm}");
                let seen = world.engine.take_seen();
                let told = seen.iter().any(|seen| seen.headers.contains_key(NAME));
                assert_eq!(told, kept, "{target} {algorithm}");
            }
        }
    }
}

/// An engine that was not told of the algorithm is not told of its type either.
#[tokio::test]
async fn the_type_of_a_checksum_goes_where_the_checksum_goes() {
    const TYPE: &str = "x-amz-checksum-type";
    for newer in [false, true] {
        let world = with(|able| able.newer_checksums = newer).await;
        for (element, told) in [
            ("ChecksumSHA256", true),
            ("ChecksumXXHASH3", newer),
            ("", true),
        ] {
            let started = world.a.call("POST", "/abkt/k?uploads").send().await;
            let target = format!("/abkt/k?uploadId={}", started.element("UploadId"));
            let part = world.a.put(&format!("{target}&partNumber=1"), "x").await;
            let checksum = match element {
                "" => String::new(),
                element => format!("<{element}>AAAA</{element}>"),
            };
            let part = format!(
                "<Part><PartNumber>1</PartNumber><ETag>{}</ETag>{checksum}</Part>",
                part.headers["etag"].replace('"', "&quot;")
            );
            let document = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
            world.engine.take_seen();
            let call = world.a.call("POST", &target).header(TYPE, "COMPOSITE");
            let answer = call.body(document.as_bytes()).send().await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let seen = world.engine.take_seen();
            let complete = seen
                .iter()
                .find(|seen| seen.uri.contains("uploadId="))
                .unwrap();
            assert_eq!(
                complete.headers.contains_key(TYPE),
                told,
                "{element} {newer}"
            );
        }
    }
}

#[tokio::test]
async fn what_an_engine_says_of_checksums_comes_back() {
    let world = able().await;
    let started = world.a.call("POST", "/abkt/k?uploads").send().await;
    let id = started.element("UploadId").to_owned();
    let of = "<ChecksumAlgorithm>XXHASH3</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>";
    let value = "<ChecksumXXHASH3>6vBsZICyzRE=</ChecksumXXHASH3>";
    let say = |answer: String| world.engine.answer_next(StatusCode::OK, &answer);
    let says = |answer: &Answer, text: &str| {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains(text), "{} {text}", answer.body);
    };

    let part =
        format!("<Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>1</Size>{value}</Part>");
    say(format!("<ListPartsResult>{of}{part}</ListPartsResult>"));
    let answer = world.a.get(&format!("/abkt/k?uploadId={id}")).await;
    says(&answer, of);
    says(&answer, value);

    let upload = format!("<Upload><Key>k</Key><UploadId>1</UploadId>{of}</Upload>");
    say(format!(
        "<ListMultipartUploadsResult>{upload}</ListMultipartUploadsResult>"
    ));
    says(&world.a.get("/abkt?uploads").await, of);
}
