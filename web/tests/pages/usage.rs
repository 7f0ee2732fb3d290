//! Usage: the overview's figures and charts, the usage page and its file, what buckets hold, and when keys were used.

use chrono::Duration;
use http::StatusCode;

use crate::site::{Browser, Site, create_key};

/// An hour of one bucket, as it is booked; what is stored adds up.
struct Hour<'a> {
    email: &'a str,
    bucket: &'a str,
    key: &'a str,
    class: &'a str,
    hour: &'a str,
    /// Requests, bytes in, bytes out, bytes stored, objects.
    figures: [i64; 5],
}

impl Hour<'_> {
    async fn book(&self, site: &Site) {
        let Hour {
            email,
            bucket,
            key,
            class,
            hour,
            figures: [requests, bytes_in, bytes_out, stored, objects],
        } = self;
        let of = format!(
            "FROM buckets b JOIN members m ON m.tenant_id = b.tenant_id WHERE b.name = '{bucket}' AND m.email = '{email}'"
        );
        site.sql(&format!(
            "INSERT INTO usage_hours SELECT b.tenant_id, '{hour}', b.id, '{key}', '{class}', {requests}, {bytes_in}, \
                 {bytes_out}, {stored}, {objects} {of};
             INSERT INTO bucket_usage (tenant_id, bucket_id, stored_bytes, objects) \
                 SELECT b.tenant_id, b.id, {stored}, {objects} {of} ON CONFLICT (tenant_id, bucket_id) DO UPDATE \
                 SET stored_bytes = bucket_usage.stored_bytes + {stored}, objects = bucket_usage.objects + {objects};
             INSERT INTO tenant_usage SELECT b.tenant_id, {stored}, {objects} {of} ON CONFLICT (tenant_id) DO UPDATE \
                 SET stored_bytes = tenant_usage.stored_bytes + {stored}, objects = tenant_usage.objects + {objects};"
        ))
        .await;
    }
}

/// Noon of 4 October 2024, a customer with one bucket, and what was done to it on the two days before.
async fn october() -> (Site, Browser, String) {
    let site = Site::start().await;
    site.clock.advance(Duration::hours(12));
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let key = create_key(&mut ada, "=cmd").await;
    let key = key.element("access-key-id").to_owned();
    site.bucket("ada@engines.example", "photos").await;
    let hour = Hour {
        email: "ada@engines.example",
        bucket: "photos",
        key: &key,
        class: "a",
        hour: "2024-10-02T10:00:00Z",
        figures: [3, 300, 0, 1_000_000_000, 2],
    };
    hour.book(&site).await;
    let read = Hour {
        class: "b",
        hour: "2024-10-03T09:00:00Z",
        figures: [5, 0, 500, 0, 0],
        ..hour
    };
    read.book(&site).await;
    (site, ada, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_was_booked_and_the_file_holds_it() {
    let (site, mut ada, key) = october().await;
    let page = ada.get("/usage").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.element("period"), "October\u{a0}2024");
    assert_eq!(page.element("stored-now"), "1 ");
    // 14, 24 and 13 hours of the 744.
    assert_eq!(page.element("gb-months"), "0.069");
    assert_eq!(
        (page.element("class-a"), page.element("class-b")),
        ("3", "5")
    );
    assert_eq!(page.element("bytes-out"), "500 ");
    assert!(page.has("<title>2\u{a0}Oct: 3 class A, 0 class B, 0 deletes</title>"));
    assert!(page.has("<title>4\u{a0}Oct, so far: 1\u{a0}GB</title>"));

    let days = ada.get("/usage.csv?from=2024-10-01&to=2024-10-04").await;
    assert_eq!(days.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        days.header("content-disposition"),
        Some("attachment; filename=\"usage-2024-10-01-2024-10-04-day.csv\"")
    );
    let head = "day,bucket,bucket_id,access_key,access_key_id,class,requests,class_a,class_b,deletes,bytes_in,\
                bytes_out,stored_bytes_change,objects_change,stored_bytes,byte_hours,gb_months";
    let lines = [
        head,
        "2024-10-01,,,,,,0,0,0,0,0,0,0,0,0,0,0.000000000",
        "2024-10-02,,,,,,3,3,0,0,300,0,1000000000,2,1000000000,14000000000,0.018817204",
        "2024-10-03,,,,,,5,0,5,0,0,500,0,0,1000000000,24000000000,0.032258065",
        "2024-10-04,,,,,,0,0,0,0,0,0,0,0,1000000000,13000000000,0.017473118",
        "",
    ];
    assert_eq!(days.body, lines.join("\r\n"));
    let keys = ada
        .get("/usage.csv?from=2024-10-02&to=2024-10-03&by=key")
        .await;
    let lines = [
        head,
        &format!("2024-10-02,,,\"'=cmd\",\"{key}\",,3,3,0,0,300,0,1000000000,2,,,"),
        &format!("2024-10-03,,,\"'=cmd\",\"{key}\",,5,0,5,0,0,500,0,0,,,"),
        "",
    ];
    assert_eq!(keys.body, lines.join("\r\n"));
    let classes = ada.get("/usage.csv?by=class&month=2024-10").await;
    assert!(
        classes.has("2024-10-02,,,,,\"a\",3,3,0,0,300,"),
        "{}",
        classes.body
    );
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_narrows_page_and_file_alike() {
    let (site, mut ada, key) = october().await;
    site.bucket("ada@engines.example", "papers").await;
    let papers = Hour {
        email: "ada@engines.example",
        bucket: "papers",
        key: "",
        class: "b",
        hour: "2024-10-03T09:00:00Z",
        figures: [7, 0, 70, 0, 0],
    };
    papers.book(&site).await;
    let all = ada.get("/usage?by=bucket").await;
    assert_eq!(all.element("class-b"), "12");
    assert!(all.has(">photos</a>") && all.has(">papers</a>"));
    let one = ada.get("/usage?by=key&bucket=papers").await;
    assert_eq!(one.element("class-b"), "7");
    assert!(one.has("Without a key") && !one.has(&key));
    assert!(
        one.has(
            "/usage.csv?from=2024-10-01&#38;to=2024-10-04&#38;bucket=papers&#38;key=&#38;by=key"
        ),
        "{}",
        one.body
    );
    let file = ada
        .get("/usage.csv?bucket=papers&by=bucket&from=2024-10-03&to=2024-10-03")
        .await;
    assert_eq!(file.body.lines().count(), 2, "{}", file.body);
    assert!(file.has("2024-10-03,\"papers\",") && file.has(",7,0,7,0,0,70,"));
    // Of a key nothing is said of what is stored.
    let of_key = ada.get(&format!("/usage?key={key}")).await;
    assert_eq!(of_key.element("class-b"), "5");
    assert!(!of_key.has("id=\"gb-months\""));
    let before = ada.get("/usage?month=2024-09").await;
    assert!(before.has("Nothing in these days") && before.has("rel=\"next\""));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_cannot_be_are_said_to_be_so() {
    let (site, mut ada, _) = october().await;
    for (query, words) in [
        (
            "from=2024-10-03&to=2024-10-02",
            "The first day is after the last",
        ),
        ("from=yesterday", "That is no date"),
        ("month=October", "That is no month"),
        ("from=2024-01-01", "92 days at most"),
    ] {
        let page = ada.get(&format!("/usage?{query}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(page.has(words) && page.has("id=\"days-error\""), "{query}");
        assert_eq!(page.element("class-a"), "3", "the present month is shown");
    }
    let long = ada.get("/usage.csv?from=2024-01-01").await;
    assert_eq!(long.status, StatusCode::OK, "the file takes more days");
    for query in ["from=2020-01-01", "from=yesterday"] {
        let refused = ada.get(&format!("/usage.csv?{query}")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(refused.has("<h1"), "a page that says why");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_buckets_and_keys_are_as_unknown_as_any() {
    let (site, mut ada, key) = october().await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    let own = eve.get("/usage").await;
    assert!(own.has("Nothing in these days") && !own.has("photos"));
    for path in ["/usage", "/usage.csv"] {
        for (theirs, nobodys) in [
            ("bucket=photos".to_owned(), "bucket=nothing".to_owned()),
            (format!("key={key}"), "key=VLT00000000000000000".to_owned()),
        ] {
            let (theirs, nobodys) = (format!("{path}?{theirs}"), format!("{path}?{nobodys}"));
            assert_eq!(ada.get(&theirs).await.status, StatusCode::OK, "{theirs}");
            let refused = eve.get(&theirs).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "{theirs}");
            assert_eq!(refused.body, eve.get(&nobodys).await.body, "{theirs}");
        }
    }
    let file = eve.get("/usage.csv?by=bucket").await;
    assert_eq!(file.body.lines().count(), 1, "{}", file.body);
    let overview = eve.get("/dashboard").await;
    assert_eq!(overview.element("used"), "0 ");
    assert!(overview.has("id=\"no-activity\""));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_draws_the_last_day_and_the_last_month() {
    let (site, mut ada, key) = october().await;
    let hour = Hour {
        email: "ada@engines.example",
        bucket: "photos",
        key: &key,
        class: "a",
        hour: "2024-10-04T11:00:00Z",
        figures: [4, 40, 0, 500_000_000, 1],
    };
    hour.book(&site).await;
    site.sql("INSERT INTO egress_months SELECT tenant_id, 202410, 500 FROM members")
        .await;
    let day = ada.get("/dashboard").await;
    assert_eq!(day.element("used"), "1.5 ");
    assert_eq!(day.element("requests-made"), "4");
    assert_eq!(day.element("egress"), "500 ");
    assert!(day.has("<title>11:00: 1.5\u{a0}GB</title>"), "{}", day.body);
    assert!(day.has("<title>10:00: 1\u{a0}GB</title>"));
    assert!(day.has("<title>12:00, so far: 0 class A, 0 class B, 0 deletes</title>"));
    assert!(day.has("Of 25\u{a0}GB at most; 3 objects"));
    assert_eq!(day.element("live-as-of"), "12:00:00\u{a0}UTC");
    let month = ada.get("/dashboard?range=month").await;
    assert_eq!(month.element("requests-made"), "12");
    assert!(month.has("<title>1\u{a0}Oct: 0\u{a0}bytes</title>"));
    assert!(month.has("<title>3\u{a0}Oct: 1\u{a0}GB</title>"));
    // What every bucket holds stands beside it.
    for path in ["/dashboard", "/buckets"] {
        let page = ada.get(path).await;
        assert!(
            page.has("data-label=\"Stored\" class=\"number\">1.5\u{a0}GB<"),
            "{path}"
        );
        assert!(
            page.has("data-label=\"Objects\" class=\"number\">3<"),
            "{path}"
        );
    }
    let bucket = ada.get("/buckets/photos").await;
    assert!(
        bucket
            .element("bucket-usage")
            .starts_with("1.5\u{a0}GB in 3 objects")
    );
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_that_may_be_incomplete_say_so() {
    let (site, mut ada, _) = october().await;
    for path in ["/dashboard", "/usage"] {
        assert!(!ada.get(path).await.has("has been cut off since"), "{path}");
    }
    site.node("127.0.0.1:9010", false).await;
    for path in ["/dashboard", "/usage"] {
        let page = ada.get(path).await;
        assert!(
            page.has("<code>127.0.0.1:9010</code> has been cut off since"),
            "{path}"
        );
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_says_when_and_where_it_was_last_used() {
    let (site, mut ada, key) = october().await;
    site.node("127.0.0.1:9000", true).await;
    let list = ada.get("/access-keys").await;
    assert!(list.has(">Never</span>"));
    let revoke = format!("/access-keys/{key}/revoke");
    assert_eq!(ada.get(&revoke).await.element("last-used"), "Never");
    let used = site.clock.now() - Duration::minutes(5);
    site.sql(&format!(
        "INSERT INTO access_key_uses SELECT m.tenant_id, '{key}', '{used}', n.id FROM members m, nodes n"
    ))
    .await;
    let list = ada.get("/access-keys").await;
    assert!(list.has("5\u{a0}minutes ago</time>") && list.has("at 127.0.0.1:9000"));
    let question = ada.get(&revoke).await;
    assert_eq!(
        question.element("last-used"),
        "5\u{a0}minutes ago, at 127.0.0.1:9000"
    );
    site.close().await;
}
