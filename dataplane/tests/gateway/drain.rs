//! A node in whose place others are to serve: it says so, serves what comes, gives back what it holds, and leaves.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::watch;
use wire::{Allotment, Allotted, FromNode, Grant, Grants, Quota, Resource, ToNode, WHOLE};

use crate::push::readyz;
use crate::world::{RunningNode, World};

async fn told(world: &World, number: i64, draining: bool) -> Allotted {
    world.control.push(&ToNode::Allotment(Allotment {
        number,
        floor: WHOLE / 2,
        hold_seconds: 600,
        whole: false,
        draining,
        tenants: vec![],
    }));
    let answer =
        |message: &FromNode| matches!(message, FromNode::Allotted(said) if said.number == number);
    match world.control.heard(answer).await {
        FromNode::Allotted(said) => said,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_drained_node_says_so_and_goes_on_serving() {
    let world = World::start().await;
    assert!(readyz(&world).await.starts_with("HTTP/1.1 200"));
    assert!(told(&world, 1, true).await.draining);
    let ready = readyz(&world).await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("\"draining\":true"), "{ready}");
    assert_eq!(world.a.put("/abkt/k", "hello").await.status, 200);
    assert_eq!(world.a.get("/abkt/k").await.body, "hello");
    assert!(!told(&world, 2, false).await.draining);
    assert!(readyz(&world).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_drained_node_gives_back_its_leases_and_leaves_with_nothing() {
    let mut world = World::with(|snapshot| {
        snapshot.tenants[0].limits.quota_bytes = Some(100_000);
    })
    .await;
    let opened = |message: &FromNode| matches!(message, FromNode::Ledger { .. });
    let FromNode::Ledger { ledger } = world.control.heard(opened).await else {
        panic!("a ledger");
    };
    let quota = Quota {
        tenant_id: "a".repeat(32),
        resource: Resource::StoredBytes,
        period: 0,
    };
    world.control.push(&ToNode::Grants(Grants {
        ledger: ledger.clone(),
        answers: None,
        grants: vec![Grant {
            quota: quota.clone(),
            total: 5000,
        }],
    }));
    assert_eq!(world.a.put("/abkt/k", "hello").await.status, 200);
    told(&world, 1, true).await;
    // All that was granted comes back: five bytes that were used, and the rest.
    let (control, sum) = (world.control.clone(), watch::Sender::new(0));
    let mut taken = sum.subscribe();
    let booking = tokio::spawn(async move {
        let mut known = HashSet::new();
        loop {
            let news = |message: &FromNode| matches!(message, FromNode::Usage { sequence, .. } if !known.contains(sequence));
            let message = control.heard_at_last(news).await;
            if let FromNode::Usage {
                boot,
                sequence,
                taken,
                ..
            } = message
            {
                known.insert(sequence);
                sum.send_modify(|sum| *sum += taken.iter().map(|part| part.amount).sum::<u64>());
                control.push(&ToNode::Booked { boot, sequence });
            }
        }
    });
    let all = taken.wait_for(|taken| *taken == 5000);
    tokio::time::timeout(Duration::from_secs(10), all)
        .await
        .expect("everything comes back")
        .unwrap();

    world.node.end();
    world
        .control
        .heard(|message| *message == FromNode::Leave)
        .await;
    let shares = world.dir.path().join("node/shares.json");
    let shares = std::fs::read_to_string(shares).unwrap();
    assert!(
        shares.contains("\"floor\":0"),
        "on disk before it says so: {shares}"
    );
    world.control.push(&ToNode::Left);
    booking.abort();
    let World {
        node,
        control,
        control_url,
        dir,
        ..
    } = world;
    node.ended().await.unwrap();

    // Without a word of the control plane it would hold nothing.
    control.forget();
    let again = RunningNode::start_with(&control_url, dir.path(), None).await;
    let said = control
        .heard(|message| matches!(message, FromNode::Hello { at: Some(_), .. }))
        .await;
    assert!(matches!(said, FromNode::Hello { .. }));
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_is_not_drained_merely_ends() {
    let world = World::start().await;
    let World { node, control, .. } = world;
    assert_eq!(
        node.client(crate::world::KEY_A, crate::world::SECRET_A)
            .get("/abkt/k")
            .await
            .status,
        404
    );
    node.stop().await.unwrap();
    let left = std::cell::Cell::new(false);
    control
        .heard_all(|said| {
            left.set(said.contains(&FromNode::Leave));
            true
        })
        .await;
    assert!(!left.get());
}
