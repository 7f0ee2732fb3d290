//! Access keys: shown once, made once, revoked with a receipt.

use chrono::Duration;
use http::StatusCode;

use crate::site::{Site, create_key, pair};

#[tokio::test(flavor = "multi_thread")]
async fn sending_the_form_again_makes_no_second_key() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/access-keys").await;
    let fields = [("name", "backup"), ("permission", "full")];
    let created = ada.submit("/access-keys", &form, &fields).await;
    let id = created.element("access-key-id").to_owned();
    let secret = created.element("secret-access-key").to_owned();

    let again = ada.submit("/access-keys", &form, &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.has("id=\"already-created\"") && again.has(&id) && !again.has(&secret));
    assert_eq!(again.body.matches("data-revoke").count(), 1);

    // Whoever wants another sends the fresh form.
    let second = ada.submit("/access-keys", &again, &fields).await;
    assert_eq!(second.status, StatusCode::OK);
    let list = ada.get("/access-keys").await;
    assert_eq!(list.body.matches("data-revoke").count(), 2);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_clicks_at_once_one_makes_a_key() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/access-keys").await;
    let mut fields = form.hidden_fields("/access-keys");
    fields.extend([pair("name", "backup"), pair("permission", "full")]);
    let mut clicks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (mut tab, fields) = (ada.clone(), fields.clone());
        clicks.spawn(async move {
            let ours = [("sec-fetch-site", "same-origin")];
            tab.post("/access-keys", &fields, &ours).await.status
        });
    }
    let mut answers = clicks.join_all().await;
    answers.sort();
    assert_eq!(answers.remove(0), StatusCode::OK);
    assert!(
        answers.iter().all(|s| *s == StatusCode::CONFLICT),
        "{answers:?}"
    );
    let list = ada.get("/access-keys").await;
    assert_eq!(list.body.matches("data-revoke").count(), 1);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_form_says_why_and_keeps_what_was_typed() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/access-keys").await;
    let long = "x".repeat(101);
    let refused = [
        ("", "full", "", "name-error"),
        (long.as_str(), "read", "", "name-error"),
        ("ci", "write", "0", "expires-error"),
        ("ci", "read", "soon", "expires-error"),
        ("ci", "admin", "", "permission-error"),
    ];
    for (name, permission, days, error) in refused {
        let fields = [
            ("name", name),
            ("permission", permission),
            ("expires_in_days", days),
        ];
        let again = ada.submit("/access-keys", &form, &fields).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "{error}");
        assert!(!again.element(error).is_empty());
        assert!(again.has(&format!("value=\"{days}\"")));
        assert!(!again.has("data-revoke"));
    }
    let fields = [
        ("name", "ci"),
        ("permission", "read"),
        ("expires_in_days", "30"),
    ];
    let created = ada.submit("/access-keys", &form, &fields).await;
    assert!(created.has("Read permission, until"));
    let list = ada.get("/access-keys").await;
    assert!(list.has("Read") && list.has("data-revoke"));

    // Sessions end after two idle days; a new log-in sees the key expired.
    site.clock.advance(Duration::days(30));
    let mut later = site.browser();
    let form = later.get("/login").await;
    let fields = [
        ("email", "ada@engines.example"),
        ("password", crate::site::PASSWORD),
    ];
    later.submit("/login", &form, &fields).await;
    let list = later.get("/access-keys").await;
    assert!(list.has("Expired") && !list.has("data-revoke"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_names_nodes_that_did_not_answer() {
    let site = Site::start().await;
    site.node("127.0.0.1:9000", true).await;
    site.node("127.0.0.1:9010", false).await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let created = create_key(&mut ada, "backup").await;
    let waiting = "1 of 2 nodes accept it so far; the others follow.";
    assert_eq!(created.element("propagation"), waiting);
    let id = created.element("access-key-id").to_owned();
    let path = format!("/access-keys/{id}/revoke");
    let question = ada.get(&path).await;
    let receipt = ada.submit(&path, &question, &[]).await;
    assert!(receipt.has("Refused on 1 of 2 nodes after "));
    assert!(receipt.has("127.0.0.1:9010") && receipt.has("Not acknowledged"));

    // Once more changes nothing, and the question is no longer asked.
    let again = ada.submit(&path, &question, &[]).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(ada.get(&path).await.has("already revoked"));
    site.close().await;
}
