//! The order of numbers is the order of commits, whatever the writers do.

use std::collections::BTreeSet;
use std::time::Duration;

use controlplane::ids::TenantId;
use controlplane::{ControlPlane, access_keys, tenants};
use rand::{RngExt, SeedableRng};
use wire::ToNode;

use crate::plane::{Plane, Stream, eventually, hello, serve};

/// Takes a revision, then waits before it commits; or gives up.
async fn change(plane: &Plane, tenant: TenantId, delay: u64, commit: bool) -> Option<i64> {
    change_at(&plane.cp, tenant, delay, commit).await
}

async fn change_at(cp: &ControlPlane, tenant: TenantId, delay: u64, commit: bool) -> Option<i64> {
    let mut tx = cp.begin_tenant(tenant).await.unwrap();
    let new = access_keys::NewAccessKey {
        name: "key".to_owned(),
        ..Default::default()
    };
    let revision = access_keys::create(&mut tx, cp, new)
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

/// How many sessions of this test's database wait for a lock.
async fn waiting(plane: &Plane) -> i64 {
    let mut conn = plane.database.superuser().await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
}

#[tokio::test]
async fn whoever_takes_a_number_after_another_commits_after_it() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id;
    let two = plane.tenant("two@example.com").await.id;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    let new = || access_keys::NewAccessKey {
        name: "key".to_owned(),
        ..Default::default()
    };
    let mut held = plane.cp.begin_tenant(one).await.unwrap();
    let first = access_keys::create(&mut held, &plane.cp, new())
        .await
        .unwrap();
    assert_eq!(first.revision, start + 1);
    // The second wants to commit at once, and must not: a reader would see its number and never the first one's.
    let (cp, key) = (plane.cp.clone(), new());
    let second = tokio::spawn(async move {
        let mut tx = cp.begin_tenant(two).await.unwrap();
        let revision = access_keys::create(&mut tx, &cp, key)
            .await
            .unwrap()
            .revision;
        tx.commit().await.unwrap();
        revision
    });
    eventually(async || waiting(&plane).await == 1).await;
    assert!(!second.is_finished());
    let seen = stream.hear_beat().await;
    assert!(
        matches!(seen, Some(ToNode::Heartbeat { revision, .. }) if revision == start),
        "{seen:?}"
    );
    held.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), start + 2);
    for (revision, id) in [(start + 1, one), (start + 2, two)] {
        let document = stream.tenant().await;
        assert_eq!(
            (document.revision, document.tenant_id),
            (revision, id.to_string())
        );
    }
    plane.stop().await;
}

/// Many rounds of writers on the connections of two control planes, with delays drawn anew in each and a fifth of them
/// rolled back; a stream of each control plane follows all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_of_every_control_plane_see_each_revision_once_and_in_order() {
    let plane = Plane::start().await;
    let other = plane.beside().await;
    let mut ids = Vec::new();
    for i in 0..12 {
        ids.push(plane.tenant(&format!("t{i}@example.com")).await.id);
    }
    let nodes = [plane.node().await, plane.node().await];
    let mut here = plane.connect(&nodes[0], 0).await;
    let token = nodes[1].token(plane.clock.now());
    let mut there = Stream::open(&serve(&other).await, &token).await.unwrap();
    there.say(&hello(0)).await;
    let start = here.snapshot().await.revision;
    assert_eq!(there.snapshot().await.revision, start);
    let mut readers = [here.obey(), there.obey()];
    let mut rng = rand::rngs::StdRng::seed_from_u64(7);
    let (mut last, mut count) = (start, 0);
    for _ in 0..8 {
        let writers = ids.iter().enumerate().map(|(i, id)| {
            let (delay, kept) = (rng.random_range(0..12), rng.random_bool(0.8));
            let cp = if i % 2 == 0 { &plane.cp } else { &other };
            change_at(cp, *id, delay, kept)
        });
        let committed: BTreeSet<i64> = futures_util::future::join_all(writers)
            .await
            .into_iter()
            .flatten()
            .collect();
        let dense: BTreeSet<i64> = (last + 1..=last + committed.len() as i64).collect();
        assert_eq!(committed, dense, "numbers without a gap");
        for reader in &mut readers {
            for expected in &committed {
                let Some(ToNode::Tenant(document)) = reader.recv().await else {
                    panic!("no tenant document");
                };
                assert_eq!(document.revision, *expected);
            }
            assert!(reader.try_recv().is_err(), "a revision came twice");
        }
        last += committed.len() as i64;
        count += committed.len();
    }
    assert!(count > 48, "{count}");
    other.shut_down().await;
    plane.stop().await;
}
