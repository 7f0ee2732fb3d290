//! What goes on while the key is exchanged: requests, what is written late, and who missed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use controlplane::{ControlPlane, billing};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::{FromNode, ToNode};

use super::{one, three, two, values, with_webhook};
use crate::plane::{Plane, Stream, eventually, hello, in_time, serve};

#[tokio::test]
async fn no_request_fails_while_keys_are_exchanged_again_and_again() {
    let plane = Arc::new(Plane::start().await);
    let beside = plane.beside().await;
    let tenant = plane.tenant("one@example.com").await;
    plane.write_keys(&[one(), two(), three()]);
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut clients = tokio::task::JoinSet::new();
    for cp in [&plane.cp, &beside, &plane.cp, &beside] {
        let (cp, stop, answered) = (cp.clone(), stop.clone(), answered.clone());
        let id = tenant.id;
        clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let mut tx = cp.begin_tenant(id).await.unwrap();
                let new = controlplane::access_keys::NewAccessKey {
                    name: "key".to_owned(),
                    ..Default::default()
                };
                let made = controlplane::access_keys::create(&mut tx, &cp, new)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                let mut tx = cp.begin_tenant(id).await.unwrap();
                controlplane::access_keys::revoke(&mut tx, &cp, &made.access_key_id)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                answered.fetch_add(2, Ordering::Relaxed);
            }
        });
    }
    for version in [2, 3] {
        let before = answered.load(Ordering::Relaxed);
        eventually(async || answered.load(Ordering::Relaxed) > before + 20).await;
        eventually(async || plane.rotate_keys(Some(version)).await.0 == StatusCode::OK).await;
        eventually(async || plane.finish_keys().await.0 == StatusCode::OK).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > 50);
    assert_eq!(plane.keys().await["sealed"].as_object().unwrap().len(), 1);
    beside.shut_down().await;
    Arc::into_inner(plane).unwrap().stop().await;
}

#[tokio::test]
async fn what_was_sealed_before_and_is_written_late_is_sealed_anew_too() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let mut late = plane.cp.begin_tenant(tenant.id).await.unwrap();
    billing::set_spending(&mut late, &plane.cp, with_webhook())
        .await
        .unwrap();
    plane.write_keys(&[one(), two()]);
    eventually(async || plane.rotate_keys(Some(2)).await.0 == StatusCode::OK).await;
    eventually(async || plane.keys().await["behind"] == json!({})).await;
    // All that can be seen is under the new one, and something cannot be seen yet.
    let (status, answer) = plane.finish_keys().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(plane.keys().await["can_finish"], false);
    late.commit().await.unwrap();
    plane.finished_keys().await;
    let mut conn = plane.database.superuser().await;
    assert_eq!(
        values(&mut conn, "spending.webhook_secret", 2).await,
        (1, 0)
    );
    plane.stop().await;
}

/// Whether `/readyz` of this control plane is content.
async fn is_ready(cp: &ControlPlane) -> bool {
    use tower::ServiceExt;
    let request = http::Request::get("/readyz").body(axum::body::Body::empty());
    let answer = cp.health().oneshot(request.unwrap()).await.unwrap();
    answer.status() == StatusCode::OK
}

#[tokio::test]
async fn a_control_plane_that_lacks_the_key_pushes_nothing_rather_than_too_little() {
    let plane = Plane::start().await;
    let other = plane.with_keys("other.key", &[one()]).await.unwrap();
    let tenant = plane.tenant("one@example.com").await;
    plane.write_keys(&[one(), two()]);
    let mut name = Value::Null;
    eventually(async || {
        let keys = plane.keys().await;
        let planes = keys["control_planes"].as_array().unwrap().clone();
        name = planes
            .iter()
            .map(|one| one["master_keys"]["2"].clone())
            .find(Value::is_string)
            .unwrap_or_default();
        name.is_string()
    })
    .await;
    let node = plane.node().await;
    let address = serve(&other).await;
    let epoch = plane.epoch().await;
    let connect = async || {
        let token = node.token(plane.clock.now());
        let mut stream = Stream::open(&address, &token).await.unwrap();
        let mut hello = hello(0);
        if let FromNode::Hello { epoch: said, .. } = &mut hello {
            said.clone_from(&epoch);
        }
        stream.say(&hello).await;
        stream
    };
    let mut stream = connect().await;
    let revision = stream.snapshot().await.revision;
    stream.ack(revision).await;
    assert!(is_ready(&other).await);
    // As where it had lost the database while the key was exchanged, and is back.
    let sql = format!(
        "INSERT INTO master_keys (version, fingerprint, since) VALUES (2, '{}', now());
         UPDATE settings SET master_key_version = 2, resealed = false",
        name.as_str().unwrap()
    );
    plane.database.execute(&sql).await;
    eventually(async || plane.keys().await["behind"] == json!({})).await;

    let path = format!("/tenants/{}/access-keys", tenant.id);
    let (status, _) = plane.admin(Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::CREATED);
    eventually(async || !is_ready(&other).await).await;

    let file = plane.folder.path().join("other.key");
    std::fs::write(file, [one(), two()].concat()).unwrap();
    let told = async {
        loop {
            match stream.hear_any().await {
                Some(ToNode::Tenant(document)) => return document,
                Some(ToNode::SnapshotPage { mut tenants, .. }) if !tenants.is_empty() => {
                    return tenants.remove(0);
                }
                Some(_) => {}
                None => stream = connect().await,
            }
        }
    };
    let told = in_time(told).await;
    assert_eq!(told.access_keys.len(), 2, "{told:?}");
    assert!(is_ready(&other).await);
    other.shut_down().await;
    plane.stop().await;
}
