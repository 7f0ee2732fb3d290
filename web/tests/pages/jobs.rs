//! What waits to be done, as operators see it: one is tried again at once, many for who types how many.

use chrono::Duration;
use http::StatusCode;

use crate::business::audited;
use crate::operators::operator_client;
use crate::site::{Page, Site};
use crate::tenants::ADA;

/// Webhooks that failed and wait for their next try. Nothing listens where they go.
async fn webhooks(site: &Site, count: u32) {
    let created = site.clock.now() - Duration::hours(1);
    let next = site.clock.now() + Duration::hours(5);
    for n in 1..=count {
        site.sql(&format!(
            "INSERT INTO customer_webhooks (id, tenant_id, body, created_at, attempts, next_attempt_at, last_error)
                 SELECT '{n:032x}', tenant_id, '{{}}', '{created}', 4, '{next}', 'answered <503>' FROM members
                 WHERE email = '{ADA}'"
        ))
        .await;
    }
}

async fn mail(site: &Site, id: u32, given_up: bool) {
    let now = site.clock.now();
    let failed = if given_up {
        format!("'{now}'")
    } else {
        "NULL".to_owned()
    };
    let next = now + Duration::hours(3);
    site.sql(&format!(
        "INSERT INTO mails (id, kind, recipient, content, attempts, next_attempt_at, give_up_at, created_at, failed_at, last_error)
             VALUES ('{id:032x}', 'invitation', 'a@b.example', '', 3, '{next}', '{next}', '{now}', {failed}, 'no such host')"
    ))
    .await;
}

fn rows(page: &Page) -> usize {
    page.body.matches("data-job=\"").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_by_kind_and_state_with_its_error() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    let (mut otto, _) = operator_client(&site).await;
    assert!(otto.get("/admin/jobs").await.has("Nothing waits"));
    webhooks(&site, 2).await;
    mail(&site, 7, false).await;
    mail(&site, 8, true).await;
    for (query, found) in [
        ("", 4),
        ("?kind=webhook", 2),
        ("?kind=mail", 2),
        ("?kind=mail&state=failed", 1),
        ("?state=retrying", 3),
        ("?kind=removal", 0),
        ("?kind=nonsense&state=nonsense", 4),
    ] {
        let page = otto.get(&format!("/admin/jobs{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        assert_eq!(rows(&page), found, "{query}");
        // Whatever is shown, what there is of each is counted.
        if !query.contains("state") {
            assert!(page.has("Webhooks <span class=\"muted\">2</span>"));
        }
    }
    let page = otto.get("/admin/jobs").await;
    assert!(page.has("answered &#60;503&#62;") && page.has("Analytical Engines"));
    // What was given up does no good any more: it has no button.
    assert_eq!(page.body.matches("/retry\"><input").count(), 3);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_tried_again_and_what_would_do_harm_is_not() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    let (mut otto, _) = operator_client(&site).await;
    mail(&site, 7, false).await;
    mail(&site, 8, true).await;
    let page = otto.get("/admin/jobs").await;
    let token = page.hidden_fields("/admin/logout");
    let ours = [("sec-fetch-site", "same-origin")];
    let path = |id: u32| format!("/admin/jobs/mail/{id:032x}/retry");
    let refused = otto.post(&path(8), &token, &ours).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.has("It was given up") && refused.has("id=\"refused\""));
    assert!(audited(&mut otto, "job.retry").await.is_empty());
    let done = otto.submit(&path(7), &page, &[]).await;
    assert_eq!(done.location(), "/admin/jobs?kind=mail&state=&notice=tried");
    assert_eq!(otto.get(done.location()).await.status, StatusCode::OK);
    assert_eq!(audited(&mut otto, "job.retry").await.len(), 1);
    for odd in [
        path(9),
        "/admin/jobs/nonsense/7/retry".to_owned(),
        "/admin/jobs/mail/%00/retry".to_owned(),
    ] {
        let unknown = otto.post(&odd, &token, &ours).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{odd}");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_tried_again_by_who_types_how_many() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    let (mut otto, _) = operator_client(&site).await;
    webhooks(&site, 3).await;
    mail(&site, 8, true).await;
    let path = "/admin/jobs/retry";
    let list = otto.get("/admin/jobs?kind=webhook").await;
    let asked = otto.submit(path, &list, &[]).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    assert!(asked.has(">Try 3 jobs again</h1>"), "{}", asked.body);
    for wrong in ["", "2", "all", "-3"] {
        let refused = otto.submit(path, &asked, &[("confirm", wrong)]).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{wrong}");
        assert!(refused.has("confirm-error"), "{wrong}");
    }
    assert!(
        audited(&mut otto, "job.retry").await.is_empty(),
        "none of them"
    );
    let done = otto.submit(path, &asked, &[("confirm", "3")]).await;
    assert_eq!(
        done.location(),
        "/admin/jobs?kind=webhook&state=&notice=tried"
    );
    assert_eq!(audited(&mut otto, "job.retry").await.len(), 3);
    site.close().await;
}
