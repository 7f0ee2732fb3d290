//! Headers that promise too much, and too many of them.

use super::{assert_refused, assert_tells_nothing};
use crate::connections::raw;
use crate::engine::Seen;
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
async fn row_11_an_expected_owner_is_the_one_who_is() {
    const OWNER: &str = "x-amz-expected-bucket-owner";
    const SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";
    let world = World::start().await;
    world.a.put("/abkt/k", "v").await;
    let started = world.a.call("POST", "/abkt/k?uploads").send().await;
    let id = started.element("UploadId");
    let part = format!("/abkt/k?partNumber=1&uploadId={id}");
    let (own, theirs) = ("a".repeat(32), "b".repeat(32));
    world.engine.take_seen();
    for (name, method, target, source, status) in [
        (OWNER, "GET", "/abkt/k", None, 200),
        (OWNER, "HEAD", "/abkt/k", None, 200),
        (OWNER, "GET", "/abkt?list-type=2", None, 200),
        (OWNER, "PUT", "/abkt/copy", Some("/abkt/k"), 200),
        (SOURCE_OWNER, "PUT", "/abkt/copy", Some("/abkt/k"), 200),
        (SOURCE_OWNER, "PUT", &part, Some("/abkt/k"), 200),
        (OWNER, "DELETE", "/abkt/k", None, 204),
    ] {
        let call = |owner: &str| {
            let call = world.a.call(method, target).header(name, owner);
            match source {
                Some(source) => call.header("x-amz-copy-source", source),
                None => call,
            }
        };
        let what = format!("{method} {target} {name}");
        for other in [&theirs, "", "shared-name", &own[1..], &own.to_uppercase()] {
            let answer = call(other).send().await;
            let code = if method == "HEAD" { "" } else { "AccessDenied" };
            assert_refused(&world, &answer, (403, code), &what);
        }
        let twice = call(&own).header(name, &own).send().await;
        assert_eq!(twice.status, 400, "{what}: {}", twice.body);
        world.assert_engine_saw_nothing(&what);
        let answer = call(&own).send().await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        let seen = world.engine.take_seen();
        assert!(!seen.is_empty(), "{what}");
        let told = |seen: &Seen| seen.headers.keys().any(|n| n.as_str() == name);
        assert!(
            !seen.iter().any(told),
            "{what}: whose it is, is told no engine"
        );
    }
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
