//! The stream: what a node applies, acknowledges, refuses, and remembers.

use wire::{AccessKeyStatus, FromNode, ToNode};

use crate::world::{EPOCH, KEY_A, RunningNode, SECRET_A, World, tenant};

#[tokio::test]
async fn a_node_introduces_itself() {
    let world = World::start().await;
    let hello = world
        .control
        .heard(|message| matches!(message, FromNode::Hello { .. }))
        .await;
    let FromNode::Hello {
        protocol,
        s3_address,
        revision,
        ..
    } = hello
    else {
        unreachable!()
    };
    assert_eq!(
        (protocol, s3_address.as_str(), revision),
        (wire::PROTOCOL_VERSION, "127.0.0.1:9000", 0)
    );
    assert_eq!(world.control.token().split('.').count(), 3);
}

#[tokio::test]
async fn a_revoked_key_is_refused_as_soon_as_it_is_acknowledged() {
    let world = World::start().await;
    world.a.put("/abkt/k", "v").await;
    assert_eq!(world.a.get("/abkt/k").await.status, 200);
    let mut revoked = tenant('a', 11, false);
    revoked.access_keys[0].status = AccessKeyStatus::Revoked;
    world.control.push(&ToNode::Tenant(revoked));
    world.control.acked(11).await;
    let answer = world.a.get("/abkt/k").await;
    assert_eq!((answer.status, answer.code()), (403, "InvalidAccessKeyId"));
    assert_eq!(world.b.get("/").await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_name_and_changes_nothing() {
    let world = World::start().await;
    world
        .control
        .push_text("{\"type\":\"tenant\",\"revision\":12,\"tenant_id\":7}".into());
    world
        .control
        .heard(|message| matches!(message, FromNode::Nack { revision: 12, .. }))
        .await;
    world
        .control
        .push_text("{\"type\":\"of-tomorrow\",\"revision\":13}".into());
    world
        .control
        .heard(|message| matches!(message, FromNode::Nack { revision: 13, .. }))
        .await;
    let mut thief = tenant('b', 14, false);
    thief.access_keys[0].access_key_id = KEY_A.into();
    world.control.push(&ToNode::Tenant(thief));
    world
        .control
        .heard(|message| matches!(message, FromNode::Nack { revision: 14, .. }))
        .await;
    let mut empty = world.snapshot.clone();
    empty.tenants.clear();
    empty.revision = 15;
    for message in empty.messages(EPOCH, 1) {
        world.control.push(&message);
    }
    world
        .control
        .heard(|message| matches!(message, FromNode::Nack { revision: 15, .. }))
        .await;
    assert_eq!(world.a.get("/").await.status, 200);
    world.control.push(&ToNode::Tenant(tenant('b', 16, false)));
    world.control.acked(16).await;
    assert_eq!(world.b.get("/").await.status, 200);
}

#[tokio::test]
async fn a_cut_stream_is_resumed_where_it_was() {
    let world = World::start().await;
    world.control.push(&ToNode::Tenant(tenant('b', 20, false)));
    world.control.acked(20).await;
    world.control.forget();
    world.control.set_first(&[]);
    world.control.cut();
    let hello = world
        .control
        .heard(|message| matches!(message, FromNode::Hello { .. }))
        .await;
    assert!(
        matches!(hello, FromNode::Hello { revision: 20, .. }),
        "{hello:?}"
    );
}

#[tokio::test]
async fn a_node_serves_from_its_disk_with_the_control_plane_gone() {
    let world = World::start().await;
    world.a.put("/abkt/k", "v").await;
    let mut revoked = tenant('b', 21, false);
    revoked.access_keys[0].status = AccessKeyStatus::Revoked;
    world.control.push(&ToNode::Tenant(revoked));
    world.control.acked(21).await;
    world.node.stop().await.unwrap();
    world.control_task.abort();
    let again = RunningNode::start_with(&world.control_url, world.dir.path(), None).await;
    let a = again.client(KEY_A, SECRET_A);
    assert_eq!(a.get("/abkt/k").await.body, "v");
    assert_eq!(a.put("/abkt/l", "w").await.status, 200);
    let b = again.client(crate::world::KEY_B, crate::world::SECRET_B);
    assert_eq!(
        b.get("/").await.code(),
        "InvalidAccessKeyId",
        "a revocation outlives a restart"
    );
    let made = a.call("PUT", "/new-bucket").send().await;
    assert_eq!((made.status, made.code()), (503, "ServiceUnavailable"));
    again.stop().await.unwrap();
}

#[tokio::test]
async fn changes_of_configuration_bear_the_control_planes_code() {
    let world = World::start().await;
    // The fake answers with the bucket's name as the code.
    for name in [
        "BucketAlreadyOwnedByYou",
        "TooManyBuckets",
        "InvalidBucketName",
    ] {
        let answer = world.a.call("PUT", &format!("/{name}")).send().await;
        assert_eq!(answer.code(), name);
    }
    assert_eq!(
        world.a.call("PUT", "/something-else").send().await.status,
        503
    );
    world.assert_engine_saw_nothing("buckets");
}

#[tokio::test]
async fn a_node_without_a_good_token_says_so_and_ends() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let refused = RunningNode::start_with(&world.control_url, dir.path(), Some("bad")).await;
    assert!(format!("{:#}", refused.ended().await.unwrap_err()).contains("a bad token"));
    let without = RunningNode::start_with(&world.control_url, dir.path(), None).await;
    assert!(format!("{:#}", without.ended().await.unwrap_err()).contains("join token"));
}

pub async fn readyz(world: &World) -> String {
    let health = crate::client::Client {
        address: world.node.health,
        ..world.a.clone()
    };
    let ready = health
        .raw(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    String::from_utf8(ready).unwrap()
}

#[tokio::test]
async fn readiness_tells_the_revision() {
    let world = World::start().await;
    let text = readyz(&world).await;
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("\"revision\":10"),
        "{text}"
    );
}

#[tokio::test]
async fn a_node_that_waits_for_its_control_plane_is_alive_and_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let pending = RunningNode::start_with("http://127.0.0.1:1", dir.path(), Some("good")).await;
    for (address, path, status) in [
        (pending.health, "/healthz", "HTTP/1.1 200"),
        (pending.health, "/readyz", "HTTP/1.1 503"),
        (pending.s3, "/", "HTTP/1.1 503"),
    ] {
        let client = crate::client::Client {
            address,
            ..pending.client(KEY_A, SECRET_A)
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let text = String::from_utf8(client.raw(request.as_bytes()).await).unwrap();
        assert!(text.starts_with(status), "{path}: {text}");
    }
    pending.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_admitted_before_a_revocation_is_not_stored_after_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let body = vec![b'x'; 200_000];
    let mut bucket_gone = tenant('a', 31, false);
    bucket_gone.buckets.retain(|bucket| bucket.name != "abkt");
    let mut revoked = tenant('a', 30, false);
    revoked.access_keys[0].status = AccessKeyStatus::Revoked;
    let again = tenant('a', 31, false);
    bucket_gone.revision = 32;
    for (begun, change, before, code) in [
        (1, revoked, None, "InvalidAccessKeyId"),
        (2, bucket_gone, Some(again), "OperationAborted"),
    ] {
        if let Some(document) = before {
            world.control.push(&ToNode::Tenant(document));
            world.control.acked(31).await;
        }
        let revision = change.revision;
        let (_, head) = world.a.call("PUT", "/abkt/k").body(&body).head();
        let mut stream = tokio::net::TcpStream::connect(world.a.address)
            .await
            .unwrap();
        stream
            .write_all(&[head.as_bytes(), &body[..150_000]].concat())
            .await
            .unwrap();
        world.engine.begun(begun).await;
        world.control.push(&ToNode::Tenant(change));
        world.control.acked(revision).await;
        stream.write_all(&body[150_000..]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(crate::client::parse(&answer).code(), code);
        assert!(world.engine.objects().is_empty());
    }
}
