//! Queries that say two things, or more than they may.

use axum::http::StatusCode;

use super::{assert_refused, assert_tells_nothing, worlds};
use crate::world::World;

#[tokio::test]
async fn row_37_a_parameter_is_said_once() {
    for world in worlds().await {
        for (method, target) in [
            ("GET", "/abkt?prefix=a&prefix=../"),
            ("GET", "/abkt?list-type=2&list-type=1"),
            (
                "GET",
                "/abkt?list-type=2&continuation-token=a&continuation-token=b",
            ),
            ("GET", "/abkt?acl&acl"),
            ("GET", "/abkt/k?versionId=null&versionId=x"),
            (
                "GET",
                "/abkt/k?response-content-type=a&response-content-type=b",
            ),
            ("GET", "/abkt/k?partNumber=1&partNumber=2"),
            ("PUT", "/abkt/k?partNumber=1&uploadId=a&uploadId=b"),
            ("PUT", "/abkt/k?version%49d=null&versionId=x"),
            ("POST", "/abkt?delete&delete"),
        ] {
            let answer = world.a.call(method, target).send().await;
            assert_refused(&world, &answer, (400, "InvalidArgument"), target);
        }
        for (method, target) in [
            ("GET", "/abkt?acl&cors"),
            ("PUT", "/abkt?acl&versioning"),
            ("DELETE", "/abkt/k?tagging&uploadId=u"),
            ("PUT", "/abkt?website"),
            ("PUT", "/abkt?policy"),
            ("DELETE", "/abkt?policy"),
            ("PUT", "/abkt?versions"),
            ("POST", "/abkt/k?restore"),
            ("POST", "/abkt/k?select&select-type=2"),
            ("PUT", "/abkt?replication"),
            ("PUT", "/?acl"),
        ] {
            let answer = world.a.call(method, target).send().await;
            assert_refused(&world, &answer, (501, "NotImplemented"), target);
        }
        assert_eq!(world.a.get("/abkt?list-type=2&prefix=a").await.status, 200);
    }
}

/// What S3 has learnt since, or learns some day, is not taken for what it looks like without.
#[tokio::test]
async fn row_37_a_write_with_a_word_that_nobody_knows_is_none() {
    for world in worlds().await {
        assert_eq!(world.a.put("/abkt/k", "kept").await.status, 200);
        let started = world.a.call("POST", "/abkt/k?uploads").send().await;
        let id = started.element("UploadId").to_owned();
        world.engine.take_seen();
        for (method, target) in [
            ("PUT", "/abkt/k?annotation&annotationName=a"),
            ("DELETE", "/abkt/k?annotation&annotationName=a"),
            ("GET", "/abkt/k?annotation&annotationName=a"),
            ("PUT", "/new?metadataAnnotationTable"),
            ("PUT", "/abkt/k?brandNew"),
            ("DELETE", "/abkt/k?brandNew=1"),
            ("PUT", "/abkt/k?append&position=4"),
            ("PUT", "/abkt/k?partNumber=1"),
            ("PUT", "/new?brandNew"),
            ("DELETE", "/abkt?brandNew"),
            ("POST", "/abkt?delete&brandNew"),
            ("POST", "/abkt/k?uploads&brandNew"),
            ("DELETE", &format!("/abkt/k?uploadId={id}&brandNew")),
        ] {
            let answer = world.a.call(method, target).body(b"x").send().await;
            assert_refused(&world, &answer, (501, "NotImplemented"), target);
        }
        assert_eq!(world.a.get("/abkt/k?v=3").await.body, "kept");
        let put = "/abkt/k?x-id=PutObject&x-source=mine&Content-Type=text%2Fplain";
        assert_eq!(world.a.put(put, "new").await.status, 200);
        assert_eq!(world.a.get("/abkt/k").await.body, "new");
        let abort = format!("/abkt/k?uploadId={id}&x-id=AbortMultipartUpload");
        assert_eq!(world.a.call("DELETE", &abort).send().await.status, 204);
        let delete = world.a.call("DELETE", "/abkt/k?x-id=DeleteObject").send();
        assert_eq!(delete.await.status, 204);
    }
}

#[tokio::test]
async fn row_38_no_answer_is_written_by_its_asker() {
    let world = World::start().await;
    assert_eq!(world.a.put("/abkt/k", "v").await.status, 200);
    world.engine.take_seen();
    for name in [
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    ] {
        for value in [
            "x%0d%0aSet-Cookie:a",
            "x%0d%0a%0d%0aHTTP/1.1 200",
            "%0a",
            "%00",
            "%7f",
        ] {
            let target = format!("/abkt/k?response-{name}={}", value.replace(' ', "%20"));
            let answer = world.a.get(&target).await;
            assert_refused(&world, &answer, (400, "InvalidArgument"), &target);
            assert!(!answer.headers.contains_key("set-cookie"));
        }
    }
    let named =
        "/abkt/k?response-content-disposition=attachment%3B%20filename%3D%22%C3%A9%09.txt%22";
    assert_eq!(world.a.get(named).await.status, 200);
    // Of what an engine adds for reasons of its own, nothing leaves.
    let added = [
        ("set-cookie", "a=b"),
        ("location", "http://engine-1/"),
        ("x-engine-node", "7"),
    ];
    world.engine.answer_next_with(StatusCode::OK, &added, "v");
    let answer = world.a.get("/abkt/k").await;
    assert_tells_nothing(&world, &answer, "headers of the engine's own");
    for (name, _) in added {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn row_39_part_numbers_and_upload_ids_are_what_they_should_be() {
    for world in worlds().await {
        let started = world.a.call("POST", "/abkt/k?uploads").send().await;
        let id = started.element("UploadId").to_owned();
        world.engine.take_seen();
        for number in [
            "0",
            "10001",
            "-1",
            "abc",
            "",
            "1.0",
            "4294967297",
            "%31%00",
            "1%20",
            "0x1",
        ] {
            let target = format!("/abkt/k?partNumber={number}&uploadId={id}");
            let answer = world.a.call("PUT", &target).body(b"x").send().await;
            assert_refused(&world, &answer, (400, "InvalidArgument"), number);
        }
        let without = world.a.put(&format!("/abkt/k?uploadId={id}"), "x").await;
        assert_refused(&world, &without, (400, "InvalidArgument"), "no number");
        let half = &id[..id.len() / 2];
        for id in [
            half,
            &format!("{id}A"),
            &id.to_lowercase(),
            "../../x",
            "%00",
            "null",
        ] {
            let target = format!("/abkt/k?partNumber=1&uploadId={id}");
            let answer = world.a.call("PUT", &target).body(b"x").send().await;
            assert_refused(&world, &answer, (404, "NoSuchUpload"), id);
        }
        let target = format!("/abkt/k?partNumber=10000&uploadId={id}");
        assert_eq!(world.a.put(&target, "x").await.status, 200);
    }
}

#[tokio::test]
async fn row_40_versions_are_listed_from_ones_own_markers() {
    for world in worlds().await {
        for (query, code) in [
            ("version-id-marker=x&versions", "InvalidArgument"),
            ("max-keys=-1&versions", "InvalidArgument"),
            ("versionId=null&versions", "InvalidArgument"),
        ] {
            let answer = world.a.get(&format!("/abkt?{query}")).await;
            assert_refused(&world, &answer, (400, code), query);
        }
        world.b.put("/bvic/secret", "s").await;
        world.a.put("/abkt/mine", "m").await;
        world.engine.take_seen();
        for query in [
            "key-marker=../bvic/&versions",
            "prefix=../&versions",
            "key-marker=a&versions",
        ] {
            let answer = world.a.get(&format!("/abkt?{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.body);
            assert!(!answer.body.contains("secret"), "{query}");
            assert_tells_nothing(&world, &answer, query);
        }
        assert!(
            world
                .a
                .get("/abkt?versions")
                .await
                .body
                .contains("<Key>mine</Key>")
        );
    }
}

#[tokio::test]
async fn row_41_a_target_is_bounded() {
    let world = World::start().await;
    let long = format!("/abkt?prefix={}", "+".repeat(30_000));
    let answer = world.a.get(&long).await;
    assert_refused(&world, &answer, (400, "InvalidURI"), "30,000 blanks");
    let shorter = format!("/abkt?prefix={}", "%2B".repeat(1_000));
    assert_eq!(world.a.get(&shorter).await.status, 200);
}
