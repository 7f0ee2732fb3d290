//! What the business earns, as tenants come, pay, change, fall behind and go.

use chrono::Duration;
use controlplane::billing;
use controlplane::ids::TenantId;
use controlplane::revenue::DEFINITIONS;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::billing::{business, pay};
use crate::deletion;
use crate::plane::{PASSWORD, Plane};

const PRICE: i64 = 149_900;

async fn report(plane: &Plane) -> Value {
    let (status, body) = plane.admin(Method::GET, "/revenue?months=3", None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn passes(plane: &Plane, days: i64) {
    plane.clock.advance(Duration::days(days));
    billing::look(&plane.cp).await.unwrap();
}

/// MRR, paying tenants, and of the last 30 days: new, expansion, contraction, lost.
fn figures(report: &Value) -> [i64; 6] {
    let usd = &report["currencies"][0];
    let last = &usd["last_30_days"];
    [
        &usd["mrr_cents"],
        &usd["paying_tenants"],
        &last["new_cents"],
        &last["expansion_cents"],
        &last["contraction_cents"],
        &last["lost_cents"],
    ]
    .map(|figure| figure.as_i64().unwrap())
}

async fn plan(plane: &Plane, tenant: TenantId, plan: &str) {
    let path = format!("/tenants/{tenant}/plan");
    let (status, body) = plane
        .admin(Method::POST, &path, Some(json!({ "plan": plan })))
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test]
async fn revenue_follows_who_pays_and_what() {
    let plane = Plane::start().await;
    let empty = report(&plane).await;
    assert_eq!(figures(&empty), [0; 6]);
    assert_eq!(empty["currencies"][0]["currency"], "usd");

    // A trial, and one that owes from the first day: neither is revenue.
    let ann = plane.sign_up("ann@example.com").await;
    let eve = business(&plane, "eve@example.com").await;
    billing::look(&plane.cp).await.unwrap();
    let seen = report(&plane).await;
    assert_eq!(figures(&seen), [0; 6], "{seen}");
    assert_eq!(seen["trials"]["running"], 1);
    assert_eq!(seen["trials"]["ending"], json!([]));
    let owing = &seen["past_due"][0];
    assert_eq!(
        (
            &owing["tenant_id"],
            &owing["owed_cents"],
            &owing["rung"],
            &owing["reason"]
        ),
        (
            &json!(eve),
            &json!(PRICE),
            &json!("owing"),
            &json!("never_paid")
        ),
        "{seen}"
    );

    // The trial nears its end, and is converted; the other pays.
    passes(&plane, 10).await;
    assert_eq!(
        report(&plane).await["trials"]["ending"][0]["email"],
        "ann@example.com"
    );
    let ann = ann.session.tenant_id;
    plan(&plane, ann, "business").await;
    for tenant in [ann, eve] {
        let (status, paid) = pay(&plane, tenant, json!({ "until": "2026-04-10" })).await;
        assert_eq!(status, StatusCode::OK, "{paid}");
    }
    let seen = report(&plane).await;
    assert_eq!(figures(&seen), [2 * PRICE, 2, 2 * PRICE, 0, 0, 0], "{seen}");
    assert_eq!(
        seen["trials"]["converted_in_30_days"],
        json!([{ "tenant_id": ann, "name": "Acme" }])
    );
    assert_eq!(seen["trials"]["running"], 0);
    assert_eq!(seen["past_due"], json!([]));
    assert_eq!(
        seen["currencies"][0]["plans"],
        json!([{ "plan_id": "business", "version": 1, "tenants": 2, "mrr_cents": 2 * PRICE }])
    );

    // Another version of the terms: more from whoever comes onto it, and it stands by itself.
    let change = json!({ "price_cents": PRICE + 50_000 });
    plane
        .admin(Method::PATCH, "/plans/business", Some(change))
        .await;
    assert_eq!(figures(&report(&plane).await)[0], 2 * PRICE, "nobody moved");
    passes(&plane, 1).await;
    plan(&plane, ann, "business").await;
    let seen = report(&plane).await;
    assert_eq!(
        figures(&seen),
        [2 * PRICE + 50_000, 2, 2 * PRICE, 50_000, 0, 0],
        "{seen}"
    );
    assert_eq!(seen["currencies"][0]["plans"][1]["version"], 2);

    // It falls due; owed for a week it is still counted, then it is lost.
    passes(&plane, 35).await;
    let seen = report(&plane).await;
    assert_eq!(figures(&seen)[0], 2 * PRICE + 50_000, "{seen}");
    assert_eq!(seen["past_due"].as_array().unwrap().len(), 2);
    passes(&plane, 5).await;
    let seen = report(&plane).await;
    let all = 2 * PRICE + 50_000;
    assert_eq!(figures(&seen), [0, 0, 0, 0, 0, all], "{seen}");
    assert_eq!(seen["currencies"][0]["lost"].as_array().unwrap().len(), 2);
    assert_eq!(seen["past_due"][0]["rung"], "read_only");
    // And it comes back.
    pay(&plane, eve, json!({ "until": "2026-12-31" })).await;
    let seen = report(&plane).await;
    assert_eq!(figures(&seen), [PRICE, 1, PRICE, 0, 0, all], "{seen}");
    let months = seen["currencies"][0]["months"].as_array().unwrap();
    let named: Vec<&str> = months
        .iter()
        .map(|m| m["month"].as_str().unwrap())
        .collect();
    assert_eq!(named, ["2026-02", "2026-03", "2026-04"]);
    for month in months {
        let figure = |name: &str| month[name].as_i64().unwrap();
        assert_eq!(
            figure("closing_cents") - figure("opening_cents"),
            figure("new_cents") - figure("lost_cents") + figure("expansion_cents")
                - figure("contraction_cents"),
            "{month}"
        );
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_deleted_account_is_lost_at_once_and_a_restored_one_is_there_again() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let id = ann.session.tenant_id;
    plan(&plane, id, "business").await;
    pay(&plane, id, json!({ "until": "2026-12-31" })).await;
    assert_eq!(figures(&report(&plane).await)[..2], [PRICE, 1]);
    passes(&plane, 1).await;
    deletion::delete(&plane, &ann.session, "Acme", PASSWORD)
        .await
        .unwrap();
    let seen = report(&plane).await;
    assert_eq!(figures(&seen), [0, 0, PRICE, 0, 0, PRICE], "{seen}");
    assert_eq!(seen["currencies"][0]["lost"][0]["name"], "Acme");
    passes(&plane, 1).await;
    let path = format!("/tenants/{id}/restore");
    plane.admin(Method::POST, &path, None).await;
    assert_eq!(figures(&report(&plane).await)[..2], [PRICE, 1]);
    plane.stop().await;
}

#[tokio::test]
async fn every_figure_is_defined_and_months_are_bounded() {
    let plane = Plane::start().await;
    let seen = report(&plane).await;
    assert_eq!(
        seen["definitions"].as_object().unwrap().len(),
        DEFINITIONS.len()
    );
    for query in ["months=0", "months=61", "months=x", "weeks=3"] {
        let path = format!("/revenue?{query}");
        let (status, refused) = plane.admin(Method::GET, &path, None).await;
        assert!(status.is_client_error(), "{query}: {refused}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operate/business.md");
    let docs = std::fs::read_to_string(path).unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let docs = words(&docs);
    for (name, text) in DEFINITIONS {
        assert!(
            docs.contains(&words(text)),
            "the documents do not define {name}"
        );
    }
    plane.stop().await;
}
