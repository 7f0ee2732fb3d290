//! Caps and alerts: what is refused at a cap, and what is told, once, by mail and by webhook.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use chrono::Duration;
use controlplane::billing::{self, Spending};
use controlplane::ids::TenantId;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::billing::{business, pay};
use crate::plane::Plane;
use crate::standin::sign;

async fn set(plane: &Plane, tenant: TenantId, spending: Spending) -> Option<String> {
    let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
    let secret = billing::set_spending(&mut tx, &plane.cp, spending)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    billing::look_at(&plane.cp, tenant).await.unwrap();
    secret
}

async fn stores(plane: &Plane, tenant: TenantId, bytes: i64) {
    let sql = format!(
        "INSERT INTO tenant_usage VALUES ('{tenant}', {bytes}, 1)
            ON CONFLICT (tenant_id) DO UPDATE SET stored_bytes = EXCLUDED.stored_bytes;
         INSERT INTO usage_hours VALUES ('{tenant}', '2026-03-01T12:00:00Z', gen_random_uuid(), '', 'a', 1, 0, 0,
                                         {bytes}, 1)"
    );
    plane.database.execute(&sql).await;
}

#[tokio::test]
async fn a_cap_refuses_or_goes_on_as_the_customer_chose() {
    let plane = Plane::start().await;
    let tenant = business(&plane, "one@example.com").await;
    pay(&plane, tenant, json!({ "until": "2026-12-31" })).await;
    stores(&plane, tenant, 50_000_000_000_000).await;
    plane.clock.advance(Duration::days(10));
    let quota = async || {
        let (_, shown) = plane
            .admin(Method::GET, &format!("/tenants/{tenant}"), None)
            .await;
        shown["quota_bytes"].clone()
    };
    let spending = |cap, refuse| Spending {
        cap_cents: Some(cap),
        refuse_at_cap: refuse,
        ..Spending::default()
    };
    set(&plane, tenant, spending(100, false)).await;
    assert_eq!(quota().await, Value::Null, "it goes on");
    set(&plane, tenant, spending(100, true)).await;
    assert_eq!(
        quota().await,
        json!(40_000_000_000_000i64),
        "what the plan includes, and no byte more"
    );
    set(&plane, tenant, spending(10_000_000, true)).await;
    assert_eq!(quota().await, Value::Null, "the cap was raised");
    plane.stop().await;
}

#[tokio::test]
async fn thresholds_are_told_once_by_mail_and_by_a_signed_webhook() {
    let plane = Plane::start().await;
    let tenant = business(&plane, "one@example.com").await;
    pay(&plane, tenant, json!({ "until": "2026-12-31" })).await;
    let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let hook = {
        let heard = heard.clone();
        post(async move |headers: HeaderMap, body: Bytes| {
            let signature = headers["vaultaire-signature"].to_str().unwrap().to_owned();
            let body = String::from_utf8(body.to_vec()).unwrap();
            heard.lock().unwrap().push((body, signature));
        })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", hook)).await });
    let spending = Spending {
        thresholds: vec![90, 50, 50],
        webhook_url: Some(format!("http://{address}/hook")),
        ..Spending::default()
    };
    let secret = set(&plane, tenant, spending.clone())
        .await
        .expect("a new address has a secret");
    assert_eq!(
        set(&plane, tenant, spending).await,
        None,
        "it is shown once"
    );

    stores(&plane, tenant, 20_000_000_000_000).await;
    billing::look(&plane.cp).await.unwrap();
    billing::look(&plane.cp).await.unwrap();
    let mail = plane.mail("usage_alert", "one@example.com").await;
    assert!(mail.text.contains("50 %"), "{}", mail.text);
    billing::deliver_webhooks(&plane.cp).await.unwrap();
    let told = heard.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1, sign(&secret, &told[0].0, plane.clock.now()));
    let body: Value = serde_json::from_str(&told[0].0).unwrap();
    assert_eq!(
        (
            body["data"]["resource"].as_str(),
            body["data"]["percent"].as_i64()
        ),
        (Some("storage"), Some(50))
    );

    // Another period tells it again.
    plane.clock.advance(Duration::days(31));
    billing::look(&plane.cp).await.unwrap();
    plane.mail("usage_alert", "one@example.com").await;
    plane.stop().await;
}

#[tokio::test]
async fn an_alert_that_cannot_be_is_refused() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await.id;
    let refused = async |spending: Spending| {
        let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
        let refused = billing::set_spending(&mut tx, &plane.cp, spending)
            .await
            .unwrap_err();
        refused.field().map(str::to_owned)
    };
    let with = Spending::default;
    assert_eq!(
        refused(Spending {
            cap_cents: Some(-1),
            ..with()
        })
        .await
        .as_deref(),
        Some("cap")
    );
    assert_eq!(
        refused(Spending {
            thresholds: vec![0],
            ..with()
        })
        .await
        .as_deref(),
        Some("thresholds")
    );
    assert_eq!(
        refused(Spending {
            thresholds: (1..20).collect(),
            ..with()
        })
        .await
        .as_deref(),
        Some("thresholds")
    );
    let url = Some("ftp://example.com".to_owned());
    assert_eq!(
        refused(Spending {
            webhook_url: url,
            ..with()
        })
        .await
        .as_deref(),
        Some("webhook_url")
    );
    plane.stop().await;
}
