//! Limits and refusals: what is left, what was refused and why, and nobody else's.

use chrono::Duration;
use http::StatusCode;

use crate::site::Site;

/// One refusal for each of these requests, a second apart, the last one newest.
pub async fn refuse(site: &Site, email: &str, rule: &str, ids: &[String]) {
    let begun = site.clock.now() - Duration::hours(1);
    for (second, id) in ids.iter().enumerate() {
        let at = begun + Duration::seconds(i64::try_from(second).expect("few"));
        site.sql(&format!(
            "INSERT INTO refusals SELECT tenant_id, '{id}', '{at}', \
             COALESCE((SELECT id FROM nodes LIMIT 1), gen_random_uuid()), 'PutObject', 'photos', \
             'VLTAAAAAAAAAAAAAAAAA', 503, 'SlowDown', '{rule}', 150200, 100000, 7, '{at}', 2 \
             FROM members WHERE email = '{email}'"
        ))
        .await;
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:016X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_found_by_its_request_id_and_explained() {
    let site = Site::start().await;
    site.node("127.0.0.1:9000", true).await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    refuse(&site, "ada@engines.example", "rate_limit", &ids(1)).await;
    let id = &ids(1)[0];
    let found = ada.get(&format!("/refusals?id=+{id}+")).await;
    assert_eq!(found.location(), format!("/refusals/{id}"));
    let page = ada.get(&format!("/refusals/{id}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.element("request"), id);
    let explanation = page.element("explanation");
    assert!(
        explanation.contains("150.2 requests a second") && explanation.contains("2 more"),
        "{explanation}"
    );
    assert!(page.element("advice").contains("Retry-After"));
    assert!(page.has("150.2 requests/s; allowed there: 100.0 requests/s"));
    assert!(page.has("<code>127.0.0.1:9000</code>") && page.has("1\u{a0}hour ago"));
    assert!(page.has("would have passed again"));

    // Another tenant's is as unknown as one that never was.
    let theirs = eve.get(&format!("/refusals/{id}")).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
    for odd in ["0000000000000BAD", "%00", "a%20b", &"x".repeat(2000)] {
        let nobodys = eve.get(&format!("/refusals/{odd}")).await;
        assert_eq!(nobodys.status, StatusCode::NOT_FOUND, "{odd}");
        assert_eq!(theirs.body, nobodys.body);
    }
    let missed = eve.get(&format!("/refusals?id={id}")).await;
    assert_eq!(missed.status, StatusCode::NOT_FOUND);
    assert!(
        missed
            .element("id-error")
            .starts_with("No refused request of yours")
    );
    assert!(missed.has(&format!("value=\"{id}\"")) && missed.has("id=\"none-refused\""));
    let hostile = eve.get("/refusals?id=%22%3E%3Cscript%3E").await;
    assert!(!hostile.has("<script>") && hostile.has("&#60;script&#62;"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_listed_newest_first_page_by_page_and_filtered() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let empty = ada.get("/refusals").await;
    assert!(empty.has("Nothing was refused") && empty.has("0 in the last 24 hours"));
    let all = ids(60);
    refuse(&site, "ada@engines.example", "rate_limit", &all[..59]).await;
    refuse(&site, "ada@engines.example", "scope.bucket", &all[59..]).await;
    let count = |page: &crate::site::Page| page.body.matches("href=\"/refusals/0").count();
    let first = ada.get("/refusals").await;
    assert_eq!(count(&first), 50);
    assert!(first.has("180 in the last 24 hours"), "{}", first.body);
    assert!(
        first.has(&format!("/refusals/{}", all[58]))
            && !first.has(&format!("/refusals/{}\"", all[5]))
    );
    let (_, next) = first
        .body
        .split_once("id=\"older\" href=\"")
        .expect("another page");
    let next = next
        .split('"')
        .next()
        .expect("its end")
        .replace("&#38;", "&");
    let second = ada.get(next.split('#').next().expect("a path")).await;
    assert_eq!(count(&second), 10);
    assert!(second.has(&format!("/refusals/{}\"", all[0])) && !second.has("id=\"older\""));
    let scope = ada.get("/refusals?kind=scope").await;
    assert_eq!(count(&scope), 1);
    assert!(
        scope.has(&format!("/refusals/{}\"", all[59])) && scope.has("limited to other buckets")
    );
    for nothing in [
        "kind=key",
        "bucket=papers",
        "key=VLTNOBODY",
        "bucket=%00papers",
    ] {
        let page = ada.get(&format!("/refusals?{nothing}")).await;
        assert!(page.has("Nothing fits the filter"), "{nothing}");
    }
    let photos = ada
        .get("/refusals?bucket=photos&key=VLTAAAAAAAAAAAAAAAAA&kind=limit")
        .await;
    assert_eq!(count(&photos), 50);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_say_what_is_used_and_what_is_left() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    site.node("127.0.0.1:9000", true).await;
    site.sql(
        "INSERT INTO tenant_usage SELECT tenant_id, 24000000000, 7 FROM members WHERE email = 'ada@engines.example';
         INSERT INTO leases (tenant_id, resource, period, node_id, ledger, granted, consumed, granted_at)
             SELECT tenant_id, 'stored_bytes', 0, n.id, 'l', 900000, 400000, now() FROM members, nodes n
             WHERE email = 'ada@engines.example'",
    )
    .await;
    let page = ada.get("/refusals").await;
    let cell = |name: &str, words: &str| format!("data-label=\"{name}\" class=\"number\">{words}<");
    for (name, words) in [
        ("Used", "24\u{a0}GB"),
        ("Limit", "25\u{a0}GB"),
        ("Left", "1\u{a0}GB"),
        ("Ready", "500\u{a0}kB"),
    ] {
        assert!(
            page.has(&cell(name, words)),
            "{name} {words} in {}",
            page.body
        );
    }
    assert!(page.has("class=\"gauge warn\""), "it is nearly full");
    assert!(page.has("Bursts of 200 requests pass") && page.has("<code>127.0.0.1:9000</code>"));
    let theirs = eve.get("/refusals").await;
    assert!(!theirs.has(&cell("Used", "24\u{a0}GB")) && !theirs.has("500\u{a0}kB"));
    site.close().await;
}
