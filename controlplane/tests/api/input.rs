//! Bad input is refused with problem details that name the field, and changes nothing.

use controlplane::api_tokens::TokenScope;
use http::Method;
use serde_json::{Value, json};

use super::Api;

#[tokio::test]
async fn a_refusal_names_the_field() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let long = "x".repeat(101);
    let cases: Vec<(&str, Value, u16, &str)> = vec![
        ("/access-keys", json!({}), 422, "name"),
        ("/access-keys", json!({ "name": 1 }), 422, "name"),
        ("/access-keys", json!({ "name": long }), 422, "name"),
        (
            "/access-keys",
            json!({ "name": "x", "secret": 1 }),
            422,
            "secret",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "permission": "root" }),
            422,
            "permission",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "actions": ["admin"] }),
            422,
            "actions[0]",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "buckets": ["../x"] }),
            422,
            "buckets",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "prefixes": ["a\0b"] }),
            422,
            "prefixes",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "source_addresses": ["here"] }),
            422,
            "source_addresses",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "expires_at": "soon" }),
            422,
            "expires_at",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "expires_at": "2020-01-01T00:00:00Z" }),
            422,
            "expires_at",
        ),
        (
            "/access-keys",
            json!({ "name": "x", "expires_at": "9999-01-01T00:00:00Z" }),
            422,
            "expires_at",
        ),
        ("/buckets", json!({ "name": "No" }), 400, "name"),
        (
            "/buckets",
            json!({ "name": "photos", "public_read": "yes" }),
            422,
            "public_read",
        ),
        (
            "/invitations",
            json!({ "email": "x", "role": "admin" }),
            422,
            "email",
        ),
        (
            "/invitations",
            json!({ "email": "a@example.com", "role": "owner" }),
            422,
            "role",
        ),
        (
            "/api-tokens",
            json!({ "name": "x", "scopes": [] }),
            422,
            "scopes",
        ),
        (
            "/api-tokens",
            json!({ "name": "x", "scopes": ["root"] }),
            422,
            "scopes[0]",
        ),
    ];
    for (path, body, status, field) in cases {
        let answer = api
            .ask(Method::POST, path, &token, Some(body.clone()))
            .await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert_eq!(answer.text("field"), field, "{path} {body}");
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("page=2", "page"),
    ] {
        let path = format!("/access-keys?{query}");
        let answer = api.ask(Method::GET, &path, &token, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text("field").as_str()),
            (422, field),
            "{query}"
        );
    }
    for (query, field) in [
        ("by=year", "by"),
        ("from=x", "from"),
        ("from=2030-01-01T00:00:00Z", "from"),
    ] {
        let path = format!("/usage?{query}");
        let answer = api.ask(Method::GET, &path, &token, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text("field").as_str()),
            (422, field),
            "{query}"
        );
    }
    for body in ["{", "[]", "null", "\"x\"", "1", "{\"name\": \"x\"} {}"] {
        let answer = api
            .raw(
                &Method::POST,
                "/access-keys",
                &token,
                Some(body.to_owned()),
                &[],
            )
            .await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 422),
            "{body}: {}",
            answer.status
        );
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{body}"
        );
    }
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(300_000));
    let answer = api
        .raw(&Method::POST, "/access-keys", &token, Some(large), &[])
        .await;
    assert_eq!(answer.status, 400);
    // The twin: nothing was made by any of these, and a good one is.
    let list = api.ask(Method::GET, "/access-keys", &token, None).await;
    assert_eq!(list.body["data"], json!([]));
    let body = json!({ "name": "x", "prefixes": ["a b/"], "source_addresses": ["10.1.2.3/8"] });
    let made = api
        .ask(Method::POST, "/access-keys", &token, Some(body))
        .await;
    let path = format!("/access-keys/{}", made.text("access_key_id"));
    let shown = api.ask(Method::GET, &path, &token, None).await;
    assert_eq!(shown.body["source_addresses"], json!(["10.0.0.0/8"]));
    assert_eq!(shown.body["prefixes"], json!(["a b/"]));
    api.stop().await;
}
