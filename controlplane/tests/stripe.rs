//! Stripe, by the very code that talks to it, against the stand-in: buying, failing, going back, what is used beyond the
//! plan; and that no order of what is told ends elsewhere.

use chrono::Duration;
use controlplane::Origin;
use controlplane::billing;
use controlplane::ids::TenantId;
use http::{Method, StatusCode};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use wire::TenantStatus;

use crate::plane::noon;
use crate::standin::{PAYS, World};

fn is(standing: (String, String), rung: &str, reason: &str) {
    assert_eq!(standing, (rung.to_owned(), reason.to_owned()));
}

#[tokio::test]
async fn what_is_sold_is_put_into_stripe_once() {
    let world = World::in_mode(false).await;
    let first = billing::sync(&world.plane.cp, Origin::default())
        .await
        .unwrap();
    assert!(first.iter().all(|price| price.created));
    let kinds: Vec<_> = first.iter().map(|price| price.kind).collect();
    assert_eq!(
        kinds,
        ["base", "storage", "egress"],
        "the trial costs nothing"
    );
    let second = billing::sync(&world.plane.cp, Origin::default())
        .await
        .unwrap();
    assert!(second.iter().all(|price| !price.created));
    let ids = |prices: &[billing::Synced]| -> Vec<String> {
        prices.iter().map(|price| price.price_id.clone()).collect()
    };
    assert_eq!(ids(&first), ids(&second));
    assert_eq!(world.stripe.all("price").await.len(), 3);
    assert_eq!(world.stripe.all("billing.meter").await.len(), 2);

    // Other terms are another price; the old one stays for who pays it.
    let change = json!({ "price_cents": 159_900 });
    let (status, _) = world
        .plane
        .admin(Method::PATCH, "/plans/business", Some(change))
        .await;
    assert_eq!(status, StatusCode::OK);
    let third = billing::sync(&world.plane.cp, Origin::default())
        .await
        .unwrap();
    assert!(
        third
            .iter()
            .all(|price| price.created && price.version == 2)
    );
    assert_eq!(world.stripe.all("price").await.len(), 6);
    world.plane.stop().await;
}

#[tokio::test]
async fn paying_opens_the_plan_on_every_node_with_the_webhook() {
    let mut world = World::start().await;
    let tenant = world.buys("one@example.com", PAYS).await;
    let node = world.plane.node().await;
    let mut stream = world.plane.connect(&node, 0).await;
    let before = stream.snapshot().await;
    assert_eq!(
        before.tenants[0].limits.quota_bytes,
        Some(25_000_000_000),
        "the trial's"
    );
    is(world.standing(tenant).await, "good", "trial");

    world.tell().await;
    let document = stream.tenant().await;
    assert_eq!(document.limits.quota_bytes, None, "more is metered");
    let seen = world.seen(tenant).await;
    assert_eq!(
        (seen["plan"].as_str(), seen["subscribed"].as_bool()),
        (Some("business"), Some(true))
    );
    is(world.standing(tenant).await, "good", "paid");
    let mut tx = world.plane.cp.begin_tenant(tenant).await.unwrap();
    let invoices = billing::stripe_invoices(&mut tx, &world.plane.cp)
        .await
        .unwrap();
    drop(tx);
    assert_eq!(invoices.len(), 1);
    assert_eq!(
        (invoices[0].status.as_str(), invoices[0].total_cents),
        ("paid", 149_900)
    );

    // A second one would be paid for twice.
    let again = world.checkout(tenant, "business").await.unwrap_err();
    assert_eq!(again.code(), "already_subscribed");
    let portal = billing::portal(&world.plane.cp, tenant).await.unwrap();
    assert!(portal.starts_with(&world.stripe.url), "{portal}");
    world.plane.stop().await;
}

#[tokio::test]
async fn a_payment_that_fails_leads_down_the_ladder_and_paying_leads_back() {
    let mut world = World::start().await;
    let tenant = world.buys("one@example.com", PAYS).await;
    world.tell().await;
    is(world.standing(tenant).await, "good", "paid");
    let customer = world.stripe.only("customer").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let conduct = format!("customers/{customer}/conduct");
    world
        .stripe
        .does(&conduct, json!({ "conduct": "fails" }))
        .await;

    world.passes(Duration::days(31) + Duration::hours(2)).await;
    world.tell().await;
    is(world.standing(tenant).await, "owing", "past_due");
    world
        .plane
        .mail("billing_standing", "one@example.com")
        .await;
    world.passes(Duration::days(7)).await;
    world.tell().await;
    billing::look(&world.plane.cp).await.unwrap();
    is(world.standing(tenant).await, "read_only", "past_due");
    world.passes(Duration::days(14)).await;
    world.tell().await;
    billing::look(&world.plane.cp).await.unwrap();
    is(world.standing(tenant).await, "suspended", "unpaid");
    assert_eq!(status(&world, tenant).await, TenantStatus::Suspended);

    // The card has money again, and the invoice is paid.
    world
        .stripe
        .does(&conduct, json!({ "conduct": "pays" }))
        .await;
    for invoice in world.stripe.all("invoice").await {
        if invoice["status"] == "open" || invoice["status"] == "draft" {
            let path = format!("invoices/{}/collect", invoice["id"].as_str().unwrap());
            world.stripe.does(&path, json!({})).await;
        }
    }
    world.tell().await;
    is(world.standing(tenant).await, "good", "paid");
    assert_eq!(status(&world, tenant).await, TenantStatus::Active);
    world.plane.stop().await;
}

async fn status(world: &World, tenant: TenantId) -> TenantStatus {
    let mut tx = world.plane.cp.begin_system().await.unwrap();
    controlplane::tenants::by_id(&mut tx, tenant)
        .await
        .unwrap()
        .status
}

#[tokio::test]
async fn money_that_goes_back_and_an_end_are_noticed() {
    let mut world = World::start().await;
    let tenant = world.buys("one@example.com", PAYS).await;
    world.tell().await;
    let charge = world.stripe.only("charge").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let dispute = format!("charges/{charge}/dispute");
    let dispute = world.stripe.does(&dispute, json!({})).await;
    world.tell().await;
    is(world.standing(tenant).await, "owing", "disputed");
    let close = format!("disputes/{}/close", dispute["id"].as_str().unwrap());
    world.stripe.does(&close, json!({ "status": "won" })).await;
    world.tell().await;
    is(world.standing(tenant).await, "good", "paid");

    let other = world.buys("two@example.com", PAYS).await;
    world.tell().await;
    let charges = world.stripe.all("charge").await;
    let refunded = charges[1]["id"].as_str().unwrap();
    world
        .stripe
        .api(Method::POST, "/v1/refunds", &[("charge", refunded)])
        .await;
    world.tell().await;
    is(world.standing(other).await, "owing", "refunded");
    is(world.standing(tenant).await, "good", "paid");

    let subscription = world.stripe.all("subscription").await[0]["id"].clone();
    let path = format!("/v1/subscriptions/{}", subscription.as_str().unwrap());
    world.stripe.api(Method::DELETE, &path, &[]).await;
    world.tell().await;
    is(world.standing(tenant).await, "read_only", "canceled");
    let seen = world.seen(tenant).await;
    assert_eq!(seen["kept_until"], json!(noon() + Duration::days(60)));
    // Whoever comes back is served at once.
    let page = world.checkout(tenant, "business").await.unwrap();
    let path = format!("checkout/{}/pay", page.rsplit('/').next().unwrap());
    world.stripe.does(&path, json!({ "card": PAYS })).await;
    world.tell().await;
    is(world.standing(tenant).await, "good", "paid");
    world.plane.stop().await;
}

/// Ten terabytes more than the plan, from the first hour of the subscription on.
async fn fill(world: &World, tenant: TenantId) {
    let sql = format!(
        "INSERT INTO usage_hours VALUES ('{tenant}', '2026-03-01T12:00:00Z', gen_random_uuid(), '', 'a', 1, 0, 0,
                                         50000000000000, 1),
            ('{tenant}', '2026-03-01T14:00:00Z', gen_random_uuid(), '', 'b', 1, 0, 40003000000000, 0, 0)"
    );
    world.plane.database.execute(&sql).await;
}

#[tokio::test]
async fn usage_beyond_the_plan_is_told_once_and_billed_to_the_cent() {
    let mut world = World::start().await;
    let tenant = world.buys("one@example.com", PAYS).await;
    world.tell().await;
    fill(&world, tenant).await;
    world.passes(Duration::days(10)).await;
    // The first answer is lost: it was taken all the same.
    world
        .stripe
        .does(
            "outage",
            json!({ "requests": 1, "status": 0, "after": true }),
        )
        .await;
    billing::meter(&world.plane.cp).await.unwrap();
    world.passes(Duration::minutes(2)).await;
    billing::meter(&world.plane.cp).await.unwrap();
    billing::meter(&world.plane.cp).await.unwrap();
    assert_eq!(
        world
            .count("SELECT count(*) FROM meter_events WHERE sent_at IS NULL")
            .await,
        0
    );
    let sent = world.stripe.all("billing.meter_event").await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(billing::reconcile(&world.plane.cp).await.unwrap(), []);

    // The month ends; its last hours are told before its invoice is closed.
    world
        .passes(Duration::days(21) + Duration::minutes(10))
        .await;
    billing::meter(&world.plane.cp).await.unwrap();
    world.tell().await;
    billing::meter(&world.plane.cp).await.unwrap();
    world.passes(Duration::hours(2)).await;
    world.tell().await;
    let mut invoices = world.stripe.all("invoice").await;
    invoices.retain(|invoice| invoice["billing_reason"] == "subscription_cycle");
    assert_eq!(invoices.len(), 1);
    // 10,000 GB for all of the month's 744 hours at 4 cents, 3 GB at one, and the next month.
    assert_eq!(
        invoices[0]["total"],
        json!(149_900 + 40_000 + 3),
        "{}",
        invoices[0]
    );
    assert_eq!(billing::reconcile(&world.plane.cp).await.unwrap(), []);
    world.plane.stop().await;
}

/// What happens at Stripe to a customer who has bought the plan.
#[derive(Debug, Clone, Copy)]
enum Turn {
    CardFails,
    CardPays,
    Cancels,
    StaysAfterAll,
    Days(i64),
}

/// One that can happen: whoever has left neither leaves nor stays.
fn history(chance: &mut StdRng) -> Vec<Turn> {
    let turn = |chance: &mut StdRng| match chance.random_range(0..8) {
        0 => Turn::CardFails,
        1 => Turn::CardPays,
        2 => Turn::Cancels,
        3 => Turn::StaysAfterAll,
        _ => Turn::Days(chance.random_range(1..=33)),
    };
    (0..chance.random_range(4..=8))
        .map(|_| turn(chance))
        .collect()
}

async fn happens(world: &World, turn: Turn) {
    let customer = world.stripe.only("customer").await;
    let conduct = format!("customers/{}/conduct", customer["id"].as_str().unwrap());
    let subscription = world.stripe.only("subscription").await;
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    let is_over = subscription["status"] == "canceled";
    let leaves = async |leaves: &str| {
        if !is_over {
            let fields = [("cancel_at_period_end", leaves)];
            world.stripe.api(Method::POST, &path, &fields).await;
        }
    };
    match turn {
        Turn::CardFails => drop(
            world
                .stripe
                .does(&conduct, json!({ "conduct": "fails" }))
                .await,
        ),
        Turn::CardPays => drop(
            world
                .stripe
                .does(&conduct, json!({ "conduct": "pays" }))
                .await,
        ),
        Turn::Cancels => leaves("true").await,
        Turn::StaysAfterAll => leaves("false").await,
        Turn::Days(days) => {
            world
                .passes(Duration::days(days) + Duration::hours(2))
                .await
        }
    }
}

/// Where it ends: each event told once and at once; or by chance late, twice, backwards, and mixed with what comes later.
async fn told(history: &[Turn], mut chance: Option<StdRng>) -> (Value, Vec<(String, i64)>) {
    let mut world = World::start().await;
    let tenant = world.buys("one@example.com", PAYS).await;
    let mut waiting: Vec<Value> = Vec::new();
    for turn in history {
        happens(&world, *turn).await;
        let Some(chance) = &mut chance else {
            world.tell().await;
            continue;
        };
        waiting.extend(world.untold().await);
        waiting.shuffle(chance);
        let now = chance.random_range(0..=waiting.len());
        for event in waiting.split_off(now) {
            for _ in 0..chance.random_range(1..=2) {
                assert_eq!(world.post(&event).await, StatusCode::OK);
            }
            if chance.random_bool(0.3) {
                waiting.push(event);
            }
        }
    }
    if let Some(chance) = &mut chance {
        waiting.shuffle(chance);
    }
    for event in waiting.iter().chain(waiting.iter().rev()) {
        assert_eq!(world.post(event).await, StatusCode::OK);
    }
    let differences = billing::reconcile(&world.plane.cp).await.unwrap();
    assert_eq!(differences, [], "{history:?}");
    let mut seen = world.seen(tenant).await;
    seen.as_object_mut().unwrap().remove("tenant_id");
    let mut tx = world.plane.cp.begin_tenant(tenant).await.unwrap();
    let invoices = billing::stripe_invoices(&mut tx, &world.plane.cp)
        .await
        .unwrap();
    drop(tx);
    world.plane.stop().await;
    let invoices = invoices
        .into_iter()
        .map(|invoice| (invoice.status, invoice.total_cents));
    (seen, invoices.collect())
}

#[tokio::test]
async fn row_12_any_order_and_repetition_of_any_history_ends_the_same() {
    use Turn::{CardFails, CardPays, Days};
    let mut histories = vec![vec![CardFails, Days(31), Days(4), CardPays, Days(6)]];
    histories.extend((0..6).map(|seed| history(&mut StdRng::seed_from_u64(seed))));
    let mut ends = std::collections::BTreeSet::new();
    for (seed, history) in (100..).zip(&histories) {
        let first = told(history, None).await;
        let again = told(history, Some(StdRng::seed_from_u64(seed))).await;
        assert_eq!(again, first, "seed {seed}: {history:?}");
        ends.insert(first.0["standing"].as_str().unwrap().to_owned());
    }
    assert!(ends.len() > 1, "they do not all end well: {ends:?}");
}
