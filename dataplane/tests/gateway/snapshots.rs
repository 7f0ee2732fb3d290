//! Snapshots in pages, histories of several databases, several control planes: what a node takes, and what it keeps.

use wire::{FromNode, ToNode};

use crate::control::Control;
use crate::push::readyz;
use crate::world::{EPOCH, KEY_A, KEY_B, RunningNode, SECRET_A, SECRET_B, World, tenant};

/// What a node that says Hello says of what it has.
async fn hello(world: &World) -> (i64, String, bool) {
    let hello = world
        .control
        .heard(|message| matches!(message, FromNode::Hello { .. }))
        .await;
    let FromNode::Hello {
        revision,
        epoch,
        whole,
        ..
    } = hello
    else {
        unreachable!()
    };
    (revision, epoch, whole)
}

async fn refused(world: &World, revision: i64) -> String {
    let refused = world
        .control
        .heard(|m| matches!(m, FromNode::Nack { revision: r, .. } if *r == revision))
        .await;
    match refused {
        FromNode::Nack { reason, .. } => reason,
        other => unreachable!("{other:?}"),
    }
}

/// Everything as it is, a revision later, without tenant B.
fn without_b(world: &World, revision: i64) -> wire::Snapshot {
    let mut snapshot = world.snapshot.clone();
    snapshot.revision = revision;
    snapshot.tenants.pop();
    snapshot
}

#[tokio::test]
async fn a_snapshot_counts_when_all_of_it_is_there_and_other_words_pass_between_its_pages() {
    let world = World::start().await;
    let b = world.node.client(KEY_B, SECRET_B);
    let messages = without_b(&world, 15).messages(EPOCH, 1);
    for message in &messages[..2] {
        world.control.push(message);
    }
    world.control.push(&ToNode::Heartbeat {
        revision: 10,
        at: crate::world::now(),
    });
    world
        .control
        .push_text("{\"type\":\"advice-of-tomorrow\"}".into());
    // A change cannot come here; its refusal shows that everything before it was read.
    world.control.push(&ToNode::Tenant(tenant('a', 14, false)));
    refused(&world, 14).await;
    assert_eq!(b.get("/").await.status, 200, "not yet");
    for message in &messages {
        world.control.push(message);
    }
    world.control.acked(15).await;
    assert_eq!(b.get("/").await.code(), "InvalidAccessKeyId");
    assert_eq!(world.a.get("/").await.status, 200);
}

#[tokio::test]
async fn a_snapshot_that_lacks_a_page_or_is_cut_off_leaves_the_last_good_one_and_begins_again() {
    let world = World::start().await;
    let b = world.node.client(KEY_B, SECRET_B);
    let mut snapshot = without_b(&world, 15);
    snapshot.tenants.push(tenant('c', 13, false));
    snapshot.tenants[1].access_keys[0].access_key_id = "VLTCCCCCCCCCCCCCCCCC".into();
    let messages = snapshot.messages(EPOCH, 1);
    for message in messages.iter().filter(|m| **m != messages[1]) {
        world.control.push(message);
    }
    assert!(refused(&world, 15).await.contains("not all there"));
    assert_eq!(b.get("/").await.status, 200);
    // Cut in the middle: the next stream begins anew, and the node says that it may lack something.
    world.control.forget();
    world.control.push(&messages[0]);
    world.control.push(&messages[1]);
    world.control.set_first(&messages);
    world.control.cut();
    assert_eq!(hello(&world).await, (10, EPOCH.to_owned(), false));
    world.control.acked(15).await;
    assert_eq!(b.get("/").await.code(), "InvalidAccessKeyId");
    assert_eq!(world.a.get("/").await.status, 200);
    // With all of it there, nothing is missing any more; and so it is on disk.
    world.control.forget();
    world.control.set_first(&[]);
    world.control.cut();
    assert_eq!(hello(&world).await, (15, EPOCH.to_owned(), true));
}

#[tokio::test]
async fn one_access_key_id_at_two_tenants_of_different_pages_is_refused() {
    let world = World::start().await;
    let mut snapshot = world.snapshot.clone();
    snapshot.revision = 15;
    snapshot.tenants[1].access_keys[0].access_key_id = KEY_A.into();
    for message in snapshot.messages(EPOCH, 1) {
        world.control.push(&message);
    }
    assert!(refused(&world, 15).await.contains("access key id"));
    assert_eq!(world.a.get("/").await.status, 200);
    assert_eq!(world.b.get("/").await.status, 200);
}

#[tokio::test]
async fn what_was_refused_is_remembered_over_a_restart() {
    let world = World::start().await;
    world.control.push(&ToNode::Tenant(tenant('b', 20, false)));
    world.control.acked(20).await;
    world
        .control
        .push_text("{\"type\":\"tenant\",\"revision\":21}".into());
    refused(&world, 21).await;
    world.control.push(&ToNode::Tenant(tenant('b', 22, false)));
    world.control.acked(22).await;
    world.control.forget();
    world.control.set_first(&[]);
    world.node.stop().await.unwrap();
    let again = RunningNode::start_with(&world.control_url, world.dir.path(), None).await;
    let said = world
        .control
        .heard(|message| matches!(message, FromNode::Hello { .. }))
        .await;
    assert!(
        matches!(
            &said,
            FromNode::Hello {
                revision: 22,
                whole: false,
                ..
            }
        ),
        "{said:?}"
    );
    again.stop().await.unwrap();
}

#[tokio::test]
async fn another_databases_snapshot_and_changes_are_taken_only_where_the_operator_says_so() {
    let world = World::start().await;
    let foreign = without_b(&world, 50).messages("another", 1);
    for message in &foreign {
        world.control.push(message);
    }
    assert!(refused(&world, 50).await.contains("another database"));
    world.control.push(&ToNode::Tenant(tenant('b', 51, false)));
    refused(&world, 51).await;
    world.control.push(&ToNode::Refresh {
        revision: 10,
        settings: None,
        tenants: vec![],
    });
    refused(&world, 10).await;
    assert_eq!(world.b.get("/").await.status, 200);
    assert_eq!(world.a.get("/").await.status, 200);
    // An older copy of the same database is as foreign.
    for message in without_b(&world, 9).messages(EPOCH, 1) {
        world.control.push(&message);
    }
    assert!(refused(&world, 9).await.contains("older"));
    let ready = readyz(&world).await;
    assert!(
        ready.contains("\"refusing\":true") && ready.contains("\"revision\":10"),
        "{ready}"
    );
    let mut accepted = foreign;
    if let ToNode::SnapshotBegin(begin) = &mut accepted[0] {
        begin.accepted = true;
    }
    for message in &accepted {
        world.control.push(message);
    }
    world.control.acked(50).await;
    assert_eq!(world.b.get("/").await.code(), "InvalidAccessKeyId");
    assert!(readyz(&world).await.contains("\"refusing\":false"));
    world.control.forget();
    world.control.set_first(&[]);
    world.control.cut();
    assert_eq!(hello(&world).await, (50, "another".to_owned(), true));
}

#[tokio::test]
async fn keys_for_further_days_come_without_a_change() {
    let world = World::start().await;
    let mut fresh = world.snapshot.tenants[0].clone();
    let tomorrow = crate::world::now().date_naive() + chrono::TimeDelta::days(1);
    fresh.access_keys[0].signing_keys = wire::SigningKeys::new(tomorrow, vec![[7; 32]]);
    let refresh = |revision, tenants| ToNode::Refresh {
        revision,
        settings: None,
        tenants,
    };
    // What is of another revision than what the node has is passed over.
    let mut other = fresh.clone();
    other.revision = 5;
    world.control.forget();
    world.control.push(&refresh(10, vec![other]));
    world.control.acked(10).await;
    assert_eq!(world.a.get("/").await.status, 200);
    world.control.forget();
    world.control.push(&refresh(10, vec![fresh]));
    world.control.acked(10).await;
    assert_eq!(
        world.a.get("/").await.code(),
        "ServiceUnavailable",
        "no key for today any more"
    );
    assert_eq!(world.b.get("/").await.status, 200);
    world.control.push(&refresh(11, vec![]));
    refused(&world, 11).await;
}

#[tokio::test]
async fn a_tenant_that_bounds_staleness_is_refused_when_no_control_plane_was_heard_for_longer() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    let world = World::start().await;
    world.node.stop().await.unwrap();
    let mut bounded = tenant('a', 11, false);
    bounded.max_staleness_seconds = Some(3600);
    world.control.set_first(&[ToNode::Tenant(bounded)]);
    let late = Arc::new(AtomicI64::new(0));
    let clock = |late: &Arc<AtomicI64>| {
        let late = late.clone();
        dataplane::Clock::from_fn(move || {
            crate::world::now() + chrono::TimeDelta::seconds(late.load(Ordering::Relaxed))
        })
    };
    let (url, dir) = (world.control_url.clone(), world.dir.path());
    let node = RunningNode::start_with_clock(&url, dir, clock(&late)).await;
    world.control.acked(11).await;
    world.control_task.abort();
    world.control.cut();
    let clients = |node: &RunningNode| (node.client(KEY_A, SECRET_A), node.client(KEY_B, SECRET_B));
    // The clients sign by a clock that stands still, which may be a quarter of an hour off.
    let (a, b) = clients(&node);
    assert_eq!(a.get("/").await.status, 200);
    let mut bounded = a.clone();
    bounded.now = crate::world::now() + chrono::TimeDelta::seconds(3500);
    late.store(3500, Ordering::Relaxed);
    assert_eq!(bounded.get("/").await.status, 200, "not yet");
    late.store(3700, Ordering::Relaxed);
    let refused = bounded.get("/").await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "ServiceUnavailable")
    );
    let mut unbounded = b.clone();
    unbounded.now = bounded.now;
    assert_eq!(unbounded.get("/").await.status, 200);
    node.stop().await.unwrap();
    // A restart is no word from a control plane.
    let again = RunningNode::start_with_clock(&url, dir, clock(&late)).await;
    let (mut a, mut b) = clients(&again);
    (a.now, b.now) = (bounded.now, bounded.now);
    assert_eq!(a.get("/").await.code(), "ServiceUnavailable");
    assert_eq!(b.get("/").await.status, 200);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn of_several_control_planes_one_that_is_gone_is_as_good_as_the_next() {
    let world = World::start().await;
    let first = world.snapshot.messages(EPOCH, 1);
    let (one, one_url, one_task) = Control::start(first.clone()).await;
    let (two, two_url, _two_task) = Control::start(first).await;
    let urls = format!("http://127.0.0.1:1,{one_url}, {two_url}/");
    let dir = tempfile::tempdir().unwrap();
    // The first is not there: it joins at the second, and follows the second or the third.
    let node = RunningNode::start(&urls, dir.path()).await;
    let followed = tokio::select! {
        () = one.acked(10) => 1,
        () = two.acked(10) => 2,
    };
    let a = node.client(KEY_A, SECRET_A);
    assert_eq!(a.get("/").await.status, 200);
    assert_eq!(
        a.call("PUT", "/TooManyBuckets").send().await.code(),
        "TooManyBuckets"
    );
    if followed == 2 {
        two.cut();
        one.acked(10).await;
    }
    one_task.abort();
    two.forget();
    one.cut();
    two.heard(|message| matches!(message, FromNode::Hello { revision: 10, .. }))
        .await;
    two.push(&ToNode::Tenant(tenant('b', 20, false)));
    two.acked(20).await;
    assert_eq!(
        a.call("PUT", "/InvalidBucketName").send().await.code(),
        "InvalidBucketName"
    );
    node.stop().await.unwrap();
}
