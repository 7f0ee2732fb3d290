//! `/billing` where billing is by hand: what it shows to whom, cap and alerts, and that nothing is sold by a form alone.

use http::StatusCode;

use crate::site::{Site, pair};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_where_the_account_stands_and_that_billing_is_by_hand() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let page = ada.get("/billing").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.element("standing-word"), "In good standing");
    assert!(page.element("by-hand").contains("by hand"));
    assert!(page.has("Business, $1,499 a month") && !page.has("id=\"buy-business\""));
    let rows = ada.get("/billing/usage.csv").await;
    assert!(rows.body.starts_with("hour,stored_bytes,"), "{}", rows.body);
    let mut fields = page.hidden_fields("/billing/alerts");
    fields.extend([pair("plan", "business"), pair("price", "1")]);
    let same = [("sec-fetch-site", "same-origin")];
    let refused = ada.post("/billing/checkout", &fields, &same).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);

    site.sql("UPDATE tenants SET trial_ends_at = trial_ends_at - interval '12 days'")
        .await;
    let page = ada.get("/billing").await;
    assert_eq!(page.element("standing-word"), "Ends soon");
    let page = ada.get("/dashboard").await;
    assert!(page.has("Your trial ends soon"), "{}", page.body);
    site.sql("UPDATE tenants SET status = 'suspended'").await;
    let page = ada.get("/dashboard").await;
    assert!(page.has("Your account is suspended") && !page.has("Your trial ends soon"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cap_and_alerts_are_kept_and_nonsense_is_named() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/billing").await;
    let fields = [
        ("thresholds", "90, 60"),
        ("cap", "250.50"),
        ("at_cap", "refuse"),
    ];
    let saved = ada.submit("/billing/alerts", &form, &fields).await;
    assert_eq!(saved.location(), "/billing?notice=alerts", "{}", saved.body);
    let page = ada.get("/billing").await;
    assert!(
        page.has("value=\"60, 90\"") && page.has("value=\"250.50\""),
        "{}",
        page.body
    );
    assert!(page.has("value=\"refuse\" checked"));
    for (field, value) in [
        ("cap", "a lot"),
        ("thresholds", "none"),
        ("thresholds", "0"),
        ("webhook_url", "http://example.com/"),
        ("webhook_url", "https://127.0.0.1/"),
    ] {
        let refused = ada
            .submit("/billing/alerts", &page, &[(field, value)])
            .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(
            refused.has(&format!("id=\"{field}-error\"")),
            "{}",
            refused.body
        );
    }
    let fields = [("webhook_url", "https://example.com/hook")];
    let shown = ada.submit("/billing/alerts", &page, &fields).await;
    assert!(shown.element("webhook-secret").contains("whsec_"));
    assert!(!ada.get("/billing").await.has("whsec_"), "it is shown once");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invoices_are_for_those_who_see_to_billing() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut bill = site
        .colleague(&mut ada, "bill@engines.example", "billing")
        .await;
    let mut dev = site
        .colleague(&mut ada, "dev@engines.example", "developer")
        .await;
    let mut eve = site.member("Others", "eve@others.example").await;
    site.sql(
        "INSERT INTO invoices (id, tenant_id, company, email, currency, lines, total_cents, period_from, period_to, usage_to,
                               issued_at, paid_at)
         SELECT '00000000-0000-4000-8000-000000000001', id, name, email, 'usd',
                '[{\"description\": \"Business plan\", \"quantity\": 1, \"unit\": \"month\", \"amount_cents\": 149900}]', 149900,
                now(), now() + interval '1 month', now(), now(), now() FROM tenants WHERE name = 'Engines'",
    )
    .await;
    let path = "/billing/invoices/00000000000040008000000000000001";
    let page = bill.get("/billing").await;
    assert!(page.has(path) && page.has("$1,499"), "{}", page.body);
    let pdf = bill.get(path).await;
    assert_eq!(
        (pdf.status, pdf.header("content-type")),
        (StatusCode::OK, Some("application/pdf"))
    );
    assert_eq!(dev.get(path).await.status, StatusCode::FORBIDDEN);
    assert!(!dev.get("/billing").await.has("invoice-list"));
    assert_eq!(
        eve.get(path).await.status,
        StatusCode::NOT_FOUND,
        "another's is none"
    );
    site.close().await;
}
