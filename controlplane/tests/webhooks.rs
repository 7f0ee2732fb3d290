//! What Stripe tells: what is believed of it and what is not, what becomes of failures, and how differences are found.

use chrono::Duration;
use controlplane::{Origin, billing};
use http::{Method, StatusCode};
use serde_json::json;

use crate::standin::{PAYS, SECRET, World, sign};

#[tokio::test]
async fn row_11_what_is_not_signed_as_it_is_is_refused_and_leaves_nothing() {
    let mut world = World::start().await;
    world.buys("one@example.com", PAYS).await;
    let events = world.untold().await;
    let body = events.last().unwrap().to_string();
    let now = world.plane.clock.now();
    let good = sign(SECRET, &body, now);
    let altered = body.replacen("evt_", "evt_x", 1);
    let old = sign(SECRET, &body, now - Duration::seconds(301));
    let new = sign(SECRET, &body, now + Duration::seconds(301));
    let other = sign("whsec_other", &body, now);
    let garbage = sign(SECRET, "{}", now);
    for (body, signature) in [
        (&body, None),
        (&body, Some("")),
        (&body, Some("t=0,v1=00")),
        (&altered, Some(&*good)),
        (&body, Some(&*old)),
        (&body, Some(&*new)),
        (&body, Some(&*other)),
        (&"{}".to_owned(), Some(&*garbage)),
    ] {
        let status = world.post_signed(body, signature).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{signature:?}");
    }
    assert_eq!(world.count("SELECT count(*) FROM stripe_events").await, 0);
    let aged = sign(SECRET, &body, now - Duration::seconds(300));
    assert_eq!(world.post_signed(&body, Some(&aged)).await, StatusCode::OK);
    assert_eq!(
        world.post_signed(&body, Some(&good)).await,
        StatusCode::OK,
        "again"
    );
    assert_eq!(world.count("SELECT count(*) FROM stripe_events").await, 1);
    world.plane.stop().await;
}

#[tokio::test]
async fn row_13_nothing_that_a_client_or_a_test_says_activates_anything() {
    let mut world = World::in_mode(true).await;
    billing::sync(&world.plane.cp, Origin::default())
        .await
        .unwrap();
    let tenant = world.plane.tenant("one@example.com").await.id;
    // Plans that are not for sale, or do not exist.
    for plan in ["trial", "enterprise", "", "business' OR 'x'"] {
        let refused = world.checkout(tenant, plan).await.unwrap_err();
        assert_eq!(refused.field(), Some("plan"), "{plan}");
    }
    // A customer that this system did not make, who says that it is the tenant.
    let id = tenant.to_string();
    let fields = [
        ("email", "one@example.com"),
        ("metadata[tenant_id]", id.as_str()),
        ("payment_method", "pm_card_visa"),
    ];
    let foreign = world
        .stripe
        .api(Method::POST, "/v1/customers", &fields)
        .await;
    let foreign = foreign["id"].as_str().unwrap();
    let prices = world.stripe.all("price").await;
    let base = prices
        .iter()
        .find(|price| price["unit_amount"] == 149_900)
        .unwrap();
    let fields = [
        ("customer", foreign),
        ("items[0][price]", base["id"].as_str().unwrap()),
        ("metadata[tenant_id]", id.as_str()),
    ];
    world
        .stripe
        .api(Method::POST, "/v1/subscriptions", &fields)
        .await;
    world.tell().await;
    assert_eq!(world.seen(tenant).await["plan"], "trial");
    assert_eq!(
        world
            .count("SELECT count(*) FROM stripe_events WHERE state <> 'ignored'")
            .await,
        0
    );

    // Its own customer, but a price of somebody's own making.
    let _ = world.checkout(tenant, "business").await.unwrap();
    let customers = world.stripe.all("customer").await;
    let own = customers.last().unwrap()["id"].as_str().unwrap().to_owned();
    let product = world.stripe.all("product").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let fields = [
        ("product", product.as_str()),
        ("currency", "usd"),
        ("unit_amount", "100"),
        ("recurring[interval]", "month"),
    ];
    let cheap = world.stripe.api(Method::POST, "/v1/prices", &fields).await;
    let path = "/v1/payment_methods/pm_card_visa/attach";
    let card = world
        .stripe
        .api(Method::POST, path, &[("customer", own.as_str())])
        .await;
    let fields = [
        ("customer", own.as_str()),
        ("items[0][price]", cheap["id"].as_str().unwrap()),
        ("default_payment_method", card["id"].as_str().unwrap()),
    ];
    world
        .stripe
        .api(Method::POST, "/v1/subscriptions", &fields)
        .await;
    world.tell().await;
    assert_eq!(world.seen(tenant).await["plan"], "trial");

    // An event of test mode, signed well.
    let with =
        json!({ "type": "customer.updated", "object": own, "livemode": false, "deliver": false });
    let test = world.stripe.does("events", with).await;
    assert_eq!(world.post(&test).await, StatusCode::BAD_REQUEST);
    let with = json!({ "type": "customer.updated", "object": own, "deliver": false });
    let live = world.stripe.does("events", with).await;
    assert_eq!(world.post(&live).await, StatusCode::OK);
    world.plane.stop().await;
}

#[tokio::test]
async fn what_fails_is_seen_and_tried_again() {
    let mut world = World::start().await;
    let tenant = world.buys("one@example.com", PAYS).await;
    world
        .stripe
        .does("outage", json!({ "requests": 100, "status": 503 }))
        .await;
    let events = world.untold().await;
    let paid = events
        .iter()
        .find(|event| event["type"] == "checkout.session.completed")
        .unwrap();
    assert_eq!(world.post(paid).await, StatusCode::OK, "it is kept");
    let (_, shown) = world
        .plane
        .admin(Method::GET, "/billing/events?failed=true", None)
        .await;
    assert_eq!(shown["events"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["events"][0]["event_id"], paid["id"]);
    assert_eq!(world.seen(tenant).await["plan"], "trial");

    world.stripe.does("outage", json!({ "requests": 0 })).await;
    assert_eq!(billing::retry_events(&world.plane.cp).await.unwrap(), 1);
    assert_eq!(world.seen(tenant).await["plan"], "business");
    let (_, shown) = world
        .plane
        .admin(Method::GET, "/billing/events?failed=true", None)
        .await;
    assert_eq!(shown["events"], json!([]));
    world.plane.stop().await;
}

#[tokio::test]
async fn a_difference_is_told_and_not_mended() {
    let mut world = World::start().await;
    let tenant = world.buys("one@example.com", PAYS).await;
    world.tell().await;
    assert_eq!(billing::reconcile(&world.plane.cp).await.unwrap(), []);
    world
        .plane
        .database
        .execute("UPDATE stripe_customers SET subscription_status = 'unpaid'")
        .await;
    let found = billing::reconcile(&world.plane.cp).await.unwrap();
    let whats: Vec<&str> = found
        .iter()
        .map(|difference| difference.what.as_str())
        .collect();
    assert_eq!(whats, ["status"], "{found:?}");
    assert_eq!(found[0].tenant_id, tenant);
    assert_eq!(
        (found[0].stripe.as_str(), found[0].vaultaire.as_str()),
        ("active", "unpaid")
    );
    let status = "SELECT count(*) FROM stripe_customers WHERE subscription_status = 'unpaid'";
    assert_eq!(world.count(status).await, 1, "it is as it was");
    world.plane.stop().await;
}
