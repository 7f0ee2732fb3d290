//! Pages: each row once, whatever is added while they are read.

use chrono::Duration;
use controlplane::api_tokens::TokenScope;
use http::Method;
use serde_json::json;

use super::Api;

/// Reads a whole list in pages, and does something after each page.
async fn read(
    api: &Api,
    token: &str,
    path: &str,
    field: &str,
    mut meanwhile: impl AsyncFnMut(usize),
) -> Vec<String> {
    let (mut seen, mut cursor) = (vec![], String::new());
    for round in 0..100 {
        let separator = if path.contains('?') { '&' } else { '?' };
        let to = format!("{path}{separator}limit=3{cursor}");
        let page = api.ask(Method::GET, &to, token, None).await;
        let rows = page.body["data"].as_array().unwrap();
        assert!(rows.len() <= 3);
        seen.extend(rows.iter().map(|row| row[field].to_string()));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
        meanwhile(round).await;
    }
    panic!("the list has no end");
}

#[tokio::test]
async fn each_row_is_seen_once_while_others_are_added() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let make = async |name: String| {
        let body = json!({ "name": name });
        let made = api
            .ask(Method::POST, "/access-keys", &token, Some(body))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["access_key_id"].to_string()
    };
    let mut before = vec![];
    for n in 0..8 {
        before.push(make(format!("before {n}")).await);
        // Some at the same moment.
        if n % 3 == 0 {
            api.plane.clock.advance(Duration::seconds(1));
        }
    }
    api.plane.clock.advance(Duration::seconds(1));
    let meanwhile = async |round| {
        make(format!("meanwhile {round}")).await;
    };
    let mut seen = read(&api, &token, "/access-keys", "access_key_id", meanwhile).await;
    seen.sort();
    before.sort();
    assert_eq!(seen, before);

    let meanwhile = async |round| {
        make(format!("later {round}")).await;
    };
    let path = "/audit-log?action=access_key.";
    let seen = read(&api, &token, path, "entry_id", meanwhile).await;
    let once: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(
        (seen.len(), once.len()),
        (10, 10),
        "those of before: 8 and 2"
    );
    api.stop().await;
}

#[tokio::test]
async fn buckets_come_by_name_and_members_as_they_came() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &TokenScope::ALL).await;
    let make = async |name: &str| {
        let body = json!({ "name": name });
        api.ask(Method::POST, "/buckets", &token, Some(body)).await;
    };
    for name in ["ddd", "bbb", "fff", "aaa", "ccc"] {
        make(name).await;
    }
    // One before the cursor, which is not seen, and one behind it.
    let meanwhile = async |round| {
        if round == 0 {
            make("aab").await;
            make("eee").await;
        }
    };
    let seen = read(&api, &token, "/buckets", "name", meanwhile).await;
    let names = ["aaa", "bbb", "ccc", "ddd", "eee", "fff"].map(|name| format!("\"{name}\""));
    assert_eq!(seen, names);
    let page = api.ask(Method::GET, "/members", &token, None).await;
    assert_eq!(page.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(page.body["data"][0]["role"], "owner");
    api.stop().await;
}
