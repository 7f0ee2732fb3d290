//! A bucket's life, asked for by a node: made once, deleted when empty, mended where something broke off.

use chrono::Duration;
use controlplane::PlacementKind;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::BucketStatus;

use crate::plane::{NewTenant, Node, Plane, eventually};

async fn ask(
    plane: &Plane,
    node: &Node,
    tenant: &NewTenant,
    method: Method,
    name: &str,
) -> (u16, String) {
    ask_with(plane, node, tenant, method, name, json!({})).await
}

/// What an S3 client's request becomes at the control plane; `more` is what goes beside the name.
pub async fn ask_with(
    plane: &Plane,
    node: &Node,
    tenant: &NewTenant,
    method: Method,
    name: &str,
    more: Value,
) -> (u16, String) {
    let mut body = json!({
        "tenant_id": tenant.id, "access_key_id": tenant.access_key_id, "name": name, "request_id": "R1",
    });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    let token = node.token(plane.clock.now());
    let (status, body) = plane
        .request(method, wire::BUCKETS_PATH, Some(&token), Some(body))
        .await;
    (
        status.as_u16(),
        body["code"].as_str().unwrap_or_default().to_owned(),
    )
}

pub async fn create(plane: &Plane, node: &Node, tenant: &NewTenant, name: &str) -> (u16, String) {
    ask(plane, node, tenant, Method::POST, name).await
}

pub async fn delete(plane: &Plane, node: &Node, tenant: &NewTenant, name: &str) -> (u16, String) {
    ask(plane, node, tenant, Method::DELETE, name).await
}

pub fn ok(status: u16) -> (u16, String) {
    (status, String::new())
}

pub fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_bucket_is_made_pushed_and_deleted() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    let mut heard = stream.obey();
    let mut next = async || match heard.recv().await {
        Some(wire::ToNode::Tenant(document)) => document,
        other => panic!("{other:?}"),
    };
    assert_eq!(create(&plane, &node, &one, "photos").await, ok(200));
    let pushed = next().await.buckets.remove(0);
    assert_eq!(
        (pushed.name.as_str(), pushed.status),
        ("photos", BucketStatus::Active)
    );
    assert_eq!(pushed.placement.bucket, format!("vt-{}", pushed.id));
    assert_eq!(pushed.placement.prefix, "");
    assert_eq!(
        plane.engine.buckets(),
        vec![pushed.placement.bucket.clone()]
    );
    assert_eq!(
        create(&plane, &node, &one, "photos").await,
        refused(409, "BucketAlreadyOwnedByYou")
    );
    // Names are private to the tenant.
    assert_eq!(create(&plane, &node, &two, "photos").await, ok(200));
    assert_eq!(next().await.tenant_id, two.id.to_string());
    assert_eq!(plane.engine.buckets().len(), 2);

    plane.engine.change(&pushed.placement.bucket, |b| {
        b.uploads.insert("unfinished".to_owned());
    });
    assert_eq!(delete(&plane, &node, &one, "photos").await, ok(204));
    assert_eq!(
        next().await.buckets[0].status,
        BucketStatus::Deleting,
        "writes stop first"
    );
    assert_eq!(next().await.buckets, []);
    assert!(plane.engine.bucket(&pushed.placement.bucket).is_none());
    assert_eq!(
        delete(&plane, &node, &one, "photos").await,
        refused(404, "NoSuchBucket")
    );
    assert_eq!(
        plane.engine.buckets().len(),
        1,
        "the other tenant's is there"
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_bucket_that_is_not_empty_stays_and_can_be_written_again() {
    for placement in [PlacementKind::Dedicated, PlacementKind::Pooled] {
        let plane = Plane::with(placement).await;
        let (one, two) = (
            plane.tenant("one@example.com").await,
            plane.tenant("two@example.com").await,
        );
        let node = plane.node().await;
        assert_eq!(create(&plane, &node, &one, "photos").await, ok(200));
        assert_eq!(create(&plane, &node, &two, "photos").await, ok(200));
        let mut stream = plane.connect(&node, 0).await;
        let snapshot = stream.snapshot().await;
        stream.ack(snapshot.revision).await;
        let mut heard = stream.obey();
        let of = |tenant: &NewTenant| {
            let id = tenant.id.to_string();
            let document = snapshot.tenants.iter().find(|t| t.tenant_id == id).unwrap();
            document.buckets[0].clone()
        };
        let bucket = of(&one);
        if placement == PlacementKind::Pooled {
            assert_eq!(bucket.placement.bucket, "pool");
            assert_eq!(
                bucket.placement.prefix,
                format!("t/{}/{}/", one.id, bucket.id)
            );
        }
        let key = format!("{}cat.jpg", bucket.placement.prefix);
        let upload = format!("{}dog.jpg", bucket.placement.prefix);
        plane.engine.change(&bucket.placement.bucket, |b| {
            b.put(&key);
            b.uploads.insert(upload.clone());
        });
        assert_eq!(
            delete(&plane, &node, &one, "photos").await,
            refused(409, "BucketNotEmpty")
        );
        let mut states = Vec::new();
        while states.len() < 2 {
            if let Some(wire::ToNode::Tenant(document)) = heard.recv().await {
                states.push(document.buckets[0].status);
            }
        }
        assert_eq!(states, [BucketStatus::Deleting, BucketStatus::Active]);
        let left = plane.engine.bucket(&bucket.placement.bucket).unwrap();
        assert!(left.uploads.contains(&upload), "what stays, stays whole");
        // The other tenant's bucket of this name is empty, whatever lies beside it.
        assert_eq!(delete(&plane, &node, &two, "photos").await, ok(204));
        plane.engine.change(&bucket.placement.bucket, |b| {
            b.remove(&key);
        });
        assert_eq!(delete(&plane, &node, &one, "photos").await, ok(204));
        let left = plane.engine.bucket(&bucket.placement.bucket);
        assert!(left.is_none_or(|b| b.uploads.is_empty()));
        plane.stop().await;
    }
}

#[tokio::test]
async fn of_many_creations_of_one_name_exactly_one_wins() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    let all = (0..8).map(|_| create(&plane, &node, &tenant, "photos"));
    let mut answers = futures_util::future::join_all(all).await;
    answers.sort();
    assert_eq!(answers[0], ok(200));
    for lost in &answers[1..] {
        let codes = ["BucketAlreadyOwnedByYou", "OperationAborted"];
        assert!(
            lost.0 == 409 && codes.contains(&lost.1.as_str()),
            "{lost:?}"
        );
    }
    assert_eq!(plane.engine.buckets().len(), 1);
    plane.stop().await;
}

#[tokio::test]
async fn when_the_engine_fails_the_next_attempt_mends_it() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    plane.engine.set_broken(true);
    assert_eq!(
        create(&plane, &node, &tenant, "photos").await,
        refused(503, "unavailable")
    );
    assert_eq!(
        delete(&plane, &node, &tenant, "photos").await,
        refused(404, "NoSuchBucket")
    );
    plane.engine.set_broken(false);
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    plane.engine.set_broken(true);
    assert_eq!(
        delete(&plane, &node, &tenant, "photos").await,
        refused(503, "unavailable")
    );
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    assert_eq!(
        snapshot.tenants[0].buckets[0].status,
        BucketStatus::Active,
        "still usable"
    );
    plane.engine.set_broken(false);
    plane
        .database
        .execute("UPDATE nodes SET connected_until = NULL")
        .await;
    assert_eq!(delete(&plane, &node, &tenant, "photos").await, ok(204));
    assert!(plane.engine.buckets().is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn what_broke_off_in_between_is_taken_up_when_its_claim_is_over() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    // A control plane died in the middle.
    let died = async |status: &str| {
        let sql = format!(
            "UPDATE buckets SET status = '{status}', claim = gen_random_uuid(), claimed_until = '{}'",
            plane.clock.now() + Duration::seconds(60)
        );
        plane.database.execute(&sql).await;
    };
    died("creating").await;
    assert_eq!(
        create(&plane, &node, &tenant, "photos").await,
        refused(409, "OperationAborted")
    );
    plane.clock.advance(Duration::seconds(61));
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    died("deleting").await;
    assert_eq!(
        delete(&plane, &node, &tenant, "photos").await,
        refused(409, "OperationAborted")
    );
    assert_eq!(
        create(&plane, &node, &tenant, "photos").await,
        refused(409, "OperationAborted")
    );
    plane.clock.advance(Duration::seconds(61));
    assert_eq!(delete(&plane, &node, &tenant, "photos").await, ok(204));
    assert!(plane.engine.buckets().is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn a_bucket_does_not_go_while_a_node_may_still_write() {
    for placement in [PlacementKind::Dedicated, PlacementKind::Pooled] {
        let plane = Plane::with(placement).await;
        let tenant = plane.tenant("one@example.com").await;
        let node = plane.node().await;
        assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
        let mut stream = plane.connect(&node, 0).await;
        let revision = stream.snapshot().await.revision;
        assert_eq!(
            delete(&plane, &node, &tenant, "photos").await,
            refused(409, "OperationAborted")
        );
        stream.ack(revision).await;
        let _heard = stream.obey();
        eventually(async || delete(&plane, &node, &tenant, "photos").await == ok(204)).await;
        plane.stop().await;
    }
}

#[tokio::test]
async fn names_numbers_and_states_are_limited() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let other = plane.tenant("two@example.com").await;
    let node = plane.node().await;
    for name in [
        "ab",
        "Photos",
        "192.168.5.4",
        "xn--photos",
        "a..b",
        "../etc",
        "",
    ] {
        let answer = create(&plane, &node, &tenant, name).await;
        assert_eq!(answer, refused(400, "InvalidBucketName"), "{name}");
        assert_eq!(
            delete(&plane, &node, &tenant, name).await,
            refused(404, "NoSuchBucket")
        );
    }
    plane
        .database
        .execute("UPDATE terms SET bucket_limit = 2")
        .await;
    assert_eq!(create(&plane, &node, &tenant, "one").await, ok(200));
    assert_eq!(create(&plane, &node, &tenant, "two").await, ok(200));
    assert_eq!(
        create(&plane, &node, &tenant, "three").await,
        refused(400, "TooManyBuckets")
    );
    assert_eq!(
        create(&plane, &node, &other, "three").await,
        ok(200),
        "each tenant for itself"
    );
    assert_eq!(delete(&plane, &node, &tenant, "one").await, ok(204));
    assert_eq!(create(&plane, &node, &tenant, "three").await, ok(200));

    let set = async |status: &str| {
        let sql = format!(
            "UPDATE tenants SET status = '{status}' WHERE id = '{}'",
            tenant.id
        );
        plane.database.execute(&sql).await;
    };
    set("read_only").await;
    assert_eq!(
        create(&plane, &node, &tenant, "one").await,
        refused(403, "AccessDenied")
    );
    assert_eq!(
        delete(&plane, &node, &tenant, "three").await,
        ok(204),
        "deleting goes on"
    );
    set("suspended").await;
    assert_eq!(
        create(&plane, &node, &tenant, "one").await,
        refused(403, "AccessDenied")
    );
    assert_eq!(
        delete(&plane, &node, &tenant, "two").await,
        refused(403, "AccessDenied")
    );
    set("active").await;
    assert_eq!(create(&plane, &node, &tenant, "one").await, ok(200));
    plane.stop().await;
}

#[tokio::test]
async fn an_access_key_that_is_revoked_or_anothers_makes_nothing() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let node = plane.node().await;
    let mixed = NewTenant {
        id: two.id,
        access_key_id: one.access_key_id.clone(),
        secret_access_key: String::new(),
    };
    assert_eq!(
        create(&plane, &node, &mixed, "photos").await,
        refused(403, "AccessDenied")
    );
    assert_eq!(create(&plane, &node, &one, "photos").await, ok(200));
    let path = format!("/access-keys/{}", one.access_key_id);
    let (status, _): (StatusCode, Value) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        create(&plane, &node, &one, "videos").await,
        refused(403, "AccessDenied")
    );
    assert_eq!(
        delete(&plane, &node, &one, "photos").await,
        refused(403, "AccessDenied")
    );
    plane.stop().await;
}
