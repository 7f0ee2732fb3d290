//! Buckets, keys, upload ids and listings that are another tenant's.

use super::scopes::OPERATIONS;
use super::{assert_refused, assert_tells_nothing, with_secret, worlds};
use crate::client::Answer;
use crate::world::World;

#[tokio::test]
async fn row_01_a_foreign_bucket_is_one_that_nobody_has() {
    for world in worlds().await {
        with_secret(&world).await;
        for operation in OPERATIONS.iter().filter(|o| o.name != "CreateBucket") {
            let (theirs, nobodys) = (
                operation.target("bvic", "secret"),
                operation.target("none", "secret"),
            );
            let foreign = operation.send(&world.a, &theirs).await;
            let absent = operation.send(&world.a, &nobodys).await;
            assert_eq!(foreign.status, 404, "{}: {}", operation.name, foreign.body);
            assert_eq!(
                foreign.body_without_id().replace("bvic", "none"),
                absent.body_without_id(),
                "{}",
                operation.name
            );
            let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&foreign), names(&absent), "{}", operation.name);
            assert_tells_nothing(&world, &foreign, operation.name);
            world.assert_engine_saw_nothing(operation.name);
        }
        assert_eq!(world.b.get("/bvic/secret").await.body, "s");
    }
}

#[tokio::test]
async fn row_02_03_paths_that_climb_are_refused() {
    for world in worlds().await {
        with_secret(&world).await;
        for path in [
            "/abkt/../bvic/secret",
            "/abkt/%2e%2e/bvic/secret",
            "/abkt/%2E./bvic/secret",
            "/abkt%2f../bvic/secret",
            "/abkt/./x",
            "/abkt/x/..%2f..%2fy",
            "/../bvic/secret",
            "//bvic/secret",
        ] {
            for method in ["GET", "PUT", "DELETE"] {
                let answer = world.a.call(method, path).send().await;
                assert_refused(&world, &answer, (400, "InvalidURI"), path);
            }
        }
        assert_eq!(world.a.put("/abkt/..x/y...", "mine").await.status, 200);
        assert_eq!(world.b.get("/bvic/secret").await.body, "s");
    }
}

#[tokio::test]
async fn row_04_a_path_is_decoded_once() {
    for world in worlds().await {
        let path = "/abkt/%252e%252e%252fbvic";
        let answer = world.a.get(path).await;
        assert_eq!((answer.status, answer.code()), (404, "NoSuchKey"));
        assert_tells_nothing(&world, &answer, path);
        let seen = world.engine.take_seen();
        assert!(
            seen[0].uri.ends_with("/%252e%252e%252fbvic"),
            "{}",
            seen[0].uri
        );
        assert_eq!(world.a.put(path, "mine").await.status, 200);
        assert_eq!(world.a.get(path).await.body, "mine");
    }
}

#[tokio::test]
async fn row_05_06_keys_are_forwarded_as_they_are() {
    for world in worlds().await {
        for path in [
            "/abkt/x",
            "/abkt//x",
            "/abkt/a//b",
            "/abkt/%C3%A9",
            "/abkt/e%CC%81",
            "/abkt/100%25",
            "/abkt/a%20b%2Bc",
        ] {
            assert_eq!(world.a.put(path, path).await.status, 200, "{path}");
        }
        assert_eq!(world.engine.objects().len(), 7);
        for path in ["/abkt/x", "/abkt//x", "/abkt/%C3%A9", "/abkt/e%CC%81"] {
            assert_eq!(world.a.get(path).await.body, path);
        }
    }
}

#[tokio::test]
async fn row_08_a_batch_answers_each_key_on_its_own() {
    for world in worlds().await {
        world.b.put("/bvic/secret", "s").await;
        world.engine.take_seen();
        let document = b"<Delete><Object><Key>../bvic/secret</Key></Object></Delete>";
        let answer = world
            .a
            .call("POST", "/abkt?delete")
            .body(document)
            .send()
            .await;
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .body
                .contains("<Error><Key>../bvic/secret</Key><Code>InvalidURI</Code>"),
            "{}",
            answer.body
        );
        assert_tells_nothing(&world, &answer, "batch");
        world.assert_engine_saw_nothing("batch");
        assert_eq!(world.b.get("/bvic/secret").await.status, 200);
        world.engine.take_seen();
        let document = b"<Delete><Object><Key>own</Key></Object></Delete>";
        assert_eq!(
            world
                .a
                .call("POST", "/abkt?delete")
                .body(document)
                .send()
                .await
                .status,
            200
        );
        let sent =
            String::from_utf8(world.engine.take_seen()[0].body.clone().unwrap().to_vec()).unwrap();
        assert!(sent.contains("own</Key>"), "{sent}");
    }
}

#[tokio::test]
async fn row_14_listings_stay_at_home() {
    for world in worlds().await {
        world.a.put("/abkt/mine", "m").await;
        world.b.put("/bvic/secret", "s").await;
        for query in [
            "list-type=2",
            "list-type=2&prefix=../",
            "list-type=2&prefix=..%2f..%2f",
            "list-type=2&start-after=../",
            "marker=../",
            "prefix=/",
            "uploads&prefix=../&key-marker=..",
        ] {
            let answer = world.a.get(&format!("/abkt?{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.body);
            assert!(!answer.body.contains("secret"), "{query}");
        }
        assert!(
            world
                .a
                .get("/abkt?list-type=2")
                .await
                .body
                .contains("<Key>mine</Key>")
        );
        for seen in world
            .engine
            .take_seen()
            .iter()
            .filter(|seen| seen.uri.contains("prefix="))
        {
            let home = seen.uri.starts_with("/vt-a2a2") || seen.uri.contains("prefix=t%2Faaaa");
            assert!(home, "{}", seen.uri);
        }
    }
}

#[tokio::test]
async fn row_17_a_host_that_names_a_bucket_names_ones_own() {
    let world = World::start().await;
    world.b.put("/bvic/secret", "s").await;
    world.a.put("/abkt/k", "v").await;
    world.engine.take_seen();
    let host = |name: &str| format!("{name}:{}", world.a.address.port());
    let theirs = world
        .a
        .call("GET", "/abkt/k")
        .host(&host("bvic.s3.test"))
        .send()
        .await;
    assert_eq!((theirs.status, theirs.code()), (404, "NoSuchBucket"));
    let own = world
        .a
        .call("GET", "/k")
        .host(&host("abkt.s3.test"))
        .send()
        .await;
    assert_eq!(own.body, "v");
    world.engine.take_seen();
    // In the host and in the path: the path is a key of the host's bucket.
    let call = world.a.call("GET", "/bvic/secret");
    let both = call.host(&host("abkt.s3.test")).send().await;
    assert_eq!((both.status, both.code()), (404, "NoSuchKey"));
    let seen = world.engine.take_seen();
    assert!(
        seen[0].uri.starts_with("/vt-a2a2") && seen[0].uri.ends_with("/bvic/secret"),
        "{}",
        seen[0].uri
    );
    for strange in [
        "bvic.s3.test.",
        "x@abkt.s3.test",
        "abkt.s3.test:x",
        "bvic..s3.test",
    ] {
        let call = world.a.call("GET", "/k");
        let answer = call.host(strange).send().await;
        assert!((400..=404).contains(&answer.status), "{strange}");
        world.assert_engine_saw_nothing(strange);
    }
    let (_, head) = world.a.call("GET", "/abkt/k").head();
    let absolute = head.replace(
        "GET /abkt/k",
        &format!("GET http://{}/abkt/k", world.a.address),
    );
    let answer = crate::client::parse(&world.a.raw(absolute.as_bytes()).await);
    assert_eq!((answer.status, answer.body.as_str()), (200, "v"));
    world.engine.take_seen();
    let (_, head) = world.a.call("GET", "/k").host(&host("abkt.s3.test")).head();
    let two = head.replace("GET /k", &format!("GET http://{}/k", host("bvic.s3.test")));
    let answer = crate::client::parse(&world.a.raw(two.as_bytes()).await);
    assert_eq!((answer.status, answer.code()), (400, "InvalidRequest"));
    world.assert_engine_saw_nothing("two hosts");
}
