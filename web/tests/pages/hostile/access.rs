//! Who may open what: the whole route table as a stranger, and one tenant's key as another's.

use axum::body::Body;
use controlplane::accounts::{Role, may};
use http::{Method, Request, StatusCode};
use web::Access;

use crate::refusals::refuse;
use crate::site::{Browser, PASSWORD, Page, Site, create_key, pair};
use crate::tokens::make;

pub fn concrete(path: &str) -> String {
    path.replace("{access_key_id}", "VLT00000000000000000")
        .replace("{session_id}", NOBODY)
        .replace("{member_id}", NOBODY)
        .replace("{invitation_id}", NOBODY)
        .replace("{request_id}", NOBODY)
        .replace("{api_token_id}", NOBODY)
        .replace("{passkey_id}", NOBODY)
        .replace("{notice_id}", NOBODY)
        .replace("{invoice_id}", NOBODY)
        .replace("{operator_id}", NOBODY)
        .replace("{tenant_id}", NOBODY)
        .replace("{node_id}", NOBODY)
        .replace("{plan_id}", "nobodys")
        .replace("{kind}", "mail")
        .replace("{job_id}", NOBODY)
        .replace("{name}", "site.css")
        .replace("{bucket}", "vaults")
}

/// What a member gets with a plain GET: some routes only take forms, and some need the data plane, which is not there.
fn of_bucket(path: &str) -> StatusCode {
    match path {
        "/buckets/vaults/folders"
        | "/buckets/vaults/delete-objects"
        | "/buckets/vaults/restore"
        | "/buckets/vaults/sign" => StatusCode::METHOD_NOT_ALLOWED,
        "/buckets/vaults/object?key=a" => StatusCode::SERVICE_UNAVAILABLE,
        "/buckets/vaults/download?key=a" => StatusCode::SEE_OTHER,
        _ => StatusCode::OK,
    }
}

/// An id that nobody has.
const NOBODY: &str = "00000000000000000000000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn row_08_a_stranger_is_sent_from_every_members_route_to_the_log_in() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let id = create_key(&mut member, "backup").await;
    let id = id.element("access-key-id").to_owned();
    site.bucket("ada@engines.example", "vaults").await;
    let mut walked = 0;
    for (path, access) in web::route_table() {
        let named = path.contains('{');
        let path = concrete(path);
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
            let request = || {
                Request::builder()
                    .method(&method)
                    .uri(&path)
                    .header("sec-fetch-site", "same-origin")
            };
            let page = site.browser().send(request(), Body::empty()).await;
            match access {
                Access::Member { .. } => {
                    walked += 1;
                    assert_eq!(page.status, StatusCode::SEE_OTHER, "{method} {path}");
                    assert!(page.location().starts_with("/login"), "{method} {path}");
                    assert!(!page.has("<main"));
                }
                // Theirs have a walk of their own.
                Access::Operator => {
                    assert_eq!(page.location(), "/admin/login", "{method} {path}");
                }
                Access::Public => {
                    let code = path == "/login/code"; // there is nothing to go on with
                    assert!(code || page.location() != "/login", "{method} {path}");
                }
            }
        }
        if let Access::Member { .. } = access {
            let own = path.replace("VLT00000000000000000", &id);
            let own = match own.ends_with("/object") || own.ends_with("/download") {
                true => format!("{own}?key=a"),
                false => own,
            };
            let status = member.get(&own).await.status;
            let expected = match (path.as_str(), named) {
                ("/logout" | "/theme", _) => StatusCode::METHOD_NOT_ALLOWED,
                ("/account/passkeys/answer" | "/settings/export", _) => {
                    StatusCode::METHOD_NOT_ALLOWED
                }
                ("/billing/checkout" | "/billing/portal" | "/billing/alerts", _) => {
                    StatusCode::METHOD_NOT_ALLOWED
                }
                (path, _) if path.ends_with("/end-others") => StatusCode::METHOD_NOT_ALLOWED,
                (path, _) if path.starts_with("/buckets/vaults") => of_bucket(&own),
                (_, true) if own != path => StatusCode::OK,
                (_, true) => status, // below
                _ => StatusCode::OK,
            };
            assert_eq!(status, expected, "{own}");
        }
    }
    assert!(walked >= 60, "{walked}");
    site.close().await;
}

/// Every route as every role: what the table of roles denies is refused before anything else is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn row_09_every_role_may_what_the_table_says_and_nothing_else() {
    let site = Site::start().await;
    let mut owner = site.member("Engines", "ada@engines.example").await;
    let mut team = vec![];
    for role in ["admin", "developer", "billing", "read_only"] {
        let email = format!("{role}@engines.example");
        let browser = site.colleague(&mut owner, &email, role).await;
        team.push((Role::parse(role).expect("a role"), browser));
    }
    team.push((Role::Owner, owner));
    let mut refused = 0;
    for (path, access) in web::route_table() {
        let Access::Member { see, change } = access else {
            continue;
        };
        for (role, browser) in &team {
            for (method, act) in [(Method::GET, see), (Method::POST, change)] {
                let request = Request::builder()
                    .method(&method)
                    .uri(concrete(path))
                    .header("sec-fetch-site", "same-origin")
                    .header("content-type", "application/x-www-form-urlencoded");
                let page = browser.clone().send(request, Body::empty()).await;
                let by_role = page.status == StatusCode::FORBIDDEN
                    && page.has("Your role does not allow this");
                assert_eq!(by_role, !may(*role, act), "{role:?} {method} {path}");
                refused += usize::from(by_role);
            }
        }
    }
    assert!(refused >= 30, "{refused}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_09_nobody_posts_their_way_up_or_across() {
    let site = Site::start().await;
    let mut owner = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    let mut admin = site
        .colleague(&mut owner, "admin@engines.example", "admin")
        .await;
    let mut developer = site
        .colleague(&mut owner, "dev@engines.example", "developer")
        .await;
    let team = owner.get("/members").await;
    let ids: Vec<&str> = team.body.split("data-member=\"").skip(1).collect();
    let ids: Vec<&str> = ids.iter().filter_map(|id| id.split('"').next()).collect();
    let [first, second] = ids[..] else {
        panic!("two can be managed: {ids:?}");
    };
    for id in [first, second] {
        let path = format!("/members/{id}");
        let form = |page: &Page| {
            let token = page.hidden_fields("/logout").remove(0);
            vec![token, pair("role", "owner"), pair("tenant_id", "x")]
        };
        let ours = [("sec-fetch-site", "same-origin")];
        for browser in [&mut owner, &mut admin, &mut developer] {
            let fields = form(&browser.get("/members").await);
            let page = browser.post(&path, &fields, &ours).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
        }
        let fields = form(&eve.get("/members").await);
        let mut fields: Vec<_> = fields.into_iter().filter(|(k, _)| k != "role").collect();
        fields.push(pair("role", "billing"));
        for path in [
            path.clone(),
            format!("{path}/remove"),
            format!("{path}/transfer"),
        ] {
            let page = eve.post(&path, &fields, &ours).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(eve.get(&path).await.status, StatusCode::NOT_FOUND);
    }
    // The twin: what an admin may.
    let path = format!("/members/{second}");
    let page = admin.get(&path).await;
    let answer = admin.submit(&path, &page, &[("role", "billing")]).await;
    assert_eq!(answer.location(), "/members?notice=role");
    assert!(owner.get("/members").await.has(">billing<"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_08_another_tenants_key_is_as_unknown_as_one_that_never_was() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    let id = create_key(&mut ada, "ada's own").await;
    let id = id.element("access-key-id").to_owned();
    let theirs = format!("/access-keys/{id}/revoke");
    let nobodys = "/access-keys/VLT00000000000000000/revoke";

    let form = eve.get("/access-keys").await;
    assert!(!form.has(&id));
    let token = form.hidden_fields("/logout");
    let ours = [("sec-fetch-site", "same-origin")];
    let same = |a: &Page, b: &Page| {
        assert_eq!(a.status, StatusCode::NOT_FOUND);
        assert_eq!((a.status, &a.body), (b.status, &b.body));
    };
    same(&eve.get(&theirs).await, &eve.get(nobodys).await);
    same(
        &eve.post(&theirs, &token, &ours).await,
        &eve.post(nobodys, &token, &ours).await,
    );
    let list = ada.get("/access-keys").await;
    assert!(list.has(&format!("data-revoke=\"{id}\"")), "still active");

    let question = ada.get(&theirs).await;
    assert_eq!(question.status, StatusCode::OK);
    let receipt = ada.submit(&theirs, &question, &[]).await;
    assert_eq!(receipt.status, StatusCode::OK);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_a_page_says_so_and_nothing_more() {
    let site = Site::start().await;
    let mut browser = site.browser();
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    site.cp.shut_down().await;
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    let id = page.header("x-request-id").expect("a request id");
    assert_eq!(page.element("request-id"), id);
    assert!(!page.has("pool") && !page.has("sqlx") && !page.has("postgres"));
    site.close().await;
}

/// What addresses can name, of one tenant.
async fn ids_of(site: &Site, owner: &mut Browser, email: &str) -> Vec<(&'static str, String)> {
    let after = |page: &Page, mark: &str| {
        let (_, rest) = page
            .body
            .split_once(mark)
            .unwrap_or_else(|| panic!("{mark}"));
        rest.split(['"', '/']).next().unwrap_or_default().to_owned()
    };
    site.bucket(email, "theirs").await;
    let key = create_key(owner, "theirs").await;
    let colleague = format!("colleague-of-{email}");
    site.colleague(owner, &colleague, "developer").await;
    let mut second = site.browser();
    let form = second.get("/login").await;
    let fields = [("email", email), ("password", PASSWORD)];
    second.submit("/login", &form, &fields).await;
    let form = owner.get("/members").await;
    let fields = [("email", "invited@engines.example"), ("role", "billing")];
    owner.submit("/members", &form, &fields).await;
    let request = "00000000000000AA".to_owned();
    refuse(site, email, "rate_limit", std::slice::from_ref(&request)).await;
    make(owner, "theirs", &["read"]).await;
    let tokens = owner.get("/api-tokens").await;
    let (passkey, invoice) = (format!("{:032x}", 10), format!("{:032x}", 11));
    site.sql(&format!(
        "INSERT INTO passkeys (id, tenant_id, member_id, name, credential_id, static_state, dynamic_state, created_at)
             SELECT '{passkey}', tenant_id, id, 'theirs', 'theirs', '', '1234567', now() FROM members WHERE email = '{email}'"
    ))
    .await;
    site.sql(&format!(
        "INSERT INTO invoices (id, tenant_id, company, email, currency, lines, total_cents, period_from, period_to, usage_to,
                               issued_at)
             SELECT '{invoice}', tenant_id, 'theirs', email, 'usd', '[]', 0, now(), now() + interval '1 day', now(), now()
             FROM members WHERE email = '{email}'"
    ))
    .await;
    // To another plan's tenants.
    let notice = format!("{:032x}", 12);
    site.sql(&format!(
        "INSERT INTO notices (id, title, body, level, plan_id, from_at, until_at, tenants, created_at, created_by)
             VALUES ('{notice}', 'theirs', 'theirs', 'info', 'business', '2024-10-01', '2034-10-01', 1, now(), 'operator')"
    ))
    .await;
    let (team, account) = (owner.get("/members").await, owner.get("/account").await);
    vec![
        ("{notice_id}", notice),
        ("{request_id}", request),
        ("{api_token_id}", after(&tokens, "data-revoke-token=\"")),
        ("{passkey_id}", passkey),
        ("{invoice_id}", invoice),
        ("{bucket}", "theirs".to_owned()),
        ("{access_key_id}", key.element("access-key-id").to_owned()),
        ("{member_id}", after(&team, "data-member=\"")),
        ("{invitation_id}", after(&team, "data-take-back=\"")),
        ("{session_id}", after(&account, "data-end=\"")),
    ]
}

/// Another's ids on every route, with every method, and with a form that is right but for whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn row_08_anothers_ids_are_unknown_on_every_route_and_method() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    let ids = ids_of(&site, &mut ada, "ada@engines.example").await;
    let token = eve.get("/dashboard").await.hidden_fields("/logout");
    let mut form = token.clone();
    for (name, value) in [
        ("name", "theirs"),
        ("key", "a"),
        ("step", "put"),
        ("setting", "links"),
        ("lifetime", "1h"),
        ("role", "billing"),
        ("overlap", "1d"),
        ("password", PASSWORD),
    ] {
        form.push(pair(name, value));
    }
    let mut walked = 0;
    for (route, access) in web::route_table() {
        if !matches!(access, Access::Member { .. }) || !route.contains('{') {
            continue;
        }
        let mut path = route.to_owned();
        for (name, id) in &ids {
            path = path.replace(name, id);
        }
        assert!(!path.contains('{'), "say in `ids_of` what {route} names");
        let path = format!("{path}?key=a");
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"] {
            let page = match method {
                "POST" => {
                    let ours = [("sec-fetch-site", "same-origin")];
                    eve.post(&path, &form, &ours).await
                }
                method => {
                    let request = Request::builder().method(method).uri(&path);
                    let request = request.header("sec-fetch-site", "same-origin");
                    eve.send(request, Body::empty()).await
                }
            };
            let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
            assert!(
                unknown.contains(&page.status),
                "{method} {path}: {}",
                page.status
            );
            walked += usize::from(page.status == StatusCode::NOT_FOUND);
        }
        // The twin: to its owner the same address is no unknown one.
        let own = ada.get(&path).await;
        assert_ne!(own.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(walked >= 30, "{walked}");
    site.close().await;
}
