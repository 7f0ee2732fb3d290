//! Engines and drift in the operators' area. What takes an engine that answers is in `e2e`.

use http::StatusCode;

use crate::operators::{OPERATOR, operator_client};
use crate::site::{Browser, Page, Site, pair};
use crate::tenants::{ADA, tenant_of};

/// What browsers say of a form of our own.
const OURS: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];
const SECRET: &str = "a-secret-that-no-page-has";

/// An engine that somebody added, at which nothing answers.
async fn second(site: &Site) {
    site.sql(
        "INSERT INTO engines (id, endpoint, region, access_key_id, secret, placement, pool_bucket, capabilities, is_default, created_at)
             SELECT 'lyve-east', endpoint, region, access_key_id, secret, placement, pool_bucket, capabilities, false, created_at
             FROM engines WHERE id = 'main'",
    )
    .await;
}

async fn act(browser: &mut Browser, id: &str, act: &str, fields: &[(&str, &str)]) -> Page {
    let path = format!("/admin/engines/{id}");
    let page = browser.get(&path).await;
    browser
        .submit(&format!("{path}/{act}"), &page, fields)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_refused_by_its_field_and_its_secret_is_in_no_page() {
    let site = Site::start().await;
    let (mut otto, _) = operator_client(&site).await;
    let form = otto.get("/admin/engines/new").await;
    assert_eq!(form.status, StatusCode::OK);
    let fields = |name, endpoint, act| {
        [
            ("name", name),
            ("endpoint", endpoint),
            ("access_key_id", "AKIAEXAMPLE"),
            ("secret_access_key", SECRET),
            ("act", act),
        ]
    };
    for act in ["try", "add"] {
        for (name, endpoint, field) in [
            ("Lyve East", "http://127.0.0.1:9", "name"),
            ("lyve-east", "ftp://127.0.0.1", "endpoint"),
            ("lyve-east", "http://127.0.0.1:9", "endpoint"),
        ] {
            let refused = otto
                .submit("/admin/engines", &form, &fields(name, endpoint, act))
                .await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{act}");
            assert!(refused.has(&format!("{field}-error")), "{act} {name}");
            assert!(refused.has("AKIAEXAMPLE") && !refused.has(SECRET));
        }
    }
    let list = otto.get("/admin/engines").await;
    assert_eq!(list.body.matches("data-engine=").count(), 1);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_changes_for_who_types_how_many_tenants_it_concerns() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    site.member("Looms & Cards", "joseph@looms.example").await;
    second(&site).await;
    let (mut otto, _) = operator_client(&site).await;
    let path = "/admin/engines/lyve-east/default";
    let form = otto.get(path).await;
    assert!(form.has("2 tenants"), "{}", form.body);
    for wrong in ["", "1", "two"] {
        let refused = otto.submit(path, &form, &[("confirm", wrong)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(refused.has("confirm-error"), "{wrong}");
    }
    let done = otto.submit(path, &form, &[("confirm", "2")]).await;
    assert_eq!(
        done.location(),
        "/admin/engines/lyve-east?notice=default",
        "{}",
        done.body
    );
    assert!(otto.get("/admin/engines/lyve-east").await.has(">default<"));
    let log = otto.get("/admin/audit").await;
    assert!(log.has("engine.set") && log.has(OPERATOR));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_disabled_or_removed_when_no_new_bucket_goes_there() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    second(&site).await;
    let (mut otto, _) = operator_client(&site).await;
    let tenant = tenant_of(&mut otto, ADA).await;
    let unknown = act(&mut otto, "lyve-east", "tenant", &[("tenant", "ada")]).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unknown.has("tenant-error"));
    for named in [ADA, &tenant] {
        let here = [("tenant", named), ("to", "here")];
        let done = act(&mut otto, "lyve-east", "tenant", &here).await;
        assert_eq!(done.location(), "/admin/engines/lyve-east?notice=here");
    }
    for refused in ["disable", "remove"] {
        let page = act(&mut otto, "lyve-east", refused, &[]).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{refused}");
        assert!(page.has("They are 1."), "{refused}");
    }
    let away = [("tenant", ADA), ("to", "default")];
    let done = act(&mut otto, "lyve-east", "tenant", &away).await;
    assert_eq!(done.location(), "/admin/engines/lyve-east?notice=away");
    let done = act(&mut otto, "lyve-east", "disable", &[]).await;
    assert_eq!(done.location(), "/admin/engines/lyve-east?notice=disabled");
    let here = [("tenant", ADA), ("to", "here")];
    let refused = act(&mut otto, "lyve-east", "tenant", &here).await;
    assert!(refused.has("tenant-error") && refused.has("enable it first"));
    let done = act(&mut otto, "lyve-east", "enable", &[]).await;
    assert_eq!(done.location(), "/admin/engines/lyve-east?notice=enabled");
    let refused = act(&mut otto, "main", "disable", &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let done = act(&mut otto, "lyve-east", "remove", &[]).await;
    assert_eq!(done.location(), "/admin/engines?notice=removed");
    let gone = otto.get("/admin/engines/lyve-east").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_is_a_number_and_other_credentials_are_tried_before_they_are_kept() {
    let site = Site::start().await;
    let (mut otto, _) = operator_client(&site).await;
    let many = [("capacity_bytes", "many")];
    let refused = act(&mut otto, "main", "capacity", &many).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.has("capacity_bytes-error"));
    let two = [("capacity_bytes", "2,000,000,000")];
    let done = act(&mut otto, "main", "capacity", &two).await;
    assert_eq!(done.location(), "/admin/engines/main?notice=capacity");
    assert!(
        otto.get("/admin/engines")
            .await
            .has("2\u{a0}GB of 2\u{a0}GB")
    );

    let form = otto.get("/admin/engines/main/rotate").await;
    let new = [
        ("access_key_id", "AKIAOTHER"),
        ("secret_access_key", SECRET),
    ];
    let refused = otto.submit("/admin/engines/main/rotate", &form, &new).await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    assert!(refused.has("AKIAOTHER") && !refused.has(SECRET));
    assert!(!otto.get("/admin/engines/main").await.has("AKIAOTHER"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_credentials_are_forgotten_when_every_node_has_the_new_ones() {
    let site = Site::start().await;
    let (mut otto, _) = operator_client(&site).await;
    // Without a rotation there is no button: another form of the page bears the token.
    let page = otto.get("/admin/engines/main").await;
    let token = page.hidden_fields("/admin/engines/main/capacity");
    let finish = "/admin/engines/main/rotate/finish";
    let none = otto.post(finish, &token, &OURS).await;
    assert_eq!(none.status, StatusCode::CONFLICT);
    site.sql(
        "UPDATE engines SET old_access_key_id = 'AKIAOLD', old_secret = secret, rotated_at = now(), rotation_revision = 7",
    )
    .await;
    site.node("10.0.0.8:9000", false).await;
    let page = otto.get("/admin/engines/main").await;
    assert!(page.has("AKIAOLD") && page.has("10.0.0.8:9000") && page.has("not yet"));
    let refused = act(&mut otto, "main", "rotate/finish", &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.has("10.0.0.8:9000"));
    site.sql("UPDATE nodes SET revision = 9000").await;
    let done = act(&mut otto, "main", "rotate/finish", &[]).await;
    assert_eq!(done.location(), "/admin/engines/main?notice=finished");
    assert!(!otto.get("/admin/engines/main").await.has("AKIAOLD"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_is_done_for_who_types_how_many_tenants_it_changes() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    site.member("Looms & Cards", "joseph@looms.example").await;
    let (mut otto, _) = operator_client(&site).await;
    let page = otto.get("/admin/drift").await;
    assert!(page.has("Never compared"));
    for email in [ADA, "joseph@looms.example"] {
        site.bucket(email, &format!("b-{}", email.len())).await;
    }
    // Their creation broke off.
    site.sql("UPDATE buckets SET status = 'creating', created_at = created_at - interval '1 day'")
        .await;
    let done = otto.submit("/admin/drift", &page, &[]).await;
    assert_eq!(done.location(), "/admin/drift?notice=looked");
    let page = otto.get("/admin/drift").await;
    assert!(page.has("Creation broke off"), "{}", page.body);
    let ask = otto.submit("/admin/drift/repair", &page, &[]).await;
    assert_eq!(ask.status, StatusCode::OK);
    assert!(ask.element("question").contains("2 tenants"));
    let confirm = async |otto: &mut Browser, number: &str| {
        let fields = [("tenants", number)];
        otto.submit("/admin/drift/repair", &ask, &fields).await
    };
    for wrong in ["", "1", "all"] {
        let refused = confirm(&mut otto, wrong).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{wrong}");
        assert!(refused.has("tenants-error"), "{wrong}");
    }
    assert!(!otto.get("/admin/audit").await.has("drift.repair"));
    let done = confirm(&mut otto, "2").await;
    assert_eq!(
        done.location(),
        "/admin/drift?notice=repaired",
        "{}",
        done.body
    );
    assert!(otto.get("/admin/audit").await.has("drift.repair"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_and_only_their_own_forms_reach_engines() {
    let site = Site::start().await;
    let mut ada = site.member("Analytical Engines", ADA).await;
    for path in [
        "/admin/engines",
        "/admin/engines/new",
        "/admin/engines/main",
        "/admin/drift",
    ] {
        assert_eq!(ada.get(path).await.location(), "/admin/login", "{path}");
    }
    let (mut otto, _) = operator_client(&site).await;
    for (page, path, fields) in [
        (
            "/admin/engines/main",
            "/admin/engines/main/capacity",
            [("capacity_bytes", "5000")],
        ),
        ("/admin/drift", "/admin/drift", [("usage", "")]),
    ] {
        let mut forged = vec![pair("csrf_token", "forged")];
        forged.extend(fields.iter().map(|(name, value)| pair(name, value)));
        let refused = otto.post(path, &forged, &OURS).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        let page = otto.get(page).await;
        let done = otto.submit(path, &page, &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{path}");
    }
    site.close().await;
}
