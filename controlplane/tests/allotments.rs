//! How limits are divided among nodes that answer, and what nodes say of those that they refused.

use controlplane::refusals;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::{
    Allotment, Allotted, Demand, FromNode, HeldShares, Refusal, Rule, Shares, ToNode, WHOLE,
};

use crate::plane::{Plane, Stream, eventually};

/// The next word about shares.
async fn shares(stream: &mut Stream) -> Allotment {
    loop {
        if let ToNode::Allotment(allotment) = stream.hear_any().await.expect("the stream is open") {
            return allotment;
        }
    }
}

/// Answers that it holds what it was told.
async fn hold(stream: &mut Stream, allotment: &Allotment) {
    let tenants = allotment.tenants.iter().map(|told| HeldShares {
        tenant_id: told.tenant_id.clone(),
        number: told.number,
        shares: told.shares.unwrap_or(Shares::all(allotment.floor)),
    });
    let answer = Allotted {
        number: allotment.number,
        floor: allotment.floor,
        tenants: tenants.collect(),
    };
    stream.say(&FromNode::Allotted(answer)).await;
}

/// Obeys until it was told what is waited for.
async fn until(stream: &mut Stream, wanted: impl Fn(&Allotment) -> bool) -> Allotment {
    loop {
        let told = shares(stream).await;
        hold(stream, &told).await;
        if wanted(&told) {
            return told;
        }
    }
}

#[tokio::test]
async fn a_floor_is_taken_before_it_is_given() {
    let plane = Plane::start().await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = plane.connect(&one, 0).await;
    let told = match first.hear_any().await {
        Some(ToNode::Allotment(told)) => told,
        other => panic!("the first word is of shares, not {other:?}"),
    };
    assert_eq!(
        (told.floor, told.whole, told.hold_seconds),
        (WHOLE, true, 600)
    );
    hold(&mut first, &told).await;
    let mut second = plane.connect(&two, 0).await;
    let told = shares(&mut second).await;
    assert_eq!(told.floor, 0);
    hold(&mut second, &told).await;
    let less = loop {
        let told = shares(&mut first).await;
        if told.floor != WHOLE {
            break told;
        }
    };
    assert_eq!(less.floor, WHOLE / 2);
    // Unanswered, it is said again, and nothing is given.
    assert_eq!(shares(&mut first).await.floor, WHOLE / 2);
    hold(&mut first, &less).await;
    until(&mut second, |told| told.floor == WHOLE / 2).await;
    plane.stop().await;
}

#[tokio::test]
async fn shares_go_where_the_demand_is() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = plane.connect(&one, 0).await;
    until(&mut first, |told| told.floor == WHOLE).await;
    let mut second = plane.connect(&two, 0).await;
    until(&mut first, |told| told.floor == WHOLE / 2).await;
    until(&mut second, |told| told.floor == WHOLE / 2).await;
    let demand = FromNode::Demands {
        demands: vec![Demand {
            tenant_id: tenant.id.to_string(),
            requests: 500_000,
            concurrency: 0,
            bandwidth: 0,
        }],
    };
    second.say(&demand).await;
    let share = |told: &Allotment| told.tenants.first()?.shares.map(|shares| shares.requests);
    until(&mut first, |told| {
        share(told).is_some_and(|share| share < WHOLE / 50)
    })
    .await;
    let grown = |told: &Allotment| share(told).is_some_and(|share| share > WHOLE / 100 * 97);
    until(&mut second, grown).await;
    // A node that comes again is told the same before anything else.
    drop(first);
    let mut first = plane.connect(&one, 0).await;
    let told = shares(&mut first).await;
    assert!(
        told.whole && share(&told).is_some_and(|share| share < WHOLE / 50),
        "{told:?}"
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_is_gone_for_good_is_removed_and_leaves_its_part() {
    let plane = Plane::start().await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = plane.connect(&one, 0).await;
    until(&mut first, |told| told.floor == WHOLE).await;
    let path = format!("/nodes/{}", one.id);
    let (status, body) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::CONFLICT, &json!("node_connected"))
    );
    drop(first);
    eventually(async || {
        let (_, body) = plane.admin(Method::GET, "/nodes", None).await;
        let nodes = body["nodes"].as_array().expect("a list of nodes");
        let gone = nodes.iter().find(|node| node["node_id"] == json!(one.id));
        gone.expect("it is listed")["connected"] == json!(false)
    })
    .await;
    let (status, _) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let mut second = plane.connect(&two, 0).await;
    assert_eq!(shares(&mut second).await.floor, WHOLE);
    plane.stop().await;
}

fn refusal(tenant: &str, n: i64) -> Refusal {
    Refusal {
        request_id: format!("{n:016X}"),
        tenant_id: tenant.to_owned(),
        at: chrono::DateTime::from_timestamp(1_772_000_000 + n, 0).unwrap(),
        operation: "GetObject".to_owned(),
        bucket: "photos".to_owned(),
        access_key_id: "VLTAAAAAAAAAAAAAAAAA".to_owned(),
        status: 503,
        code: "SlowDown".to_owned(),
        rule: Rule::RateLimit,
        counter: Some(250_000),
        limit: Some(100_000),
        revision: 7,
        clears_at: None,
        more: 3,
    }
}

async fn listed(plane: &Plane, tenant: &str) -> Vec<Value> {
    let path = format!("/tenants/{tenant}/refusals");
    let (status, body) = plane.admin(Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::OK);
    body["refusals"].as_array().unwrap().clone()
}

#[tokio::test]
async fn refusals_are_kept_and_found_by_request_id() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id.to_string();
    let two = plane.tenant("two@example.com").await.id.to_string();
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let nobody = refusal(&"f".repeat(32), 9999);
    for page in 0..6 {
        let mut refusals: Vec<Refusal> = (page * 200..page * 200 + 200)
            .map(|n| refusal(&one, n))
            .collect();
        refusals.push(nobody.clone());
        stream.say(&FromNode::Refusals { refusals }).await;
    }
    eventually(async || {
        listed(&plane, &one)
            .await
            .first()
            .is_some_and(|newest| newest["request_id"] == json!(format!("{:016X}", 1199)))
    })
    .await;
    assert_eq!(listed(&plane, &one).await.len(), 1000);
    assert!(listed(&plane, &two).await.is_empty());
    let show = async |n: i64| {
        let path = format!("/refusals/{n:016X}");
        plane.admin(Method::GET, &path, None).await
    };
    let (status, found) = show(1000).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["rule"], json!("rate_limit"));
    assert_eq!(found["limit"], json!(100_000));
    assert_eq!(found["more"], json!(3));
    let text = found["explanation"].as_str().unwrap();
    assert!(text.contains("250.0") && text.contains("3 more"), "{text}");
    assert_eq!(
        show(0).await.0,
        StatusCode::NOT_FOUND,
        "the oldest are gone"
    );
    assert_eq!(show(9999).await.0, StatusCode::NOT_FOUND, "of no tenant");
    // A customer finds its own, and no other's.
    for (tenant, finds) in [(&one, true), (&two, false)] {
        let mut tx = plane
            .cp
            .begin_tenant(tenant.parse().unwrap())
            .await
            .unwrap();
        let found = refusals::by_request(&mut tx, &format!("{:016X}", 1000)).await;
        assert_eq!(found.is_ok(), finds);
    }
    plane.stop().await;
}
