//! Tenants beside each other: what is one's own, what is sealed, and whose limit is whose.

use crate::hostile::{assert_tells_nothing, worlds};
use crate::world::World;

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
            assert_tells_nothing(&world, &answer, "an answer");
            assert_eq!(answer.headers["x-amz-request-id"].len(), 16);
        }
    }
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
