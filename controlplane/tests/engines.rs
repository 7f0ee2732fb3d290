//! Several engines: added after they were tried, chosen for new buckets, looked at, and never showing a secret.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::buckets::{create, delete, ok};
use crate::engine::{Engine, Lack};
use crate::plane::{NewTenant, Node, Plane, eventually};

pub const SECRET: &str = "the-second-engines-secret";

/// What an operator says of it, under this name.
pub fn second(name: &str, endpoint: &str) -> Value {
    json!({
        "name": name, "endpoint": endpoint, "region": "eu-1", "access_key_id": "second-key",
        "secret_access_key": SECRET,
    })
}

/// A second engine, `east`.
pub async fn with_second(plane: &Plane) -> Engine {
    let (engine, endpoint) = Engine::start().await;
    let (status, shown) = plane
        .admin(Method::POST, "/engines", Some(second("east", &endpoint)))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{shown}");
    engine
}

pub async fn shown(plane: &Plane, id: &str) -> Value {
    let (status, shown) = plane
        .admin(Method::GET, &format!("/engines/{id}"), None)
        .await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    shown
}

async fn change(plane: &Plane, method: Method, path: &str, body: Value) -> (StatusCode, String) {
    let (status, answer) = plane.admin(method, path, Some(body)).await;
    let said = answer["code"].as_str().unwrap_or_default().to_owned();
    (status, said)
}

/// A node that obeys, and a tenant.
async fn with_node(plane: &Plane) -> (Node, NewTenant) {
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let revision = stream.snapshot().await.revision;
    stream.ack(revision).await;
    drop(stream.obey());
    let tenant = plane.tenant("one@example.com").await;
    (node, tenant)
}

#[tokio::test]
async fn an_engine_is_tried_added_told_to_nodes_and_shows_no_secret() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    stream.snapshot().await;
    let (engine, endpoint) = Engine::start().await;
    let mut body = second("east", &endpoint);
    body["capacity_bytes"] = json!(1000);
    let (status, added) = plane.admin(Method::POST, "/engines", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{added}");
    assert!(
        engine.all_buckets().is_empty(),
        "nothing is left of the probe"
    );
    assert_eq!(added["capabilities"]["object_lock"], true);
    assert_eq!(added["health"]["reachable"], true);
    assert_eq!(
        (&added["free_bytes"], &added["is_default"]),
        (&json!(1000), &json!(false))
    );
    assert_eq!(shown(&plane, "east").await["access_key_id"], "second-key");

    let wire::ToNode::Settings(settings) = stream.hear().await else {
        panic!("nodes hear of it")
    };
    let told: Vec<(&str, &str, &str)> = settings
        .engines
        .iter()
        .map(|e| (e.id.as_str(), e.endpoint.as_str(), e.region.as_str()))
        .collect();
    assert_eq!(told[0], ("east", endpoint.as_str(), "eu-1"));
    assert_eq!(told[1].0, "main");
    let date = plane.clock.now().format("%Y%m%d").to_string();
    let expected = sigv4::derive_signing_key(SECRET, &date, "eu-1", "s3");
    let today = plane.clock.now().date_naive();
    assert_eq!(settings.engines[0].signing_keys.on(today), Some(&expected));
    let all = serde_json::to_string(&(settings, added)).unwrap();
    assert!(!all.contains(SECRET));

    let mut conn = plane.database.superuser().await;
    let row: String = sqlx::query_scalar("SELECT e::text FROM engines e WHERE id = 'east'")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(!row.contains(SECRET) && !row.contains(&hex::encode(SECRET)));
    let (_, list) = plane.admin(Method::GET, "/engines", None).await;
    assert_eq!(list["engines"].as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains(SECRET));
    plane.stop().await;
}

#[tokio::test]
async fn what_does_not_work_is_refused_by_the_setting_that_is_wrong() {
    let plane = Plane::start().await;
    let (engine, endpoint) = Engine::start().await;
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let refused = async |body: Value, field: &str, word: &str| {
        let (status, problem) = plane.admin(Method::POST, "/engines", Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["field"], field, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(word) && !detail.contains(SECRET),
            "{detail}"
        );
    };
    refused(second("east", &nobody), "endpoint", "Nothing answers").await;
    engine.admit(&["somebody-else"]);
    refused(second("east", &endpoint), "access_key_id", "second-key").await;
    engine.admit(&[]);
    engine.set_broken(true);
    refused(second("east", &endpoint), "endpoint", "500").await;
    engine.set_broken(false);
    refused(second("East!", &endpoint), "name", "lower-case").await;
    refused(second("main", &endpoint), "name", "already").await;
    let mut pooled = second("east", &endpoint);
    pooled["placement"] = json!("pooled");
    refused(pooled.clone(), "pool_bucket", "bucket").await;
    let (_, list) = plane.admin(Method::GET, "/engines", None).await;
    assert_eq!(list["engines"].as_array().unwrap().len(), 1);

    // The same with nothing wrong.
    pooled["pool_bucket"] = json!("pool");
    let (status, added) = plane.admin(Method::POST, "/engines", Some(pooled)).await;
    assert_eq!(status, StatusCode::CREATED, "{added}");
    assert_eq!(engine.all_buckets(), ["pool"]);
    plane.stop().await;
}

#[tokio::test]
async fn new_buckets_go_to_the_tenants_engine_or_to_the_default_and_old_ones_stay() {
    let plane = Plane::start().await;
    let east = with_second(&plane).await;
    let (node, one) = with_node(&plane).await;
    let two = plane.tenant("two@example.com").await;
    assert_eq!(create(&plane, &node, &one, "first").await, ok(200));
    assert_eq!((plane.engine.buckets().len(), east.buckets().len()), (1, 0));

    let tenant = format!("/tenants/{}", one.id);
    let (status, moved) = plane
        .admin(Method::PATCH, &tenant, Some(json!({ "engine": "east" })))
        .await;
    assert_eq!((status, &moved["engine"]), (StatusCode::OK, &json!("east")));
    assert_eq!(create(&plane, &node, &one, "second").await, ok(200));
    assert_eq!(create(&plane, &node, &two, "other").await, ok(200));
    assert_eq!((plane.engine.buckets().len(), east.buckets().len()), (2, 1));
    let east_shown = shown(&plane, "east").await;
    assert_eq!(
        (&east_shown["buckets"], &east_shown["tenants"]),
        (&json!(1), &json!(1))
    );

    // Each is deleted where it is.
    assert_eq!(delete(&plane, &node, &one, "first").await, ok(204));
    assert_eq!(delete(&plane, &node, &one, "second").await, ok(204));
    assert_eq!((plane.engine.buckets().len(), east.buckets().len()), (1, 0));

    let (status, _) = change(
        &plane,
        Method::PATCH,
        "/engines/east",
        json!({ "default": true }),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(create(&plane, &node, &two, "later").await, ok(200));
    assert_eq!((plane.engine.buckets().len(), east.buckets().len()), (1, 1));
    let (_, back) = plane
        .admin(Method::PATCH, &tenant, Some(json!({ "engine": null })))
        .await;
    assert_eq!(back["engine"], json!(null));
    let refused = plane
        .admin(Method::PATCH, &tenant, Some(json!({ "engine": "west" })))
        .await;
    assert_eq!(refused.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.1["field"], "engine");
    plane.stop().await;
}

#[tokio::test]
async fn a_creation_that_broke_off_goes_where_new_buckets_go_now() {
    let plane = Plane::start().await;
    let east = with_second(&plane).await;
    let (node, one) = with_node(&plane).await;
    plane.engine.set_broken(true);
    let (status, _) = create(&plane, &node, &one, "photos").await;
    assert_eq!(status, 503);
    let tenant = format!("/tenants/{}", one.id);
    let to_east = json!({ "engine": "east" });
    assert_eq!(
        change(&plane, Method::PATCH, &tenant, to_east).await.0,
        StatusCode::OK
    );
    assert_eq!(create(&plane, &node, &one, "photos").await, ok(200));
    assert_eq!(east.buckets().len(), 1);
    plane.engine.set_broken(false);
    plane.stop().await;
}

#[tokio::test]
async fn an_engine_in_use_is_not_disabled_and_a_disabled_one_takes_no_new_buckets() {
    let plane = Plane::start().await;
    let east = with_second(&plane).await;
    let (node, one) = with_node(&plane).await;
    let tenant = format!("/tenants/{}", one.id);
    let none = json!({});
    let in_use = (StatusCode::CONFLICT, "engine_in_use".to_owned());
    // By default.
    assert_eq!(
        change(&plane, Method::POST, "/engines/main/disable", none.clone()).await,
        in_use
    );
    // By a tenant's setting.
    let to_east = json!({ "engine": "east" });
    change(&plane, Method::PATCH, &tenant, to_east.clone()).await;
    assert_eq!(create(&plane, &node, &one, "photos").await, ok(200));
    assert_eq!(
        change(&plane, Method::POST, "/engines/east/disable", none.clone()).await,
        in_use
    );
    change(&plane, Method::PATCH, &tenant, json!({ "engine": null })).await;
    let done = (StatusCode::OK, String::new());
    assert_eq!(
        change(&plane, Method::POST, "/engines/east/disable", none.clone()).await,
        done
    );
    assert_eq!(shown(&plane, "east").await["status"], "disabled");

    let (status, refused) = plane
        .admin(Method::PATCH, &tenant, Some(to_east.clone()))
        .await;
    assert_eq!(
        (status, &refused["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("engine"))
    );
    let default = json!({ "default": true });
    let refused = change(&plane, Method::PATCH, "/engines/east", default).await;
    assert_eq!(
        refused,
        (StatusCode::CONFLICT, "engine_disabled".to_owned())
    );
    // It is not forgotten while a bucket is on it, and the bucket can be deleted.
    let gone = change(&plane, Method::DELETE, "/engines/east", none.clone()).await;
    assert_eq!(gone, in_use);
    assert_eq!(delete(&plane, &node, &one, "photos").await, ok(204));
    assert!(east.buckets().is_empty());
    assert_eq!(
        change(&plane, Method::POST, "/engines/east/enable", none.clone()).await,
        done
    );
    assert_eq!(
        change(&plane, Method::PATCH, &tenant, to_east).await.0,
        StatusCode::OK
    );
    change(&plane, Method::PATCH, &tenant, json!({ "engine": null })).await;
    let (status, _) = change(&plane, Method::DELETE, "/engines/east", none.clone()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let main = change(&plane, Method::DELETE, "/engines/main", none).await;
    assert_eq!(main.1, "engine_of_the_environment");
    plane.stop().await;
}

#[tokio::test]
async fn a_look_says_what_fails_and_since_when() {
    let plane = Plane::start().await;
    let east = with_second(&plane).await;
    let before = shown(&plane, "east").await["health"].clone();
    assert_eq!(
        (&before["reachable"], &before["last_error"]),
        (&json!(true), &json!(null))
    );
    plane.clock.advance(chrono::Duration::minutes(5));
    east.admit(&["somebody-else"]);
    let (status, problem) = plane.admin(Method::POST, "/engines/east/probe", None).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("engine_failed"))
    );
    let failing = shown(&plane, "east").await["health"].clone();
    assert_eq!(failing["reachable"], false);
    assert_eq!(failing["since"], "2026-03-01T12:05:00Z");
    assert!(
        failing["last_error"].as_str().unwrap().contains("403"),
        "{failing}"
    );

    plane.clock.advance(chrono::Duration::minutes(5));
    east.admit(&[]);
    let weak = wire::EngineCapabilities {
        sse_c: false,
        ..crate::engine::ALL
    };
    east.set_abilities(weak, Lack::NotImplemented);
    let (status, probed) = plane.admin(Method::POST, "/engines/east/probe", None).await;
    assert_eq!(status, StatusCode::OK, "{probed}");
    assert_eq!(probed["capabilities"]["sse_c"], false);
    let mended = probed["health"].clone();
    assert_eq!(
        (&mended["reachable"], &mended["since"]),
        (&json!(true), &json!("2026-03-01T12:10:00Z"))
    );
    assert_eq!(mended["last_error_at"], "2026-03-01T12:05:00Z");
    plane.stop().await;
}

#[tokio::test]
async fn the_environments_engine_is_looked_at_by_itself_and_stays_the_default() {
    let plane = Plane::start().await;
    eventually(async || shown(&plane, "main").await["health"]["reachable"] == true).await;
    let main = shown(&plane, "main").await;
    assert_eq!(
        (&main["is_default"], &main["source"]),
        (&json!(true), &json!("environment"))
    );
    with_second(&plane).await;
    let (status, _) = change(
        &plane,
        Method::PATCH,
        "/engines/east",
        json!({ "default": true }),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    plane.beside().await.shut_down().await;
    assert_eq!(
        shown(&plane, "main").await["is_default"],
        false,
        "a start changes nothing"
    );
    plane.stop().await;
}

#[tokio::test]
async fn each_act_is_in_the_log() {
    let plane = Plane::start().await;
    with_second(&plane).await;
    for (method, path, body) in [
        (
            Method::PATCH,
            "/engines/east",
            json!({ "capacity_bytes": 5 }),
        ),
        (Method::POST, "/engines/east/probe", json!({})),
        (Method::POST, "/engines/east/disable", json!({})),
        (Method::POST, "/engines/east/enable", json!({})),
        (Method::DELETE, "/engines/east", json!({})),
    ] {
        let (status, problem) = plane.admin(method, path, Some(body)).await;
        assert!(status.is_success(), "{path} {problem}");
    }
    let mut conn = plane.database.superuser().await;
    let sql =
        "SELECT action FROM audit_log WHERE target = 'east' AND actor = 'operator' ORDER BY id";
    let actions: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap();
    let expected = ["add", "set", "probe", "disable", "enable", "remove"];
    assert_eq!(actions, expected.map(|act| format!("engine.{act}")));
    plane.stop().await;
}
