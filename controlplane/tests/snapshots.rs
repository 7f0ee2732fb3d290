//! Snapshots: in pages, to whom, and to whom only when the operator says so.

use controlplane::bulk;
use http::{Method, StatusCode};
use serde_json::json;
use wire::{FromNode, SnapshotBegin, ToNode};

use crate::plane::{Node, Plane, Stream, eventually, hello, serve};

async fn begin(stream: &mut Stream) -> SnapshotBegin {
    match stream.hear().await {
        ToNode::SnapshotBegin(begin) => begin,
        other => panic!("no snapshot but {other:?}"),
    }
}

/// Connects as a node that has this revision of this history.
async fn connect_with(plane: &Plane, node: &Node, at: i64, of: &str, all: bool) -> Stream {
    let token = node.token(plane.clock.now());
    let mut stream = Stream::open(&serve(&plane.cp).await, &token).await.unwrap();
    let mut hello = hello(at);
    if let FromNode::Hello { epoch, whole, .. } = &mut hello {
        (*epoch, *whole) = (of.to_owned(), all);
    }
    stream.say(&hello).await;
    stream
}

#[tokio::test]
async fn a_snapshot_comes_in_pages_of_bounded_length_with_every_tenant_once() {
    let plane = Plane::start().await;
    let made = bulk::make_tenants(&plane.cp, 600, 1).await.unwrap();
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let announced = begin(&mut stream).await;
    assert_eq!(announced.tenants, 600);
    let (mut seen, mut pages) = (std::collections::BTreeSet::new(), 0);
    let end = loop {
        match stream.hear().await {
            ToNode::SnapshotPage { revision, tenants } => {
                assert_eq!(revision, announced.revision);
                let length = serde_json::to_string(&tenants).unwrap().len();
                assert!(length < 2 << 20, "{length}");
                pages += 1;
                for tenant in tenants {
                    assert_eq!(tenant.access_keys[0].signing_keys.len(), 16);
                    assert!(seen.insert(tenant.tenant_id));
                }
            }
            ToNode::SnapshotEnd { revision } => break revision,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, announced.revision);
    assert!(pages >= 3, "{pages}");
    assert!(made.iter().all(|t| seen.contains(&t.tenant_id.to_string())));
    assert_eq!(seen.len(), 600);
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_may_lack_something_gets_everything_and_one_that_does_not_gets_nothing() {
    let plane = Plane::start().await;
    plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    let (_, nodes) = plane.admin(Method::GET, "/nodes", None).await;
    assert_eq!(nodes["nodes"][0]["node_id"], json!(node.id));
    eventually(async || {
        let (_, body) = plane.admin(Method::GET, "/nodes", None).await;
        body["nodes"][0]["revision"] == json!(start)
    })
    .await;
    drop(stream);
    let epoch = plane.epoch().await;
    let mut lacking = connect_with(&plane, &node, start, &epoch, false).await;
    assert_eq!(lacking.snapshot().await.revision, start);
    drop(lacking);
    let mut whole = connect_with(&plane, &node, start, &epoch, true).await;
    for _ in 0..2 {
        let heard = whole.hear_beat().await;
        assert!(matches!(heard, Some(ToNode::Heartbeat { .. })), "{heard:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_node_of_another_database_is_offered_this_one_and_pressed_only_by_the_operator() {
    let plane = Plane::start().await;
    plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let mut stream = connect_with(&plane, &node, 3, "another", true).await;
    let offered = begin(&mut stream).await;
    assert_eq!(
        (offered.epoch.clone(), offered.accepted),
        (plane.epoch().await, false)
    );
    let revision = offered.revision;
    stream.rest(offered).await;
    let reason = "of another database".to_owned();
    stream.say(&FromNode::Nack { revision, reason }).await;
    eventually(async || {
        let (_, body) = plane.admin(Method::GET, "/nodes", None).await;
        body["nodes"][0]["refused_reason"] == json!("of another database")
    })
    .await;
    let receipt = plane.cp.wait_applied(1, std::time::Duration::ZERO).await;
    assert_eq!((receipt.nodes.len(), receipt.pending.len()), (0, 1));

    let path = format!("/nodes/{}/accept", node.id);
    let (status, body) = plane.admin(Method::POST, &path, Some(json!({}))).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "accepted": 1 })));
    let pressed = loop {
        let begin = begin(&mut stream).await;
        let accepted = begin.accepted;
        stream.rest(begin).await;
        if accepted {
            break true;
        }
        let reason = "of another database".to_owned();
        stream.say(&FromNode::Nack { revision, reason }).await;
    };
    assert!(pressed);
    stream.ack(revision).await;
    let receipt = plane
        .cp
        .wait_applied(revision, std::time::Duration::from_secs(5))
        .await;
    assert_eq!(receipt.nodes.len(), 1, "{receipt:?}");
    // It holds for once.
    eventually(async || {
        let mut conn = plane.database.superuser().await;
        let sql = "SELECT bool_or(accepted) FROM nodes";
        !sqlx::query_scalar::<_, bool>(sql)
            .fetch_one(&mut conn)
            .await
            .unwrap()
    })
    .await;
    let unknown = format!("/nodes/{}/accept", "0".repeat(32));
    let (status, _) = plane.admin(Method::POST, &unknown, Some(json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    plane.stop().await;
}

#[tokio::test]
async fn after_a_restore_all_nodes_begin_another_history() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    let before = plane.epoch().await;
    let (status, body) = plane
        .admin(Method::POST, "/nodes/accept", Some(json!({})))
        .await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "accepted": 1 })));
    let after = plane.epoch().await;
    assert_ne!(before, after);
    while stream.hear_any().await.is_some() {}
    // The node comes back with what it had, and is told everything anew.
    let mut stream = connect_with(&plane, &node, start, &before, true).await;
    let pressed = begin(&mut stream).await;
    assert_eq!((pressed.epoch.clone(), pressed.accepted), (after, true));
    plane.stop().await;
}
