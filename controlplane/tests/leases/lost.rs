//! What becomes of a node's leases when it is gone, forgets them or uses them up.

use http::{Method, StatusCode};
use serde_json::json;
use wire::{FromNode, Quota, RequestClass, Resource, Taken, ToNode, UsageLine};

use super::{Holder, LIMIT, limited, quota, stored, sum};
use crate::plane::{Plane, Stream, eventually};

#[tokio::test]
async fn what_a_node_lost_account_of_is_held_until_the_inventories_have_seen_it() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    assert_eq!(one.answer(&stored(&tenant), 7000).await, Ok(7000));
    let Holder { node, stream, .. } = one;
    drop(stream);
    let mut one = Holder::open(&plane, node, "l2").await;
    assert!(one.hear_grants().await.grants.is_empty());
    assert_eq!(sum(&plane.database).await, (0, 7000));
    assert_eq!(one.answer(&stored(&tenant), 4000).await, Ok(4000));
    assert!(one.answer(&stored(&tenant), 4000).await.unwrap_err().held);
    plane.clock.advance(chrono::Duration::days(3));
    // A control plane looks for what was lost when it starts.
    let other = plane.beside().await;
    eventually(async || sum(&plane.database).await == (0, 4000)).await;
    other.shut_down().await;
    plane.stop().await;
}

/// Waits until the control plane knows that its one node is cut off.
async fn seen_as_gone(plane: &Plane) {
    eventually(async || {
        let (_, body) = plane.admin(Method::GET, "/nodes", None).await;
        body["nodes"][0]["connected"] == json!(false)
    })
    .await;
}

#[tokio::test]
async fn a_removed_node_gives_back_and_is_refused() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    assert_eq!(one.answer(&stored(&tenant), 7000).await, Ok(7000));
    let path = format!("/nodes/{}", one.node.id);
    drop(one.stream);
    seen_as_gone(&plane).await;
    assert!(
        sum(&plane.database).await.1 >= 7000,
        "held while it may come back"
    );
    let (status, _) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(sum(&plane.database).await, (0, 0));
    let (_, nodes) = plane.admin(Method::GET, "/nodes", None).await;
    assert_eq!(nodes["nodes"], json!([]));
    let (status, _) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let address = crate::plane::serve(&plane.cp).await;
    let token = one.node.token(plane.clock.now());
    assert!(
        Stream::open(&address, &token).await.is_err(),
        "its token is refused"
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_batch_takes_off_the_lease_what_it_took_and_uses_no_more() {
    let plane = Plane::start().await;
    let limits = json!({ "quota_bytes": LIMIT, "quota_egress_bytes": LIMIT });
    let tenant = limited(&plane, "a@example.com", limits).await;
    let maker = plane.node().await;
    let made = crate::buckets::create(&plane, &maker, &tenant, "photos").await;
    assert_eq!(made, crate::buckets::ok(200));
    let bucket: uuid::Uuid = sqlx::query_scalar("SELECT id FROM buckets")
        .fetch_one(&mut plane.database.superuser().await)
        .await
        .unwrap();
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    assert_eq!(one.answer(&stored(&tenant), 9000).await, Ok(9000));
    let egress = quota(&tenant, Resource::EgressBytes, 202603);
    assert_eq!(one.answer(&egress, 9000).await, Ok(9000));
    let taken = |quota: &Quota, amount, used| Taken {
        ledger: "l1".into(),
        quota: quota.clone(),
        amount,
        used,
    };
    let line = UsageLine {
        hour: u32::try_from(plane.clock.now().timestamp() / 3600).unwrap(),
        tenant_id: tenant.id.to_string(),
        bucket_id: bucket.simple().to_string(),
        access_key_id: tenant.access_key_id.clone(),
        class: RequestClass::A,
        requests: 2,
        bytes_in: 5000,
        bytes_out: 700,
        stored_bytes: 5000,
        stored_objects: 1,
        freed: Vec::new(),
        uploads: Vec::new(),
    };
    // Of 6000 that were promised 5000 were stored, and 400 may have been read without anybody's word.
    let batch = FromNode::Usage {
        boot: format!("{:016x}", 1),
        sequence: 1,
        lines: vec![line],
        taken: vec![
            taken(&stored(&tenant), 6000, 0),
            taken(&egress, 1100, 400),
            // Another ledger's is not this one's.
            Taken {
                ledger: "l0".into(),
                ..taken(&stored(&tenant), 1000, 0)
            },
        ],
    };
    // Booked once, however often it is sent.
    for _ in 0..2 {
        one.stream.say(&batch).await;
        while !matches!(one.stream.hear().await, ToNode::Booked { sequence: 1, .. }) {}
        let (used, outstanding) = sum(&plane.database).await;
        assert_eq!((used, outstanding), (5000, 3000 + 7900));
    }
    let path = format!("/tenants/{}", tenant.id);
    let (_, shown) = plane.admin(Method::GET, &path, None).await;
    assert_eq!(
        (&shown["stored_bytes"], &shown["egress_bytes"]),
        (&json!(5000), &json!(1100))
    );
    assert_eq!(one.answer(&stored(&tenant), 4000).await, Ok(13_000));
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_was_gone_for_long_must_begin_anew() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    assert_eq!(one.answer(&stored(&tenant), 7000).await, Ok(7000));
    let Holder { node, stream, .. } = one;
    drop(stream);
    // Else it may be seen once more, days later by this clock.
    seen_as_gone(&plane).await;
    plane.clock.advance(chrono::Duration::days(10));
    // A control plane looks for such nodes when it starts.
    let other = plane.beside().await;
    eventually(async || sum(&plane.database).await == (0, 0)).await;
    let mut one = Holder::open(&plane, node, "l1").await;
    assert!(matches!(one.hear().await, ToNode::Renew { ledger } if ledger == "l1"));
    let ledger = "l2".to_owned();
    one.stream.say(&FromNode::Ledger { ledger }).await;
    one.ledger = "l2".to_owned();
    assert!(one.hear_grants().await.grants.is_empty());
    assert_eq!(one.answer(&stored(&tenant), LIMIT).await, Ok(LIMIT));
    other.shut_down().await;
    plane.stop().await;
}
