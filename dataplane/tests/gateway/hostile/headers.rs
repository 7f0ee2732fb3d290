//! Headers that promise too much, and too many of them.

use super::{assert_refused, assert_tells_nothing};
use crate::connections::raw;
use crate::world::World;

#[tokio::test]
async fn row_11_what_a_header_would_promise_in_vain_is_refused() {
    let world = World::start().await;
    for (name, value, code) in [
        ("x-amz-acl", "public-read", "AccessControlListNotSupported"),
        ("x-amz-grant-read", "id=b", "AccessControlListNotSupported"),
        ("x-amz-website-redirect-location", "/", "NotImplemented"),
        ("x-amz-server-side-encryption", "AES256", "NotImplemented"),
        (
            "x-amz-expected-bucket-owner",
            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "AccessDenied",
        ),
    ] {
        let answer = world
            .a
            .call("PUT", "/abkt/k")
            .header(name, value)
            .body(b"x")
            .send()
            .await;
        assert_eq!(answer.code(), code, "{name}");
        assert_tells_nothing(&world, &answer, name);
        world.assert_engine_saw_nothing(name);
    }
    let private = world
        .a
        .call("PUT", "/abkt/k")
        .header("x-amz-acl", "private");
    assert_eq!(private.body(b"x").send().await.status, 200);
    world.engine.take_seen();
    let ignored = world
        .a
        .call("PUT", "/abkt/k")
        .header("x-minio-force-delete", "true")
        .header("x-forwarded-for", "1.2.3.4");
    assert_eq!(ignored.body(b"x").send().await.status, 200);
    let sent = world.engine.take_seen().remove(0).headers;
    assert!(!sent.contains_key("x-minio-force-delete") && !sent.contains_key("x-forwarded-for"));
}

#[tokio::test]
async fn row_28_large_heads_are_refused() {
    let world = World::start().await;
    let head = format!(
        "GET /abkt/k HTTP/1.1\r\nhost: HOST\r\nx-a: {}\r\nconnection: close\r\n\r\n",
        "v".repeat(9000)
    );
    let answer = raw(&world, &head).await;
    assert_eq!(
        (answer.status, answer.code()),
        (400, "RequestHeaderSectionTooLarge")
    );
    let many: String = (0..200).map(|i| format!("x-{i}: v\r\n")).collect();
    let answer = raw(
        &world,
        &format!("GET /abkt/k HTTP/1.1\r\nhost: HOST\r\n{many}\r\n"),
    )
    .await;
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    world.assert_engine_saw_nothing("large heads");

    let metadata = |bytes: usize| {
        let call = world.a.call("PUT", "/abkt/k").body(b"x");
        call.header("x-amz-meta-a", &"v".repeat(bytes - 1))
    };
    let answer = metadata(2049).send().await;
    assert_refused(&world, &answer, (400, "MetadataTooLarge"), "metadata");
    assert_eq!(metadata(2048).send().await.status, 200);
    world.engine.take_seen();
    let key = |bytes: usize| {
        format!(
            "/abkt/{}",
            "%C3%A9".repeat(bytes / 2) + &"k".repeat(bytes % 2)
        )
    };
    for method in ["GET", "PUT", "DELETE"] {
        let answer = world.a.call(method, &key(1025)).send().await;
        assert_refused(&world, &answer, (400, "KeyTooLongError"), method);
    }
    assert_eq!(world.a.put(&key(1024), "x").await.status, 200);
}

#[tokio::test]
async fn row_28_a_key_is_shorter_where_a_prefix_stands_before_it() {
    let world = World::pooled().await;
    let prefix = world.snapshot.tenants[0].buckets[1].placement.prefix.len();
    let longest = 1024 - prefix;
    let answer = world
        .a
        .put(&format!("/abkt/{}", "k".repeat(longest + 1)), "x")
        .await;
    assert_refused(&world, &answer, (400, "KeyTooLongError"), "a pooled key");
    let fits = world
        .a
        .put(&format!("/abkt/{}", "k".repeat(longest)), "x")
        .await;
    assert_eq!(fits.status, 200);
}
