//! The order of numbers is the order of commits, whatever the writers do.

use std::collections::BTreeSet;
use std::time::Duration;

use controlplane::ids::TenantId;
use controlplane::{access_keys, tenants};
use wire::ToNode;

use crate::plane::Plane;

/// Takes a revision, then waits before it commits; or gives up.
async fn change(plane: &Plane, tenant: TenantId, delay: u64, commit: bool) -> Option<i64> {
    let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
    let new = access_keys::NewAccessKey {
        name: "key".to_owned(),
        ..Default::default()
    };
    let revision = access_keys::create(&mut tx, &plane.cp, new)
        .await
        .unwrap()
        .revision;
    tokio::time::sleep(Duration::from_millis(delay)).await;
    if !commit {
        return None;
    }
    tx.commit().await.unwrap();
    Some(revision)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_sees_every_revision_once_and_in_order_under_concurrent_writers() {
    let plane = Plane::start().await;
    let mut ids = Vec::new();
    for i in 0..24 {
        ids.push(plane.tenant(&format!("t{i}@example.com")).await.id);
    }
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await;
    assert_eq!(start.tenants.len(), ids.len());
    let mut heard = stream.obey();
    // Delays differ, so that without the lock commits would overtake each other; every fifth is rolled back.
    let writers = ids.iter().enumerate().map(|(i, id)| {
        let delay = u64::try_from(i * 7 % 11).unwrap();
        change(&plane, *id, delay, i % 5 != 4)
    });
    let committed: BTreeSet<i64> = futures_util::future::join_all(writers)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(committed.len(), 20);
    let numbers: Vec<i64> = committed.iter().copied().collect();
    let dense: Vec<i64> = (start.revision + 1..=start.revision + 20).collect();
    assert_eq!(numbers, dense, "a rollback leaves no gap");
    let mut seen = Vec::new();
    while seen.len() < numbers.len() {
        match heard.recv().await.unwrap() {
            ToNode::Tenant(document) => {
                assert_eq!(document.access_keys.len(), 2);
                seen.push(document.revision);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, numbers);
    plane.stop().await;
}

#[tokio::test]
async fn what_is_not_committed_is_not_seen() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id;
    let two = plane.tenant("two@example.com").await.id;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    assert_eq!(change(&plane, one, 0, false).await, None);
    assert_eq!(change(&plane, two, 0, true).await, Some(start + 1));
    let document = stream.tenant().await;
    assert_eq!(document.tenant_id, two.to_string());
    assert_eq!(document.revision, start + 1);
    plane.stop().await;
}

#[tokio::test]
async fn changes_of_one_tenant_from_two_sides_do_not_lock_each_other_out() {
    let plane = Plane::start().await;
    let id = plane.tenant("one@example.com").await.id;
    let limits = async {
        for _ in 0..10 {
            let mut tx = plane.cp.begin_system().await.unwrap();
            let change = tenants::LimitChange {
                burst: Some(Some(7)),
                ..Default::default()
            };
            tenants::set_limits(&mut tx, &plane.cp, id, change)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
    };
    let keys = async {
        for _ in 0..10 {
            change(&plane, id, 1, true).await.unwrap();
        }
    };
    tokio::join!(limits, keys);
    let mut tx = plane.cp.begin_tenant(id).await.unwrap();
    assert_eq!(access_keys::list(&mut tx).await.unwrap().len(), 11);
    assert_eq!(tenants::get(&mut tx).await.unwrap().limits.burst, 7);
    drop(tx);
    plane.stop().await;
}
