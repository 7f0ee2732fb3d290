//! Operators in customers' dashboards: only for a reason, only to look, only until the end, and never unseen.

use axum::body::Body;
use chrono::Duration;
use http::{Method, Request, StatusCode};
use web::Access;

use super::access::concrete;
use crate::operators::{OPERATOR, operator_client};
use crate::site::{Browser, Page, Site, create_key};
use crate::tenants::{ADA, tenant_of};

async fn look(otto: &mut Browser, id: &str, reason: &str, minutes: &str) -> Page {
    let path = format!("/admin/tenants/{id}");
    let page = otto.get(&path).await;
    let fields = [("looking", reason), ("minutes", minutes)];
    let action = format!("{path}/impersonate");
    otto.submit(&action, &page, &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_impersonation_wants_a_reason_and_an_end_and_is_in_both_logs() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", ADA).await;
    let (mut otto, _) = operator_client(&site).await;
    let id = tenant_of(&mut otto, ADA).await;
    for reason in ["", "  ", &"x".repeat(501)] {
        let refused = look(&mut otto, &id, reason, "30").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.has("looking-error"), "{reason}");
    }
    for minutes in ["0", "14", "481", "soon", "-1"] {
        let refused = look(&mut otto, &id, "ticket 7", minutes).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.has("minutes-error"), "{minutes}");
    }
    assert_eq!(otto.get("/dashboard").await.location(), "/login");
    assert!(!ada.get("/audit-log").await.has("impersonation"));

    // The twin.
    let begun = look(&mut otto, &id, "ticket 7: no uploads", "").await;
    assert_eq!(begun.location(), "/dashboard", "{}", begun.body);
    let page = otto.get("/dashboard").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.has("id=\"looking\"") && page.has("ticket 7: no uploads"));
    for (path, status) in [
        ("/nothing", StatusCode::NOT_FOUND),
        ("/buckets/none", StatusCode::NOT_FOUND),
        ("/account", StatusCode::FORBIDDEN),
    ] {
        let failure = otto.get(path).await;
        assert_eq!(failure.status, status, "{path}");
        assert!(failure.has("id=\"looking\""), "{path}");
        let own = ada.get(path).await;
        assert!(!own.has("id=\"looking\""), "{path}");
    }
    for refused in ["href=\"/account\"", "href=\"/api-tokens\""] {
        assert!(!page.has(refused), "{refused}");
        assert!(ada.get("/dashboard").await.has(refused), "{refused}");
    }
    let of_operators = otto.get("/admin/nothing").await;
    assert!(!of_operators.has("id=\"looking\""));
    let log = ada.get("/audit-log").await;
    assert!(log.has("impersonation.begin") && log.has("ticket 7: no uploads"));
    assert!(log.has(&format!("operator {OPERATOR}")));
    assert!(!log.has("impersonation.end") && !log.has("id=\"looking\""));
    let end = "/admin/impersonation/end";
    let ended = otto.submit(end, &page, &[]).await;
    assert_eq!(
        ended.location(),
        format!("/admin/tenants/{id}?notice=looked")
    );
    assert_eq!(otto.get("/dashboard").await.location(), "/login");
    let log = ada.get("/audit-log").await;
    assert_eq!(log.body.matches("impersonation.end").count(), 1);
    let audit = otto.get("/admin/audit?action=impersonation.").await;
    assert!(audit.has("impersonation.begin") && audit.has("impersonation.end"));
    site.close().await;
}

/// Every page of a customer's: what is seen bears the banner, nothing is changed, and no secret or log-in is there.
#[tokio::test(flavor = "multi_thread")]
async fn row_15_an_operator_looks_and_nothing_else() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", ADA).await;
    let key = create_key(&mut ada, "nightly").await;
    let secret = key.element("secret-access-key").to_owned();
    site.bucket(ADA, "vaults").await;
    let (mut otto, _) = operator_client(&site).await;
    let id = tenant_of(&mut otto, ADA).await;
    look(&mut otto, &id, "ticket 7", "60").await;
    let token = otto
        .get("/dashboard")
        .await
        .hidden_fields("/admin/impersonation/end");
    let mut seen = 0;
    for (route, access) in web::route_table() {
        let Access::Member { see, .. } = access else {
            continue;
        };
        let path = concrete(route);
        let page = otto.get(&path).await;
        let may_see = see == controlplane::accounts::Act::View;
        if !may_see {
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        }
        if page.status == StatusCode::OK && page.has("<main") {
            seen += 1;
            assert!(page.has("id=\"looking\"") && page.has("End now"), "{path}");
        }
        assert!(!page.has(&secret), "{path}");
        let own = [
            "/account",
            "/api-tokens",
            "/settings/delete",
            "/settings/export",
        ];
        assert!(!own.contains(&route) || page.status == StatusCode::FORBIDDEN);
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let page = match method {
                Method::POST => {
                    let ours = [("sec-fetch-site", "same-origin")];
                    otto.post(&path, &token, &ours).await
                }
                _ => {
                    let request = Request::builder().method(&method).uri(&path);
                    let request = request.header("sec-fetch-site", "same-origin");
                    otto.send(request, Body::empty()).await
                }
            };
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
    assert!(seen >= 8, "{seen}");
    for path in ["/buckets/vaults", "/buckets/vaults/download?key=a"] {
        let page = otto.get(path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    // The twin: the customer's own.
    assert_eq!(ada.get("/account").await.status, StatusCode::OK);
    assert_eq!(ada.get("/access-keys").await.status, StatusCode::OK);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_a_look_ends_by_itself_and_with_whoever_looks() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", ADA).await;
    let (mut otto, _) = operator_client(&site).await;
    let id = tenant_of(&mut otto, ADA).await;
    let ends = async |ada: &mut Browser| {
        let log = ada.get("/audit-log?kind=").await;
        log.body.matches("<code>impersonation.end</code>").count()
    };
    look(&mut otto, &id, "ticket 7", "15").await;
    site.clock.advance(Duration::minutes(14));
    assert_eq!(otto.get("/dashboard").await.status, StatusCode::OK);
    site.clock.advance(Duration::minutes(1));
    assert_eq!(otto.get("/dashboard").await.location(), "/login");
    // Whichever comes first, this or the control plane's own look: it is written down once.
    controlplane::operators::impersonation::end_due(&site.cp)
        .await
        .expect("a sweep");
    assert_eq!(ends(&mut ada).await, 1);

    look(&mut otto, &id, "ticket 8", "480").await;
    let page = otto.get("/admin/tenants").await;
    otto.submit("/admin/logout", &page, &[]).await;
    assert_eq!(otto.get("/dashboard").await.location(), "/login");
    assert_eq!(ends(&mut ada).await, 2);

    let (mut olga, _) = crate::operators::operator_of(&site, "olga@vaultaire.example").await;
    look(&mut olga, &id, "ticket 9", "480").await;
    assert_eq!(olga.get("/dashboard").await.status, StatusCode::OK);
    let mut tx = site.cp.begin_system().await.expect("a transaction");
    controlplane::operators::disable(&mut tx, &site.cp, "olga@vaultaire.example")
        .await
        .expect("disabled");
    tx.commit().await.expect("a commit");
    assert_eq!(olga.get("/dashboard").await.location(), "/login");
    assert_eq!(ends(&mut ada).await, 3);
    site.close().await;
}
