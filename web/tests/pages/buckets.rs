//! Buckets and their objects: whose they are, what each role may do, and what the pages say without a data plane.
//! The browser of objects itself is tested with all its parts in `e2e`.

use http::StatusCode;

use crate::site::{Browser, Page, Site};

/// A form without a page: the token of any other form of the session, and these fields.
async fn send(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let mut all = browser.get("/dashboard").await.hidden_fields("/logout");
    all.extend(fields.iter().map(|(k, v)| (k.to_string(), v.to_string())));
    let ours = [("sec-fetch-site", "same-origin")];
    browser.post(path, &all, &ours).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_bucket_is_as_unknown_as_one_that_never_was() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    assert!(!eve.get("/buckets").await.has("vaults"));
    assert!(ada.get("/buckets").await.has("href=\"/buckets/vaults\""));
    for tail in [
        "",
        "/settings",
        "/delete",
        "/deleted",
        "/object?key=a",
        "/download?key=a",
    ] {
        let theirs = eve.get(&format!("/buckets/vaults{tail}")).await;
        let nobodys = eve.get(&format!("/buckets/nothing{tail}")).await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{tail}");
        assert_eq!(theirs.body, nobodys.body, "{tail}");
    }
    let fields = [
        ("step", "put"),
        ("key", "a"),
        ("name", "x"),
        ("setting", "links"),
    ];
    for tail in [
        "/settings",
        "/sign",
        "/folders",
        "/delete",
        "/delete-objects",
        "/restore",
        "/object",
    ] {
        let theirs = send(&mut eve, &format!("/buckets/vaults{tail}"), &fields).await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{tail}");
    }
    let own = send(&mut ada, "/buckets/vaults/sign", &fields).await;
    assert_eq!(own.status, StatusCode::OK, "{}", own.body);
    assert!(own.has("http://127.0.0.1:9/vaults/a?") && own.has("X-Amz-Signature="));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_sees_and_does_what_it_may() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let forms = [
        ("/buckets", vec![("name", "x")]),
        ("/access-keys", vec![("name", "")]),
        ("/buckets/vaults/sign", vec![("step", "put"), ("key", "a")]),
        ("/buckets/vaults/folders", vec![("name", "")]),
        ("/buckets/vaults/delete-objects", vec![]),
        ("/buckets/vaults/restore", vec![("key", "a")]),
        ("/buckets/vaults/settings", vec![("setting", "links")]),
        ("/buckets/vaults/delete", vec![("name", "x")]),
    ];
    // For each role: may it look, may it change.
    for (role, look, change) in [
        ("owner", true, true),
        ("admin", true, true),
        ("developer", true, true),
        ("read_only", true, false),
        ("billing", false, false),
    ] {
        site.sql(&format!("UPDATE members SET role = '{role}'"))
            .await;
        for path in ["/buckets", "/buckets/vaults", "/buckets/vaults/settings"] {
            let page = ada.get(path).await;
            assert_eq!(page.status == StatusCode::OK, look, "{role} {path}");
            assert_eq!(page.status == StatusCode::FORBIDDEN, !look, "{role} {path}");
            assert!(change || !page.has("id=\"drop-zone\"") && !page.has("id=\"new-bucket\""));
        }
        for (path, fields) in &forms {
            let page = send(&mut ada, path, fields).await;
            assert_eq!(
                page.status == StatusCode::FORBIDDEN,
                !change,
                "{role} {path}"
            );
        }
        let download = ada.get("/buckets/vaults/download?key=a").await;
        assert_eq!(download.status == StatusCode::SEE_OTHER, look, "{role}");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_data_plane_the_pages_say_so() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let page = ada.get("/buckets/vaults").await;
    assert!(
        page.has("id=\"unavailable\"") && page.has("cannot be reached"),
        "{}",
        page.body
    );
    let page = ada.get("/buckets/vaults/settings").await;
    assert!(page.has("cannot be reached"));
    // What nodes act upon is the control plane's own, and can be changed all the same.
    let fields = [("setting", "public"), ("public_read", "on")];
    let unnamed = send(&mut ada, "/buckets/vaults/settings", &fields).await;
    assert_eq!(unnamed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!unnamed.element("public-name-error").is_empty());
    assert!(!ada.get("/buckets").await.has(">Public</span>"));
    let fields = [
        ("setting", "public"),
        ("public_read", "on"),
        ("typed", "vaults"),
    ];
    let saved = send(&mut ada, "/buckets/vaults/settings", &fields).await;
    assert_eq!(saved.location(), "/buckets/vaults/settings?done=saved");
    assert!(ada.get("/buckets").await.has(">Public</span>"));
    let fields = [
        ("setting", "cors-add"),
        ("origins", "https://a.example, https://b.example"),
        ("method", "GET"),
        ("method", "PUT"),
    ];
    send(&mut ada, "/buckets/vaults/settings", &fields).await;
    assert!(ada.get("/buckets/vaults/settings").await.has("GET, PUT"));
    let fields = [("setting", "cors-add"), ("origins", "*")];
    let refused = send(&mut ada, "/buckets/vaults/settings", &fields).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.has("id=\"refused\""), "{}", refused.body);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_refused_says_where_and_keeps_what_was_typed() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let path = "/buckets/vaults/settings";
    let fields = [
        ("setting", "cors-add"),
        ("origins", "https://a.example"),
        ("method", "PUT"),
        ("max_age", "soon"),
    ];
    let again = send(&mut ada, path, &fields).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!again.element("max-age-error").is_empty());
    assert!(again.has("value=\"https://a.example\"") && again.has("value=\"soon\""));
    assert!(again.has("value=\"PUT\" checked") && !again.has("value=\"GET\" checked"));
    assert!(again.has("<details open>"), "{}", again.body);
    let mut fields = fields;
    fields[3] = ("max_age", "60");
    let saved = send(&mut ada, path, &fields).await;
    assert_eq!(saved.location(), "/buckets/vaults/settings?done=saved");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_buckets_may_talk_to_the_data_plane_and_others_may_not() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let page = ada.get("/buckets/vaults").await;
    let policy = page.header("content-security-policy").unwrap_or_default();
    for directive in ["img-src", "connect-src", "form-action"] {
        let part = format!("{directive} 'self' http://127.0.0.1:9;");
        assert!(policy.contains(&part), "{part} in {policy}");
    }
    let page = ada.get("/dashboard").await;
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(!policy.contains("127.0.0.1"), "{policy}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_bucket_asks_for_its_name() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let form = ada.get("/buckets/vaults/delete").await;
    let wrong = ada
        .submit("/buckets/vaults/delete", &form, &[("name", "vault")])
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.has("id=\"name-error\""));
    // With the name it goes on to the engine, which is not there.
    let right = ada
        .submit("/buckets/vaults/delete", &form, &[("name", "vaults")])
        .await;
    assert_eq!(right.status, StatusCode::SERVICE_UNAVAILABLE);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_an_impossible_name_is_refused_beside_the_field() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    // Nobody has found out yet what the engine can do.
    let form = ada.get("/buckets/new").await;
    assert!(form.has("holds no locks") && !form.has("name=\"object_lock\""));
    let able = "UPDATE engines SET capabilities = capabilities || '{\"object_lock\": true}'";
    site.sql(able).await;
    let form = ada.get("/buckets/new").await;
    let again = ada
        .submit(
            "/buckets",
            &form,
            &[("name", "Not A Name"), ("object_lock", "on")],
        )
        .await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.has("id=\"name-error\"") && again.has("value=\"Not A Name\""));
    assert!(again.has("name=\"object_lock\" value=\"on\" checked"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_as_the_member_chose() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    assert!(ada.get("/dashboard").await.has("data-theme=\"system\""));
    let chosen = send(&mut ada, "/theme", &[("theme", "dark")]).await;
    assert_eq!(chosen.location(), "/dashboard");
    assert!(ada.get("/buckets").await.has("data-theme=\"dark\""));
    send(&mut ada, "/theme", &[("theme", "\"><script>")]).await;
    assert!(ada.get("/buckets").await.has("data-theme=\"system\""));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_the_owners_and_can_be_taken_along() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    crate::site::create_key(&mut ada, "=1+1").await;
    let page = ada.get("/audit-log").await;
    assert!(page.has("access_key.create") && page.has("ada@engines.example"));
    assert!(!eve.get("/audit-log").await.has("access_key.create"));
    let other = ada.get("/audit-log?kind=bucket.").await;
    assert!(!other.has("access_key.create"));
    let other = ada.get("/audit-log?actor=nobody%40x.example").await;
    assert!(other.has("Nothing fits the filter"));
    let file = ada.get("/audit-log.csv?kind=access_key.").await;
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(file.body.lines().count(), 2, "{}", file.body);
    for (role, status) in [
        ("admin", StatusCode::OK),
        ("developer", StatusCode::FORBIDDEN),
    ] {
        site.sql(&format!("UPDATE members SET role = '{role}'"))
            .await;
        for path in ["/audit-log", "/audit-log.csv"] {
            assert_eq!(ada.get(path).await.status, status, "{role} {path}");
        }
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_once_however_often_the_form_is_sent() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    let created = crate::site::create_key(&mut ada, "nightly").await;
    let old = created.element("access-key-id").to_owned();
    let path = format!("/access-keys/{old}/rotate");
    assert_eq!(eve.get(&path).await.status, StatusCode::NOT_FOUND);
    let form = ada.get(&path).await;
    let fields = [("overlap", "1d")];
    let rotated = ada.submit(&path, &form, &fields).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.body);
    let new = rotated.element("access-key-id").to_owned();
    assert_ne!(new, old);
    let again = ada.submit(&path, &form, &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let list = ada.get("/access-keys").await;
    assert_eq!(list.body.matches("data-revoke").count(), 2);
    assert!(list.has(&format!("for {old}")), "{}", list.body);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_limited_by_the_form() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/access-keys").await;
    let wrong = [
        ("name", "ci"),
        ("permission", "read"),
        ("write", "on"),
        ("buckets", "Not A Bucket"),
    ];
    let again = ada.submit("/access-keys", &form, &wrong).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.has("id=\"buckets-error\"") && again.has(">Not A Bucket</textarea>"));
    let right = [
        ("name", "ci"),
        ("permission", "read"),
        ("list", "on"),
        ("buckets", "photos"),
        ("prefixes", "2026/"),
        ("source_addresses", "203.0.113.7"),
    ];
    let created = ada.submit("/access-keys", &again, &right).await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.body);
    let list = ada.get("/access-keys").await;
    assert!(
        list.has("only list; buckets photos; prefixes 2026/; from 203.0.113.7/32"),
        "{}",
        list.body
    );
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_buckets_are_shown_a_page_at_a_time_and_found_by_a_part_of_their_names() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "zebra").await;
    assert!(!ada.get("/buckets").await.has("role=\"search\""));
    for number in 0..100 {
        site.bucket("ada@engines.example", &format!("logs-{number:03}"))
            .await;
    }
    let first = ada.get("/buckets").await;
    assert!(first.has("101 buckets") && first.has("logs-099") && !first.has("zebra"));
    let second = ada.get("/buckets?search=&after=logs-099").await;
    assert!(second.has("zebra") && !second.has("logs-099<") && !second.has("next-page"));
    assert!(first.has("id=\"next-page\""));
    let found = ada.get("/buckets?search=bra").await;
    assert!(found.has("zebra") && !found.has("logs-"));
    let nothing = ada.get("/buckets?search=%3Cb%3E").await;
    assert!(nothing.has("No bucket has “&#60;b&#62;” in its name"));
    site.close().await;
}

/// A hundred of the longest names are one form.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_long_names_can_be_deleted_at_once() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let long = "ü".repeat(512);
    let keys = vec![("key", long.as_str()); 100];
    let asked = send(&mut ada, "/buckets/vaults/delete-objects", &keys).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.has("Type the bucket’s name, <code>vaults</code>"));
    let refused = send(&mut ada, "/buckets/vaults/settings", &keys).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    site.close().await;
}
