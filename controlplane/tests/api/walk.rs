//! Every route as a stranger, as another account, without the scope, and with it.

use std::collections::HashSet;

use controlplane::accounts::SignedIn;
use controlplane::api_tokens::TokenScope;
use controlplane::{Actor, Origin, buckets, customer_route_table, members};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Api;
use crate::members::join;

/// What there is of the one account, by the names of the parameters.
struct Things {
    bucket: &'static str,
    access_key_id: String,
    request_id: String,
    member_id: String,
    invitation_id: String,
    api_token_id: String,
}

impl Things {
    async fn make(api: &Api, owner: &SignedIn, token: &str) -> Self {
        let (cp, session) = (&api.plane.cp, &owner.session);
        let new = buckets::NewBucket {
            name: "photos".to_owned(),
            ..Default::default()
        };
        let (tenant, origin) = (session.tenant_id, Origin::default());
        let made = buckets::create(cp, tenant, new, Actor::System, origin.clone());
        made.await.unwrap();
        let body = json!({ "name": "backup" });
        let key = api
            .ask(Method::POST, "/access-keys", token, Some(body))
            .await;
        let dev = join(&api.plane, owner, "dev@example.com", "developer").await;
        let invite = members::invite(cp, session, "new@example.com", "billing", &origin);
        invite.await.unwrap();
        let invitations = api.ask(Method::GET, "/invitations", token, None).await;
        let body = json!({ "name": "child", "scopes": ["read"] });
        let child = api
            .ask(Method::POST, "/api-tokens", token, Some(body))
            .await;
        let request_id = "0123456789abcdef0123456789abcdef".to_owned();
        let node = api.plane.node().await;
        let sql = format!(
            "INSERT INTO refusals (tenant_id, request_id, at, node_id, operation, bucket, access_key_id, status, code,
                 rule, counter, limited_to, revision, clears_at, more)
             VALUES ('{}', '{request_id}', now(), '{}', 'PutObject', 'photos', '', 403, 'AccessDenied', 'key_revoked',
                 NULL, NULL, 1, NULL, 0)",
            tenant.as_uuid(),
            node.id
        );
        api.plane.database.execute(&sql).await;
        Self {
            bucket: "photos",
            access_key_id: key.text("access_key_id"),
            request_id,
            member_id: dev.session.member_id.to_string(),
            invitation_id: invitations.body["data"][0]["invitation_id"]
                .as_str()
                .unwrap()
                .to_owned(),
            api_token_id: child.body["api_token"]["api_token_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        }
    }

    fn concrete(&self, path: &str) -> String {
        path.replace("{bucket}", self.bucket)
            .replace("{access_key_id}", &self.access_key_id)
            .replace("{request_id}", &self.request_id)
            .replace("{member_id}", &self.member_id)
            .replace("{invitation_id}", &self.invitation_id)
            .replace("{api_token_id}", &self.api_token_id)
            .replace("{rule_id}", "old-logs")
    }
}

/// A body that the operation takes, and what a token with the scope is answered. Settings that are the engine's are asked
/// for through the data plane, which is not there; `e2e` has them with it.
fn sample(method: &Method, path: &str) -> Option<(Value, u16)> {
    let sample = match (method.as_str(), path) {
        ("POST", "/buckets") => (json!({ "name": "logs" }), 201),
        ("PUT", "/buckets/{bucket}/public-access") => (json!({ "public_read": true }), 200),
        ("PUT", "/buckets/{bucket}/cors") => (
            json!({ "rules": [{ "allowed_origins": ["*"], "allowed_methods": ["GET"] }] }),
            200,
        ),
        ("PUT", "/buckets/{bucket}/versioning") => (json!({ "enabled": true }), 503),
        ("POST", "/buckets/{bucket}/lifecycle-rules") => {
            (json!({ "id": "old-logs", "expire_days": 30 }), 503)
        }
        ("PUT", "/buckets/{bucket}/object-lock") => (json!({ "retention": null }), 409),
        ("GET", "/buckets/{bucket}/object-lock") => (Value::Null, 409),
        ("GET", "/buckets/{bucket}/versioning" | "/buckets/{bucket}/lifecycle-rules")
        | ("DELETE", "/buckets/{bucket}/lifecycle-rules/{rule_id}") => (Value::Null, 503),
        ("POST", "/access-keys") => (json!({ "name": "ci" }), 201),
        ("POST", "/access-keys/{access_key_id}/rotate") => (json!({}), 201),
        ("PATCH", "/members/{member_id}") => (json!({ "role": "admin" }), 200),
        ("POST", "/invitations") => (
            json!({ "email": "another@example.com", "role": "admin" }),
            201,
        ),
        ("POST", "/api-tokens") => (json!({ "name": "ci", "scopes": ["api_tokens"] }), 201),
        ("DELETE", "/access-keys/{access_key_id}" | "/api-tokens/{api_token_id}") => {
            (Value::Null, 200)
        }
        ("DELETE", _) => (Value::Null, 204),
        ("GET", _) => (Value::Null, 200),
        _ => return None,
    };
    Some(sample)
}

#[tokio::test]
async fn every_route_is_closed_to_strangers_others_and_lesser_tokens() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let stranger = api.plane.sign_up("other@example.com").await;
    let all = api.token(&owner, &TokenScope::ALL).await;
    let others = api.token(&stranger, &TokenScope::ALL).await;
    let things = Things::make(&api, &owner, &all).await;
    let mut refused = 0;
    let mut rows = customer_route_table();
    // What takes something away comes last.
    rows.sort_by_key(|(method, path, _)| (*method == Method::DELETE, path.ends_with("{bucket}")));
    for (method, path, needs) in rows {
        let to = things.concrete(path);
        let (body, expected) = sample(&method, path).unwrap_or_else(|| panic!("{method} {path}"));
        let body = Some(body).filter(|body| !body.is_null());
        let ask = async |token: &str| api.ask(method.clone(), &to, token, body.clone()).await;
        for nobodys in ["", "vlt_", "vlt_nobodys", &all[..all.len() - 1], "x"] {
            let answer = ask(nobodys).await;
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{method} {path} {nobodys}"
            );
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        if let Some(needs) = needs {
            let lesser = TokenScope::ALL.into_iter().filter(|scope| *scope != needs);
            let lesser = api.token(&owner, &lesser.collect::<Vec<_>>()).await;
            let answer = ask(&lesser).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(answer.text("code"), "missing_scope");
            refused += 1;
        }
        if path.contains('{') {
            let answer = ask(&others).await;
            assert_eq!(
                answer.status,
                StatusCode::NOT_FOUND,
                "{method} {path}: {}",
                answer.body
            );
        }
        let least = api
            .token(&owner, &[needs.unwrap_or(TokenScope::Billing)])
            .await;
        let answer = ask(&least).await;
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert!(refused >= 25, "{refused}");
    api.stop().await;
}

/// A list shows one's own rows alone, whoever else has some.
#[tokio::test]
async fn lists_are_of_ones_own_account() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let stranger = api.plane.sign_up("other@example.com").await;
    let all = api.token(&owner, &TokenScope::ALL).await;
    let others = api.token(&stranger, &TokenScope::ALL).await;
    let things = Things::make(&api, &owner, &all).await;
    let ids = HashSet::from([
        things.bucket.to_owned(),
        things.access_key_id.clone(),
        things.request_id.clone(),
        things.member_id.clone(),
        things.invitation_id.clone(),
        things.api_token_id.clone(),
    ]);
    let mut found = HashSet::new();
    for (method, path, _) in customer_route_table() {
        if method != Method::GET || path.contains('{') {
            continue;
        }
        let own = api
            .ask(Method::GET, path, &all, None)
            .await
            .body
            .to_string();
        let theirs = api
            .ask(Method::GET, path, &others, None)
            .await
            .body
            .to_string();
        for id in &ids {
            assert!(!theirs.contains(id.as_str()), "{path} shows {id}");
            if own.contains(id.as_str()) {
                found.insert(id.clone());
            }
        }
    }
    assert_eq!(found, ids, "each is in a list of its owner's");
    api.stop().await;
}

#[tokio::test]
async fn what_is_no_route_is_a_problem_too() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &[TokenScope::Read]).await;
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::DELETE, "/buckets", 405),
        (Method::PATCH, "/whoami", 405),
        (Method::GET, "/access-keys/%ff", 404),
        (Method::GET, "/access-keys/%00", 404),
    ] {
        let answer = api.raw(&method, path, &token, None, &[]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(
            answer.header("allow").is_empty(),
            status != 405,
            "{method} {path}"
        );
        let answer = api.raw(&method, path, "", None, &[]).await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "nor is it told what there is"
        );
    }
    api.stop().await;
}
