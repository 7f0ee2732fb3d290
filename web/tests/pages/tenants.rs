//! Tenants in the operators' area: found, told whole, changed one at a time, and several for who types how many.

use http::StatusCode;

use crate::operators::{OPERATOR, operator_client};
use crate::site::{Browser, Page, Site, create_key};

pub const ADA: &str = "ada@engines.example";

/// The id of the tenant whose owner has that address, as the list has it.
pub async fn tenant_of(operator: &mut Browser, email: &str) -> String {
    let list = operator
        .get(&format!(
            "/admin/tenants?search={}",
            crate::site::encode(email)
        ))
        .await;
    let found = list.body.split("data-tenant=\"").nth(1);
    let found = found.unwrap_or_else(|| panic!("no tenant of {email} in {}", list.body));
    found.split('"').next().expect("an id").to_owned()
}

fn rows(page: &Page) -> usize {
    page.body.matches("data-tenant=\"").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_found_by_name_address_id_status_and_plan() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    site.member("Looms & Cards", "joseph@looms.example").await;
    let (mut otto, _) = operator_client(&site).await;
    let id = tenant_of(&mut otto, ADA).await;
    assert_eq!(rows(&otto.get("/admin/tenants").await), 2);
    for (query, found) in [
        ("search=analytical", 1),
        ("search=LOOMS", 1),
        ("search=example", 2),
        (&*format!("search={id}"), 1),
        ("search=100%25", 0),
        ("search=_", 0),
        ("search=nobody", 0),
        ("status=active", 2),
        ("status=suspended", 0),
        ("plan=trial", 2),
        ("plan=business", 0),
        ("status=nonsense", 2),
        ("search=%00", 2),
    ] {
        let page = otto.get(&format!("/admin/tenants?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        assert_eq!(rows(&page), found, "{query}");
    }
    // A page at a time, each tenant once.
    site.sql(
        "INSERT INTO tenants (id, name, email, plan_id, terms_version, created_at, terms_since)
             SELECT gen_random_uuid(), 'many ' || n, n || '@many.example', plan_id, terms_version, created_at, terms_since
             FROM generate_series(1, 60) n, (SELECT * FROM tenants LIMIT 1) one",
    )
    .await;
    let first = otto.get("/admin/tenants?search=many").await;
    assert_eq!(rows(&first), 50);
    let next = first
        .body
        .split("rel=\"next\" href=\"")
        .nth(1)
        .expect("a next page");
    let next = next
        .split('"')
        .next()
        .expect("an address")
        .replace("&#38;", "&");
    let second = otto.get(&next).await;
    assert_eq!(rows(&second), 10);
    assert!(!second.has("rel=\"next\""));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_story_is_on_one_page_and_each_change_is_in_both_logs() {
    let site = Site::start().await;
    let mut ada = site.member("Analytical Engines", ADA).await;
    let key = create_key(&mut ada, "nightly").await;
    let (key, secret) = (
        key.element("access-key-id").to_owned(),
        key.element("secret-access-key").to_owned(),
    );
    site.bucket(ADA, "press-kit").await;
    let (mut otto, _) = operator_client(&site).await;
    let id = tenant_of(&mut otto, ADA).await;
    let path = format!("/admin/tenants/{id}");
    let page = otto.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for told in [
        ADA,
        &id,
        &key,
        "press-kit",
        "nightly",
        "tenant.create",
        "25",
    ] {
        assert!(page.has(told), "{told}");
    }
    assert!(!page.has(&secret));

    let act = async |otto: &mut Browser, act: &str, fields: &[(&str, &str)]| {
        let page = otto.get(&path).await;
        otto.submit(&format!("{path}/{act}"), &page, fields).await
    };
    let without = act(&mut otto, "suspend", &[("reason", " ")]).await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(without.has("reason-error"));
    let done = act(&mut otto, "suspend", &[("reason", "abuse report 12")]).await;
    assert_eq!(done.location(), format!("{path}?notice=suspended"));
    assert_eq!(otto.get(&path).await.element("status"), "suspended");
    let done = act(&mut otto, "resume", &[("reason", "it was none")]).await;
    assert_eq!(done.location(), format!("{path}?notice=resumed"));
    assert_eq!(otto.get(&path).await.element("status"), "active");
    let refused = act(&mut otto, "plan", &[("plan", "nonsense")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.has("plan-error"));
    let done = act(&mut otto, "plan", &[("plan", "business")]).await;
    assert_eq!(done.location(), format!("{path}?notice=plan"));
    let empty = act(&mut otto, "notes", &[("text", "")]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    act(
        &mut otto,
        "notes",
        &[("text", "Called: <b>pays</b> by wire.")],
    )
    .await;
    let noted = otto.get(&path).await;
    assert!(noted.has("Called: &#60;b&#62;pays&#60;/b&#62; by wire."));

    let form = otto.get(&format!("{path}/limits")).await;
    let refused = otto
        .submit(&format!("{path}/limits"), &form, &[("burst", "many")])
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.has("burst-error"));
    let fields = [
        ("requests_per_second", "7"),
        ("burst", "200"),
        ("quota_bytes", "1,000,000"),
        ("bucket_limit", "100"),
        ("access_key_limit", "500"),
    ];
    let done = otto.submit(&format!("{path}/limits"), &form, &fields).await;
    assert_eq!(
        done.location(),
        format!("{path}?notice=limits"),
        "{}",
        done.body
    );
    assert!(otto.get(&path).await.has("1\u{a0}MB"));

    // Whoever did it is named to the customer; what is noted is not.
    let log = ada.get("/audit-log").await;
    for told in [
        "tenant.suspend",
        "abuse report 12",
        "tenant.resume",
        "tenant.set_plan",
        "tenant.set_limits",
        &format!("operator {OPERATOR}"),
    ] {
        assert!(log.has(told), "{told}");
    }
    assert!(!log.has("tenant.note") && !log.has("by wire"));
    let audit = otto.get(&format!("/admin/audit?search={id}")).await;
    for action in ["suspend", "resume", "set_plan", "set_limits", "note"] {
        assert!(
            audit.has(&format!("<code>tenant.{action}</code>")),
            "{action}"
        );
    }
    assert!(!audit.has("tenant.create"), "that was no operator's");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_and_one_that_was_deleted_is_had_back() {
    let site = Site::start().await;
    let (mut otto, _) = operator_client(&site).await;
    let form = otto.get("/admin/tenants/new").await;
    let bad = [("name", "Looms"), ("email", "nonsense"), ("plan", "trial")];
    let refused = otto.submit("/admin/tenants", &form, &bad).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.has("email-error"));
    let good = [
        ("name", "Looms"),
        ("email", "joseph@looms.example"),
        ("plan", "business"),
    ];
    let made = otto.submit("/admin/tenants", &form, &good).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert_eq!(made.element("secret-access-key").len(), 40);
    let id = tenant_of(&mut otto, "joseph@looms.example").await;
    let now = site.clock.now();
    site.sql(&format!(
        "UPDATE tenants SET status_before = status, status = 'deleted', deleted_at = '{now}',
                remove_after = '{now}'::timestamptz + interval '30 days'"
    ))
    .await;
    assert_eq!(rows(&otto.get("/admin/tenants").await), 0);
    assert_eq!(rows(&otto.get("/admin/tenants?status=deleted").await), 1);
    let path = format!("/admin/tenants/{id}");
    let page = otto.get(&path).await;
    let done = otto.submit(&format!("{path}/restore"), &page, &[]).await;
    assert_eq!(
        done.location(),
        format!("{path}?notice=restored"),
        "{}",
        done.body
    );
    let again = otto.submit(&format!("{path}/restore"), &page, &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(rows(&otto.get("/admin/tenants").await), 1);
    let nobody = format!("/admin/tenants/{}", "0".repeat(32));
    assert_eq!(otto.get(&nobody).await.status, StatusCode::NOT_FOUND);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_suspended_by_who_types_how_many_and_none_that_was_changed_meanwhile() {
    let site = Site::start().await;
    for n in 1..=3 {
        site.member(&format!("Engines {n}"), &format!("{n}@engines.example"))
            .await;
    }
    let (mut otto, _) = operator_client(&site).await;
    let path = "/admin/tenants/several";
    let list = otto.get("/admin/tenants").await;
    let ticked: Vec<String> = list
        .body
        .split("name=\"chosen\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a value").to_owned())
        .collect();
    assert_eq!(ticked.len(), 3);
    let none = otto.submit(path, &list, &[("word", "suspend")]).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    let mut fields = vec![("word", "suspend")];
    fields.extend(ticked.iter().map(|one| ("chosen", one.as_str())));
    let asked = otto.submit(path, &list, &fields).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert_eq!(asked.element("question"), "Suspend 3 tenants");
    let active = async |otto: &mut Browser| rows(&otto.get("/admin/tenants?status=active").await);
    assert_eq!(active(&mut otto).await, 3, "a question changes nothing");
    for (confirm, reason, field) in [
        ("", "abuse", "confirm-error"),
        ("2", "abuse", "confirm-error"),
        ("all", "abuse", "confirm-error"),
        ("3", "", "reason-error"),
    ] {
        let fields = [("confirm", confirm), ("reason", reason)];
        let refused = otto.submit(path, &asked, &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.has(field), "{confirm} {reason}");
    }
    // One of them is changed meanwhile.
    let id = tenant_of(&mut otto, "2@engines.example").await;
    let one = format!("/admin/tenants/{id}");
    let page = otto.get(&one).await;
    let limits = otto.get(&format!("{one}/limits")).await;
    let fields = [("requests_per_second", "9")];
    otto.submit(&format!("{one}/limits"), &limits, &fields)
        .await;
    let sure = [("confirm", "3"), ("reason", "abuse")];
    let refused = otto.submit(path, &asked, &sure).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.has("Engines 2") && refused.has("id=\"refused\""));
    assert_eq!(active(&mut otto).await, 3, "none of them");
    drop(page);

    let list = otto.get("/admin/tenants").await;
    let ticked: Vec<String> = list
        .body
        .split("name=\"chosen\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a value").to_owned())
        .collect();
    let mut fields = vec![("word", "suspend")];
    fields.extend(ticked.iter().map(|one| ("chosen", one.as_str())));
    let asked = otto.submit(path, &list, &fields).await;
    let done = otto.submit(path, &asked, &sure).await;
    assert_eq!(
        done.location(),
        "/admin/tenants?notice=suspended",
        "{}",
        done.body
    );
    assert_eq!(active(&mut otto).await, 0);
    assert_eq!(rows(&otto.get("/admin/tenants?status=suspended").await), 3);
    site.close().await;
}
