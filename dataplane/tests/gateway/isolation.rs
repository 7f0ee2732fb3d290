//! A attacks B with its own valid key. Every refusal stands beside the request that is allowed.

use crate::client::parse;
use crate::world::World;

const FORBIDDEN_WORDS: [&str; 6] = ["vt-", "pool", "t/aaaa", "t/bbbb", "ENGINE", "Engine/1"];

async fn worlds() -> [World; 2] {
    [World::start().await, World::pooled().await]
}

#[tokio::test]
async fn a_foreign_bucket_is_one_that_nobody_has() {
    for world in worlds().await {
        assert_eq!(world.b.put("/bvic/secret", "s").await.status, 200);
        world.engine.take_seen();
        for (method, foreign, absent) in [
            ("GET", "/bvic/secret", "/none/secret"),
            ("HEAD", "/bvic/secret", "/none/secret"),
            ("PUT", "/bvic/secret", "/none/secret"),
            ("DELETE", "/bvic/secret", "/none/secret"),
            ("GET", "/bvic?list-type=2", "/none?list-type=2"),
            ("GET", "/bvic?location", "/none?location"),
            ("GET", "/bvic?uploads", "/none?uploads"),
            ("HEAD", "/bvic", "/none"),
            ("DELETE", "/bvic", "/none"),
        ] {
            let theirs = world.a.call(method, foreign).send().await;
            let nobodys = world.a.call(method, absent).send().await;
            assert_eq!(theirs.status, 404, "{method} {foreign}");
            assert_eq!(
                theirs.body_without_id().replace("bvic", "none"),
                nobodys.body_without_id(),
                "{method} {foreign}"
            );
            let names =
                |answer: &crate::client::Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&theirs), names(&nobodys));
            world.assert_engine_saw_nothing(foreign);
        }
        assert_eq!(world.b.get("/bvic/secret").await.body, "s");
    }
}

#[tokio::test]
async fn the_same_name_is_two_buckets() {
    for world in worlds().await {
        world.a.put("/shared-name/k", "of a").await;
        world.b.put("/shared-name/k", "of b").await;
        assert_eq!(world.a.get("/shared-name/k").await.body, "of a");
        assert_eq!(world.b.get("/shared-name/k").await.body, "of b");
        assert_eq!(world.engine.objects().len(), 2);
        let listed = world.a.get("/").await.body;
        assert!(
            listed.contains("<Name>abkt</Name>") && listed.contains("<Name>shared-name</Name>")
        );
        assert!(!listed.contains("bvic"));
    }
}

#[tokio::test]
async fn paths_that_climb_are_refused() {
    let world = World::start().await;
    for path in [
        "/abkt/../bvic/secret",
        "/abkt/%2e%2e/bvic/secret",
        "/abkt/./x",
        "/abkt/x/..%2f..%2fy",
        "/abkt/%00",
    ] {
        let answer = world.a.get(path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "InvalidURI"),
            "{path}"
        );
        world.assert_engine_saw_nothing(path);
    }
    let decoded_once = world.a.get("/abkt/%252e%252e%252fbvic").await;
    assert_eq!(
        (decoded_once.status, decoded_once.code()),
        (404, "NoSuchKey")
    );
    let seen = world.engine.take_seen();
    assert!(
        seen[0].uri.ends_with("/%252e%252e%252fbvic"),
        "{}",
        seen[0].uri
    );
}

#[tokio::test]
async fn keys_are_forwarded_as_they_are() {
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
async fn an_engine_that_folds_keys_is_not_given_them() {
    let world =
        World::with(|snapshot| snapshot.settings.engines[0].capabilities.exact_keys = false).await;
    for path in ["/abkt//x", "/abkt/a//b", "/abkt/a%5Cb"] {
        let answer = world.a.put(path, "x").await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "InvalidURI"),
            "{path}"
        );
        world.assert_engine_saw_nothing(path);
    }
    assert_eq!(world.a.put("/abkt/a/b", "x").await.status, 200);
}

#[tokio::test]
async fn no_header_is_injected() {
    let world = World::start().await;
    let answer = world.a.get("/abkt/x%0d%0aSet-Cookie:a").await;
    assert_eq!(answer.status, 404);
    assert!(!answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn a_copy_source_is_a_read_of_ones_own() {
    for world in worlds().await {
        world.b.put("/bvic/secret", "s").await;
        world.a.put("/shared-name/mine", "m").await;
        world.engine.take_seen();
        for source in ["/bvic/secret", "bvic/secret", "/none/x"] {
            let answer = world
                .a
                .call("PUT", "/abkt/stolen")
                .header("x-amz-copy-source", source)
                .send()
                .await;
            assert_eq!(
                (answer.status, answer.code()),
                (404, "NoSuchBucket"),
                "{source}"
            );
            world.assert_engine_saw_nothing(source);
        }
        let climbing = world
            .a
            .call("PUT", "/abkt/x")
            .header("x-amz-copy-source", "/abkt/../bvic/secret")
            .send()
            .await;
        assert_eq!((climbing.status, climbing.code()), (400, "InvalidURI"));
        world.assert_engine_saw_nothing("climbing");
        let mine = world
            .a
            .call("PUT", "/abkt/copy")
            .header("x-amz-copy-source", "/shared-name/mine")
            .send()
            .await;
        assert_eq!(mine.status, 200);
        let seen = world.engine.take_seen();
        let source = seen[0].headers["x-amz-copy-source"].to_str().unwrap();
        assert!(
            source.ends_with("/mine") && !source.contains("shared-name"),
            "{source}"
        );
    }
}

#[tokio::test]
async fn upload_ids_belong_to_their_bucket_and_key() {
    for world in worlds().await {
        let started = world.b.call("POST", "/bvic/k?uploads").send().await;
        let theirs = started.element("UploadId").to_owned();
        assert!(!theirs.is_empty() && !theirs.contains("engine-upload"));
        world.engine.take_seen();
        let complete = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>";
        for id in [theirs.as_str(), "engine-upload", ""] {
            for bucket in ["abkt", "shared-name"] {
                let target = |rest: &str| format!("/{bucket}/k?{rest}uploadId={id}");
                let attempts = [
                    world
                        .a
                        .call("PUT", &target("partNumber=1&"))
                        .body(b"x")
                        .send()
                        .await,
                    world
                        .a
                        .call("POST", &target(""))
                        .body(complete)
                        .send()
                        .await,
                    world.a.call("DELETE", &target("")).send().await,
                    world.a.call("GET", &target("")).send().await,
                ];
                for answer in attempts {
                    assert_eq!(
                        (answer.status, answer.code()),
                        (404, "NoSuchUpload"),
                        "{id}"
                    );
                }
                world.assert_engine_saw_nothing(id);
            }
        }
        let other_key = world
            .b
            .call("PUT", &format!("/bvic/l?partNumber=1&uploadId={theirs}"))
            .body(b"x")
            .send()
            .await;
        assert_eq!(other_key.code(), "NoSuchUpload");
        world.assert_engine_saw_nothing("another key");
        let own = world
            .b
            .call("PUT", &format!("/bvic/k?partNumber=1&uploadId={theirs}"))
            .body(b"x")
            .send()
            .await;
        assert_eq!(own.status, 200);
        assert!(
            world.engine.take_seen()[0]
                .uri
                .contains("uploadId=engine-upload")
        );
    }
}

#[tokio::test]
async fn continuation_tokens_belong_to_their_bucket() {
    for world in worlds().await {
        let listed = world.b.get("/bvic?list-type=2").await;
        let token = listed.element("NextContinuationToken").to_owned();
        assert!(!token.is_empty() && !token.contains("engine-token"));
        world.engine.take_seen();
        for token in [token.as_str(), "engine-token"] {
            let answer = world
                .a
                .get(&format!("/abkt?list-type=2&continuation-token={token}"))
                .await;
            assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"));
            world.assert_engine_saw_nothing(token);
        }
        assert_eq!(
            world
                .b
                .get(&format!("/bvic?list-type=2&continuation-token={token}"))
                .await
                .status,
            200
        );
        assert!(
            world.engine.take_seen()[0]
                .uri
                .contains("continuation-token=engine-token")
        );
    }
}

#[tokio::test]
async fn listings_stay_at_home() {
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
            let home = seen.uri.starts_with("/vt-a2a2")
                || seen.uri.contains("prefix=t%2Faaaa")
                || seen.headers.contains_key("x-b");
            assert!(home, "{}", seen.uri);
        }
    }
}

#[tokio::test]
async fn a_batch_answers_each_key_on_its_own() {
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
async fn nothing_of_the_engine_leaves() {
    for world in worlds().await {
        world.a.put("/abkt/k", "v").await;
        let started = world.a.call("POST", "/abkt/k?uploads").send().await;
        let id = started.element("UploadId").to_owned();
        let complete = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>";
        world.engine.answer_next(axum::http::StatusCode::FORBIDDEN, "<Error><Code>SignatureDoesNotMatch</Code><Message>pool vt-1 ENGINEKEY</Message></Error>");
        let answers = [
            world.a.get("/abkt/k").await,
            world.a.get("/abkt/missing").await,
            world.a.put("/abkt/k", "v").await,
            world.a.get("/abkt?list-type=2&fetch-owner=true").await,
            world.a.get("/abkt").await,
            world
                .a
                .call("POST", &format!("/abkt/k?uploadId={id}"))
                .body(complete)
                .send()
                .await,
            world.a.get("/").await,
        ];
        assert_eq!(
            (answers[0].status, answers[0].code()),
            (500, "InternalError")
        );
        for answer in answers {
            let text = format!("{:?} {}", answer.headers, answer.body);
            for word in FORBIDDEN_WORDS {
                assert!(!text.contains(word), "{word} in {text}");
            }
            assert_eq!(answer.headers["x-amz-request-id"].len(), 16);
        }
    }
}

#[tokio::test]
async fn what_a_header_would_promise_in_vain_is_refused() {
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
        world.assert_engine_saw_nothing(name);
    }
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
async fn strangers_and_the_unnamed_are_refused() {
    let world = World::start().await;
    let stranger = crate::client::Client {
        access_key_id: "VLTNOBODY00000000000",
        ..world.a.clone()
    };
    assert_eq!(stranger.get("/abkt/k").await.code(), "InvalidAccessKeyId");
    let forger = crate::client::Client {
        secret: "guessed",
        ..world.a.clone()
    };
    let answer = forger.get("/abkt/k").await;
    assert_eq!(
        (answer.status, answer.code()),
        (403, "SignatureDoesNotMatch")
    );
    let anonymous = world
        .a
        .raw(b"GET /abkt/k HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(parse(&anonymous).code(), "AccessDenied");
    for target in [
        "/abkt?website",
        "/abkt?tagging",
        "/abkt/k?tagging",
        "/abkt?policy",
    ] {
        assert_eq!(
            world.a.call("PUT", target).send().await.code(),
            "NotImplemented",
            "{target}"
        );
    }
    world.assert_engine_saw_nothing("strangers");
}

#[tokio::test]
async fn over_the_limit_is_slow_down_and_nobody_elses_matter() {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].limits.requests_per_second = 1;
        snapshot.tenants[0].limits.burst = 3;
    })
    .await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(world.a.get("/").await);
    }
    assert!(answers[..3].iter().all(|answer| answer.status == 200));
    let refused = answers
        .iter()
        .find(|answer| answer.status == 503)
        .expect("the limit holds");
    assert_eq!(refused.code(), "SlowDown");
    assert_eq!(refused.headers["retry-after"], "1");
    for _ in 0..6 {
        assert_eq!(world.b.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn a_host_that_names_a_bucket_names_ones_own() {
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
    let absolute = world
        .a
        .call("GET", "/k")
        .host(&host("abkt.s3.test"))
        .send()
        .await;
    assert_eq!(absolute.body, "v");
    world.engine.take_seen();
    let (_, head) = world.a.call("GET", "/k").host(&host("abkt.s3.test")).head();
    let two = head.replace("GET /k", &format!("GET http://{}/k", host("bvic.s3.test")));
    let answer = crate::client::parse(&world.a.raw(two.as_bytes()).await);
    assert_eq!((answer.status, answer.code()), (400, "InvalidRequest"));
    world.assert_engine_saw_nothing("two hosts");
}

#[tokio::test]
async fn strangers_who_go_on_are_told_less() {
    let world = World::start().await;
    let forger = crate::client::Client {
        secret: "guessed",
        ..world.a.clone()
    };
    let mut codes = Vec::new();
    for _ in 0..605 {
        codes.push(forger.get("/abkt/k").await.code().to_owned());
    }
    assert_eq!(codes[599], "SignatureDoesNotMatch");
    assert_eq!(codes[600], "SlowDown");
    assert_eq!(
        world.a.get("/").await.status,
        200,
        "who signs correctly is not affected"
    );
}
