//! Who is let in: join tokens once and in time, node tokens by the node itself and in time.

use chrono::Duration;
use http::{Method, StatusCode};
use serde_json::json;
use wire::NodeClaims;

use crate::plane::{ADMIN_TOKEN, Plane, Stream, serve};

#[tokio::test]
async fn a_join_token_lets_one_node_in() {
    let plane = Plane::start().await;
    let (_, token) = plane.admin(Method::POST, "/join-tokens", None).await;
    let token = token["join_token"].as_str().unwrap();
    let (first, second) = (plane.node().await, plane.node().await);
    let join = async |body| {
        plane
            .request(Method::POST, wire::JOIN_PATH, None, Some(body))
            .await
    };
    let (status, joined) = join(first.join_body(token)).await;
    assert_eq!(
        (status, joined["node_id"].as_str()),
        (StatusCode::OK, Some(first.id.as_str()))
    );
    // It did not hear the answer and asks again.
    assert_eq!(join(first.join_body(token)).await, (status, joined));
    let (status, problem) = join(second.join_body(token)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(problem["code"], "unauthorized");
    let (status, same) = join(second.join_body("made up")).await;
    assert_eq!((status, same), (StatusCode::UNAUTHORIZED, problem));
    plane.stop().await;
}

#[tokio::test]
async fn a_join_token_is_over_after_an_hour() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let join = async |token: &str| {
        let body = Some(node.join_body(token));
        plane
            .request(Method::POST, wire::JOIN_PATH, None, body)
            .await
            .0
    };
    let (_, token) = plane.admin(Method::POST, "/join-tokens", None).await;
    plane.clock.advance(Duration::minutes(59));
    assert_eq!(
        join(token["join_token"].as_str().unwrap()).await,
        StatusCode::OK
    );
    let (_, token) = plane.admin(Method::POST, "/join-tokens", None).await;
    plane.clock.advance(Duration::minutes(60));
    assert_eq!(
        join(token["join_token"].as_str().unwrap()).await,
        StatusCode::UNAUTHORIZED
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_malformed_join_is_told_which_field_is_wrong() {
    let plane = Plane::start().await;
    let (_, token) = plane.admin(Method::POST, "/join-tokens", None).await;
    let mut body = plane
        .node()
        .await
        .join_body(token["join_token"].as_str().unwrap());
    body["public_key"] = json!("AAAA");
    let (status, problem) = plane
        .request(Method::POST, wire::JOIN_PATH, None, Some(body))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["field"], "public_key");
    plane.stop().await;
}

#[tokio::test]
async fn row_14_only_a_nodes_own_fresh_token_opens() {
    let plane = Plane::start().await;
    let (node, other) = (plane.node().await, plane.node().await);
    let now = plane.clock.now().timestamp();
    let claims = |sub: &str, iat: i64, exp: i64| NodeClaims {
        sub: sub.to_owned(),
        aud: wire::NODE_AUDIENCE.to_owned(),
        iat: now + iat,
        exp: now + exp,
    };
    let address = serve(&plane.cp).await;
    let good = node.sign(&claims(&node.id, 0, 300));
    assert!(Stream::open(&address, &good).await.is_ok());
    let slightly_off = node.sign(&claims(&node.id, 20, 320));
    assert!(Stream::open(&address, &slightly_off).await.is_ok());
    let foreign_audience = NodeClaims {
        aud: "something-else".to_owned(),
        ..claims(&node.id, 0, 300)
    };
    let mut tampered = good.clone();
    tampered.truncate(good.len() - 4);
    let bad = [
        ("none", String::new()),
        ("the operator's", ADMIN_TOKEN.to_owned()),
        (
            "signed by another node",
            other.sign(&claims(&node.id, 0, 300)),
        ),
        ("of nobody", node.sign(&claims(&"0".repeat(32), 0, 300))),
        ("expired", node.sign(&claims(&node.id, -300, -60))),
        ("too long", node.sign(&claims(&node.id, 0, 301))),
        ("from the future", node.sign(&claims(&node.id, 100, 300))),
        ("backwards", node.sign(&claims(&node.id, 10, 0))),
        ("foreign audience", node.sign(&foreign_audience)),
        ("cut short", tampered),
        ("unsigned", unsigned(&good)),
    ];
    for (what, token) in bad {
        for (method, path) in [
            (Method::GET, wire::STREAM_PATH),
            (Method::POST, wire::BUCKETS_PATH),
            (Method::DELETE, wire::BUCKETS_PATH),
        ] {
            let (status, problem) = plane.request(method, path, Some(&token), None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
            assert_eq!(problem["code"], "unauthorized", "{what}");
        }
        assert!(Stream::open(&address, &token).await.is_err(), "{what}");
    }
    plane.stop().await;
}

/// `alg: none`, and the same claims.
fn unsigned(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
}
