//! Tokens: shown once, kept as hashes, never more than their member, and gone with what they hang on.

use chrono::Duration;
use controlplane::accounts::Role;
use controlplane::api_tokens::TokenScope;
use controlplane::{Origin, audit, members};
use http::{Method, StatusCode};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::Api;
use crate::members::join;

async fn scopes(api: &Api, token: &str) -> String {
    let answer = api.ask(Method::GET, "/whoami", token, None).await;
    match answer.status {
        StatusCode::OK => answer.body["scopes"].to_string(),
        status => status.as_str().to_owned(),
    }
}

#[tokio::test]
async fn a_token_is_shown_once_and_kept_as_a_hash() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let body = json!({ "name": "deploy", "scopes": ["read", "read"] });
    let headers = [("idempotency-key", "one")];
    let made = api
        .ask_with(Method::POST, "/api-tokens", &token, Some(body), &headers)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let text = made.text("token");
    assert!(text.starts_with("vlt_") && text.len() == 47, "{text}");
    assert_eq!(made.body["api_token"]["scopes"], json!(["read"]));
    assert!(text.ends_with(made.body["api_token"]["ending"].as_str().unwrap()));
    let list = api.ask(Method::GET, "/api-tokens", &token, None).await;
    assert!(!list.body.to_string().contains(&text));
    assert_eq!(scopes(&api, &text).await, "[\"read\"]");

    let mut conn = api.plane.database.superuser().await;
    for table in ["api_tokens", "idempotent_requests", "audit_log"] {
        let sql = format!("SELECT row_to_json(t)::text FROM {table} t");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut conn)
            .await
            .unwrap();
        assert!(!rows.is_empty(), "{table}");
        for secret in [&text, &token] {
            let (plain, hex) = (secret.as_str(), hex(secret));
            assert!(
                rows.iter()
                    .all(|row| !row.contains(plain) && !row.contains(&hex)),
                "{table}"
            );
        }
    }
    api.stop().await;
}

/// As Postgres writes bytes.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_token_may_what_its_member_may_at_that_moment() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let dev = join(&api.plane, &owner, "dev@example.com", "developer").await;
    let token = api
        .token(&dev, &[TokenScope::Read, TokenScope::AccessKeys])
        .await;
    let make = async || {
        let body = json!({ "name": "ci" });
        api.ask(Method::POST, "/access-keys", &token, Some(body))
            .await
    };
    assert_eq!(make().await.status, StatusCode::CREATED);
    let set = async |role: Role| {
        let (cp, id) = (&api.plane.cp, dev.session.member_id);
        members::change_role(cp, &owner.session, id, role.as_str(), &Origin::default())
            .await
            .unwrap();
    };
    set(Role::ReadOnly).await;
    let refused = make().await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.text("code"), "forbidden");
    assert_eq!(scopes(&api, &token).await, "[\"read\"]");
    set(Role::Admin).await;
    assert_eq!(
        scopes(&api, &token).await,
        "[\"read\",\"access_keys\"]",
        "and no more"
    );
    let (cp, id) = (&api.plane.cp, dev.session.member_id);
    members::remove(cp, &owner.session, id, &Origin::default())
        .await
        .unwrap();
    assert_eq!(scopes(&api, &token).await, "401");
    api.stop().await;
}

#[tokio::test]
async fn a_token_ends_at_its_time_and_when_it_is_revoked() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let soon = api.plane.clock.now() + Duration::hours(1);
    let make =
        async |with: &str, body| api.ask(Method::POST, "/api-tokens", with, Some(body)).await;
    let short = json!({ "name": "short", "scopes": ["read", "api_tokens"], "expires_at": soon });
    let short = make(&token, short).await.text("token");
    let child = json!({ "name": "child", "scopes": ["read"] });
    let child = make(&short, child).await;
    assert_eq!(
        child.body["api_token"]["expires_at"],
        json!(soon),
        "{}",
        child.body
    );
    let child = child.text("token");
    let longer =
        json!({ "name": "x", "scopes": ["read"], "expires_at": soon + Duration::hours(1) });
    assert_eq!(make(&short, longer).await.text("field"), "expires_at");
    let more = json!({ "name": "x", "scopes": ["buckets"] });
    assert_eq!(make(&short, more).await.text("field"), "scopes");
    let years = json!({ "name": "x", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00Z" });
    assert_eq!(make(&token, years).await.text("field"), "expires_at");

    let list = api.ask(Method::GET, "/api-tokens", &token, None).await;
    let named = |name: &str| {
        let rows = list.body["data"].as_array().unwrap().iter();
        let row = rows.clone().find(|row| row["name"] == json!(name)).unwrap();
        row["api_token_id"].as_str().unwrap().to_owned()
    };
    let path = format!("/api-tokens/{}", named("short"));
    for _ in 0..2 {
        let revoked = api.ask(Method::DELETE, &path, &token, None).await;
        assert_eq!(revoked.status, StatusCode::OK);
        assert!(revoked.body["revoked_at"].is_string());
    }
    assert_eq!(scopes(&api, &short).await, "401");
    assert_eq!(
        scopes(&api, &child).await,
        "401",
        "made with the one that is revoked"
    );
    assert_ne!(scopes(&api, &token).await, "401");
    api.plane.clock.advance(Duration::days(90));
    assert_eq!(scopes(&api, &token).await, "401", "its time is over");
    api.stop().await;
}

#[tokio::test]
async fn a_member_sees_and_revokes_their_own_and_an_admin_everybodys() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let dev = join(&api.plane, &owner, "dev@example.com", "developer").await;
    let owners = api.token(&owner, &TokenScope::ALL).await;
    let devs = api
        .token(&dev, &[TokenScope::Read, TokenScope::ApiTokens])
        .await;
    let ids = async |token: &str| {
        let list = api.ask(Method::GET, "/api-tokens", token, None).await;
        let rows = list.body["data"].as_array().unwrap().clone();
        let text = |row: &serde_json::Value| row["api_token_id"].as_str().unwrap().to_owned();
        rows.iter().map(text).collect::<Vec<_>>()
    };
    let (own, all) = (ids(&devs).await, ids(&owners).await);
    assert_eq!((own.len(), all.len()), (1, 2));
    let other = all.iter().find(|id| !own.contains(id)).unwrap();
    let path = format!("/api-tokens/{other}");
    let refused = api.ask(Method::DELETE, &path, &devs, None).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let path = format!("/api-tokens/{}", own[0]);
    let revoked = api.ask(Method::DELETE, &path, &owners, None).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(scopes(&api, &devs).await, "401");
    api.stop().await;
}

/// What belongs to objects is asked of the data plane, with a hidden access key that ends with the token.
#[tokio::test]
async fn what_a_token_opened_in_the_storage_ends_with_it() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let body = json!({ "name": "photos" });
    api.ask(Method::POST, "/buckets", &token, Some(body)).await;
    let lesser = api
        .token(&owner, &[TokenScope::Read, TokenScope::ApiTokens])
        .await;
    let mut conn = api.plane.database.superuser().await;
    let mut usable = async || -> Vec<String> {
        let sql = "SELECT scope->>'permission' FROM access_keys WHERE purpose = 'console' AND revoked_at IS NULL ORDER BY 1";
        sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap()
    };
    for token in [&token, &token, &lesser] {
        let path = "/buckets/photos/versioning";
        let answer = api.ask(Method::GET, path, token, None).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no data plane"
        );
    }
    assert_eq!(
        usable().await,
        ["full", "read"],
        "one each, of what the token may"
    );
    let id = api
        .ask(Method::GET, "/whoami", &lesser, None)
        .await
        .text("token_id");
    let path = format!("/api-tokens/{id}");
    let revoked = api.ask(Method::DELETE, &path, &lesser, None).await;
    assert_eq!(revoked.status, StatusCode::OK, "itself");
    assert_eq!(usable().await, ["full"]);
    api.stop().await;
}

#[tokio::test]
async fn the_audit_log_says_that_a_token_did_it() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    for (path, body) in [
        ("/access-keys", json!({ "name": "ci" })),
        ("/buckets", json!({ "name": "photos" })),
        (
            "/invitations",
            json!({ "email": "a@example.com", "role": "admin" }),
        ),
    ] {
        let made = api.ask(Method::POST, path, &token, Some(body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    }
    let mut tx = api
        .plane
        .cp
        .begin_tenant(owner.session.tenant_id)
        .await
        .unwrap();
    let entries = audit::list(&mut tx, 10).await.unwrap();
    for (entry, action) in
        entries
            .iter()
            .zip(["member.invite", "bucket.create", "access_key.create"])
    {
        assert_eq!(
            (entry.action.as_str(), entry.actor.as_str()),
            (action, "owner@example.com (API token test)")
        );
        assert!(entry.request_id.is_some());
    }
    assert_eq!(entries[3].action, "api_token.create");
    assert_eq!(entries[3].actor, "system", "made by the test's own hand");
    api.stop().await;
}
