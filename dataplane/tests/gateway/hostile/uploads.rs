//! Copies and uploads: what is read on the way, and whose upload it is.

use wire::{Action, Permission, Scope};

use super::scopes::limited_to;
use super::{assert_refused, assert_tells_nothing, with_secret, worlds};

#[tokio::test]
async fn row_09_a_copy_source_is_a_read_of_ones_own() {
    for world in worlds().await {
        world.b.put("/bvic/secret", "s").await;
        world.a.put("/shared-name/mine", "m").await;
        world.engine.take_seen();
        for source in [
            "/bvic/secret",
            "bvic/secret",
            "bvic%2Fsecret",
            "%2Fbvic%2Fsecret",
            "/bvic/secret?versionId=null",
            "/none/x",
            "/%76t-b2b2/secret",
        ] {
            let mut answer = world
                .a
                .call("PUT", "/abkt/stolen")
                .header("x-amz-copy-source", source)
                .send()
                .await;
            // Its own guess is said back to it.
            answer.body = answer.body.replace("<BucketName>vt-b2b2<", "");
            assert_refused(&world, &answer, (404, "NoSuchBucket"), source);
        }
        for source in [
            "/abkt/../bvic/secret",
            "/abkt/%2e%2e%2fbvic/secret",
            "abkt%2f..%2fbvic%2fsecret",
        ] {
            let call = world.a.call("PUT", "/abkt/x");
            let climbing = call.header("x-amz-copy-source", source).send().await;
            assert_refused(&world, &climbing, (400, "InvalidURI"), source);
        }
        for source in [
            "",
            "/",
            "/bvic",
            "//bvic/secret",
            "/bvic/secret?versionId=",
            "/bvic/secret?x=1",
            "/bvic/%00",
        ] {
            let call = world.a.call("PUT", "/abkt/x");
            let nothing = call.header("x-amz-copy-source", source).send().await;
            assert_refused(&world, &nothing, (400, "InvalidArgument"), source);
        }
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
async fn row_10_a_part_is_copied_from_ones_own() {
    for world in worlds().await {
        with_secret(&world).await;
        world.a.put("/shared-name/mine", "m").await;
        let started = world.a.call("POST", "/abkt/k?uploads").send().await;
        let target = format!(
            "/abkt/k?partNumber=1&uploadId={}",
            started.element("UploadId")
        );
        world.engine.take_seen();
        let copy = |source| {
            world
                .a
                .call("PUT", &target)
                .header("x-amz-copy-source", source)
        };
        for source in [
            "/bvic/secret",
            "bvic%2fsecret",
            "/bvic/secret?versionId=null",
        ] {
            let answer = copy(source).send().await;
            assert_refused(&world, &answer, (404, "NoSuchBucket"), source);
        }
        let climbing = copy("/abkt/../bvic/secret").send().await;
        assert_refused(&world, &climbing, (400, "InvalidURI"), "climbing");
        assert_eq!(copy("/shared-name/mine").send().await.status, 200);
        let source = world.engine.take_seen()[0].headers["x-amz-copy-source"].clone();
        let source = source.to_str().unwrap();
        assert!(
            source.ends_with("/mine") && !source.contains("shared-name"),
            "{source}"
        );
    }
}

#[tokio::test]
async fn row_34_a_part_is_copied_from_where_its_key_may_read() {
    let unlimited = Scope::default;
    for (scope, outside) in [
        (
            Scope {
                prefixes: vec!["in/".into()],
                ..unlimited()
            },
            "/abkt/out/x",
        ),
        (
            Scope {
                buckets: vec!["abkt".into()],
                ..unlimited()
            },
            "/shared-name/in/x",
        ),
        (
            Scope {
                permission: Permission::Write,
                ..unlimited()
            },
            "/abkt/in/y",
        ),
        (
            Scope {
                actions: vec![Action::List, Action::Write],
                ..unlimited()
            },
            "/abkt/in/y",
        ),
    ] {
        let reads = scope.permission == Permission::Full && scope.actions.is_empty();
        let world = limited_to(scope).await;
        let started = world.a.call("POST", "/abkt/in/k?uploads").send().await;
        let id = started.element("UploadId");
        assert!(!id.is_empty(), "{}", started.body);
        let target = format!("/abkt/in/k?partNumber=1&uploadId={id}");
        world.engine.take_seen();
        let part = || world.a.call("PUT", &target);
        let copy = |source| part().header("x-amz-copy-source", source);
        let denied = (403, "AccessDenied");
        let answer = copy(outside).send().await;
        assert_refused(&world, &answer, denied, outside);
        // Of which the node needs not ask how large it is.
        let ranged = copy(outside).header("x-amz-copy-source-range", "bytes=0-4");
        assert_refused(&world, &ranged.send().await, denied, outside);
        let own = match reads {
            true => copy("/abkt/in/y"),
            false => part().body(b"x"),
        };
        assert_eq!(own.send().await.status, 200, "{outside}");
    }
}

#[tokio::test]
async fn row_12_upload_ids_belong_to_their_bucket_and_key() {
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
                    assert_refused(&world, &answer, (404, "NoSuchUpload"), id);
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
async fn row_13_upload_markers_of_others_show_only_ones_own() {
    for world in worlds().await {
        let started = world.b.call("POST", "/bvic/k?uploads").send().await;
        let theirs = started.element("UploadId").to_owned();
        world.engine.take_seen();
        let both = format!("/abkt?key-marker=k&upload-id-marker={theirs}&uploads");
        let answer = world.a.get(&both).await;
        assert_refused(&world, &answer, (400, "InvalidArgument"), "B's upload id");
        for query in [
            format!("upload-id-marker={theirs}&uploads"),
            "key-marker=k&uploads".to_owned(),
            "key-marker=../bvic/&prefix=../&uploads".to_owned(),
        ] {
            let answer = world.a.get(&format!("/abkt?{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.body);
            assert_tells_nothing(&world, &answer, &query);
            for seen in world.engine.take_seen() {
                let home = seen.uri.starts_with("/vt-a2a2") || seen.uri.contains("prefix=t%2Faaaa");
                assert!(home && !seen.uri.contains("bbbb"), "{}", seen.uri);
            }
        }
        let own = world
            .b
            .get(&format!(
                "/bvic?key-marker=k&upload-id-marker={theirs}&uploads"
            ))
            .await;
        assert_eq!(own.status, 200);
        assert!(
            world.engine.take_seen()[0]
                .uri
                .contains("upload-id-marker=engine-upload")
        );
    }
}
