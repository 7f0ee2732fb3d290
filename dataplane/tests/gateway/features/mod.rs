//! What is the engine's to keep — versions, tags, locks, encryption — reaches it in its own terms and comes back in the
//! customer's; where the engine cannot, nothing reaches it.

mod checksums;
mod settings;
mod versions;

use axum::http::StatusCode;
use wire::{Action, EngineCapabilities, Permission, Scope};

use crate::world::World;

fn all() -> EngineCapabilities {
    EngineCapabilities {
        exact_keys: true,
        byte_order: true,
        checksums: true,
        crc64nvme: Some(true),
        newer_checksums: true,
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
