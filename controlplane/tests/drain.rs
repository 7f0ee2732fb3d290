//! A node that is drained: it hears of it, others take its part, and when it ends nothing is held for it.

use chrono::Duration;
use controlplane::ids::NodeId;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::{Allotment, FromNode, ToNode, WHOLE};

use crate::allotments::{Told, hold, until};
use crate::leases::{Holder, quota, stored};
use crate::plane::{Plane, Stream, eventually, serve};

async fn drain(plane: &Plane, node: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/nodes/{node}/drain");
    plane.admin(Method::POST, &path, Some(body)).await
}

async fn seen(plane: &Plane, node: &str) -> Value {
    let (status, body) = plane
        .admin(Method::GET, &format!("/nodes/{node}"), None)
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// Has the whole configuration, and obeys what it is told of shares.
async fn ready(stream: &mut Stream) {
    loop {
        match stream.hear_any().await.expect("the stream is open") {
            ToNode::Allotment(told) => hold(stream, &told).await,
            ToNode::SnapshotEnd { revision } => {
                stream.ack(revision).await;
                return;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn others_take_the_part_of_a_drained_node_and_it_takes_it_back() {
    let plane = Plane::start().await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = Told::by(plane.connect(&one, 0).await);
    let mut second = Told::by(plane.connect(&two, 0).await);
    let even = |told: &Allotment| told.floor == WHOLE / 2;
    first.until(even).await;
    second.until(even).await;
    eventually(async || {
        seen(&plane, &one.id).await["state"] == "ready"
            && seen(&plane, &two.id).await["state"] == "ready"
    })
    .await;

    let (status, receipt) = drain(&plane, &one.id, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{receipt}");
    assert_eq!(
        (&receipt["told"], &receipt["state"], &receipt["ready"]),
        (&json!(true), &json!("draining"), &json!(1)),
        "{receipt}"
    );
    assert!(receipt["millis"].is_u64(), "{receipt}");
    let (status, again) = drain(&plane, &one.id, json!({})).await;
    assert_eq!((status, &again["told"]), (StatusCode::OK, &json!(true)));
    // Half of it goes at once: the clock stands still.
    let of = |part: u32| move |told: &Allotment| told.draining && told.floor == part;
    first.until(of(WHOLE / 4)).await;
    plane.clock.advance(Duration::seconds(9));
    plane.clock.advance(Duration::seconds(12));
    first.until(of(0)).await;
    // All of it, when the other has none any more.
    second.until(|told| told.floor == WHOLE).await;
    assert_eq!(seen(&plane, &one.id).await["floor"], 0);

    let path = format!("/nodes/{}/drain", one.id);
    let (status, back) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!((status, &back["state"]), (StatusCode::OK, &json!("ready")));
    first.until(|told| !told.draining && even(told)).await;
    second.until(even).await;
    plane.stop().await;
}

#[tokio::test]
async fn the_last_ready_node_is_drained_only_by_force() {
    let plane = Plane::start().await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = plane.connect(&one, 0).await;
    ready(&mut first).await;
    eventually(async || seen(&plane, &one.id).await["state"] == "ready").await;
    assert_eq!(seen(&plane, &two.id).await["state"], "cut_off");
    let (status, refused) = drain(&plane, &one.id, json!({})).await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (StatusCode::CONFLICT, Some("last_ready_node")),
        "{refused}"
    );
    assert_eq!(seen(&plane, &one.id).await["state"], "ready");
    let (status, _) = drain(&plane, &"0".repeat(32), json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, refused) = drain(&plane, &one.id, json!({ "hurry": 1 })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");

    let obeys = tokio::spawn(async move {
        let told = until(&mut first, |told| told.draining).await;
        (told, first)
    });
    let (status, receipt) = drain(&plane, &one.id, json!({ "force": true })).await;
    assert_eq!(
        (status, &receipt["ready"]),
        (StatusCode::OK, &json!(0)),
        "{receipt}"
    );
    let (told, _first) = obeys.await.unwrap();
    assert!(told.floor > 0, "nobody else could serve: {told:?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_node_of_an_older_version_is_drained_and_says_nothing_of_it() {
    let plane = Plane::start().await;
    let (one, two) = (plane.node().await, plane.node().await);
    let (mut first, mut second) = (plane.connect(&one, 0).await, plane.connect(&two, 0).await);
    ready(&mut first).await;
    ready(&mut second).await;
    eventually(async || {
        seen(&plane, &one.id).await["state"] == "ready"
            && seen(&plane, &two.id).await["state"] == "ready"
    })
    .await;
    let old = tokio::spawn(async move {
        loop {
            let Some(message) = first.hear_any().await else {
                return;
            };
            if let ToNode::Allotment(mut told) = message {
                told.draining = false; // it does not know of it
                hold(&mut first, &told).await;
            }
        }
    });
    let (status, receipt) = drain(&plane, &one.id, json!({})).await;
    assert_eq!(
        (status, &receipt["told"], &receipt["millis"]),
        (StatusCode::OK, &json!(false), &Value::Null),
        "{receipt}"
    );
    plane.clock.advance(Duration::seconds(21));
    eventually(async || seen(&plane, &one.id).await["floor"] == 0).await;
    old.abort();
    plane.stop().await;
}

/// Its leases are others' at once, and nobody waits for it; one that is not drained stays as it is.
#[tokio::test]
async fn a_drained_node_that_ends_leaves_nothing_behind() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let change = json!({ "quota_bytes": 12_000 });
    let path = format!("/tenants/{}", tenant.id);
    plane.admin(Method::PATCH, &path, Some(change)).await;
    let mut one = Holder::connect(&plane, "one").await.opened().await;
    let mut two = Holder::connect(&plane, "two").await.opened().await;
    one.answer(&stored(&tenant), 3000).await.unwrap();
    let held = seen(&plane, &one.node.id).await;
    assert!(held["leases"][0]["amount"].as_i64() >= Some(3000), "{held}");
    assert_eq!(held["largest_leases"][0]["tenant_id"], json!(tenant.id));

    // A node that is not drained only says so.
    one.stream.say(&FromNode::Leave).await;
    one.answer(&stored(&tenant), 1).await.unwrap();
    assert_eq!(seen(&plane, &one.node.id).await["state"], "ready");

    let (status, receipt) = drain(&plane, &one.node.id, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{receipt}");
    // What a request at hand needs it still gets, and no stock.
    let before = one.granted;
    let other = quota(&tenant, wire::Resource::Objects, 0);
    let change = json!({ "quota_objects": 1000 });
    plane.admin(Method::PATCH, &path, Some(change)).await;
    assert_eq!(one.answer(&other, 1).await.unwrap(), 1, "and no stock");
    one.granted = before;
    assert!(two.answer(&other, 1).await.unwrap() > 1, "with stock");

    one.stream.say(&FromNode::Leave).await;
    loop {
        if one.stream.hear_any().await == Some(ToNode::Left) {
            break;
        }
    }
    let gone = seen(&plane, &one.node.id).await;
    assert_eq!(
        (&gone["state"], &gone["floor"], &gone["leases"]),
        (&json!("left"), &json!(0), &json!([])),
        "{gone}"
    );
    let id: NodeId = two.node.id.parse().unwrap();
    let receipt = plane.cp.wait_applied(1, std::time::Duration::ZERO).await;
    let known: Vec<NodeId> = receipt
        .nodes
        .iter()
        .map(|node| node.node_id)
        .chain(receipt.pending.iter().map(|node| node.node_id))
        .collect();
    assert_eq!(known, [id], "nobody waits for it");
    let all = two.answer(&stored(&tenant), 10_000).await;
    assert!(all.is_ok(), "what it held is there again: {all:?}");
    let (status, refused) = drain(&plane, &one.node.id, json!({})).await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (StatusCode::CONFLICT, Some("node_left"))
    );

    // It comes back, still drained, with a ledger that is good for nothing.
    let address = serve(&plane.cp).await;
    let token = one.node.token(plane.clock.now());
    let mut back = Stream::open(&address, &token).await.unwrap();
    back.say(&crate::plane::hello(0)).await;
    back.say(&FromNode::Ledger {
        ledger: "one".to_owned(),
    })
    .await;
    loop {
        match back.hear_any().await.expect("it is let in") {
            ToNode::Renew { ledger } => {
                assert_eq!(ledger, "one");
                break;
            }
            ToNode::Allotment(told) => {
                assert!(told.draining);
                hold(&mut back, &told).await;
            }
            _ => {}
        }
    }
    let state = seen(&plane, &one.node.id).await;
    assert_eq!(state["state"], "draining");
    assert_eq!(state["left_at"], Value::Null);
    plane.stop().await;
}

#[tokio::test]
async fn a_nodes_version_and_clock_are_known() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let address = serve(&plane.cp).await;
    let token = node.token(plane.clock.now());
    let mut stream = Stream::open(&address, &token).await.unwrap();
    let mut hello = crate::plane::hello(0);
    if let FromNode::Hello { at, version, .. } = &mut hello {
        *at = Some(plane.clock.now() - Duration::milliseconds(2500));
        "9.8.7".clone_into(version);
    }
    stream.say(&hello).await;
    let revision = stream.snapshot().await.revision;
    let shown = seen(&plane, &node.id).await;
    assert_eq!(
        (&shown["version"], &shown["clock_skew_ms"], &shown["lag"]),
        (&json!("9.8.7"), &json!(-2500), &json!(revision)),
        "{shown}"
    );
    assert_eq!(shown["connected_since"], "2026-03-01T12:00:00Z");
    assert_eq!(shown["state"], "starting");
    stream.ack(revision).await;
    eventually(async || seen(&plane, &node.id).await["lag"] == 0).await;
    plane.stop().await;
}
