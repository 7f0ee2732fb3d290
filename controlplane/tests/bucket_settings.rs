//! What a customer sets on a bucket: who may read it, and which web pages may use it. Public names are everybody's.

use chrono::Duration;
use controlplane::ids::BucketId;
use controlplane::{Actor, Origin, PlacementKind, audit, buckets};
use http::Method;
use serde_json::{Value, json};
use wire::{BucketSetting, BucketStatus};

use crate::buckets::{ask_with, create, delete, ok, refused};
use crate::plane::{NewTenant, Node, Plane};

async fn set(
    plane: &Plane,
    node: &Node,
    tenant: &NewTenant,
    name: &str,
    setting: Value,
) -> (u16, String) {
    let more = json!({ "setting": setting });
    ask_with(plane, node, tenant, Method::PATCH, name, more).await
}

async fn publish(plane: &Plane, node: &Node, tenant: &NewTenant, name: &str) -> (u16, String) {
    set(plane, node, tenant, name, json!({ "public_read": true })).await
}

async fn hide(plane: &Plane, node: &Node, tenant: &NewTenant, name: &str) -> (u16, String) {
    set(plane, node, tenant, name, json!({ "public_read": false })).await
}

async fn create_public(
    plane: &Plane,
    node: &Node,
    tenant: &NewTenant,
    name: &str,
) -> (u16, String) {
    let more = json!({ "public_read": true });
    ask_with(plane, node, tenant, Method::POST, name, more).await
}

async fn bucket(plane: &Plane, tenant: &NewTenant, name: &str) -> Option<buckets::Bucket> {
    let mut tx = plane.cp.begin_tenant(tenant.id).await.unwrap();
    let all = buckets::list(&mut tx).await.unwrap();
    all.into_iter().find(|bucket| bucket.name == name)
}

async fn actions(plane: &Plane, tenant: &NewTenant) -> Vec<(String, Value)> {
    let mut tx = plane.cp.begin_tenant(tenant.id).await.unwrap();
    let entries = audit::list(&mut tx, 100).await.unwrap();
    let of_settings = entries
        .into_iter()
        .filter(|entry| entry.action.starts_with("bucket.set_"))
        .inspect(|entry| assert_eq!(entry.actor, tenant.access_key_id));
    of_settings.map(|e| (e.action, e.details)).collect()
}

fn cors() -> Value {
    json!([{
        "id": "web", "allowed_origins": ["https://example.com"], "allowed_methods": ["GET"],
        "allowed_headers": ["*"], "expose_headers": ["ETag"], "max_age_seconds": 60,
    }])
}

#[tokio::test]
async fn a_setting_is_pushed_listed_and_written_down_once() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    let mut stream = plane.connect(&node, 0).await;
    let snapshot = stream.snapshot().await;
    let before = &snapshot.tenants[0].buckets[0];
    assert!(!before.public_read && before.cors.is_empty());
    stream.ack(snapshot.revision).await;
    let mut heard = stream.obey();
    let mut next = async || match heard.recv().await {
        Some(wire::ToNode::Tenant(mut document)) => document.buckets.remove(0),
        other => panic!("{other:?}"),
    };
    assert_eq!(publish(&plane, &node, &tenant, "photos").await, ok(200));
    let pushed = next().await;
    assert!(pushed.public_read && pushed.cors.is_empty());
    let rules = json!({ "cors": cors() });
    let answer = set(&plane, &node, &tenant, "photos", rules.clone()).await;
    assert_eq!(answer, ok(200));
    let pushed = next().await;
    assert!(pushed.public_read, "one setting leaves the other alone");
    assert_eq!(json!(pushed.cors), cors());
    // What is so already is no change, and told to nobody.
    assert_eq!(publish(&plane, &node, &tenant, "photos").await, ok(200));
    let answer = set(&plane, &node, &tenant, "photos", rules).await;
    assert_eq!(answer, ok(200));
    let listed = bucket(&plane, &tenant, "photos").await.unwrap();
    assert!(listed.public_read && json!(listed.cors) == cors());
    assert_eq!(hide(&plane, &node, &tenant, "photos").await, ok(200));
    assert!(!next().await.public_read);
    let none = json!({ "cors": [] });
    assert_eq!(set(&plane, &node, &tenant, "photos", none).await, ok(200));
    assert!(next().await.cors.is_empty());
    let written = [
        ("bucket.set_cors", json!({ "rules": 0 })),
        ("bucket.set_public_read", json!({ "public_read": false })),
        ("bucket.set_cors", json!({ "rules": 1 })),
        ("bucket.set_public_read", json!({ "public_read": true })),
    ];
    let written = written.map(|(action, details)| (action.to_owned(), details));
    assert_eq!(actions(&plane, &tenant).await, written);
    plane.stop().await;
}

#[tokio::test]
async fn a_public_name_is_one_tenants_at_a_time() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let node = plane.node().await;
    for tenant in [&one, &two] {
        assert_eq!(create(&plane, &node, tenant, "photos").await, ok(200));
    }
    let taken = refused(409, "BucketAlreadyExists");
    assert_eq!(publish(&plane, &node, &one, "photos").await, ok(200));
    assert_eq!(publish(&plane, &node, &two, "photos").await, taken);
    assert!(
        !bucket(&plane, &two, "photos").await.unwrap().public_read,
        "it stays private, and usable"
    );
    assert!(actions(&plane, &two).await.is_empty());
    let rules = json!({ "cors": cors() });
    assert_eq!(set(&plane, &node, &two, "photos", rules).await, ok(200));

    assert_eq!(hide(&plane, &node, &one, "photos").await, ok(200));
    assert_eq!(publish(&plane, &node, &two, "photos").await, ok(200));
    assert_eq!(publish(&plane, &node, &one, "photos").await, taken);
    assert_eq!(delete(&plane, &node, &two, "photos").await, ok(204));
    assert_eq!(publish(&plane, &node, &one, "photos").await, ok(200));
    plane.stop().await;
}

#[tokio::test]
async fn of_many_tenants_that_publish_one_name_exactly_one_wins() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let mut tenants = Vec::new();
    for n in 0..6 {
        let tenant = plane.tenant(&format!("{n}@example.com")).await;
        if n % 2 == 0 {
            assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
        }
        tenants.push(tenant);
    }
    let all = tenants.iter().enumerate().map(async |(n, tenant)| {
        if n % 2 == 0 {
            publish(&plane, &node, tenant, "photos").await
        } else {
            create_public(&plane, &node, tenant, "photos").await
        }
    });
    let mut answers = futures_util::future::join_all(all).await;
    answers.sort();
    assert_eq!(answers[0], ok(200));
    for lost in &answers[1..] {
        assert_eq!(*lost, refused(409, "BucketAlreadyExists"));
    }
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    let buckets = snapshot.tenants.iter().flat_map(|t| &t.buckets);
    assert_eq!(buckets.filter(|b| b.public_read).count(), 1);
    plane.stop().await;
}

#[tokio::test]
async fn a_bucket_that_is_born_public_leaves_nothing_when_its_name_is_taken() {
    for placement in [PlacementKind::Dedicated, PlacementKind::Pooled] {
        let plane = Plane::with(placement).await;
        let (one, two) = (
            plane.tenant("one@example.com").await,
            plane.tenant("two@example.com").await,
        );
        let node = plane.node().await;
        assert_eq!(create_public(&plane, &node, &one, "photos").await, ok(200));
        let made = plane.engine.buckets();
        let sql = "UPDATE terms SET bucket_limit = 1";
        plane.database.execute(sql).await;
        let taken = refused(409, "BucketAlreadyExists");
        assert_eq!(create_public(&plane, &node, &two, "photos").await, taken);
        assert_eq!(plane.engine.buckets(), made);
        // The plan's one bucket is still to be had, and under that name.
        assert_eq!(create(&plane, &node, &two, "photos").await, ok(200));
        let snapshot = plane.connect(&node, 0).await.snapshot().await;
        let public = |tenant: &NewTenant| {
            let id = tenant.id.to_string();
            let document = snapshot.tenants.iter().find(|t| t.tenant_id == id).unwrap();
            document.buckets[0].public_read
        };
        assert_eq!((public(&one), public(&two)), (true, false));
        plane.stop().await;
    }
}

#[tokio::test]
async fn a_creation_that_breaks_off_keeps_no_public_name() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let node = plane.node().await;
    let unavailable = refused(503, "unavailable");
    plane.engine.set_broken(true);
    let answer = create_public(&plane, &node, &one, "photos").await;
    assert_eq!(answer, unavailable);
    plane.engine.set_broken(false);
    assert_eq!(create_public(&plane, &node, &two, "photos").await, ok(200));
    // Taken up again, it is what the new attempt asks for.
    let taken = refused(409, "BucketAlreadyExists");
    assert_eq!(create_public(&plane, &node, &one, "photos").await, taken);
    assert_eq!(create(&plane, &node, &one, "photos").await, ok(200));
    assert!(!bucket(&plane, &one, "photos").await.unwrap().public_read);

    plane.engine.set_broken(true);
    assert_eq!(create(&plane, &node, &one, "music").await, unavailable);
    plane.engine.set_broken(false);
    assert_eq!(create_public(&plane, &node, &one, "music").await, ok(200));
    assert!(bucket(&plane, &one, "music").await.unwrap().public_read);
    plane.stop().await;
}

#[tokio::test]
async fn a_control_plane_that_died_keeps_no_public_name_beyond_its_claim() {
    let plane = Plane::start().await;
    let tenants = [
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    ];
    let node = plane.node().await;
    let [one, two] = &tenants;
    let taken = refused(409, "BucketAlreadyExists");
    for name in ["photos", "music"] {
        assert_eq!(create_public(&plane, &node, one, name).await, ok(200));
    }
    let sql = format!(
        "UPDATE buckets SET status = 'creating', claim = gen_random_uuid(), claimed_until = '{}'",
        plane.clock.now() + Duration::seconds(60)
    );
    plane.database.execute(&sql).await;
    assert_eq!(create(&plane, &node, two, "music").await, ok(200));
    let publish_music = async || publish(&plane, &node, two, "music").await;
    assert_eq!(create_public(&plane, &node, two, "photos").await, taken);
    assert_eq!(publish_music().await, taken);
    plane.clock.advance(Duration::seconds(61));
    assert_eq!(create_public(&plane, &node, two, "photos").await, ok(200));
    assert_eq!(publish_music().await, ok(200));
    // Whoever was at work on them has lost them.
    let mut conn = plane.database.superuser().await;
    let sql = "SELECT count(*) FROM buckets WHERE status = 'creating' AND claim IS NULL AND NOT public_read";
    let lost: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    assert_eq!(lost, 2);
    plane.stop().await;
}

#[tokio::test]
async fn a_setting_is_refused_where_there_is_nothing_to_set() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &one, "photos").await, ok(200));
    let publish = async |tenant| publish(&plane, &node, tenant, "photos").await;
    assert_eq!(publish(&two).await, refused(404, "NoSuchBucket"));
    let state = async |sql: &str| plane.database.execute(sql).await;
    for (status, answer) in [
        ("creating", refused(404, "NoSuchBucket")),
        ("deleting", refused(409, "OperationAborted")),
    ] {
        state(&format!("UPDATE buckets SET status = '{status}'")).await;
        assert_eq!(publish(&one).await, answer);
    }
    state("UPDATE buckets SET status = 'active'").await;
    for status in ["read_only", "suspended"] {
        state(&format!("UPDATE tenants SET status = '{status}'")).await;
        assert_eq!(publish(&one).await, refused(403, "AccessDenied"));
    }
    state("UPDATE tenants SET status = 'active'").await;
    let mixed = NewTenant {
        id: one.id,
        access_key_id: two.access_key_id.clone(),
        secret_access_key: String::new(),
    };
    assert_eq!(publish(&mixed).await, refused(403, "AccessDenied"));
    assert!(!bucket(&plane, &one, "photos").await.unwrap().public_read);
    assert_eq!(publish(&one).await, ok(200));
    assert!(bucket(&plane, &one, "photos").await.unwrap().public_read);
    plane.stop().await;
}

#[tokio::test]
async fn an_account_that_is_read_only_may_take_access_away() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    let set_cors = async |rules| {
        let setting = json!({ "cors": rules });
        set(&plane, &node, &tenant, "photos", setting).await
    };
    let state = async |status: &str| {
        let sql = format!("UPDATE tenants SET status = '{status}'");
        plane.database.execute(&sql).await;
    };
    for (status, answer) in [
        ("suspended", refused(403, "AccessDenied")),
        ("read_only", ok(200)),
    ] {
        state("active").await;
        assert_eq!(publish(&plane, &node, &tenant, "photos").await, ok(200));
        assert_eq!(set_cors(cors()).await, ok(200));
        state(status).await;
        assert_eq!(set_cors(json!([])).await, answer, "{status}");
        assert_eq!(
            hide(&plane, &node, &tenant, "photos").await,
            answer,
            "{status}"
        );
    }
    let left = bucket(&plane, &tenant, "photos").await.unwrap();
    assert!(!left.public_read && left.cors.is_empty());
    let refusal = refused(403, "AccessDenied");
    assert_eq!(set_cors(cors()).await, refusal);
    assert_eq!(publish(&plane, &node, &tenant, "photos").await, refusal);
    plane.stop().await;
}

#[tokio::test]
async fn cors_rules_that_s3_does_not_take_change_nothing() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    let set_cors = async |rules| {
        let setting = json!({ "cors": rules });
        set(&plane, &node, &tenant, "photos", setting).await
    };
    assert_eq!(set_cors(cors()).await, ok(200));
    let rule = |origin: &str, method: &str| json!([{ "allowed_origins": [origin], "allowed_methods": [method] }]);
    let invalid = refused(400, "InvalidRequest");
    assert_eq!(set_cors(rule("*.*", "GET")).await, invalid);
    assert_eq!(set_cors(rule("*", "PATCH")).await, invalid);
    let none = json!([{ "allowed_origins": [], "allowed_methods": ["GET"] }]);
    assert_eq!(set_cors(none).await, refused(400, "MalformedXML"));
    let kept = bucket(&plane, &tenant, "photos").await.unwrap().cors;
    assert_eq!(json!(kept), cors());
    assert_eq!(set_cors(rule("*", "GET")).await, ok(200));
    plane.stop().await;
}

#[tokio::test]
async fn a_member_can_set_what_a_key_can() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    let set = async |name, public| {
        let setting = BucketSetting::PublicRead(public);
        buckets::set(
            &plane.cp,
            tenant.id,
            name,
            setting,
            Actor::Operator,
            Origin::default(),
        )
        .await
    };
    let receipt = set("photos", true).await.unwrap();
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    assert_eq!(snapshot.revision, receipt.revision);
    let pushed = &snapshot.tenants[0].buckets[0];
    assert!(pushed.public_read && pushed.status == BucketStatus::Active);
    let listed = bucket(&plane, &tenant, "photos").await.unwrap();
    assert_eq!(pushed.id.parse::<BucketId>().unwrap(), listed.id);
    let error = set("music", true).await.unwrap_err();
    assert_eq!(error.code(), "NoSuchBucket");
    plane.stop().await;
}

#[tokio::test]
async fn a_setting_of_a_newer_node_is_refused_and_changes_nothing() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    for later in [
        json!({ "of_a_later_release": true }),
        json!("of_a_later_release"),
    ] {
        let (status, _) = set(&plane, &node, &tenant, "photos", later).await;
        assert!((400..500).contains(&status), "{status}");
    }
    let after = bucket(&plane, &tenant, "photos").await.unwrap();
    assert!(!after.public_read && after.cors.is_empty());
    assert_eq!(publish(&plane, &node, &tenant, "photos").await, ok(200));
    plane.stop().await;
}
