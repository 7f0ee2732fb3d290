//! Versions and delete markers, whose ids are sealed for the bucket and key that they belong to.

use axum::http::StatusCode;

use super::able;
use crate::world::World;

#[tokio::test]
async fn version_ids_are_sealed_for_their_bucket_and_key() {
    let world = able().await;
    world
        .engine
        .answer_next_with(StatusCode::OK, &[("x-amz-version-id", "v-7")], "");
    let put = world.a.put("/abkt/k", "x").await;
    let id = put.headers["x-amz-version-id"].clone();
    assert!(!id.contains("v-7"));
    world.engine.take_seen();

    let target = format!("/abkt/k?versionId={id}");
    world
        .engine
        .answer_next_with(StatusCode::OK, &[("x-amz-version-id", "v-7")], "x");
    let got = world.a.get(&target).await;
    assert_eq!((got.status, &got.headers["x-amz-version-id"]), (200, &id));
    assert!(world.engine.take_seen()[0].uri.ends_with("versionId=v-7"));

    // Another key, another bucket, another tenant, another name for it, the engine's own.
    for (client, target) in [
        (&world.a, format!("/abkt/j?versionId={id}")),
        (&world.a, format!("/shared-name/k?versionId={id}")),
        (&world.b, format!("/bvic/k?versionId={id}")),
        (&world.a, format!("/abkt/k?versionId={id}x")),
        (&world.a, "/abkt/k?versionId=v-7".to_owned()),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = client.call(method, &target).send().await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "InvalidArgument"),
                "{target}"
            );
        }
    }
    let foreign = format!("/shared-name/k?versionId={id}");
    let copy = world
        .a
        .call("PUT", "/abkt/c")
        .header("x-amz-copy-source", &foreign);
    assert_eq!(copy.send().await.code(), "InvalidArgument");
    let batch =
        format!("<Delete><Object><Key>j</Key><VersionId>{id}</VersionId></Object></Delete>");
    let answer = world
        .a
        .call("POST", "/abkt?delete")
        .body(batch.as_bytes())
        .send()
        .await;
    assert_eq!(answer.code(), "NoSuchVersion");
    world.assert_engine_saw_nothing("foreign version ids");

    let copy = world
        .a
        .call("PUT", "/abkt/c")
        .header("x-amz-copy-source", &target);
    assert_eq!(copy.send().await.status, 200);
    let source = world.engine.take_seen()[0].headers["x-amz-copy-source"].clone();
    assert!(source.to_str().unwrap().ends_with("/k?versionId=v-7"));
}

#[tokio::test]
async fn a_delete_marker_is_told_with_its_sealed_id() {
    let world = able().await;
    let headers = [("x-amz-version-id", "v-8"), ("x-amz-delete-marker", "true")];
    world
        .engine
        .answer_next_with(StatusCode::NO_CONTENT, &headers, "");
    let deleted = world.a.call("DELETE", "/abkt/k").send().await;
    let id = deleted.headers["x-amz-version-id"].clone();
    assert_eq!(deleted.headers["x-amz-delete-marker"], "true");
    let refusal = "<Error><Code>NoSuchKey</Code></Error>";
    world
        .engine
        .answer_next_with(StatusCode::NOT_FOUND, &headers, refusal);
    let gone = world.a.get("/abkt/k").await;
    assert_eq!((gone.status, gone.code()), (404, "NoSuchKey"));
    assert_eq!(gone.headers["x-amz-delete-marker"], "true");
    assert_eq!(gone.headers["x-amz-version-id"], id);
    assert!(!gone.body.contains("v-8"));
}

#[tokio::test]
async fn versions_are_listed_in_the_tenants_terms() {
    let world = able().await;
    let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let list = "<ListVersionsResult><IsTruncated>false</IsTruncated>\
        <Version><Key>a</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><Size>1</Size><Owner><ID>engine-owner</ID></Owner></Version>\
        <DeleteMarker><Key>a</Key><VersionId>v0</VersionId><IsLatest>false</IsLatest></DeleteMarker>\
        <Version><Key>b</Key><VersionId>null</VersionId><IsLatest>true</IsLatest></Version></ListVersionsResult>";
    world.engine.answer_next(StatusCode::OK, on);
    world.engine.answer_next(StatusCode::OK, list);
    let all = world.a.get("/abkt?versions").await;
    assert_eq!(all.body.matches("<Version>").count(), 2);
    assert_eq!(all.body.matches("<DeleteMarker>").count(), 1);
    assert!(all.body.contains("<VersionId>null</VersionId>"));
    assert!(!all.body.contains("v0") && !all.body.contains("engine-owner"));

    // Where the engine gives more than was asked for, the page ends at what was asked for.
    world.engine.answer_next(StatusCode::OK, on);
    world.engine.answer_next(StatusCode::OK, list);
    let first = world.a.get("/abkt?max-keys=1&versions").await;
    assert_eq!(first.element("IsTruncated"), "true");
    assert_eq!(first.element("NextKeyMarker"), "a");
    let marker = first.element("NextVersionIdMarker").to_owned();
    world.engine.take_seen();
    world.engine.answer_next(StatusCode::OK, on);
    world.engine.answer_next(StatusCode::OK, list);
    let target = format!("/abkt?key-marker=a&version-id-marker={marker}&versions");
    assert_eq!(world.a.get(&target).await.status, 200);
    let seen = world.engine.take_seen();
    assert!(
        seen[1].uri.contains("key-marker=a&version-id-marker=v1"),
        "{}",
        seen[1].uri
    );
    // A marker of another key is nobody's.
    world.engine.answer_next(StatusCode::OK, on);
    let target = format!("/abkt?key-marker=b&version-id-marker={marker}&versions");
    assert_eq!(world.a.get(&target).await.code(), "InvalidArgument");
}

#[tokio::test]
async fn without_versioning_each_object_is_its_only_version() {
    let world = World::pooled().await;
    world.a.put("/abkt/k", "x").await;
    let list = world.a.get("/abkt?versions").await;
    assert!(
        list.body
            .contains("<Version><Key>k</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>")
    );
    assert!(!list.body.contains("t/aaaa"));
}

#[tokio::test]
async fn a_batch_of_versions_is_answered_version_by_version() {
    let world = able().await;
    let mut ids = Vec::new();
    for engine_id in ["v-1", "v-2"] {
        let headers = [("x-amz-version-id", engine_id)];
        world.engine.answer_next_with(StatusCode::OK, &headers, "");
        ids.push(world.a.put("/abkt/k", "x").await.headers["x-amz-version-id"].clone());
    }
    // As SeaweedFS says it: a deleted marker's version stands in another element.
    let told = "<DeleteResult><Deleted><Key>k</Key><VersionId>v-1</VersionId></Deleted>\
        <Deleted><Key>k</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>v-2</DeleteMarkerVersionId></Deleted>\
        <Deleted><Key>j</Key><VersionId>v-3</VersionId></Deleted></DeleteResult>";
    world.engine.answer_next(StatusCode::OK, told);
    let batch = format!(
        "<Delete><Object><Key>k</Key><VersionId>{}</VersionId></Object>\
         <Object><Key>k</Key><VersionId>{}</VersionId></Object><Object><Key>j</Key></Object>\
         <Object><Key>silent</Key></Object></Delete>",
        ids[0], ids[1]
    );
    let answer = world
        .a
        .call("POST", "/abkt?delete")
        .body(batch.as_bytes())
        .send()
        .await;
    assert_eq!(
        answer.body.matches("<Deleted>").count(),
        3,
        "{}",
        answer.body
    );
    assert!(
        answer
            .body
            .contains("<Error><Key>silent</Key><Code>InternalError</Code>")
    );
    for id in &ids {
        assert!(
            answer
                .body
                .contains(&format!("<VersionId>{id}</VersionId>")),
            "{}",
            answer.body
        );
    }
}
