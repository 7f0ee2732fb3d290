//! API tokens: shown once, made once, offered by role, revoked.

use axum::body::Body;
use http::{Request, StatusCode};
use tower::ServiceExt;

use crate::site::{Browser, Page, Site};

pub async fn make(browser: &mut Browser, name: &str, scopes: &[&str]) -> Page {
    let form = browser.get("/api-tokens").await;
    let mut fields = vec![("name", name), ("days", "30")];
    fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
    browser.submit("/api-tokens", &form, &fields).await
}

/// What the API answers to the token.
async fn whoami(site: &Site, token: &str) -> StatusCode {
    let request = Request::get("/api/v1/whoami").header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).expect("a request");
    let answer = site.router.clone().oneshot(request).await;
    answer.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_works_and_is_revoked() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    let made = make(&mut ada, "orbit seven", &["read", "buckets"]).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let token = made.element("api-token").to_owned();
    assert!(token.starts_with("vlt_"), "{token}");
    assert!(made.has("Read, Buckets"));
    assert_eq!(whoami(&site, &token).await, StatusCode::OK);
    let list = ada.get("/api-tokens").await;
    assert!(!list.has(&token) && list.has(&format!("vlt_…{}", &token[token.len() - 4..])));
    assert!(!eve.get("/api-tokens").await.has("orbit seven"));

    let (_, id) = list
        .body
        .split_once("data-revoke-token=\"")
        .expect("a button");
    let path = format!(
        "/api-tokens/{}/revoke",
        id.split('"').next().expect("an id")
    );
    let fields = eve.get("/api-tokens").await.hidden_fields("/logout");
    let ours = [("sec-fetch-site", "same-origin")];
    let refused = eve.post(&path, &fields, &ours).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert_eq!(whoami(&site, &token).await, StatusCode::OK);
    let revoked = ada.submit(&path, &list, &[]).await;
    assert_eq!(revoked.location(), "/api-tokens?notice=revoked");
    assert_eq!(whoami(&site, &token).await, StatusCode::UNAUTHORIZED);
    let list = ada.get(revoked.location()).await;
    assert!(list.has("Revoked") && !list.has("data-revoke-token"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_the_form_again_makes_no_second_token() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/api-tokens").await;
    let fields = [("name", "deploy"), ("scope", "read")];
    let made = ada.submit("/api-tokens", &form, &fields).await;
    assert_eq!(made.status, StatusCode::OK);
    let again = ada.submit("/api-tokens", &form, &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.body.matches("data-revoke-token").count(), 1);
    // Whoever wants another sends the fresh form.
    let second = ada.submit("/api-tokens", &again, &fields).await;
    assert_eq!(second.status, StatusCode::OK);
    let list = ada.get("/api-tokens").await;
    assert_eq!(list.body.matches("data-revoke-token").count(), 2);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_role_lacks_is_neither_offered_nor_given() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut reader = site
        .colleague(&mut ada, "reader@engines.example", "read_only")
        .await;
    let page = reader.get("/api-tokens").await;
    assert!(page.has("id=\"scope-read\"") && !page.has("id=\"scope-buckets\""));
    let refused = make(&mut reader, "x", &["read", "buckets"]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        refused.element("scopes-error"),
        "Your role may not give `buckets`."
    );
    for (name, scopes, error) in [
        ("", &["read"][..], "name-error"),
        ("x", &[], "scopes-error"),
        ("x", &["root"], "scopes-error"),
    ] {
        let refused = make(&mut reader, name, scopes).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!refused.element(error).is_empty());
    }
    assert_eq!(
        make(&mut reader, "x", &["read"]).await.status,
        StatusCode::OK
    );
    assert!(
        ada.get("/api-tokens")
            .await
            .has("by reader@engines.example")
    );
    site.close().await;
}
