//! What a node is told, when, and what becomes of its answers.

use std::time::Duration;

use chrono::Days;
use controlplane::access_keys::{self, NewAccessKey};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::{AccessKeyStatus, FromNode, Permission, TenantStatus, ToNode};

use crate::plane::{NewTenant, Plane, Stream, eventually, hello, serve};

async fn new_key(plane: &Plane, tenant: &NewTenant) -> (String, i64) {
    let mut tx = plane.cp.begin_tenant(tenant.id).await.unwrap();
    let new = NewAccessKey {
        name: "another".to_owned(),
        ..NewAccessKey::default()
    };
    let key = access_keys::create(&mut tx, &plane.cp, new).await.unwrap();
    tx.commit().await.unwrap();
    (key.access_key_id, key.revision)
}

async fn node_row(plane: &Plane) -> Value {
    let (status, body) = plane.admin(Method::GET, "/nodes", None).await;
    assert_eq!(status, StatusCode::OK);
    body["nodes"][0].clone()
}

#[tokio::test]
async fn a_node_that_has_nothing_gets_a_snapshot_with_signing_keys_and_no_secret() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    assert_eq!(snapshot.settings.region, "us-east-1");
    assert_eq!(snapshot.settings.token_keys.len(), 1);
    let engine = &snapshot.settings.engines[0];
    assert_eq!(engine.signing_keys.len(), 16);
    assert!(engine.capabilities.exact_keys && !engine.capabilities.trailers);
    let document = &snapshot.tenants[0];
    assert_eq!(document.tenant_id, tenant.id.to_string());
    assert_eq!(document.status, TenantStatus::Active);
    assert_eq!(document.limits.requests_per_second, 100);
    assert_eq!(document.limits.quota_bytes, Some(25_000_000_000));
    let key = &document.access_keys[0];
    assert_eq!(key.access_key_id, tenant.access_key_id);
    assert_eq!(key.scope.permission, Permission::Full);
    let today = key.signing_keys.on("2026-03-01".parse().unwrap()).unwrap();
    let secret = &tenant.secret_access_key;
    assert_eq!(
        *today,
        sigv4::derive_signing_key(secret, "20260301", "us-east-1", "s3")
    );
    let text = serde_json::to_string(&snapshot.messages("", 1)).unwrap();
    assert!(!text.contains(secret) && !text.contains(crate::plane::ENGINE_SECRET));
    plane.stop().await;
}

#[tokio::test]
async fn a_change_comes_alone_and_its_acknowledgement_is_kept() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    assert_eq!(node_row(&plane).await["connected"], json!(true));
    assert_eq!(node_row(&plane).await["revision"], json!(0));
    let (key, revision) = new_key(&plane, &two).await;
    let document = stream.tenant().await;
    assert_eq!((document.revision, revision), (start + 1, start + 1));
    assert_eq!(document.tenant_id, two.id.to_string());
    assert!(document.access_keys.iter().any(|k| k.access_key_id == key));
    stream.ack(revision).await;
    eventually(async || node_row(&plane).await["revision"] == json!(revision)).await;
    let (_, revision) = new_key(&plane, &one).await;
    assert_eq!(stream.tenant().await.revision, revision);
    plane.stop().await;
}

#[tokio::test]
async fn a_node_resumes_where_it_was() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    eventually(async || node_row(&plane).await["revision"] == json!(start)).await;
    drop(stream);
    eventually(async || node_row(&plane).await["connected"] == json!(false)).await;
    new_key(&plane, &two).await;
    new_key(&plane, &one).await;
    new_key(&plane, &two).await;
    let mut stream = plane.connect(&node, start).await;
    let (first, second) = (stream.tenant().await, stream.tenant().await);
    assert_eq!(
        (first.revision, first.tenant_id),
        (start + 2, one.id.to_string())
    );
    assert_eq!(
        (second.revision, second.tenant_id),
        (start + 3, two.id.to_string())
    );
    assert_eq!(second.access_keys.len(), 3);
    // All is quiet, at the last revision.
    let beat = loop {
        if let Some(ToNode::Heartbeat { revision, .. }) = stream.hear_any().await {
            break revision;
        }
    };
    assert_eq!(beat, start + 3);
    plane.stop().await;
}

#[tokio::test]
async fn a_node_ahead_of_the_database_gets_a_snapshot() {
    let plane = Plane::start().await;
    plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    eventually(async || node_row(&plane).await["revision"] == json!(start)).await;
    drop(stream);
    let mut stream = plane.connect(&node, start + 1000).await;
    assert_eq!(stream.snapshot().await.revision, start);
    plane.stop().await;
}

#[tokio::test]
async fn a_new_day_brings_new_signing_keys_to_whoever_is_connected_and_whoever_was_not() {
    let plane = Plane::start().await;
    plane.tenant("one@example.com").await;
    let (node, other) = (plane.node().await, plane.node().await);
    let mut streams = Vec::new();
    for node in [&node, &other] {
        let mut stream = plane.connect(node, 0).await;
        let start = stream.snapshot().await.revision;
        stream.ack(start).await;
        streams.push((stream, start));
    }
    eventually(async || {
        let (_, body) = plane.admin(Method::GET, "/nodes", None).await;
        body["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|n| n["revision"] == json!(streams[0].1))
    })
    .await;
    // One is cut off over midnight.
    let (absent, start) = streams.pop().unwrap();
    drop(absent);
    // Each node has an hour of its own for it, the last of them twenty hours after midnight.
    plane.clock.advance(chrono::Duration::hours(8));
    assert!(
        matches!(
            streams[0].0.hear_beat().await,
            Some(ToNode::Heartbeat { .. })
        ),
        "there is time until midnight"
    );
    plane.clock.advance(chrono::Duration::hours(24));
    let last = plane.clock.today() + Days::new(8);
    let (mut stream, _) = streams.pop().unwrap();
    let mut reconnected = plane.connect(&other, start).await;
    for stream in [&mut stream, &mut reconnected] {
        let (mut settings, mut tenants) = (None, Vec::new());
        for _ in 0..2 {
            let ToNode::Refresh {
                revision,
                settings: some,
                tenants: page,
            } = stream.hear().await
            else {
                panic!("no renewal");
            };
            assert_eq!(revision, start, "nothing changed but the day");
            settings = settings.or(some);
            tenants.extend(page);
            stream.ack(revision).await;
        }
        let keys = &tenants[0].access_keys[0].signing_keys;
        assert_eq!(keys.last_day(), Some(last));
        let engine = &settings.unwrap().engines[0];
        assert_eq!(engine.signing_keys.last_day(), Some(last));
    }
    // What was acknowledged whole is not sent again.
    eventually(async || {
        let mut conn = plane.database.superuser().await;
        let sql = "SELECT count(*) FROM nodes WHERE keys_day = $1";
        let count: i64 = sqlx::query_scalar(sql)
            .bind(plane.clock.today())
            .fetch_one(&mut conn)
            .await
            .unwrap();
        count == 2
    })
    .await;
    drop(stream);
    let mut stream = plane.connect(&node, start).await;
    assert!(matches!(
        stream.hear_beat().await,
        Some(ToNode::Heartbeat { .. })
    ));
    assert!(matches!(
        stream.hear_beat().await,
        Some(ToNode::Heartbeat { .. })
    ));
    plane.stop().await;
}

/// A Hello of a release that speaks this.
fn speaking(version: u32) -> FromNode {
    let mut said = hello(0);
    if let FromNode::Hello { protocol, .. } = &mut said {
        *protocol = version;
    }
    said
}

#[tokio::test]
async fn another_protocol_than_a_neighbours_or_no_hello_closes_the_stream() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let address = serve(&plane.cp).await;
    let token = node.token(plane.clock.now());
    let too_new = speaking(wire::PROTOCOL_VERSION + 2);
    let too_old = speaking(wire::OLDEST_PROTOCOL - 1);
    let no_hello = FromNode::Ack { revision: 1 };
    for first in [too_new, too_old, no_hello, hello(-1)] {
        let mut stream = Stream::open(&address, &token).await.unwrap();
        stream.say(&first).await;
        assert_eq!(stream.hear_any().await, None, "{first:?}");
    }
    for spoken in wire::OLDEST_PROTOCOL..=wire::PROTOCOL_VERSION + 1 {
        let mut stream = Stream::open(&address, &token).await.unwrap();
        stream.say(&speaking(spoken)).await;
        stream.snapshot().await;
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_refused_revision_is_kept_with_its_reason_and_not_taken_for_applied() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    // What was never sent is not believed.
    stream.ack(start + 1000).await;
    let (_, revision) = new_key(&plane, &tenant).await;
    stream.tenant().await;
    let reason = "cannot read it".to_owned();
    stream.say(&FromNode::Nack { revision, reason }).await;
    eventually(async || node_row(&plane).await["refused_revision"] == json!(revision)).await;
    let row = node_row(&plane).await;
    assert_eq!(row["refused_reason"], json!("cannot read it"));
    assert_eq!(row["revision"], json!(start));
    let receipt = plane
        .cp
        .wait_applied(revision, Duration::from_millis(200))
        .await;
    assert_eq!((receipt.nodes.len(), receipt.pending.len()), (0, 1));
    // What comes after a refused change does not stand in for it; a snapshot does, and is sent by itself.
    let (_, later) = new_key(&plane, &tenant).await;
    stream.tenant().await;
    stream.ack(later).await;
    let receipt = plane
        .cp
        .wait_applied(later, Duration::from_millis(200))
        .await;
    assert_eq!((receipt.nodes.len(), receipt.pending.len()), (0, 1));
    let all = stream.snapshot().await.revision;
    assert!(all >= later);
    stream.ack(all).await;
    eventually(async || node_row(&plane).await["refused_revision"].is_null()).await;
    let receipt = plane.cp.wait_applied(later, Duration::from_secs(5)).await;
    assert_eq!((receipt.nodes.len(), receipt.pending.len()), (1, 0));
    plane.stop().await;
}

#[tokio::test]
async fn a_revocation_is_answered_with_who_refuses_the_key_and_who_does_not_yet() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let (quick, slow) = (plane.node().await, plane.node().await);
    let mut stream = plane.connect(&quick, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    let mut heard = stream.obey();
    let mut silent = plane.connect(&slow, 0).await;
    silent.snapshot().await;
    let path = format!("/access-keys/{}", tenant.access_key_id);
    let (status, receipt) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(receipt["access_key_id"], json!(tenant.access_key_id));
    assert_eq!(receipt["revision"], json!(start + 1));
    assert_eq!(receipt["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(receipt["nodes"][0]["node_id"], json!(quick.id));
    assert!(receipt["nodes"][0]["millis"].as_u64().unwrap() < 1000);
    assert_eq!(receipt["pending"][0]["node_id"], json!(slow.id));
    assert_eq!(receipt["pending"][0]["connected"], json!(true));
    let Some(ToNode::Tenant(document)) = heard.recv().await else {
        panic!("no tenant document");
    };
    assert_eq!(document.access_keys[0].status, AccessKeyStatus::Revoked);
    assert!(document.access_keys[0].signing_keys.is_empty());
    // Revoking again changes nothing; one that never was is not found.
    silent.ack(start + 1).await;
    let (_, again) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(again["revision"], json!(start + 1));
    assert_eq!(again["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(again["pending"], json!([]));
    let path = format!("/access-keys/{}", "A".repeat(20));
    assert_eq!(
        plane.admin(Method::DELETE, &path, None).await.0,
        StatusCode::NOT_FOUND
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_named_and_not_waited_for() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    eventually(async || node_row(&plane).await["revision"] == json!(start)).await;
    drop(stream);
    eventually(async || node_row(&plane).await["connected"] == json!(false)).await;
    let (_, revision) = new_key(&plane, &tenant).await;
    let waited = tokio::time::Instant::now();
    let receipt = plane
        .cp
        .wait_applied(revision, Duration::from_secs(15))
        .await;
    assert!(waited.elapsed() < Duration::from_secs(10));
    assert!(!receipt.pending[0].connected);
    // When its signing keys are over it can serve nothing, and is no longer worth a word.
    plane.clock.advance(chrono::Duration::days(10));
    let receipt = plane
        .cp
        .wait_applied(revision, Duration::from_secs(15))
        .await;
    assert_eq!((receipt.nodes.len(), receipt.pending.len()), (0, 0));
    plane.stop().await;
}

#[tokio::test]
async fn a_node_of_another_control_plane_hears_of_a_change_here_and_is_waited_for() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let other = plane.beside().await;
    let address = serve(&other).await;
    let mut stream = Stream::open(&address, &node.token(plane.clock.now()))
        .await
        .unwrap();
    stream.say(&hello(0)).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    let _heard = stream.obey();
    let (_, revision) = new_key(&plane, &tenant).await;
    let receipt = plane
        .cp
        .wait_applied(revision, Duration::from_secs(10))
        .await;
    assert_eq!(receipt.nodes.len(), 1, "{receipt:?}");
    assert_eq!(receipt.nodes[0].node_id.to_string(), node.id);
    other.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn health_tells_that_the_database_answers_and_how_far_nodes_are() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let plane = Plane::start().await;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    let get = async |path: &str| {
        let request = http::Request::get(path)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = plane.cp.health().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    };
    assert_eq!(get("/healthz").await.0, StatusCode::OK);
    assert_eq!(get("/readyz").await.0, StatusCode::OK);
    let (_, metrics) = get("/metrics").await;
    assert!(
        metrics.contains(&format!("\nvaultaire_revision {start}\n")),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nvaultaire_nodes_connected 1\n"),
        "{metrics}"
    );
    plane.cp.shut_down().await;
    assert_eq!(get("/healthz").await.0, StatusCode::OK);
    assert_eq!(get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    plane.stop().await;
}
