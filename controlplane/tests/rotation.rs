//! An engine's credentials are exchanged: the new ones are tried first, and the old ones are needed until every node that
//! may serve has said that it has the new ones.

use chrono::Duration;
use controlplane::{Config, ControlPlane, EngineConfig};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::{Settings, ToNode};

use crate::buckets::{create, ok};
use crate::engines::shown;
use crate::plane::{Plane, Stream, eventually};

const NEW: &str = "the-new-key";
const NEW_SECRET: &str = "the-new-secret";
const OLD: &str = "engine-access-key";

pub async fn rotate(plane: &Plane, akid: &str, secret: &str) -> (StatusCode, Value) {
    let body = json!({ "access_key_id": akid, "secret_access_key": secret });
    plane
        .admin(Method::POST, "/engines/main/rotate", Some(body))
        .await
}

async fn finish(plane: &Plane) -> (StatusCode, Value) {
    plane
        .admin(Method::POST, "/engines/main/rotate/finish", None)
        .await
}

async fn settings(stream: &mut Stream) -> Settings {
    match stream.hear().await {
        ToNode::Settings(settings) => settings,
        other => panic!("no settings but {other:?}"),
    }
}

async fn old_secrets(plane: &Plane) -> i64 {
    let sql = "SELECT count(*) FROM engines WHERE old_secret IS NOT NULL";
    plane.database.count(sql).await
}

#[tokio::test]
async fn the_old_credentials_are_forgotten_when_every_node_has_the_new_ones_and_no_sooner() {
    let plane = Plane::start().await;
    let (quick, slow, gone) = (plane.node().await, plane.node().await, plane.node().await);
    let mut quick_stream = plane.connect(&quick, 0).await;
    let mut slow_stream = plane.connect(&slow, 0).await;
    let mut gone_stream = plane.connect(&gone, 0).await;
    for stream in [&mut quick_stream, &mut slow_stream, &mut gone_stream] {
        let revision = stream.snapshot().await.revision;
        stream.ack(revision).await;
    }
    drop(gone_stream);
    let seen_off = async || {
        let (_, list) = plane.admin(Method::GET, "/nodes", None).await;
        let nodes = list["nodes"].as_array().unwrap();
        let off = |n: &&Value| n["node_id"] == gone.id.as_str() && n["connected"] == false;
        nodes.iter().filter(off).count() == 1
    };
    eventually(seen_off).await;

    let (status, view) = rotate(&plane, NEW, NEW_SECRET).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    assert_eq!(view["access_key_id"], NEW);
    assert_eq!(view["rotation"]["old_access_key_id"], OLD);
    assert!(!view.to_string().contains(NEW_SECRET));
    let told = settings(&mut quick_stream).await;
    assert_eq!(told.engines[0].access_key_id, NEW);
    let date = plane.clock.now().format("%Y%m%d").to_string();
    let expected = sigv4::derive_signing_key(NEW_SECRET, &date, "us-east-1", "s3");
    let today = plane.clock.now().date_naive();
    assert_eq!(told.engines[0].signing_keys.on(today), Some(&expected));
    settings(&mut slow_stream).await;

    // Nobody has acknowledged; then one; then two: each time those that have not are named, and nothing is forgotten.
    let refused = async |named: &[&str], not_named: &[&str]| {
        let (status, problem) = finish(&plane).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::CONFLICT, &json!("nodes_behind"))
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(named.iter().all(|id| detail.contains(id)), "{detail}");
        assert!(!not_named.iter().any(|id| detail.contains(id)), "{detail}");
        assert_eq!(old_secrets(&plane).await, 1);
    };
    let has_new = async |count: usize| {
        eventually(async || {
            let view = shown(&plane, "main").await;
            let nodes = view["rotation"]["nodes"].as_array().unwrap().clone();
            nodes.iter().filter(|node| node["has_new"] == true).count() == count
        })
        .await;
    };
    refused(&[&quick.id, &slow.id, &gone.id], &[]).await;
    quick_stream.ack(told.revision).await;
    has_new(1).await;
    refused(&[&slow.id, &gone.id], &[&quick.id]).await;
    slow_stream.ack(told.revision).await;
    has_new(2).await;
    refused(&[&gone.id], &[&quick.id, &slow.id]).await;
    assert_eq!(shown(&plane, "main").await["rotation"]["can_finish"], false);

    // The one that is gone comes back, and hears of it.
    let mut back = plane.connect(&gone, 0).await;
    let heard = back.snapshot().await;
    assert_eq!(heard.settings.engines[0].access_key_id, NEW);
    back.ack(heard.revision).await;
    has_new(3).await;
    assert_eq!(shown(&plane, "main").await["rotation"]["can_finish"], true);
    let (status, view) = finish(&plane).await;
    assert_eq!((status, &view["rotation"]), (StatusCode::OK, &Value::Null));
    assert_eq!(old_secrets(&plane).await, 0);
    let (_, again) = finish(&plane).await;
    assert_eq!(again["code"], "no_rotation");
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_was_removed_or_can_serve_no_more_is_not_waited_for() {
    let plane = Plane::start().await;
    let (removed, long_gone) = (plane.node().await, plane.node().await);
    for node in [&removed, &long_gone] {
        let mut stream = plane.connect(node, 0).await;
        let revision = stream.snapshot().await.revision;
        stream.ack(revision).await;
    }
    let connected = async |count: usize| {
        eventually(async || {
            let (_, list) = plane.admin(Method::GET, "/nodes", None).await;
            let nodes = list["nodes"].as_array().unwrap().clone();
            nodes.iter().filter(|n| n["connected"] == true).count() == count
        })
        .await;
    };
    connected(0).await;
    rotate(&plane, NEW, NEW_SECRET).await;
    let (_, problem) = finish(&plane).await;
    assert_eq!(problem["code"], "nodes_behind");
    let (status, _) = plane
        .admin(Method::DELETE, &format!("/nodes/{}", removed.id), None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, problem) = finish(&plane).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains(&long_gone.id) && !detail.contains(&removed.id),
        "{detail}"
    );
    // Its signing keys are over.
    plane.clock.advance(Duration::days(10));
    assert_eq!(finish(&plane).await.0, StatusCode::OK);
    plane.stop().await;
}

#[tokio::test]
async fn credentials_that_do_not_work_are_not_taken() {
    let plane = Plane::start().await;
    plane.engine.admit(&[OLD]);
    let (status, problem) = rotate(&plane, NEW, NEW_SECRET).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(problem["field"], "access_key_id");
    assert_eq!(shown(&plane, "main").await["access_key_id"], OLD);
    let (_, same) = rotate(&plane, OLD, crate::plane::ENGINE_SECRET).await;
    assert_eq!(same["field"], "access_key_id");
    assert_eq!(old_secrets(&plane).await, 0);

    plane.engine.admit(&[OLD, NEW]);
    assert_eq!(rotate(&plane, NEW, NEW_SECRET).await.0, StatusCode::OK);
    assert!(
        plane.engine.all_buckets().is_empty(),
        "nothing is left of the trial"
    );
    let (status, problem) = rotate(&plane, "a-third-key", NEW_SECRET).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("rotation_under_way"))
    );
    plane.stop().await;
}

#[tokio::test]
async fn the_control_plane_asks_by_the_new_ones_at_once_and_can_go_back() {
    let plane = Plane::start().await;
    let beside = plane.beside().await;
    let tenant = plane.tenant("one@example.com").await;
    let node = plane.node().await;
    assert_eq!(rotate(&plane, NEW, NEW_SECRET).await.0, StatusCode::OK);
    plane.engine.admit(&[NEW]);
    assert_eq!(create(&plane, &node, &tenant, "photos").await, ok(200));
    // Another control plane too.
    let name = "another".to_owned();
    let new = controlplane::buckets::NewBucket {
        name,
        ..Default::default()
    };
    let who = (
        controlplane::Actor::Operator,
        controlplane::Origin::default(),
    );
    let made = controlplane::buckets::create(&beside, tenant.id, new, who.0, who.1).await;
    assert!(made.is_ok());

    // Not to what the engine does not take any more.
    let path = "/engines/main/rotate/back";
    let (status, _) = plane.admin(Method::POST, path, None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    plane.engine.admit(&[OLD, NEW]);
    let (status, view) = plane.admin(Method::POST, path, None).await;
    assert_eq!(
        (status, &view["access_key_id"]),
        (StatusCode::OK, &json!(OLD))
    );
    assert_eq!(view["rotation"]["old_access_key_id"], NEW);
    plane.engine.admit(&[OLD]);
    assert_eq!(create(&plane, &node, &tenant, "more").await, ok(200));
    beside.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn what_the_environment_says_counts_when_it_says_something_else_than_before() {
    let plane = Plane::start().await;
    let start = async |change: fn(&mut EngineConfig)| {
        let mut config: Config = plane.config();
        change(&mut config.engine);
        let cp = ControlPlane::start(config, plane.clock.clone())
            .await
            .unwrap();
        cp.shut_down().await;
        shown(&plane, "main").await
    };
    assert_eq!(rotate(&plane, NEW, NEW_SECRET).await.0, StatusCode::OK);
    assert_eq!(finish(&plane).await.0, StatusCode::OK);
    // It still says what it said before the rotation.
    assert_eq!(start(|_| {}).await["access_key_id"], NEW);
    // It has caught up: nothing changes, and nothing is to be exchanged.
    let caught_up = start(|engine| {
        engine.access_key_id = NEW.to_owned();
        engine.secret_access_key = NEW_SECRET.to_owned();
    });
    let view = caught_up.await;
    assert_eq!(
        (&view["access_key_id"], &view["rotation"]),
        (&json!(NEW), &Value::Null)
    );
    // It says something new: that is a rotation like any other.
    let third = start(|engine| {
        engine.access_key_id = "a-third-key".to_owned();
        engine.secret_access_key = "a-third-secret".to_owned();
    });
    let view = third.await;
    assert_eq!(view["access_key_id"], "a-third-key");
    assert_eq!(view["rotation"]["old_access_key_id"], NEW);
    assert_eq!(finish(&plane).await.0, StatusCode::OK);
    plane.stop().await;
}

#[tokio::test]
async fn a_control_plane_with_the_environment_of_before_takes_nothing_back() {
    let plane = Plane::start().await;
    let start = async |id: &str, secret: &str| {
        let mut config: Config = plane.config();
        config.engine.access_key_id = id.to_owned();
        config.engine.secret_access_key = secret.to_owned();
        let cp = ControlPlane::start(config, plane.clock.clone())
            .await
            .unwrap();
        cp.shut_down().await;
        shown(&plane, "main").await
    };
    let secret = crate::plane::ENGINE_SECRET;
    // The environment is changed, and the exchange is finished; then an old one is started once more.
    assert_eq!(start(NEW, NEW_SECRET).await["access_key_id"], NEW);
    let behind = start(OLD, secret).await;
    assert_eq!(
        (
            &behind["access_key_id"],
            &behind["rotation"]["old_access_key_id"]
        ),
        (&json!(NEW), &json!(OLD))
    );
    assert_eq!(finish(&plane).await.0, StatusCode::OK);
    assert_eq!(start(OLD, secret).await["access_key_id"], NEW);
    // By the operator's hand, and then the environment catches up.
    assert_eq!(
        rotate(&plane, "a-third-key", "a-third-secret").await.0,
        StatusCode::OK
    );
    assert_eq!(
        start("a-third-key", "a-third-secret").await["access_key_id"],
        "a-third-key"
    );
    assert_eq!(start(NEW, NEW_SECRET).await["access_key_id"], "a-third-key");
    assert_eq!(start(OLD, secret).await["access_key_id"], "a-third-key");
    // What was never said before counts.
    assert_eq!(finish(&plane).await.0, StatusCode::OK);
    assert_eq!(
        start("a-fourth-key", "x").await["access_key_id"],
        "a-fourth-key"
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_program_from_before_exchanges_writes_no_credentials_over_exchanged_ones() {
    let plane = Plane::start().await;
    assert_eq!(rotate(&plane, NEW, NEW_SECRET).await.0, StatusCode::OK);
    // As the release before several engines did at each start.
    let write = "INSERT INTO engines (id, endpoint, region, access_key_id, secret, placement)
         VALUES ('main', 'http://127.0.0.1:1', 'us-east-1', 'the-environments', '\\x00', 'dedicated')
         ON CONFLICT (id) DO UPDATE SET endpoint = EXCLUDED.endpoint, access_key_id = EXCLUDED.access_key_id,
             secret = EXCLUDED.secret";
    plane.database.execute(write).await;
    let view = shown(&plane, "main").await;
    assert_eq!(view["access_key_id"], NEW);
    assert_ne!(view["endpoint"], "http://127.0.0.1:1");
    // What is no credential it may change, and whoever knows of exchanges may change those.
    let measured = "UPDATE engines SET capacity_bytes = 5 WHERE id = 'main'";
    plane.database.execute(measured).await;
    assert_eq!(shown(&plane, "main").await["capacity_bytes"], 5);
    assert_eq!(finish(&plane).await.0, StatusCode::OK);
    assert_eq!(
        rotate(&plane, "a-third-key", "a-third-secret").await.0,
        StatusCode::OK
    );
    assert_eq!(shown(&plane, "main").await["access_key_id"], "a-third-key");
    plane.stop().await;
}
