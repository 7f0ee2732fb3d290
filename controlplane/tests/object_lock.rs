//! Buckets made with S3 Object Lock: only where the engine holds locks, and whatever a former attempt asked for.

use chrono::Duration;
use controlplane::PlacementKind;
use http::Method;
use serde_json::json;
use wire::EngineCapabilities;

use crate::buckets::{ask_with, create, ok, refused};
use crate::engine::{ALL, Lack};
use crate::plane::{NewTenant, Node, Plane};

async fn create_locked(
    plane: &Plane,
    node: &Node,
    tenant: &NewTenant,
    name: &str,
) -> (u16, String) {
    let more = json!({ "object_lock": true });
    ask_with(plane, node, tenant, Method::POST, name, more).await
}

/// Of the tenants' only bucket on the engine.
fn is_locked(plane: &Plane) -> bool {
    let buckets = plane.engine.buckets();
    let [name] = buckets.as_slice() else {
        panic!("{buckets:?}");
    };
    plane.engine.bucket(name).unwrap().locked
}

#[tokio::test]
async fn a_bucket_is_made_with_object_lock_where_that_holds() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(
        create_locked(&plane, &node, &tenant, "vault").await,
        ok(200)
    );
    assert!(is_locked(&plane));
    let (_, body) = plane
        .admin(
            Method::GET,
            &format!("/tenants/{}/buckets", tenant.id),
            None,
        )
        .await;
    assert_eq!(body["buckets"][0]["object_lock"], json!(true));
    plane.stop().await;

    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "plain").await, ok(200));
    assert!(!is_locked(&plane), "only who asks for it gets it");
    plane.stop().await;
}

#[tokio::test]
async fn object_lock_is_refused_where_it_would_not_hold() {
    // Such an engine makes a bucket without a lock and says that all is well.
    let weak = EngineCapabilities {
        object_lock: false,
        ..ALL
    };
    for (placement, abilities) in [
        (PlacementKind::Pooled, ALL),
        (PlacementKind::Dedicated, weak),
    ] {
        let prepare =
            |engine: &crate::engine::Engine| engine.set_abilities(abilities, Lack::Ignored);
        let plane = Plane::on(placement, prepare).await;
        let tenant = plane.tenant("one@example.com").await;
        let node = plane.node().await;
        let before = plane.engine.buckets();
        let sql = "UPDATE terms SET bucket_limit = 1";
        plane.database.execute(sql).await;
        assert_eq!(
            create_locked(&plane, &node, &tenant, "vault").await,
            refused(501, "NotImplemented")
        );
        assert_eq!(plane.engine.buckets(), before);
        assert_eq!(create(&plane, &node, &tenant, "plain").await, ok(200));
        plane.stop().await;
    }
}

#[tokio::test]
async fn what_broke_off_is_made_anew_as_the_new_attempt_asks() {
    for locked_at_last in [true, false] {
        let plane = Plane::start().await;
        let tenant = plane.tenant("one@example.com").await;
        let node = plane.node().await;
        let make = async |locked: bool| match locked {
            true => create_locked(&plane, &node, &tenant, "vault").await,
            false => create(&plane, &node, &tenant, "vault").await,
        };
        assert_eq!(make(!locked_at_last).await, ok(200));
        assert_eq!(is_locked(&plane), !locked_at_last);
        // The control plane died after the engine had made it.
        let died = format!(
            "UPDATE buckets SET status = 'creating', claim = gen_random_uuid(), claimed_until = '{}'",
            plane.clock.now()
        );
        plane.database.execute(&died).await;
        plane.clock.advance(Duration::seconds(1));
        assert_eq!(make(locked_at_last).await, ok(200));
        assert_eq!(is_locked(&plane), locked_at_last);

        // Nothing that lies in it is thrown away, however it came there.
        plane.database.execute(&died).await;
        let name = plane.engine.buckets().remove(0);
        plane.engine.change(&name, |b| b.put("stray"));
        assert_eq!(make(!locked_at_last).await, refused(503, "unavailable"));
        assert_eq!(plane.engine.bucket(&name).unwrap().keys(), ["stray"]);
        assert_eq!(is_locked(&plane), locked_at_last);
        assert_eq!(make(locked_at_last).await, ok(200));
        plane.stop().await;
    }
}
