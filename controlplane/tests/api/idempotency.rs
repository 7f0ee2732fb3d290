//! `Idempotency-Key`: done once, answered as the first time, sealed, and forgotten after a day.

use chrono::Duration;
use controlplane::api_tokens::TokenScope;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Api};

async fn make(api: &Api, token: &str, key: &str, body: Value) -> Answer {
    let headers = [("idempotency-key", key)];
    api.ask_with(Method::POST, "/access-keys", token, Some(body), &headers)
        .await
}

async fn keys(api: &Api, token: &str) -> usize {
    let list = api.ask(Method::GET, "/access-keys", token, None).await;
    list.body["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_alike() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let body = json!({ "name": "ci" });
    let first = make(&api, &token, "a", body.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = make(&api, &token, "a", body.clone()).await;
    assert_eq!(
        (again.status, &again.body),
        (first.status, &first.body),
        "the secret too"
    );
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(keys(&api, &token).await, 1);

    let other = make(&api, &token, "a", json!({ "name": "other" })).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.text("field"), "Idempotency-Key");
    make(&api, &token, "b", body.clone()).await;
    let another = api.token(&owner, &TokenScope::ALL).await;
    let theirs = make(&api, &another, "a", body.clone()).await;
    assert_ne!(theirs.body, first.body, "another token's key is another");
    assert_eq!(keys(&api, &token).await, 3);

    api.plane.clock.advance(Duration::hours(23));
    make(&api, &token, "a", body.clone()).await;
    assert_eq!(keys(&api, &token).await, 3);
    api.plane.clock.advance(Duration::hours(1));
    make(&api, &token, "a", body).await;
    assert_eq!(
        keys(&api, &token).await,
        4,
        "a day later it is a new request"
    );
    api.stop().await;
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let answers = join_all((0..10).map(|_| make(&api, &token, "a", json!({ "name": "ci" })))).await;
    let good: Vec<&Answer> = answers.iter().filter(|a| a.status == 201).collect();
    assert!(!good.is_empty());
    assert!(good.iter().all(|answer| answer.body == good[0].body));
    for refused in answers.iter().filter(|a| a.status != 201) {
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert_eq!(refused.text("code"), "idempotency_key_in_use");
    }
    assert_eq!(keys(&api, &token).await, 1);
    api.stop().await;
}

#[tokio::test]
async fn a_refused_request_may_be_tried_again_and_a_broken_off_one_is_not_done_twice() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let refused = make(&api, &token, "a", json!({ "name": "" })).await;
    assert_eq!(refused.text("field"), "name");
    let made = make(&api, &token, "a", json!({ "name": "ci" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let sql = "UPDATE idempotent_requests SET status = NULL, answer = NULL";
    api.plane.database.execute(sql).await;
    let after = make(&api, &token, "a", json!({ "name": "ci" })).await;
    assert_eq!(after.text("code"), "idempotency_key_in_use");
    assert_eq!(keys(&api, &token).await, 1);
    api.stop().await;
}

#[tokio::test]
async fn what_is_kept_is_sealed_for_its_own_request() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let made = make(&api, &token, "a", json!({ "name": "ci" })).await;
    let secret = made.text("secret_access_key");
    let mut conn = api.plane.database.superuser().await;
    let sql = "SELECT answer FROM idempotent_requests";
    let kept: Vec<u8> = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    assert!(!kept.windows(40).any(|window| window == secret.as_bytes()));

    // Put beside another key it does not open.
    make(&api, &token, "b", json!({ "name": "ci" })).await;
    let sql = "UPDATE idempotent_requests SET answer = (SELECT answer FROM idempotent_requests ORDER BY key_hash LIMIT 1)";
    api.plane.database.execute(sql).await;
    let mut statuses = vec![];
    for key in ["a", "b"] {
        let headers = [("idempotency-key", key)];
        let body = Some(json!({ "name": "ci" }).to_string());
        let answer = api
            .raw(&Method::POST, "/access-keys", &token, body, &headers)
            .await;
        statuses.push(answer.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 500]);
    api.stop().await;
}

#[tokio::test]
async fn a_token_keeps_a_thousand_answers_and_others_are_not_in_the_way() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let sql =
        "INSERT INTO idempotent_requests (token_id, key_hash, tenant_id, request_hash, created_at)
               SELECT id, sha256(n::text::bytea), tenant_id, sha256('x'), '2026-03-01T11:00:00Z'
               FROM api_tokens, generate_series(1, 1000) AS n";
    api.plane.database.execute(sql).await;
    let refused = make(&api, &token, "a", json!({ "name": "ci" })).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), (23 * 3600).to_string());
    let another = api.token(&owner, &TokenScope::ALL).await;
    let made = make(&api, &another, "a", json!({ "name": "ci" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    api.plane.clock.advance(Duration::hours(23));
    let made = make(&api, &token, "a", json!({ "name": "ci" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "the old ones are gone");
    api.stop().await;
}
