//! What is the engine's to keep — versions, tags, locks, encryption — reaches it in its own terms and comes back in the
//! customer's; where the engine cannot, nothing reaches it.

use axum::http::StatusCode;
use wire::{Action, EngineCapabilities, Permission, Scope};

use crate::world::World;

fn all() -> EngineCapabilities {
    EngineCapabilities {
        exact_keys: true,
        byte_order: true,
        checksums: true,
        trailers: true,
        conditional_writes: true,
        versioning: true,
        object_lock: true,
        object_tagging: true,
        bucket_tagging: true,
        lifecycle: true,
        bucket_encryption: true,
        sse_s3: true,
        sse_c: true,
        object_attributes: true,
    }
}

async fn able() -> World {
    World::with(|snapshot| snapshot.settings.engines[0].capabilities = all()).await
}

async fn able_pooled() -> World {
    World::pooled_with(|snapshot| snapshot.settings.engines[0].capabilities = all()).await
}

const VERSIONING: &str =
    "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const TAGGING: &str = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>x</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
const LOCK: &str = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
const ENCRYPTION: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
const HOLD: &str = "<LegalHold><Status>ON</Status></LegalHold>";

const BUCKET_SETTINGS: [(&str, &str); 5] = [
    ("/abkt?versioning", VERSIONING),
    ("/abkt?tagging", TAGGING),
    ("/abkt?lifecycle", LIFECYCLE),
    ("/abkt?object-lock", LOCK),
    ("/abkt?encryption", ENCRYPTION),
];

#[tokio::test]
async fn settings_are_written_anew_for_the_engine_and_for_the_client() {
    let world = able().await;
    for (target, document) in BUCKET_SETTINGS {
        let with_attributes = document.replacen('>', " xmlns:evil=\"x\" evil:a=\"b\">", 1);
        world.engine.answer_next(StatusCode::OK, "");
        assert_eq!(
            world.a.put(target, &with_attributes).await.status,
            200,
            "{target}"
        );
        let seen = world.engine.take_seen();
        let sent = String::from_utf8(seen[0].body.clone().unwrap().to_vec()).unwrap();
        assert!(!sent.contains("evil"), "{sent}");
        let (_, below_root) = document.split_once('>').unwrap();
        assert!(sent.ends_with(below_root), "{sent}");
        assert!(seen[0].uri.starts_with("/vt-"), "{}", seen[0].uri);

        let answer = document.replacen('>', "><EngineSecret>x</EngineSecret>", 1);
        world.engine.answer_next(StatusCode::OK, &answer);
        let read = world.a.get(target).await;
        assert_eq!(read.status, 200, "{target}");
        assert!(read.body.ends_with(below_root), "{}", read.body);
        world.engine.take_seen();
    }
    for target in [
        "/abkt?tagging",
        "/abkt?lifecycle",
        "/abkt?encryption",
        "/abkt/k?tagging",
    ] {
        world.engine.answer_next(StatusCode::NO_CONTENT, "");
        assert_eq!(
            world.a.call("DELETE", target).send().await.status,
            204,
            "{target}"
        );
    }
}

#[tokio::test]
async fn what_is_not_known_in_a_document_is_refused() {
    let world = able().await;
    for (target, document, code) in [
        (
            "/abkt?versioning",
            "<VersioningConfiguration><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>",
            "NotImplemented",
        ),
        ("/abkt?versioning", TAGGING, "MalformedXML"),
        (
            "/abkt?versioning",
            "<VersioningConfiguration><X/></VersioningConfiguration>",
            "MalformedXML",
        ),
        (
            "/abkt?versioning",
            "<!DOCTYPE x><VersioningConfiguration/>",
            "MalformedXML",
        ),
        (
            "/abkt?lifecycle",
            "<LifecycleConfiguration><Rule><Transition/></Rule></LifecycleConfiguration>",
            "NotImplemented",
        ),
        ("/abkt/k?tagging", "<Tagging", "MalformedXML"),
    ] {
        assert_eq!(
            world.a.put(target, document).await.code(),
            code,
            "{target} {document}"
        );
    }
    world.assert_engine_saw_nothing("unknown elements");
}

#[tokio::test]
async fn what_an_engine_cannot_do_does_not_reach_it() {
    let world = World::start().await;
    for (target, document) in BUCKET_SETTINGS
        .iter()
        .chain(&[("/abkt/k?tagging", TAGGING), ("/abkt/k?legal-hold", HOLD)])
    {
        assert_eq!(
            world.a.put(target, document).await.code(),
            "NotImplemented",
            "{target}"
        );
    }
    for (name, value) in [
        ("x-amz-tagging", "a=b"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
    ] {
        for (method, target) in [("PUT", "/abkt/k"), ("POST", "/abkt/k?uploads")] {
            let call = world.a.call(method, target).header(name, value);
            assert_eq!(
                call.send().await.code(),
                "NotImplemented",
                "{method} {name}"
            );
        }
    }
    world.assert_engine_saw_nothing("an engine without features");
    // As never configured, where S3 has a word for it.
    for (target, code) in [
        ("/abkt?tagging", "NoSuchTagSet"),
        ("/abkt?lifecycle", "NoSuchLifecycleConfiguration"),
        ("/abkt?object-lock", "ObjectLockConfigurationNotFoundError"),
        (
            "/abkt?encryption",
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        ("/abkt?policy", "NoSuchBucketPolicy"),
        ("/abkt?website", "NoSuchWebsiteConfiguration"),
        ("/abkt/k?retention", "InvalidRequest"),
        ("/abkt/k?legal-hold", "InvalidRequest"),
    ] {
        assert_eq!(world.a.get(target).await.code(), code, "{target}");
    }
    assert!(
        world
            .a
            .get("/abkt?versioning")
            .await
            .body
            .contains("<VersioningConfiguration")
    );
    world.assert_engine_saw_nothing("questions about what was never configured");
}

#[tokio::test]
async fn settings_of_a_shared_engine_bucket_are_nobodys() {
    let world = able_pooled().await;
    for (target, document) in BUCKET_SETTINGS {
        assert_eq!(
            world.a.put(target, document).await.code(),
            "NotImplemented",
            "{target}"
        );
    }
    assert_eq!(
        world.a.put("/abkt/k?legal-hold", HOLD).await.code(),
        "NotImplemented"
    );
    world.assert_engine_saw_nothing("bucket settings of a pooled bucket");
    // An object's tags are its own.
    world.engine.answer_next(StatusCode::OK, "");
    assert_eq!(world.a.put("/abkt/k?tagging", TAGGING).await.status, 200);
    let seen = world.engine.take_seen();
    assert!(seen[0].uri.starts_with("/pool/t/aaaa"), "{}", seen[0].uri);
}

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
async fn what_is_asked_of_an_object_reaches_the_engine() {
    let world = able().await;
    let demands = [
        ("x-amz-tagging", "a=b"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        (
            "x-amz-object-lock-retain-until-date",
            "2030-01-01T00:00:00Z",
        ),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", "c2VjcmV0"),
        ("x-amz-server-side-encryption-customer-key-md5", "bWQ1"),
    ];
    for (method, target) in [("PUT", "/abkt/k"), ("POST", "/abkt/k?uploads")] {
        let mut call = world.a.call(method, target);
        for (name, value) in demands {
            call = call.header(name, value);
        }
        assert_eq!(call.send().await.status, 200, "{method}");
        let seen = world.engine.take_seen();
        for (name, value) in demands {
            assert_eq!(seen[0].headers[name], value, "{method}");
        }
    }
    for (method, target) in [("GET", "/abkt/k"), ("HEAD", "/abkt/k")] {
        let mut call = world.a.call(method, target);
        for (name, value) in &demands[4..] {
            call = call.header(name, value);
        }
        assert_eq!(call.send().await.status, 200, "{method}");
        let seen = world.engine.take_seen();
        for (name, value) in &demands[4..] {
            assert_eq!(seen[0].headers[*name], value, "{method}");
        }
    }
}

#[tokio::test]
async fn a_retention_is_set_aside_by_a_full_key_alone() {
    let bypass = ("x-amz-bypass-governance-retention", "true");
    for (permission, actions, may) in [
        (Permission::Full, vec![], true),
        (Permission::Write, vec![], false),
        (Permission::Full, vec![Action::Delete], false),
    ] {
        let world = World::with(|snapshot| {
            snapshot.settings.engines[0].capabilities = all();
            snapshot.tenants[0].access_keys[0].scope = Scope {
                permission,
                actions: actions.clone(),
                ..Scope::default()
            };
        })
        .await;
        let call = world.a.call("DELETE", "/abkt/k").header(bypass.0, bypass.1);
        let answer = call.send().await;
        if may {
            assert_eq!(answer.status, 204);
            assert_eq!(world.engine.take_seen()[0].headers[bypass.0], "true");
        } else {
            assert_eq!(answer.code(), "AccessDenied", "{permission:?} {actions:?}");
            world.assert_engine_saw_nothing("a bypass that may not be");
        }
    }
}

#[tokio::test]
async fn a_lock_denies_in_the_customers_terms() {
    let world = able().await;
    let denied = "<Error><Code>AccessDenied</Code><Message>engine says</Message></Error>";
    world.engine.answer_next(StatusCode::FORBIDDEN, denied);
    let answer = world.a.call("DELETE", "/abkt/k").send().await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    assert!(answer.body.contains("object lock") && !answer.body.contains("engine says"));
    // Of a read it would be our own credentials.
    world.engine.answer_next(StatusCode::FORBIDDEN, denied);
    assert_eq!(world.a.get("/abkt/k").await.code(), "InternalError");
}

#[tokio::test]
async fn a_wrong_key_of_the_customers_is_not_our_failure() {
    let world = able().await;
    let answer_to = async |method, with_key: bool| {
        let denied = "<Error><Code>AccessDenied</Code></Error>";
        let body = if method == "HEAD" { "" } else { denied };
        world.engine.answer_next(StatusCode::FORBIDDEN, body);
        let mut call = world.a.call(method, "/abkt/k");
        if with_key {
            call = call.header("x-amz-server-side-encryption-customer-algorithm", "AES256");
        }
        call.send().await.status
    };
    for method in ["GET", "HEAD"] {
        assert_eq!(answer_to(method, true).await, 403, "{method}");
        assert_eq!(answer_to(method, false).await, 500, "{method}");
    }
}

#[tokio::test]
async fn an_engine_that_locks_is_given_the_checksum() {
    let checksums = async |checksums: bool, object_lock: bool| {
        let world = World::with(|snapshot| {
            let able = &mut snapshot.settings.engines[0].capabilities;
            (able.checksums, able.object_lock) = (checksums, object_lock);
        })
        .await;
        let answer = world
            .a
            .call("PUT", "/abkt/k")
            .header("x-amz-sdk-checksum-algorithm", "CRC32")
            .header("x-amz-checksum-crc32", "jNwWgw==")
            .body(b"x")
            .send()
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let seen = world.engine.take_seen().remove(0).headers;
        ["x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"].map(|name| seen.contains_key(name))
    };
    assert_eq!(checksums(false, false).await, [false, false]);
    assert_eq!(checksums(true, false).await, [true, true]);
    assert_eq!(checksums(false, true).await, [true, true]);
}

#[tokio::test]
async fn attributes_are_those_that_were_asked_for() {
    let world = able().await;
    let answer = "<GetObjectAttributesOutput><ETag>e</ETag><ObjectSize>3</ObjectSize><StorageClass>HOT</StorageClass><EngineNode>n</EngineNode></GetObjectAttributesOutput>";
    world.engine.answer_next(StatusCode::OK, answer);
    let asked = ("x-amz-object-attributes", "ObjectSize,StorageClass");
    let call = world
        .a
        .call("GET", "/abkt/k?attributes")
        .header(asked.0, asked.1);
    let got = call.send().await;
    assert!(got.body.ends_with("<StorageClass>STANDARD</StorageClass><ObjectSize>3</ObjectSize></GetObjectAttributesResponse>"), "{}", got.body);
    world.engine.take_seen();
    for value in ["", "Owner"] {
        let call = world
            .a
            .call("GET", "/abkt/k?attributes")
            .header(asked.0, value);
        assert_eq!(call.send().await.code(), "InvalidArgument", "{value}");
    }
    assert_eq!(
        world.a.get("/abkt/k?attributes").await.code(),
        "InvalidRequest"
    );
    world.assert_engine_saw_nothing("attributes that do not exist");
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
