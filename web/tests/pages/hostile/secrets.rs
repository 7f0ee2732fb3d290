//! What must be on no page: secrets after their one showing, and anything of a customer's that a browser would run.

use http::StatusCode;

use crate::site::{PASSWORD, Site, create_key};

#[tokio::test(flavor = "multi_thread")]
async fn row_10_a_secret_is_on_the_answer_to_the_form_and_nowhere_else() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let created = create_key(&mut ada, "backup").await;
    let id = created.element("access-key-id").to_owned();
    let secret = created.element("secret-access-key").to_owned();
    assert_eq!(created.header("cache-control"), Some("no-store"));
    assert!(
        created
            .headers
            .values()
            .all(|v| v.as_bytes() != secret.as_bytes())
    );
    for path in [
        "/dashboard",
        "/access-keys",
        &format!("/access-keys/{id}/revoke"),
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.has(&secret), "{path}");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_19_names_are_shown_as_they_were_typed_and_never_run() {
    let site = Site::start().await;
    let hostile = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{7*7}}";
    let mut eve = site.member(hostile, "eve@evil.example").await;
    let created = create_key(&mut eve, hostile).await;
    let id = created.element("access-key-id").to_owned();
    let path = format!("/access-keys/{id}/revoke");
    let question = eve.get(&path).await;
    let mut pages = vec![created, eve.get("/dashboard").await];
    pages.push(eve.get("/access-keys").await);
    pages.push(eve.submit(&path, &question, &[]).await);
    pages.push(question);
    // Twice the same form: the notice and the refilled form.
    let form = eve.get("/access-keys").await;
    let fields = [("name", hostile), ("expires_in_days", "<b>")];
    pages.push(eve.submit("/access-keys", &form, &fields).await);
    for page in pages {
        assert!(page.has("&#60;script&#62;alert"), "{}", page.body);
        for live in ["<script>", "<img", "<b>", "\"><img", ">49<"] {
            assert!(!page.has(live), "{live} in {}", page.body);
        }
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_10_no_page_of_the_dashboard_shows_a_secret_again() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    let created = create_key(&mut ada, "backup").await;
    let id = created.element("access-key-id").to_owned();
    let secret = created.element("secret-access-key").to_owned();
    let (mut looked, mut named) = (0, 0);
    for (path, access) in web::route_table() {
        if access == web::Access::Public {
            continue;
        }
        let path = super::access::concrete(path).replace("VLT00000000000000000", &id);
        let page = ada.get(&path).await;
        looked += usize::from(page.status == StatusCode::OK);
        named += usize::from(page.has(&id));
        for what in [secret.as_str(), PASSWORD] {
            assert!(!page.has(what), "{path}");
        }
        let session = ada.cookies["vaultaire_session"].clone();
        assert!(!page.has(&session), "{path}");
    }
    // It has looked where it would be: at pages that name the key.
    assert!(looked >= 15 && named >= 3, "{looked} {named}");
    site.close().await;
}
