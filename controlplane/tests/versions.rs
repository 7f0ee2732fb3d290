//! Deleting buckets with versions in them: the engine would remove them all, so that nothing but a look saves them.

use controlplane::PlacementKind;
use http::Method;
use wire::EngineCapabilities;

use crate::buckets::{create, delete, ok, refused};
use crate::engine::{ALL, Engine, Lack};
use crate::plane::{NewTenant, Node, Plane};

struct World {
    plane: Plane,
    tenant: NewTenant,
    node: Node,
    /// The engine's.
    bucket: String,
}

async fn world(prepare: impl FnOnce(&Engine)) -> World {
    let plane = Plane::on(PlacementKind::Dedicated, prepare).await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    let bucket = plane.engine.buckets().remove(0);
    World {
        plane,
        tenant,
        node,
        bucket,
    }
}

impl World {
    async fn delete(&self) -> (u16, String) {
        delete(&self.plane, &self.node, &self.tenant, "photos").await
    }
}

#[tokio::test]
async fn a_bucket_with_old_versions_or_delete_markers_is_not_empty() {
    let world = world(|_| {}).await;
    let change = |change: fn(&mut crate::engine::Bucket)| {
        world.plane.engine.change(&world.bucket, change);
    };
    change(|bucket| {
        bucket.versioned = true;
        bucket.put("cat.jpg");
        bucket.remove("cat.jpg");
        assert!(bucket.keys().is_empty(), "a listing shows nothing");
    });
    assert_eq!(world.delete().await, refused(409, "BucketNotEmpty"));
    assert!(world.plane.engine.bucket(&world.bucket).is_some());
    change(|bucket| {
        bucket.purge();
        bucket.remove("cat.jpg");
    });
    assert_eq!(world.delete().await, refused(409, "BucketNotEmpty"));
    change(|bucket| bucket.purge());
    assert_eq!(world.delete().await, ok(204));
    assert!(world.plane.engine.buckets().is_empty());
    world.plane.stop().await;
}

#[tokio::test]
async fn delete_markers_that_some_engines_cannot_remove_keep_no_bucket() {
    let world = world(|_| {}).await;
    let change = |change: fn(&mut crate::engine::Bucket)| {
        world.plane.engine.change(&world.bucket, change);
    };
    change(|bucket| {
        bucket.versioned = true;
        bucket.put("cat.jpg");
        bucket.suspended = true;
        bucket.remove("cat.jpg");
        assert!(bucket.keys().is_empty(), "a listing shows nothing");
    });
    assert_eq!(world.delete().await, refused(409, "BucketNotEmpty"));
    change(|bucket| {
        bucket.purge();
        bucket.remove("cat.jpg");
    });
    assert_eq!(world.delete().await, ok(204));
    world.plane.stop().await;
}

#[tokio::test]
async fn a_list_of_versions_that_cannot_be_had_keeps_the_bucket() {
    // Of an engine that keeps versions no refusal is believed.
    let able = world(|_| {}).await;
    let unavailable = refused(503, "unavailable");
    let without = EngineCapabilities {
        versioning: false,
        ..ALL
    };
    for lack in [
        Lack::NotImplemented,
        Lack::BadRequest,
        Lack::InternalError,
        Lack::Ignored,
    ] {
        able.plane.engine.set_abilities(without, lack);
        assert_eq!(able.delete().await, unavailable, "{lack:?}");
    }
    able.plane.engine.set_abilities(ALL, Lack::NotImplemented);
    assert_eq!(able.delete().await, ok(204));
    able.plane.stop().await;

    // Nor is one that says nothing about what the engine is able to.
    let unable = world(|engine| engine.set_abilities(without, Lack::NotImplemented)).await;
    unable.plane.engine.deny(Method::GET, "versions");
    assert_eq!(unable.delete().await, unavailable);
    assert!(unable.plane.engine.bucket(&unable.bucket).is_some());
    unable.plane.stop().await;
}

#[tokio::test]
async fn an_engine_without_versions_lets_its_buckets_go() {
    let without = EngineCapabilities {
        versioning: false,
        ..ALL
    };
    for lack in [Lack::NotImplemented, Lack::BadRequest, Lack::Ignored] {
        let world = world(|engine| engine.set_abilities(without, lack)).await;
        let change = |change: fn(&mut crate::engine::Bucket)| {
            world.plane.engine.change(&world.bucket, change);
        };
        change(|bucket| bucket.put("cat.jpg"));
        assert_eq!(
            world.delete().await,
            refused(409, "BucketNotEmpty"),
            "{lack:?}"
        );
        change(|bucket| bucket.remove("cat.jpg"));
        assert_eq!(world.delete().await, ok(204), "{lack:?}");
        world.plane.stop().await;
    }
}

#[tokio::test]
async fn versions_that_an_engine_keeps_beyond_what_was_found_are_seen() {
    let without = EngineCapabilities {
        versioning: false,
        ..ALL
    };
    let world = world(|engine| engine.set_abilities(without, Lack::NotImplemented)).await;
    // Its owner has it upgraded; the control plane has not probed it since.
    world.plane.engine.set_abilities(ALL, Lack::NotImplemented);
    world.plane.engine.change(&world.bucket, |bucket| {
        bucket.versioned = true;
        bucket.remove("cat.jpg");
    });
    assert_eq!(world.delete().await, refused(409, "BucketNotEmpty"));
    world.plane.stop().await;
}
