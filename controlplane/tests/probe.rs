//! What is found out about an engine by trying, and that nothing is left of it.

use controlplane::PlacementKind;
use wire::EngineCapabilities;

use crate::engine::{ALL, Engine, Lack};
use crate::plane::{Plane, eventually};

/// As nodes are told.
async fn found(plane: &Plane) -> EngineCapabilities {
    let node = plane.node().await;
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    snapshot.settings.engines[0].capabilities
}

async fn probed(placement: PlacementKind, prepare: impl FnOnce(&Engine)) -> EngineCapabilities {
    let plane = Plane::on(placement, prepare).await;
    let found = found(&plane).await;
    match placement {
        PlacementKind::Dedicated => assert!(plane.engine.all_buckets().is_empty()),
        PlacementKind::Pooled => {
            assert_eq!(plane.engine.all_buckets(), ["pool"]);
            let pool = plane.engine.bucket("pool").unwrap();
            assert!(pool.keys().is_empty() && !pool.versioned);
        }
    }
    plane.stop().await;
    found
}

const NAMES: [&str; 12] = [
    "checksums",
    "crc64nvme",
    "newer_checksums",
    "versioning",
    "object_lock",
    "object_tagging",
    "bucket_tagging",
    "lifecycle",
    "bucket_encryption",
    "sse_s3",
    "sse_c",
    "object_attributes",
];

/// Everything but the named ones.
fn without(names: &[&str]) -> EngineCapabilities {
    let mut all = serde_json::to_value(ALL).unwrap();
    for name in names {
        assert!(all[name].as_bool().unwrap(), "{name}");
        all[name] = false.into();
    }
    serde_json::from_value(all).unwrap()
}

#[tokio::test]
async fn what_an_engine_is_able_to_is_found_and_nothing_is_left() {
    assert_eq!(probed(PlacementKind::Dedicated, |_| {}).await, ALL);
}

#[tokio::test]
async fn each_ability_that_is_missing_is_missed_alone() {
    for (n, name) in NAMES.into_iter().enumerate() {
        let abilities = without(&[name]);
        let lacks = [Lack::NotImplemented, Lack::BadRequest, Lack::Ignored];
        let lack = lacks[n % lacks.len()];
        let prepare = |engine: &Engine| engine.set_abilities(abilities, lack);
        let found = probed(PlacementKind::Dedicated, prepare).await;
        assert_eq!(found, abilities, "{name} {lack:?}");
    }
}

#[tokio::test]
async fn an_engine_that_knows_nothing_beyond_objects_is_believed_nothing() {
    let nothing = without(&NAMES);
    for lack in [
        Lack::NotImplemented,
        Lack::BadRequest,
        Lack::InternalError,
        Lack::Ignored,
    ] {
        let prepare = |engine: &Engine| engine.set_abilities(nothing, lack);
        let found = probed(PlacementKind::Dedicated, prepare).await;
        assert_eq!(found, nothing, "{lack:?}");
    }
}

#[tokio::test]
async fn a_bucket_encryption_that_ends_all_writing_is_none() {
    // As SeaweedFS without a key of its own: it keeps the setting, and answers 500 to every object from then on.
    let prepare = |engine: &Engine| engine.set_abilities(without(&["sse_s3"]), Lack::InternalError);
    let found = probed(PlacementKind::Dedicated, prepare).await;
    assert_eq!(found, without(&["sse_s3", "bucket_encryption"]));
}

#[tokio::test]
async fn a_pool_bucket_is_not_experimented_with() {
    let of_buckets = without(&[
        "versioning",
        "object_lock",
        "bucket_tagging",
        "lifecycle",
        "bucket_encryption",
    ]);
    assert_eq!(probed(PlacementKind::Pooled, |_| {}).await, of_buckets);
}

#[tokio::test]
async fn what_fails_alone_later_stays_as_it_was_known() {
    let plane = Plane::start().await;
    assert_eq!(found(&plane).await, ALL);
    let again = async |abilities, lack| {
        plane.engine.set_abilities(abilities, lack);
        let sql = "UPDATE engines SET probed_at = NULL";
        plane.database.execute(sql).await;
        let beside = plane.beside().await;
        let mut conn = plane.database.superuser().await;
        eventually(async || {
            let sql = "SELECT count(*) FROM engines WHERE probed_at IS NOT NULL";
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
            count == 1
        })
        .await;
        beside.shut_down().await;
        found(&plane).await
    };
    let weak = without(&["lifecycle", "object_tagging"]);
    assert_eq!(again(weak, Lack::InternalError).await, ALL);
    // A plain no is another matter.
    assert_eq!(again(weak, Lack::NotImplemented).await, weak);
    plane.stop().await;
}

#[tokio::test]
async fn an_engine_that_is_down_is_asked_again() {
    let plane = Plane::start().await;
    plane.engine.set_broken(true);
    let sql = "UPDATE engines SET probed_at = NULL, capabilities = '{}'";
    plane.database.execute(sql).await;
    let beside = plane.beside().await;
    plane.engine.heard_while_broken().await;
    assert_eq!(found(&plane).await, EngineCapabilities::default());
    plane.engine.set_broken(false);
    let mut conn = plane.database.superuser().await;
    eventually(async || {
        let sql = "SELECT count(*) FROM engines WHERE probed_at IS NOT NULL";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
        count == 1
    })
    .await;
    assert_eq!(found(&plane).await, ALL);
    beside.shut_down().await;
    plane.stop().await;
}
