//! Plans and paying by the operator's hand: terms that are kept, the ladder on nodes and in mails,
//! and invoices.

use chrono::Duration;
use controlplane::billing;
use controlplane::ids::TenantId;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use wire::{TenantStatus, ToNode};

use crate::plane::Plane;

pub async fn business(plane: &Plane, email: &str) -> TenantId {
    let body = json!({ "name": "Acme", "email": email, "plan": "business" });
    let (status, made) = plane.admin(Method::POST, "/tenants", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["tenant_id"].as_str().unwrap().parse().unwrap()
}

async fn seen(plane: &Plane, tenant: TenantId) -> Value {
    let path = format!("/tenants/{tenant}/billing");
    let (status, body) = plane.admin(Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

pub async fn pay(plane: &Plane, tenant: TenantId, body: Value) -> (StatusCode, Value) {
    let path = format!("/tenants/{tenant}/paid");
    plane.admin(Method::POST, &path, Some(body)).await
}

async fn passes(plane: &Plane, days: i64) {
    plane.clock.advance(Duration::days(days));
    billing::look(&plane.cp).await.unwrap();
}

#[tokio::test]
async fn a_plan_is_made_and_changed_and_what_was_bought_stays() {
    let plane = Plane::start().await;
    let new = json!({ "id": "small", "name": "Small", "price_cents": 9900, "storage_bytes": 1_000_000_000_000i64, "for_sale": true });
    let (status, made) = plane.admin(Method::POST, "/plans", Some(new.clone())).await;
    assert_eq!(
        (status, made["version"].as_i64()),
        (StatusCode::CREATED, Some(1)),
        "{made}"
    );
    let (status, twice) = plane.admin(Method::POST, "/plans", Some(new)).await;
    assert_eq!(
        (status, twice["field"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("id"))
    );
    for (body, field) in [
        (
            json!({ "id": "x", "name": "X", "price_cents": 1 }),
            "storage_bytes",
        ),
        (
            json!({ "id": "X y", "name": "X", "price_cents": 1, "storage_bytes": 1 }),
            "id",
        ),
        (
            json!({ "id": "x", "name": "X", "price_cents": -1, "storage_bytes": 1 }),
            "price_cents",
        ),
        (
            json!({ "id": "x", "name": "X", "price_cents": 1, "storage_bytes": 1, "colour": 1 }),
            "colour",
        ),
    ] {
        let (status, refused) = plane.admin(Method::POST, "/plans", Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
        assert!(refused.to_string().contains(field), "{refused}");
    }

    let old = business(&plane, "one@example.com").await;
    let change = json!({ "price_cents": 199_900, "requests_per_second": 50 });
    let (status, changed) = plane
        .admin(Method::PATCH, "/plans/business", Some(change))
        .await;
    assert_eq!(
        (status, changed["version"].as_i64()),
        (StatusCode::OK, Some(2)),
        "{changed}"
    );
    let new = business(&plane, "two@example.com").await;
    let figures = async |tenant| {
        let (_, shown) = plane
            .admin(Method::GET, &format!("/tenants/{tenant}"), None)
            .await;
        (
            seen(&plane, tenant).await["price_cents"].clone(),
            shown["requests_per_second"].clone(),
        )
    };
    assert_eq!(
        figures(old).await,
        (json!(149_900), json!(100)),
        "as it was bought"
    );
    assert_eq!(figures(new).await, (json!(199_900), json!(50)));
    // By the operator's word it comes onto the new terms.
    let (status, _) = plane
        .admin(
            Method::POST,
            &format!("/tenants/{old}/plan"),
            Some(json!({ "plan": "business" })),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(figures(old).await, (json!(199_900), json!(50)));
    plane.stop().await;
}

/// Waits until the node hears that the tenant has this status.
async fn hears(node: &mut UnboundedReceiver<ToNode>, status: TenantStatus) {
    let heard = async {
        while let Some(message) = node.recv().await {
            if matches!(message, ToNode::Tenant(document) if document.status == status) {
                return;
            }
        }
        panic!("the stream is closed");
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), heard)
        .await
        .expect("the node does not hear it");
}

#[tokio::test]
async fn a_trial_ends_on_the_nodes_and_in_the_mail_and_paying_brings_it_back() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await.id;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    // With its snapshot in hand: each change from here on comes as one.
    let snapshot = stream.snapshot().await;
    stream.ack(snapshot.revision).await;
    let mut heard = stream.obey();
    passes(&plane, 11).await;
    let mail = plane.mail("billing_standing", "one@example.com").await;
    assert!(mail.text.contains("Your trial ends soon"), "{}", mail.text);
    assert_eq!(seen(&plane, tenant).await["standing"], "ending");
    passes(&plane, 3).await;
    hears(&mut heard, TenantStatus::ReadOnly).await;
    let mail = plane.mail("billing_standing", "one@example.com").await;
    assert!(mail.text.contains("read-only"), "{}", mail.text);
    assert!(
        mail.text.contains("Nothing is deleted before"),
        "{}",
        mail.text
    );
    passes(&plane, 14).await;
    hears(&mut heard, TenantStatus::Suspended).await;
    plane.mail("billing_standing", "one@example.com").await;
    // Looking again says and does nothing again.
    billing::look(&plane.cp).await.unwrap();
    plane.outbox_is_empty().await;
    assert!(plane.mails().is_empty());

    plane
        .admin(
            Method::POST,
            &format!("/tenants/{tenant}/plan"),
            Some(json!({ "plan": "business" })),
        )
        .await;
    let (status, paid) = pay(&plane, tenant, json!({ "until": "2026-04-28" })).await;
    assert_eq!(status, StatusCode::OK, "{paid}");
    assert_eq!(seen(&plane, tenant).await["standing"], "good");
    hears(&mut heard, TenantStatus::Active).await;
    plane.stop().await;
}

#[tokio::test]
async fn an_operators_suspension_is_the_operators() {
    let plane = Plane::start().await;
    let tenant = business(&plane, "one@example.com").await;
    let path = format!("/tenants/{tenant}");
    let status = async || plane.admin(Method::GET, &path, None).await.1["status"].clone();
    plane
        .admin(Method::POST, &format!("{path}/suspend"), None)
        .await;
    pay(&plane, tenant, json!({ "until": "2026-03-31" })).await;
    assert_eq!(status().await, "suspended", "paying does not lift it");
    plane
        .admin(Method::POST, &format!("{path}/resume"), None)
        .await;
    assert_eq!(status().await, "active");
    passes(&plane, 60).await;
    assert_eq!(status().await, "suspended");
    plane
        .admin(Method::POST, &format!("{path}/resume"), None)
        .await;
    assert_eq!(
        status().await,
        "suspended",
        "nor does the operator's word pay"
    );
    plane.stop().await;
}

#[tokio::test]
async fn nothing_is_paid_for_a_plan_that_costs_nothing_unless_the_operator_says_what() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await.id;
    let until = "2027-01-01";
    let (status, refused) = pay(&plane, tenant, json!({ "until": until })).await;
    assert_eq!(
        (status, refused["field"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("price_cents")),
        "{refused}"
    );
    let said = json!({ "until": until, "price_cents": 5_000 });
    let (status, paid) = pay(&plane, tenant, said).await;
    assert_eq!(
        (status, paid["total_cents"].as_i64()),
        (StatusCode::OK, Some(5_000)),
        "{paid}"
    );
    plane.stop().await;
}

#[tokio::test]
async fn what_is_paid_by_hand_is_invoiced_to_the_cent() {
    let plane = Plane::start().await;
    let tenant = business(&plane, "one@example.com").await;
    for (body, field) in [
        (json!({ "until": "2026-02-28" }), "until"),
        (json!({ "until": "soon" }), "until"),
        (
            json!({ "until": "2026-04-30", "price_cents": -1 }),
            "price_cents",
        ),
    ] {
        let (status, refused) = pay(&plane, tenant, body).await;
        assert_eq!(
            (status, refused["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(field))
        );
    }
    let (_, paid) = pay(&plane, tenant, json!({ "until": "2026-03-31" })).await;
    assert_eq!(
        (
            paid["total_cents"].as_i64(),
            paid["invoice_number"].as_i64()
        ),
        (Some(149_900), Some(1)),
        "{paid}"
    );

    // Ten terabytes beyond the plan for the whole first month.
    let sql = format!(
        "INSERT INTO usage_hours VALUES ('{tenant}', '2026-03-01T12:00:00Z', gen_random_uuid(), '', 'a', 1, 0, 0,
                                         50000000000000, 1)"
    );
    plane.database.execute(&sql).await;
    plane.clock.advance(Duration::days(31));
    let (_, paid) = pay(&plane, tenant, json!({ "until": "2026-04-30" })).await;
    assert_eq!(paid["total_cents"], json!(149_900 + 40_000), "{paid}");
    let (_, paid) = pay(
        &plane,
        tenant,
        json!({ "until": "2026-05-31", "price_cents": 100_000 }),
    )
    .await;
    assert_eq!(
        paid["total_cents"],
        json!(100_000),
        "what was invoiced is not again"
    );

    let (_, list) = plane
        .admin(Method::GET, &format!("/tenants/{tenant}/invoices"), None)
        .await;
    let numbers: Vec<_> = list["invoices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["number"].as_i64())
        .collect();
    assert_eq!(numbers, [Some(3), Some(2), Some(1)]);
    let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
    let id = list["invoices"][1]["id"].as_str().unwrap();
    let invoice = billing::invoice(&mut tx, id).await.unwrap();
    let pdf = billing::pdf(&invoice);
    assert!(String::from_utf8_lossy(&pdf).contains("(1,899.00 USD) Tj"));
    // Another tenant's is as unknown as none.
    let other = plane.tenant("two@example.com").await.id;
    let mut tx = plane.cp.begin_tenant(other).await.unwrap();
    assert!(billing::invoice(&mut tx, id).await.is_err());
    drop(tx);
    plane.stop().await;
}
