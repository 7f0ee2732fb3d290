//! What the key under a form may: no more than with any other request, and no longer than that.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{AccessKeyStatus, Permission, TenantStatus, ToNode};

use crate::client::parse;
use crate::upload::{said, upload};
use crate::world::{KEY_B, SECRET_B, World, tenant};

#[tokio::test]
async fn a_form_may_what_its_key_may() {
    let world = World::with(|snapshot| {
        let scope = &mut snapshot.tenants[0].access_keys[0].scope;
        scope.prefixes = vec!["in/".into()];
        scope.buckets = vec!["abkt".into()];
        scope.permission = Permission::Write;
        snapshot.tenants[1].access_keys[0].scope.permission = Permission::Read;
    })
    .await;
    for (key, status) in [("in/k", 204), ("out/k", 403), ("in", 403)] {
        assert_eq!(upload(&world.a, key).send().await.status, status, "{key}");
        assert_eq!(world.engine.take_seen().len(), usize::from(status == 204));
    }
    let elsewhere = |client| {
        let mut form = upload(client, "in/k").condition("[\"starts-with\", \"$bucket\", \"\"]");
        form.conditions.remove(0);
        form
    };
    let mut other = elsewhere(&world.a);
    other.target = "/shared-name";
    assert_eq!(said(&other.send().await), (403, "AccessDenied"));
    let mut reader = elsewhere(&world.b);
    reader.target = "/bvic";
    assert_eq!(said(&reader.send().await), (403, "AccessDenied"));
    world.assert_engine_saw_nothing("scopes");
}

#[tokio::test]
async fn a_foreign_bucket_is_one_that_nobody_has() {
    for world in [World::start().await, World::pooled().await] {
        let mut answers = Vec::new();
        for target in ["/bvic", "/none"] {
            let mut form = upload(&world.a, "k").condition("[\"starts-with\", \"$bucket\", \"\"]");
            form.conditions.remove(0);
            form.target = target;
            let answer = form.send().await;
            assert_eq!(said(&answer), (404, "NoSuchBucket"));
            answers.push(answer.body_without_id().replace(&target[1..], "B"));
        }
        assert_eq!(answers[0], answers[1]);
        world.assert_engine_saw_nothing("foreign buckets");
        let own = world.node.client(KEY_B, SECRET_B);
        let mut form = upload(&own, "k");
        form.conditions[0] = r#"{"bucket": "bvic"}"#.into();
        form.target = "/bvic";
        assert_eq!(form.send().await.status, 204);
    }
}

#[tokio::test]
async fn an_account_that_may_not_write_may_not_by_form() {
    for (status, expected) in [
        (TenantStatus::Active, 204),
        (TenantStatus::ReadOnly, 403),
        (TenantStatus::Suspended, 403),
    ] {
        let world = World::with(|snapshot| snapshot.tenants[0].status = status).await;
        let answer = upload(&world.a, "k").send().await;
        assert_eq!(answer.status, expected);
        if expected == 403 {
            assert_eq!(answer.code(), "AccountProblem");
            world.assert_engine_saw_nothing("accounts");
        }
    }
    let world = World::with(|snapshot| {
        snapshot.tenants[0].limits.requests_per_second = 1;
        snapshot.tenants[0].limits.burst = 1;
    })
    .await;
    assert_eq!(upload(&world.a, "k").send().await.status, 204);
    assert_eq!(said(&upload(&world.a, "k").send().await), (503, "SlowDown"));
}

#[tokio::test]
async fn what_was_admitted_before_a_revocation_is_not_stored_after_it() {
    let world = World::start().await;
    let form = upload(&world.a, "k").file(&vec![b'x'; 300_000]);
    let body = form.body();
    let mut stream = tokio::net::TcpStream::connect(world.a.address)
        .await
        .unwrap();
    let head = form.head(body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..200_000]).await.unwrap();
    world.engine.begun(1).await;
    let mut revoked = tenant('a', 30, false);
    revoked.access_keys[0].status = AccessKeyStatus::Revoked;
    world.control.push(&ToNode::Tenant(revoked));
    world.control.acked(30).await;
    stream.write_all(&body[200_000..]).await.unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).await.unwrap();
    assert_eq!(said(&parse(&out)), (403, "InvalidAccessKeyId"));
    assert!(world.engine.objects().is_empty());
    world.control.push(&ToNode::Tenant(tenant('a', 31, false)));
    world.control.acked(31).await;
    assert_eq!(form.send().await.status, 204);
}
