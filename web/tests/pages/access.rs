//! Who may open what: the whole route table as a stranger, and one tenant's key as another's.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use web::Access;

use crate::site::{Site, create_key};

fn concrete(path: &str) -> String {
    path.replace("{access_key_id}", "VLT00000000000000000")
        .replace("{name}", "site.css")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_sent_from_every_members_route_to_the_log_in() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let id = create_key(&mut member, "backup").await;
    let id = id.element("access-key-id").to_owned();
    let mut walked = 0;
    for (path, access) in web::route_table() {
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
                Access::Member => {
                    walked += 1;
                    assert_eq!(page.status, StatusCode::SEE_OTHER, "{method} {path}");
                    assert!(page.location().starts_with("/login"), "{method} {path}");
                    assert!(!page.has("<main"));
                }
                Access::Public => assert_ne!(page.location(), "/login", "{method} {path}"),
            }
        }
        if access == Access::Member && path != "/logout" {
            let own = path.replace("VLT00000000000000000", &id);
            assert_eq!(member.get(&own).await.status, StatusCode::OK, "{own}");
        }
    }
    assert!(walked >= 16, "{walked}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_key_is_as_unknown_as_one_that_never_was() {
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
    let same = |a: &crate::site::Page, b: &crate::site::Page| {
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
