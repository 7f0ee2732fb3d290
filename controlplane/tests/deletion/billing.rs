//! Who deletes its account pays no further month: the subscription ends in Stripe, whatever Stripe or this system was
//! doing at that moment, and nothing of Stripe's wakes the account again.

use chrono::Duration;
use controlplane::accounts::SignedIn;
use controlplane::billing;
use controlplane::ids::TenantId;
use controlplane::tenants;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::TenantStatus;

use super::delete;
use crate::plane::PASSWORD;
use crate::standin::{PAYS, World};

async fn pay(world: &World, page: &str) {
    let session = page.rsplit('/').next().unwrap();
    let path = format!("checkout/{session}/pay");
    world.stripe.does(&path, json!({ "card": PAYS })).await;
}

/// Who signed up and bought the plan; Stripe has told nothing of it yet.
async fn subscriber(world: &World, email: &str) -> SignedIn {
    let signed_in = world.plane.sign_up(email).await;
    let page = world
        .checkout(signed_in.session.tenant_id, "business")
        .await;
    pay(world, &page.unwrap()).await;
    signed_in
}

async fn deletes(world: &World, who: &SignedIn) {
    delete(&world.plane, &who.session, &who.session.company, PASSWORD)
        .await
        .unwrap();
}

async fn customer(world: &World, tenant: TenantId) -> String {
    let mut conn = world.plane.database.superuser().await;
    sqlx::query_scalar("SELECT customer_id FROM stripe_customers WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_one(&mut conn)
        .await
        .unwrap()
}

/// A field of what the tenant's customer has of that kind.
async fn fields(world: &World, tenant: TenantId, kind: &str, field: &str) -> Vec<Value> {
    let customer = customer(world, tenant).await;
    let all = world.stripe.all(kind).await.into_iter();
    let own = all.filter(|each| each["customer"] == json!(customer));
    own.map(|each| each[field].clone()).collect()
}

async fn subscriptions(world: &World, tenant: TenantId) -> Vec<Value> {
    fields(world, tenant, "subscription", "status").await
}

async fn status(world: &World, tenant: TenantId) -> TenantStatus {
    let mut tx = world.plane.cp.begin_system().await.unwrap();
    tenants::by_id(&mut tx, tenant).await.unwrap().status
}

async fn restore(world: &World, tenant: TenantId) {
    let path = format!("/tenants/{tenant}/restore");
    let (status, body) = world.plane.admin(Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

async fn outage(world: &World, requests: u32) {
    let how = json!({ "requests": requests, "status": 503 });
    world.stripe.does("outage", how).await;
}

#[tokio::test]
async fn a_deleted_account_is_never_charged_again_though_stripe_was_down() {
    let mut world = World::start().await;
    let ann = subscriber(&world, "ann@example.com").await;
    let eve = subscriber(&world, "eve@example.com").await;
    let (hers, other) = (ann.session.tenant_id, eve.session.tenant_id);
    world.tell().await;
    billing::look_at_stripe(&world.plane.cp).await.unwrap();
    assert_eq!(subscriptions(&world, hers).await, ["active"]);

    outage(&world, 1000).await;
    deletes(&world, &ann).await;
    world.plane.mail("account_deleted", "ann@example.com").await;
    world.passes(Duration::minutes(1)).await;
    billing::look_at_stripe(&world.plane.cp).await.unwrap();
    assert_eq!(subscriptions(&world, hers).await, ["active"], "it is down");
    outage(&world, 0).await;
    for _ in 0..2 {
        billing::look_at_stripe(&world.plane.cp).await.unwrap();
        world.passes(Duration::minutes(1)).await;
    }
    assert_eq!(subscriptions(&world, hers).await, ["canceled"]);
    assert_eq!(subscriptions(&world, other).await, ["active"]);
    let ended = "SELECT count(*) FROM audit_log WHERE action = 'billing.cancel'";
    assert_eq!(world.count(ended).await, 1);

    // What Stripe tells of it, and two months later.
    for days in [0, 40, 40] {
        world.passes(Duration::days(days)).await;
        world.tell().await;
        billing::look(&world.plane.cp).await.unwrap();
        billing::meter(&world.plane.cp).await.unwrap();
    }
    let failed = "SELECT count(*) FROM stripe_events WHERE state = 'failed'";
    assert_eq!(world.count(failed).await, 0);
    assert_eq!(status(&world, hers).await, TenantStatus::Deleted);
    assert_eq!(fields(&world, hers, "charge", "amount").await, [149_900]);
    let paid = fields(&world, other, "charge", "amount").await;
    assert_eq!(paid, [149_900, 149_900, 149_900], "hers goes on");
    world.plane.outbox_is_empty().await;
    let mails = world.plane.mails();
    let to_her = mails.iter().filter(|mail| mail.to == "ann@example.com");
    assert!(
        to_her
            .into_iter()
            .all(|mail| mail.kind != "billing_standing"),
        "nobody bothers her"
    );
    world.plane.stop().await;
}

#[tokio::test]
async fn what_is_bought_behind_a_deletion_is_cancelled_too() {
    let mut world = World::start().await;
    // Paid, and nothing heard of it before the deletion.
    let ann = subscriber(&world, "ann@example.com").await;
    // Paid afterwards, on a page that was open.
    let bob = world.plane.sign_up("bob@example.com").await;
    let page = world.checkout(bob.session.tenant_id, "business").await;
    for who in [&ann, &bob] {
        deletes(&world, who).await;
        let refused = world.checkout(who.session.tenant_id, "business").await;
        assert_eq!(refused.unwrap_err().code(), "not_found");
    }
    billing::look_at_stripe(&world.plane.cp).await.unwrap();
    assert_eq!(
        subscriptions(&world, ann.session.tenant_id).await,
        ["canceled"]
    );
    world.passes(Duration::minutes(1)).await;
    billing::look_at_stripe(&world.plane.cp).await.unwrap();
    pay(&world, &page.unwrap()).await;
    world.tell().await;
    assert_eq!(
        subscriptions(&world, bob.session.tenant_id).await,
        ["active"]
    );
    billing::look_at_stripe(&world.plane.cp).await.unwrap();
    assert_eq!(
        subscriptions(&world, bob.session.tenant_id).await,
        ["canceled"]
    );
    for who in [&ann, &bob] {
        let tenant = who.session.tenant_id;
        assert_eq!(status(&world, tenant).await, TenantStatus::Deleted);
    }
    world.plane.stop().await;
}

#[tokio::test]
async fn a_restored_account_subscribes_anew_unless_its_subscription_still_goes_on() {
    let mut world = World::start().await;
    let ann = subscriber(&world, "ann@example.com").await;
    let bob = subscriber(&world, "bob@example.com").await;
    let (hers, his) = (ann.session.tenant_id, bob.session.tenant_id);
    world.tell().await;
    deletes(&world, &ann).await;
    billing::look_at_stripe(&world.plane.cp).await.unwrap();
    world.passes(Duration::days(1)).await;
    world.tell().await;
    restore(&world, hers).await;
    let (rung, reason) = world.standing(hers).await;
    assert_eq!((rung.as_str(), reason.as_str()), ("read_only", "canceled"));
    assert_eq!(status(&world, hers).await, TenantStatus::ReadOnly);
    world
        .plane
        .mail("billing_standing", "ann@example.com")
        .await;
    let page = world.checkout(hers, "business").await.unwrap();
    pay(&world, &page).await;
    world.tell().await;
    assert_eq!(status(&world, hers).await, TenantStatus::Active);

    deletes(&world, &bob).await;
    restore(&world, his).await;
    world.passes(Duration::minutes(1)).await;
    billing::look_at_stripe(&world.plane.cp).await.unwrap();
    assert_eq!(subscriptions(&world, his).await, ["active"]);
    let mut both = subscriptions(&world, hers).await;
    both.sort_by_key(Value::to_string);
    assert_eq!(
        both,
        ["active", "canceled"],
        "she is no deleted one any more"
    );
    assert_eq!(status(&world, his).await, TenantStatus::Active);
    world.plane.stop().await;
}
