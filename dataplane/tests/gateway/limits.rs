//! A node's part of tenants' limits, as it is told; and what it tells of those that it refused.

use wire::{Allotment, FromNode, Rule, Shares, TenantShares, ToNode, WHOLE};

use crate::world::{KEY_A, World};

fn allotment(number: i64, floor: u32, a: Option<u32>) -> ToNode {
    ToNode::Allotment(Allotment {
        number,
        floor,
        hold_seconds: 600,
        whole: false,
        draining: false,
        tenants: vec![TenantShares {
            tenant_id: "a".repeat(32),
            number,
            shares: a.map(Shares::all),
        }],
    })
}

async fn told(world: &World, number: i64, floor: u32, a: Option<u32>) {
    world.control.push(&allotment(number, floor, a));
    let share = a.unwrap_or(floor);
    let answer = |message: &FromNode| {
        matches!(message, FromNode::Allotted(allotted)
            if allotted.number == number
                && allotted.floor == floor
                && allotted.tenants.iter().any(|held| held.shares == Shares::all(share)))
    };
    world.control.heard(answer).await;
}

#[tokio::test]
async fn a_node_admits_its_share_and_no_more() {
    let world = World::with(|snapshot| {
        for tenant in &mut snapshot.tenants {
            tenant.limits.requests_per_second = 1;
            tenant.limits.burst = 20;
        }
    })
    .await;
    told(&world, 1, WHOLE / 2, Some(WHOLE / 4)).await;
    for (client, expected) in [(&world.a, 5), (&world.b, 10)] {
        let mut admitted = 0;
        let refused = loop {
            let answer = client.get("/shared-name/key").await;
            match answer.status {
                503 => break answer,
                _ => admitted += 1,
            }
        };
        // What the rate brought in the meantime may come on top.
        assert!((expected..expected + 3).contains(&admitted), "{admitted}");
        assert_eq!(refused.code(), "SlowDown");
        assert!(refused.headers.contains_key("retry-after"));
    }
    world.engine.take_seen();
    told(&world, 2, 0, None).await;
    assert_eq!(world.a.get("/shared-name/key").await.status, 503);
    world.assert_engine_saw_nothing("a node without a share");
}

#[tokio::test]
async fn whoever_sends_too_often_is_not_told_to_go_on() {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].limits.requests_per_second = 1;
        snapshot.tenants[0].limits.burst = 5;
    })
    .await;
    let mut stored = 0;
    let refused = loop {
        let call = world.a.call("PUT", "/abkt/k").body(b"hello");
        match call.send_when_told().await {
            (true, answer) => assert_eq!(answer.status, 200),
            (false, answer) => break answer,
        }
        world.engine.take_seen();
        stored += 1;
    };
    assert!(stored >= 5, "{stored}");
    assert_eq!((refused.status, refused.code()), (503, "SlowDown"));
    world.assert_engine_saw_nothing("an upload too many");
}

#[tokio::test]
async fn what_is_refused_is_reported_with_its_rule() {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].access_keys[0].scope.buckets = vec!["abkt".into()];
    })
    .await;
    assert_ne!(world.a.get("/abkt/key").await.status, 403);
    let refused = world.a.get("/shared-name/key").await;
    assert_eq!(refused.status, 403);
    let id = refused.headers["x-amz-request-id"].clone();
    let mut forger = world.a.clone();
    forger.secret = "another";
    let forged = forger.get("/abkt/key").await;
    let forged_id = forged.headers["x-amz-request-id"].clone();
    let about = async |id: &str| {
        let of = |message: &FromNode| match message {
            FromNode::Refusals { refusals } => {
                let mut all = refusals.iter();
                all.find(|refusal| refusal.request_id == id).cloned()
            }
            _ => None,
        };
        let heard = world.control.heard(|message| of(message).is_some()).await;
        of(&heard).expect("it is there")
    };
    let scope = about(&id).await;
    assert_eq!((scope.rule, scope.status), (Rule::ScopeBucket, 403));
    assert_eq!(scope.access_key_id, KEY_A);
    assert_eq!(scope.bucket, "shared-name");
    assert_eq!(scope.operation, "GetObject");
    assert_eq!(scope.revision, 10);
    assert_eq!(about(&forged_id).await.rule, Rule::Signature);
}
