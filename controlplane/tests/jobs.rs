//! What waits to be done: listed with its state, tried again one by one, and many only by number.

use chrono::Duration;
use controlplane::billing;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::plane::{Plane, eventually};

async fn jobs(plane: &Plane, query: &str) -> Vec<Value> {
    let (status, body) = plane
        .admin(Method::GET, &format!("/jobs{query}"), None)
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["jobs"].as_array().unwrap().clone()
}

async fn retry(plane: &Plane, kind: &str, id: &str) -> (StatusCode, Value) {
    let path = format!("/jobs/{kind}/{id}/retry");
    plane.admin(Method::POST, &path, None).await
}

/// A webhook of the tenant's to an address where nobody listens any more.
async fn webhook(plane: &Plane, tenant: &str, id: u32, created: &str) {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", gone.local_addr().unwrap());
    drop(gone);
    plane
        .database
        .execute(&format!(
            "INSERT INTO spending (tenant_id, webhook_url, webhook_secret) VALUES ('{tenant}', '{url}', '')
                 ON CONFLICT (tenant_id) DO NOTHING;
             INSERT INTO customer_webhooks (id, tenant_id, body, created_at, next_attempt_at)
                 VALUES ('00000000-0000-0000-0000-00000000000{id}', '{tenant}', '{{}}', {created}, {created});"
        ))
        .await;
}

fn webhook_id(id: u32) -> String {
    format!("{id:032}")
}

#[tokio::test]
async fn a_webhook_that_failed_is_listed_given_up_and_tried_again() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await.id.to_string();
    assert_eq!(jobs(&plane, "").await, Vec::<Value>::new());
    webhook(&plane, &tenant, 1, "'2026-03-01T12:00:00Z'").await;
    let listed = jobs(&plane, "").await;
    assert_eq!(
        (
            &listed[0]["kind"],
            &listed[0]["state"],
            &listed[0]["tenant_id"]
        ),
        (&json!("webhook"), &json!("queued"), &json!(tenant))
    );
    billing::deliver_webhooks(&plane.cp).await.unwrap();
    let listed = jobs(&plane, "?kind=webhook").await;
    assert_eq!(
        (&listed[0]["state"], &listed[0]["attempts"]),
        (&json!("retrying"), &json!(1)),
        "{listed:?}"
    );
    assert!(listed[0]["last_error"].is_string(), "{listed:?}");
    assert_eq!(listed[0]["next_at"], "2026-03-01T12:00:15Z");
    // It is tried for a day, and then kept as given up.
    plane.clock.advance(Duration::hours(25));
    billing::deliver_webhooks(&plane.cp).await.unwrap();
    let listed = jobs(&plane, "?state=failed").await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["next_at"], Value::Null);
    assert_eq!(listed[0]["age_seconds"], json!(25 * 3600));
    assert_eq!(jobs(&plane, "?state=queued").await.len(), 0);
    let attempts = listed[0]["attempts"].as_i64().unwrap();

    let (status, job) = retry(&plane, "webhook", &webhook_id(1)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    eventually(async || {
        let listed = jobs(&plane, "").await;
        listed[0]["attempts"].as_i64() > Some(attempts) && listed[0]["state"] == "failed"
    })
    .await;
    for (kind, id) in [
        ("webhook", webhook_id(7)),
        ("mail", webhook_id(1)),
        ("nothing", webhook_id(1)),
        ("mail", "x".to_owned()),
    ] {
        let (status, _) = retry(&plane, kind, &id).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{kind} {id}");
    }
    let audited = "SELECT count(*) FROM audit_log WHERE action = 'job.retry'";
    assert_eq!(plane.database.count(audited).await, 1);
    // In a week nobody asks any more.
    plane.clock.advance(Duration::days(8));
    webhook(&plane, &tenant, 2, "'2026-03-01T12:00:00Z'").await;
    billing::deliver_webhooks(&plane.cp).await.unwrap();
    let ids: Vec<Value> = jobs(&plane, "")
        .await
        .iter()
        .map(|job| job["id"].clone())
        .collect();
    assert_eq!(ids, [json!(webhook_id(2))]);
    plane.stop().await;
}

#[tokio::test]
async fn many_are_tried_again_only_by_whoever_says_how_many() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await.id.to_string();
    for id in [1, 2, 3] {
        webhook(&plane, &tenant, id, "'2026-03-01T12:00:00Z'").await;
    }
    billing::deliver_webhooks(&plane.cp).await.unwrap();
    let all = async |body| plane.admin(Method::POST, "/jobs/retry", Some(body)).await;
    for confirm in [Value::Null, json!(2), json!(4)] {
        let (status, refused) = all(json!({ "confirm": confirm })).await;
        assert_eq!(
            (status, refused["code"].as_str()),
            (StatusCode::CONFLICT, Some("confirm_needed")),
            "{refused}"
        );
        assert!(
            refused["detail"].as_str().unwrap().contains("number 3"),
            "{refused}"
        );
    }
    let (status, refused) = all(json!({ "kind": "letter" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    let tried = "SELECT sum(attempts) FROM customer_webhooks";
    assert_eq!(plane.database.count(tried).await, 3, "nothing was tried");
    let (status, answer) = all(json!({ "kind": "mail" })).await;
    assert_eq!(
        (status, &answer["tried"]),
        (StatusCode::ACCEPTED, &json!(0))
    );
    let (status, answer) = all(json!({ "kind": "webhook", "confirm": 3 })).await;
    assert_eq!(
        (status, &answer["tried"]),
        (StatusCode::ACCEPTED, &json!(3))
    );
    eventually(async || plane.database.count(tried).await == 6).await;
    plane.stop().await;
}

#[tokio::test]
async fn what_would_do_harm_is_not_tried_again() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await.id;
    plane
        .database
        .execute(&format!(
            "INSERT INTO mails (id, kind, recipient, content, next_attempt_at, give_up_at, created_at, failed_at, last_error)
                 VALUES ('00000000-0000-0000-0000-000000000001', 'reset_password', 'a', '', now(), now(), '2026-03-01', now(),
                         'no server');
             INSERT INTO meter_events (identifier, tenant_id, live, customer_id, kind, quantity, at, created_at, attempts,
                                       next_attempt_at, last_error)
                 VALUES ('old', '{tenant}', false, 'c', 'storage', 1, '2026-02-27', '2026-02-27', 9, '2036-01-01', 'no'),
                        ('new', '{tenant}', false, 'c', 'storage', 1, '2026-03-01', '2026-03-01', 2, '2026-03-02', 'no');
             INSERT INTO stripe_events (event_id, kind, state, created_at, received_at, attempts, next_attempt_at, last_error)
                 VALUES ('evt_1', 'invoice.paid', 'failed', '2026-03-01', '2026-03-01', 3, '2026-03-02', 'no');
             UPDATE tenants SET status = 'deleted', status_before = 'active', deleted_at = '2026-03-01',
                                remove_after = '2026-03-31' WHERE id = '{tenant}';"
        ))
        .await;
    let listed = jobs(&plane, "").await;
    let states: Vec<(&str, &str)> = listed
        .iter()
        .map(|job| {
            (
                job["kind"].as_str().unwrap(),
                job["state"].as_str().unwrap(),
            )
        })
        .collect();
    for (kind, state) in [
        ("meter_event", "failed"),
        ("mail", "failed"),
        ("meter_event", "retrying"),
        ("removal", "queued"),
        ("stripe_event", "retrying"),
    ] {
        assert!(
            states.contains(&(kind, state)),
            "{kind} {state}: {states:?}"
        );
    }
    let removal = tenant.to_string();
    for (kind, id) in [
        ("mail", webhook_id(1)),
        ("meter_event", "old".to_owned()),
        ("removal", removal.clone()),
    ] {
        let (status, refused) = retry(&plane, kind, &id).await;
        assert_eq!(
            (status, refused["code"].as_str()),
            (StatusCode::CONFLICT, Some("job_over")),
            "{kind}: {refused}"
        );
    }
    for (kind, id) in [("meter_event", "new"), ("stripe_event", "evt_1")] {
        let (status, job) = retry(&plane, kind, id).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{kind}: {job}");
    }
    let due = "SELECT count(*) FROM meter_events WHERE identifier = 'new' AND next_attempt_at = '2026-03-01T12:00:00Z'";
    assert_eq!(plane.database.count(due).await, 1);
    plane.clock.advance(Duration::days(31));
    let (status, job) = retry(&plane, "removal", &removal).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let gone = "SELECT count(*) FROM tenants WHERE removed_at IS NOT NULL";
    eventually(async || plane.database.count(gone).await == 1).await;
    assert_eq!(jobs(&plane, "?kind=removal").await.len(), 0);
    plane.stop().await;
}
