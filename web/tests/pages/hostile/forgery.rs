//! Forms that another site sends, or that lack their token, change nothing.

use http::StatusCode;
use web::Access;

use super::access::concrete;
use crate::site::{Browser, HOST, PASSWORD, Page, Site, create_key, pair};

/// Sends `/access-keys`'s form with what a forger can and cannot know.
async fn forge(browser: &mut Browser, token: Option<&str>, headers: &[(&str, &str)]) -> Page {
    let mut fields = vec![pair("name", "forged"), pair("permission", "full")];
    fields.extend(token.map(|token| pair("csrf_token", token)));
    browser.post("/access-keys", &fields, headers).await
}

fn token(page: &Page) -> String {
    let mut fields = page.hidden_fields("/logout");
    fields.remove(0).1
}

const OURS: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];

#[tokio::test(flavor = "multi_thread")]
async fn row_01_a_form_without_the_sessions_own_token_is_refused() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    let own = token(&ada.get("/dashboard").await);
    let foreign = token(&eve.get("/dashboard").await);
    assert_ne!(own, foreign);
    for given in [None, Some(""), Some(foreign.as_str()), Some(&own[1..])] {
        let page = forge(&mut ada, given, &OURS).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{given:?}");
    }
    assert!(!ada.get("/access-keys").await.has("forged"));
    let page = forge(&mut ada, Some(&own), &OURS).await;
    assert_eq!(page.status, StatusCode::OK);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_a_form_from_another_site_is_refused_even_with_the_token() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let own = token(&ada.get("/dashboard").await);
    let local = format!("http://{HOST}");
    let hostile: [&[(&str, &str)]; 7] = [
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:8081")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", &local)],
    ];
    for headers in hostile {
        let page = forge(&mut ada, Some(&own), headers).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(page.has("<h1"));
    }
    assert!(!ada.get("/access-keys").await.has("forged"));
    let page = forge(&mut ada, Some(&own), &[("origin", &local)]).await;
    assert_eq!(page.status, StatusCode::OK);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_every_form_of_a_member_wants_the_token() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let page = create_key(&mut ada, "backup").await;
    let revoke = format!(
        "/access-keys/{}/revoke",
        page.element("access-key-id").to_owned()
    );
    let mut refused = 0;
    let routes = web::route_table().into_iter();
    let members = routes.filter(|(_, access)| matches!(access, Access::Member { .. }));
    let members = members.map(|(path, _)| concrete(path));
    for path in members.chain([revoke.clone()]) {
        let status = ada.post(&path, &[], &OURS).await.status;
        refused += usize::from(status == StatusCode::FORBIDDEN);
        let takes_none = status == StatusCode::METHOD_NOT_ALLOWED;
        assert!(takes_none || status == StatusCode::FORBIDDEN, "{path}");
    }
    assert!(refused >= 30, "{refused}");
    assert!(ada.get("/access-keys").await.has("data-revoke"));
    let fields = vec![pair("csrf_token", &token(&ada.get("/dashboard").await))];
    let page = ada.post(&revoke, &fields, &OURS).await;
    assert_eq!(page.status, StatusCode::OK);
    let page = ada.post("/logout", &fields, &OURS).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_nobody_is_logged_in_or_signed_up_by_another_sites_form() {
    let site = Site::start().await;
    site.member("Engines", "eve@evil.example").await;
    let form = site.browser().get("/login").await;
    let known = form.hidden_fields("/login").remove(0).1;
    let credentials = [
        pair("company", "Evil"),
        pair("email", "eve@evil.example"),
        pair("password", PASSWORD),
    ];
    for path in ["/login", "/signup"] {
        for token in [None, Some(known.as_str())] {
            let mut fields = credentials.to_vec();
            fields.extend(token.map(|token| pair("csrf_token", token)));
            // The forger's own token, in a browser that holds another cookie or none.
            let mut victim = site.browser();
            let page = victim.post(path, &fields, &OURS).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
            victim.get("/login").await;
            let page = victim.post(path, &fields, &OURS).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
            assert!(!victim.cookies.contains_key("vaultaire_session"));
        }
    }
    let mut own = site.browser();
    let form = own.get("/login").await;
    let fields = [("email", "eve@evil.example"), ("password", PASSWORD)];
    let page = own.submit("/login", &form, &fields).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    site.close().await;
}

/// Whatever changes something, now and when there is more of it.
#[tokio::test(flavor = "multi_thread")]
async fn row_01_every_route_of_the_table_wants_origin_and_token() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let own = token(&ada.get("/dashboard").await);
    let with_token = vec![pair("csrf_token", &own)];
    let mut walked = 0;
    for (path, access) in web::route_table() {
        let path = super::access::concrete(path);
        let foreign = [("origin", "https://evil.example")];
        let page = ada.post(&path, &with_token, &foreign).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        assert!(page.has("not sent from a page of this site"), "{path}");
        let page = ada.post(&path, &[], &OURS).await;
        if access == Access::Operator {
            assert_eq!(page.location(), "/admin/login", "{path}");
            continue;
        }
        if page.status == StatusCode::METHOD_NOT_ALLOWED || page.status == StatusCode::NOT_FOUND {
            assert!(access == web::Access::Public || page.status != StatusCode::NOT_FOUND);
            continue; // nothing can be sent there
        }
        walked += 1;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        assert!(page.has("The form was opened before"), "{path}");
    }
    assert!(walked >= 30, "{walked}");
    // The twin: the same token, from our own page.
    let page = forge(&mut ada, Some(&own), &OURS).await;
    assert_eq!(page.status, StatusCode::OK);
    site.close().await;
}
