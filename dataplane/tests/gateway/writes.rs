//! What a client said of its body holds, or the object does not come to exist.

use sha2::{Digest, Sha256};

use crate::world::World;

pub const CRC32_OF_HELLO: &str = "NhCmhg==";

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

pub fn trailer_body(crc: &str) -> Vec<u8> {
    format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n").into_bytes()
}

pub async fn put_with_trailer(world: &World, body: &[u8], length: &str) -> crate::client::Answer {
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
