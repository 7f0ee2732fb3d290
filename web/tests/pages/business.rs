//! What operators see of the business: revenue, usage and refusals of all tenants.

use chrono::Duration;
use controlplane::billing;
use http::StatusCode;

use crate::operators::{OPERATOR, operator_client};
use crate::refusals::refuse;
use crate::site::{Browser, Site};
use crate::tenants::{ADA, tenant_of};

pub const JOSEPH: &str = "joseph@looms.example";

/// What operators did whose action begins so, and that it was this operator who did it: the newest first.
pub async fn audited(operator: &mut Browser, action: &str) -> Vec<String> {
    let path = format!("/admin/audit.csv?action={action}");
    let file = operator.get(&path).await.body;
    let lines: Vec<String> = file.lines().skip(1).map(str::to_owned).collect();
    for line in &lines {
        assert!(line.contains(OPERATOR), "{line}");
    }
    lines
}

/// Onto a plan, as the operator.
async fn plan(operator: &mut Browser, tenant: &str, plan: &str) {
    let path = format!("/admin/tenants/{tenant}");
    let page = operator.get(&path).await;
    let act = format!("{path}/plan");
    let done = operator.submit(&act, &page, &[("plan", plan)]).await;
    assert_eq!(done.location(), format!("{path}?notice=plan"));
}

async fn pay(site: &Site, tenant: &str, days: i64) {
    let until = site.clock.now() + Duration::days(days);
    let mut tx = site.cp.begin_system().await.expect("a transaction");
    let id = tenant.parse().expect("an id");
    let paid = billing::mark_paid(&mut tx, &site.cp, id, until, None).await;
    paid.expect("it is paid");
    tx.commit().await.expect("a commit");
}

async fn passes(site: &Site, days: i64) {
    site.clock.advance(Duration::days(days));
    billing::look(&site.cp).await.expect("a look");
}

#[tokio::test(flavor = "multi_thread")]
async fn revenue_is_told_by_month_with_who_owes_and_who_went() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    site.member("Looms & Cards", JOSEPH).await;
    let (mut otto, _) = operator_client(&site).await;
    let empty = otto.get("/admin/revenue").await;
    assert_eq!(empty.status, StatusCode::OK, "{}", empty.body);
    assert_eq!(empty.element("mrr-now"), "$0");
    assert!(empty.has("Nobody pays yet.") && empty.has("Nobody owes anything."));
    assert!(empty.has("2 running"));

    let (ada, joseph) = (
        tenant_of(&mut otto, ADA).await,
        tenant_of(&mut otto, JOSEPH).await,
    );
    for tenant in [&ada, &joseph] {
        plan(&mut otto, tenant, "business").await;
        pay(&site, tenant, 31).await;
    }
    let seen = otto.get("/admin/revenue").await;
    assert_eq!(seen.element("mrr-now"), "$2,998");
    // The chart's words, and the same in the table beside it.
    assert!(seen.has("aria-label=\"MRR at the end of each month, Nov\u{a0}2023 to Oct\u{a0}2024: between $0 and $2,998, at the end $2,998.\""), "{}", seen.body);
    assert!(seen.has("<td role=\"cell\" class=\"name\">Oct\u{a0}2024</td><td role=\"cell\" data-label=\"New\" class=\"number\">$2,998</td>"));
    assert!(seen.has("href=\"/admin/plans/business\""));
    assert_eq!(
        seen.body
            .matches("<tr role=\"row\"><td role=\"cell\" class=\"name\">")
            .count(),
        12 + 1
    );
    // What is no span is a year.
    for (months, rows) in [("6", 6), ("24", 24), ("7", 12), ("x", 12)] {
        let seen = otto.get(&format!("/admin/revenue?months={months}")).await;
        assert_eq!(
            seen.body
                .matches("data-label=\"MRR\" class=\"number\">")
                .count(),
            rows + 1,
            "{months}"
        );
    }
    passes(&site, 33).await;
    // An operator's session does not live so long.
    let (mut otto, _) = crate::operators::operator_of(&site, "olga@vaultaire.example").await;
    let owing = otto.get("/admin/revenue").await;
    assert!(
        owing.has("<span class=\"badge warn\">Owing</span>"),
        "{}",
        owing.body
    );
    assert_eq!(owing.element("mrr-now"), "$2,998", "owing is not lost yet");
    passes(&site, 10).await;
    let (mut otto, _) = crate::operators::operator_of(&site, "oona@vaultaire.example").await;
    let lost = otto.get("/admin/revenue").await;
    assert_eq!(lost.element("mrr-now"), "$0");
    assert!(lost.has("<span class=\"badge bad\">Read-only</span>"));
    assert!(lost.has("id=\"gone-USD\"") && lost.has("Looms &#38; Cards"));
    site.close().await;
}

async fn used(site: &Site, email: &str, stored: i64, out: i64, requests: i64) {
    let hour = site.clock.now() - Duration::hours(2);
    site.sql(&format!(
        "INSERT INTO usage_hours (tenant_id, hour, bucket_id, access_key_id, class, requests, bytes_in, bytes_out, stored_delta,
                                  objects_delta)
             SELECT tenant_id, date_trunc('hour', '{hour}'::timestamptz), gen_random_uuid(), 'VLTAAAAAAAAAAAAAAAAA', 'a',
                    {requests}, {stored}, {out}, {stored}, 1 FROM members WHERE email = '{email}';
         INSERT INTO bucket_usage (tenant_id, bucket_id, stored_bytes, objects)
             SELECT tenant_id, gen_random_uuid(), {stored}, 1 FROM members WHERE email = '{email}';
         INSERT INTO tenant_usage (tenant_id, stored_bytes, objects)
             SELECT tenant_id, {stored}, 1 FROM members WHERE email = '{email}'
             ON CONFLICT (tenant_id) DO UPDATE SET stored_bytes = EXCLUDED.stored_bytes, objects = 1"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_of_what_is_asked_for_comes_first() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    site.member("Looms & Cards", JOSEPH).await;
    used(&site, ADA, 9_000_000_000, 1_000_000, 10).await;
    used(&site, JOSEPH, 1_000_000_000, 7_000_000, 2000).await;
    let (mut otto, _) = operator_client(&site).await;
    for (query, first, second) in [
        ("", "Analytical Engines", "Looms &#38; Cards"),
        ("?by=stored", "Analytical Engines", "Looms &#38; Cards"),
        ("?by=egress", "Looms &#38; Cards", "Analytical Engines"),
        (
            "?by=requests&days=7",
            "Looms &#38; Cards",
            "Analytical Engines",
        ),
        (
            "?by=nonsense&days=x",
            "Analytical Engines",
            "Looms &#38; Cards",
        ),
    ] {
        let page = otto.get(&format!("/admin/usage{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        let at = |name: &str| page.body.find(&format!("\">{name}</a>"));
        assert!(at(first).is_some() && at(first) < at(second), "{query}");
    }
    let page = otto.get("/admin/usage?days=1").await;
    for told in ["9\u{a0}GB", "7\u{a0}MB", ">2,000<", ">2,010<", "8\u{a0}MB"] {
        assert!(page.has(told), "{told} in {}", page.body);
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_rule_and_any_is_explained_by_its_id() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    site.member("Looms & Cards", JOSEPH).await;
    let (mut otto, _) = operator_client(&site).await;
    let none = otto.get("/admin/refusals").await;
    assert!(none.has("Nothing was refused."));
    let ids =
        |from: u32| -> Vec<String> { (from..from + 3).map(|n| format!("{n:016X}")).collect() };
    refuse(&site, ADA, "rate_limit", &ids(0)).await;
    refuse(&site, JOSEPH, "scope.bucket", &ids(16)[..1]).await;
    let all = otto.get("/admin/refusals").await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.body);
    // Each stands for two more that were only counted.
    assert!(
        all.has("rule=rate_limit\">9</a>") && all.has("rule=scope.bucket\">3</a>"),
        "{}",
        all.body
    );
    assert!(all.has("in all, the most 4\u{a0}Oct\u{a0}2024 with 12.") || all.has(": 12 in all"));
    let by_rule = otto.get("/admin/refusals?rule=scope.bucket").await;
    assert!(by_rule.has("rule=scope.bucket\">3</a>") && !by_rule.has("rule=rate_limit\">9</a>"));
    let ada = tenant_of(&mut otto, ADA).await;
    let of_one = otto
        .get(&format!("/admin/refusals?tenant={ada}&rule=nonsense"))
        .await;
    assert!(of_one.has("rule=rate_limit\">9</a>") && !of_one.has("Looms"));

    let found = otto.get("/admin/refusals?id=+0000000000000001+").await;
    assert_eq!(found.status, StatusCode::OK);
    assert!(
        found
            .element("explanation")
            .contains("150.2 requests a second")
    );
    assert!(found.has(&format!(
        "href=\"/admin/tenants/{ada}\">Analytical Engines</a>"
    )));
    for odd in ["0000000000000BAD", "%00x", "%22%3E%3Cscript%3E"] {
        let missed = otto.get(&format!("/admin/refusals?id={odd}")).await;
        assert_eq!(missed.status, StatusCode::NOT_FOUND, "{odd}");
        assert!(missed.has("id-error") && !missed.has("<script>"));
    }
    site.close().await;
}
