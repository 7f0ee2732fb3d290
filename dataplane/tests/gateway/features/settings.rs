//! Documents about a bucket or an object: written anew on their way in both directions.

use axum::http::StatusCode;

use super::{able, able_pooled};
use crate::world::World;

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

const RETENTION: &str = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>";

#[tokio::test]
async fn what_an_engine_cannot_do_does_not_reach_it() {
    let world = World::start().await;
    for (target, document) in BUCKET_SETTINGS.iter().chain(&[
        ("/abkt/k?tagging", TAGGING),
        ("/abkt/k?legal-hold", HOLD),
        ("/abkt/k?retention", RETENTION),
    ]) {
        let answer = world.a.put(target, document).await;
        assert_eq!(
            (answer.status, answer.code()),
            (501, "NotImplemented"),
            "{target}"
        );
    }
    let attributes = world.a.call("GET", "/abkt/k?attributes");
    let attributes = attributes.header("x-amz-object-attributes", "ETag");
    assert_eq!(attributes.send().await.code(), "NotImplemented");
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
