//! Notices of the operator's on the dashboard, until each member puts them away.

use controlplane::notices::{self, Level, NewNotice};
use http::StatusCode;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_read_and_put_away_by_each_member_alone() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut dev = site
        .colleague(&mut ada, "dev@engines.example", "read_only")
        .await;
    assert!(!ada.get("/dashboard").await.has("Dismiss"));
    let mut tx = site.cp.begin_system().await.expect("a transaction");
    let new = NewNotice {
        title: "Disks & <shelves>".to_owned(),
        text: "We move.\nOn Sunday.".to_owned(),
        level: Level::Maintenance,
        from: None,
        until: site.clock.now() + chrono::Duration::minutes(10),
        plan: None,
        confirm: None,
    };
    let made = notices::create(&mut tx, &site.cp, new).await;
    let id = made.expect("one tenant needs no number").notice_id;
    tx.commit().await.expect("a commit");

    let page = ada.get("/dashboard").await;
    assert!(page.has("Disks &#38; &#60;shelves&#62;") && page.has("We move.\nOn Sunday."));
    assert!(page.has("Maintenance"));
    let dismiss = format!("/notices/{id}/dismiss");
    let answer = ada.submit(&dismiss, &page, &[]).await;
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/dashboard")
    );
    assert!(!ada.get("/dashboard").await.has("Dismiss"));
    let theirs = dev.get("/dashboard").await;
    assert!(theirs.has("Dismiss"), "each for itself, whatever the role");
    let form = page.hidden_fields(&dismiss);
    let foreign = ada
        .post(&dismiss, &form, &[("sec-fetch-site", "cross-site")])
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    site.clock.advance(chrono::Duration::minutes(10));
    assert!(!dev.get("/dashboard").await.has("Dismiss"), "it is over");
    site.close().await;
}
