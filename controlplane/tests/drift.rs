//! Drift between database and engines: found, put right where nothing is lost by it, and nothing deleted that a row could
//! own or that nobody has counted.

use controlplane::PlacementKind;
use controlplane::buckets::{self, NewBucket};
use controlplane::ids::TenantId;
use controlplane::{Actor, Origin};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::engines::with_second;
use crate::plane::Plane;

const ORPHAN: &str = "vt-0123456789abcdef0123456789abcdef";
const EMPTY_ORPHAN: &str = "vt-fedcba9876543210fedcba9876543210";
const LONG_AGO: &str = "2026-02-01T00:00:00.000Z";

async fn drift(plane: &Plane, wish: Value) -> Value {
    let (status, report) = plane.admin(Method::POST, "/drift", Some(wish)).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    report
}

async fn refused(plane: &Plane, wish: Value) -> (String, String) {
    let (status, problem) = plane.admin(Method::POST, "/drift", Some(wish)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    let text = |field: &str| problem[field].as_str().unwrap().to_owned();
    (text("code"), text("detail"))
}

/// Kind and place of each finding.
fn found(report: &Value) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found: Vec<_> = findings
        .map(|f| (text(&f["kind"]), text(&f["place"])))
        .collect();
    found.sort();
    found
}

fn pair(kind: &str, place: &str) -> (String, String) {
    (kind.to_owned(), place.to_owned())
}

async fn make(plane: &Plane, tenant: TenantId, name: &str) {
    let new = NewBucket {
        name: name.to_owned(),
        ..NewBucket::default()
    };
    buckets::create(&plane.cp, tenant, new, Actor::Operator, Origin::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn where_all_agrees_nothing_is_found_and_nothing_is_done() {
    let plane = Plane::start().await;
    let (status, _) = plane.admin(Method::GET, "/drift", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    with_second(&plane).await;
    let one = plane.tenant("one@example.com").await.id;
    make(&plane, one, "photos").await;
    let report = drift(&plane, json!({ "repair": true, "usage": true })).await;
    assert_eq!(report["findings"], json!([]));
    assert_eq!(
        (&report["rows"], &report["not_looked"]),
        (&json!(1), &json!([]))
    );
    assert_eq!(plane.engine.buckets().len(), 1);
    let (_, last) = plane.admin(Method::GET, "/drift", None).await;
    assert_eq!(last, report);
    plane.stop().await;
}

#[tokio::test]
async fn what_is_in_no_row_is_deleted_only_by_its_number_and_what_is_in_one_never() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id;
    make(&plane, one, "photos").await;
    let owned = plane.engine.buckets()[0].clone();
    plane.engine.change(&owned, |bucket| bucket.put("precious"));
    plane.engine.make(ORPHAN, LONG_AGO, &["a", "b"]);
    plane.engine.make(EMPTY_ORPHAN, LONG_AGO, &[]);
    plane.engine.make("somebody-elses", LONG_AGO, &["x"]);

    let expected = [
        pair("orphan_bucket", ORPHAN),
        pair("orphan_bucket", EMPTY_ORPHAN),
    ];
    let report = drift(&plane, json!({ "repair": true })).await;
    assert_eq!(found(&report), expected);
    assert_eq!(report["orphans"], 2);
    assert_eq!(report["findings"][0]["objects"], 2);
    assert_eq!(plane.engine.buckets().len(), 4, "reported, and no more");

    for wish in [
        json!({ "repair": true, "delete_orphans": true }),
        json!({ "repair": true, "delete_orphans": true, "confirm": 1 }),
        json!({ "repair": true, "delete_orphans": true, "confirm": 3 }),
    ] {
        let (code, detail) = refused(&plane, wish).await;
        assert_eq!(code, "confirm_orphans");
        assert!(
            detail.contains("2 buckets") && detail.contains("2 objects"),
            "{detail}"
        );
    }
    assert_eq!(plane.engine.buckets().len(), 4);

    let report = drift(
        &plane,
        json!({ "repair": true, "delete_orphans": true, "confirm": 2 }),
    )
    .await;
    let done = report["findings"].as_array().unwrap().iter();
    assert!(
        done.map(|f| &f["done"]).all(|done| done == "deleted"),
        "{report}"
    );
    let mut left = plane.engine.buckets();
    left.sort();
    let mut expected = [owned.clone(), "somebody-elses".to_owned()];
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(plane.engine.bucket(&owned).unwrap().keys(), ["precious"]);
    assert_eq!(found(&drift(&plane, json!({})).await), []);
    plane.stop().await;
}

#[tokio::test]
async fn a_bucket_that_moved_to_another_engines_row_is_not_taken_for_an_orphan() {
    let plane = Plane::start().await;
    let east = with_second(&plane).await;
    let one = plane.tenant("one@example.com").await.id;
    make(&plane, one, "photos").await;
    let name = plane.engine.buckets()[0].clone();
    // Its objects were carried to the other engine by hand, and its row was told; the old copy is still there.
    east.make(&name, LONG_AGO, &["k"]);
    plane
        .database
        .execute("UPDATE buckets SET engine_id = 'east'")
        .await;
    let wish = json!({ "repair": true, "delete_orphans": true, "confirm": 0 });
    assert_eq!(found(&drift(&plane, wish).await), []);
    assert_eq!((plane.engine.buckets().len(), east.buckets().len()), (1, 1));
    plane.stop().await;
}

#[tokio::test]
async fn a_missing_bucket_is_made_anew_empty_by_whoever_names_the_number() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await.id,
        plane.tenant("two@example.com").await.id,
    );
    make(&plane, one, "photos").await;
    let lost = plane.engine.buckets()[0].clone();
    make(&plane, two, "kept").await;
    plane.engine.lose(&lost);
    plane
        .database
        .execute("UPDATE bucket_usage SET stored_bytes = 7, objects = 1")
        .await;

    let report = drift(&plane, json!({ "repair": true })).await;
    assert_eq!(found(&report), [pair("missing_bucket", &lost)]);
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["bucket"], &finding["done"]),
        (&json!("photos"), &Value::Null)
    );
    assert!(finding["note"].as_str().unwrap().contains("gone"));
    assert!(!plane.engine.buckets().contains(&lost));
    let (code, detail) = refused(&plane, json!({ "repair": true, "remake": 2 })).await;
    assert!(
        code == "confirm_missing" && detail.contains("1 buckets"),
        "{code} {detail}"
    );
    assert!(!plane.engine.buckets().contains(&lost));

    let report = drift(&plane, json!({ "repair": true, "remake": 1 })).await;
    let done = report["findings"][0]["done"].as_str().unwrap();
    assert!(done.contains("made anew, empty"), "{done}");
    assert!(plane.engine.bucket(&lost).unwrap().keys().is_empty());
    let mut tx = plane.cp.begin_tenant(one).await.unwrap();
    let entries = controlplane::audit::list(&mut tx, 10).await.unwrap();
    assert_eq!(
        (entries[0].action.as_str(), entries[0].target.as_str()),
        ("bucket.remake", "photos")
    );
    drop(tx);
    assert_eq!(found(&drift(&plane, json!({})).await), []);
    plane.stop().await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_named_and_its_buckets_are_not_called_missing() {
    let plane = Plane::start().await;
    let east = with_second(&plane).await;
    let one = plane.tenant("one@example.com").await.id;
    make(&plane, one, "photos").await;
    plane.engine.admit(&["nobody"]);
    east.make(ORPHAN, LONG_AGO, &[]);
    let report = drift(&plane, json!({ "repair": true })).await;
    assert_eq!(found(&report), [pair("orphan_bucket", ORPHAN)]);
    assert_eq!(report["not_looked"][0]["engine"], "main");
    plane.engine.admit(&[]);
    let report = drift(&plane, json!({})).await;
    assert_eq!(report["not_looked"], json!([]));
    plane.stop().await;
}

#[tokio::test]
async fn a_creation_that_broke_off_is_given_up_unless_something_is_in_it() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id;
    make(&plane, one, "empty").await;
    make(&plane, one, "full").await;
    let sql = "SELECT engine_bucket FROM buckets WHERE name = 'full'";
    let mut conn = plane.database.superuser().await;
    let full: String = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    plane.engine.change(&full, |bucket| bucket.put("k"));
    // As long as somebody is at work on it, it is nobody else's.
    let claimed = "UPDATE buckets SET status = 'creating', claim = gen_random_uuid(), claimed_until = '2026-03-01T12:01:00Z'";
    plane.database.execute(claimed).await;
    assert_eq!(found(&drift(&plane, json!({ "repair": true })).await), []);
    plane.clock.advance(chrono::Duration::minutes(2));
    let report = drift(&plane, json!({ "repair": true })).await;
    assert_eq!(found(&report).len(), 2);
    for finding in report["findings"].as_array().unwrap() {
        let done = finding["done"].as_str().unwrap();
        match finding["bucket"].as_str().unwrap() {
            "empty" => assert_eq!(done, "given up"),
            _ => assert!(done.contains("something is in it"), "{done}"),
        }
    }
    assert_eq!(plane.engine.buckets(), [full]);
    assert_eq!(
        plane.database.count("SELECT count(*) FROM buckets").await,
        1
    );
    plane.stop().await;
}

#[tokio::test]
async fn what_probes_left_goes_and_what_a_probe_is_at_work_on_stays() {
    let plane = Plane::start().await;
    plane
        .engine
        .make("vaultaire-probe-0000000000000001", LONG_AGO, &["plain"]);
    plane.engine.make(
        "vaultaire-probe-0000000000000002",
        "2026-03-01T11:59:59.000Z",
        &["plain"],
    );
    let report = drift(&plane, json!({})).await;
    assert_eq!(
        found(&report),
        [pair("probe_leftover", "vaultaire-probe-0000000000000001")]
    );
    assert_eq!(plane.engine.all_buckets().len(), 2);
    drift(&plane, json!({ "repair": true })).await;
    assert_eq!(
        plane.engine.all_buckets(),
        ["vaultaire-probe-0000000000000002"]
    );
    plane.stop().await;
}

#[tokio::test]
async fn in_a_pool_a_prefix_without_a_row_is_an_orphan_and_its_neighbours_stay() {
    let plane = Plane::with(PlacementKind::Pooled).await;
    let one = plane.tenant("one@example.com").await.id;
    make(&plane, one, "photos").await;
    let mut conn = plane.database.superuser().await;
    let sql = "SELECT prefix FROM buckets";
    let prefix: String = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    let id = "0123456789abcdef0123456789abcdef";
    let orphan = format!("t/{one}/{id}/");
    plane.engine.change("pool", |pool| {
        pool.put(&format!("{prefix}precious"));
        pool.put(&format!("{orphan}a"));
        pool.put(&format!("{orphan}b/c"));
        pool.put("of-somebody-else");
    });
    let place = format!("pool/{orphan}");
    let report = drift(&plane, json!({ "repair": true })).await;
    assert_eq!(found(&report), [pair("orphan_prefix", &place)]);
    assert_eq!(plane.engine.bucket("pool").unwrap().keys().len(), 4);
    let wish = json!({ "repair": true, "delete_orphans": true, "confirm": 1 });
    let report = drift(&plane, wish).await;
    assert_eq!(report["findings"][0]["done"], "deleted");
    let precious = format!("{prefix}precious");
    assert_eq!(
        plane.engine.bucket("pool").unwrap().keys(),
        ["of-somebody-else", &precious]
    );

    plane.engine.lose("pool");
    let report = drift(&plane, json!({ "repair": true })).await;
    assert_eq!(found(&report), [pair("missing_pool", "pool")]);
    plane.stop().await;
}

#[tokio::test]
async fn usage_that_is_not_what_is_there_is_found_and_booked() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id;
    make(&plane, one, "photos").await;
    let name = plane.engine.buckets()[0].clone();
    plane.engine.change(&name, |bucket| {
        bucket.put("a");
        bucket.put("b");
    });
    assert_eq!(found(&drift(&plane, json!({})).await), []);
    let report = drift(&plane, json!({ "usage": true })).await;
    assert_eq!(found(&report), [pair("usage", &name)]);
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["bytes"], &finding["objects"]),
        (&json!(14), &json!(2))
    );
    let tenant = format!("/tenants/{one}");
    let stored = async || plane.admin(Method::GET, &tenant, None).await.1["stored_bytes"].clone();
    assert_eq!(stored().await, 0);
    drift(&plane, json!({ "usage": true, "repair": true })).await;
    assert_eq!(stored().await, 14);
    plane.stop().await;
}
