//! What is shown of usage: a key's last use, reports of one bucket or key, and which nodes have not told theirs.

use chrono::TimeDelta;
use controlplane::access_keys::{self, LastUse};
use controlplane::usage::{self, By, Filter, Group, Span};
use controlplane::{Error, Tx};
use wire::{RequestClass, UsageLine};

use super::World;
use crate::plane::noon;

/// The last use of the only key that was used.
async fn last_use(world: &World) -> LastUse {
    let mut tx = world.plane.cp.begin_tenant(world.tenant).await.unwrap();
    let mut uses = access_keys::last_uses(&mut tx).await.unwrap();
    assert_eq!(uses.len(), 1);
    uses.remove("VLTKEY").expect("it was used")
}

#[tokio::test]
async fn a_keys_last_use_is_kept_to_the_minute_and_never_goes_back() {
    let mut world = World::start().await;
    world.send(1, vec![world.line(1)]).await;
    let first = last_use(&world).await;
    assert_eq!(first.at, noon());
    assert!(first.s3_address.is_some());
    // Within the minute nothing is written, after it it is.
    world.plane.clock.advance(TimeDelta::seconds(59));
    world.send(2, vec![world.line(1)]).await;
    assert_eq!(last_use(&world).await.at, noon());
    world.plane.clock.advance(TimeDelta::seconds(1));
    world.send(3, vec![world.line(1)]).await;
    let minute = noon() + TimeDelta::minutes(1);
    assert_eq!(last_use(&world).await.at, minute);
    // A batch that comes late tells of an earlier hour.
    let earlier = UsageLine {
        hour: world.line(0).hour - 5,
        ..world.line(1)
    };
    world.send(4, vec![earlier]).await;
    assert_eq!(last_use(&world).await.at, minute);
    // The same batch again changes nothing, whenever it comes.
    world.plane.clock.advance(TimeDelta::minutes(9));
    world.send(3, vec![world.line(1)]).await;
    assert_eq!(last_use(&world).await.at, minute);
    // Nobody else sees it.
    let other = world.plane.tenant("two@example.com").await.id;
    let mut tx = world.plane.cp.begin_tenant(other).await.unwrap();
    assert!(access_keys::last_uses(&mut tx).await.unwrap().is_empty());
    drop(tx);
    world.plane.stop().await;
}

#[tokio::test]
async fn a_report_can_be_of_one_bucket_or_of_one_key() {
    let mut world = World::start().await;
    let other_key = UsageLine {
        access_key_id: "VLTOTHER".into(),
        class: RequestClass::B,
        ..world.line(4)
    };
    let no_bucket = UsageLine {
        bucket_id: String::new(),
        ..world.line(2)
    };
    let put = UsageLine {
        stored_bytes: 100,
        stored_objects: 1,
        ..world.line(1)
    };
    world.send(1, vec![put, other_key, no_bucket]).await;
    let now = noon() + TimeDelta::minutes(1);
    let span = Span::new(None, None, now).unwrap();
    let mut tx = world.plane.cp.begin_tenant(world.tenant).await.unwrap();
    let bucket = usage::bucket_named(&mut tx, "photos").await.unwrap();
    let of = async |tx: &mut Tx, filter: Filter| {
        let report = usage::report_where(tx, world.tenant, span, By::Day, Group::Bucket, &filter);
        let rows = report.await.unwrap().rows;
        let counted = |figure: fn(&usage::Row) -> u64| rows.iter().map(figure).sum::<u64>();
        (
            counted(|row| row.requests_a),
            counted(|row| row.requests_b),
            rows.iter().any(|row| row.byte_hours.is_some()),
        )
    };
    assert_eq!(of(&mut tx, Filter::default()).await, (3, 4, true));
    let one_bucket = Filter {
        bucket: Some(bucket),
        ..Filter::default()
    };
    assert_eq!(of(&mut tx, one_bucket.clone()).await, (1, 4, true));
    let one_key = Filter {
        access_key_id: Some("VLTKEY".to_owned()),
        ..Filter::default()
    };
    assert_eq!(of(&mut tx, one_key.clone()).await, (3, 0, false));
    let both = Filter {
        access_key_id: one_key.access_key_id,
        ..one_bucket
    };
    assert_eq!(of(&mut tx, both).await, (1, 0, false));
    let held = usage::of_buckets(&mut tx).await.unwrap();
    assert_eq!(held[&bucket].stored_bytes, 100);
    // What has left usage behind is found by its id, as a deleted bucket is, and nobody else's.
    let by_id = usage::bucket_named(&mut tx, &bucket.to_string()).await;
    assert_eq!(by_id.unwrap(), bucket);
    assert!(usage::check_key(&mut tx, "VLTOTHER").await.is_ok());
    drop(tx);
    let stranger = world.plane.tenant("two@example.com").await.id;
    let mut tx = world.plane.cp.begin_tenant(stranger).await.unwrap();
    for name in ["photos".to_owned(), bucket.to_string()] {
        let error = usage::bucket_named(&mut tx, &name).await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{name}");
    }
    assert!(usage::check_key(&mut tx, "VLTKEY").await.is_err());
    assert!(usage::of_buckets(&mut tx).await.unwrap().is_empty());
    drop(tx);
    world.plane.stop().await;
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_named_until_it_is_back() {
    let world = World::start().await;
    let now = noon() + TimeDelta::minutes(1);
    // Of a node that no stream speaks for.
    let since = async || {
        let mut tx = world.plane.cp.begin_tenant(world.tenant).await.unwrap();
        let late = usage::behind(&mut tx, now).await.unwrap();
        let one = late
            .into_iter()
            .find(|late| late.s3_address == "192.0.2.1:9000");
        one.map(|late| late.since)
    };
    let execute = async |sql: String| world.plane.database.execute(&sql).await;
    let (seen, later) = (noon() - TimeDelta::hours(2), noon() + TimeDelta::days(1));
    execute(format!(
        "INSERT INTO nodes (id, public_key, s3_address, last_seen, connected_until, created_at)
         VALUES (gen_random_uuid(), sha256('a node'), '192.0.2.1:9000', '{seen}', '{later}', '{seen}')"
    ))
    .await;
    assert_eq!(since().await, None);
    let of = "WHERE s3_address = '192.0.2.1:9000'";
    execute(format!("UPDATE nodes SET connected_until = NULL {of}")).await;
    assert_eq!(since().await, Some(seen));
    // It is waited for as long as it may serve.
    let seen = noon() - TimeDelta::days(10);
    execute(format!("UPDATE nodes SET last_seen = '{seen}' {of}")).await;
    assert_eq!(since().await, None);
    world.plane.stop().await;
}
