//! Notices: written by operators, for who types how many tenants they reach; on the dashboard until each member puts them away.

use controlplane::notices::{self, Level, NewNotice};
use http::StatusCode;

use crate::business::{JOSEPH, audited};
use crate::operators::operator_client;
use crate::site::Site;
use crate::tenants::ADA;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_to_many_is_written_and_ended_by_who_types_how_many() {
    let site = Site::start().await;
    let mut ada = site.member("Analytical Engines", ADA).await;
    site.member("Looms & Cards", JOSEPH).await;
    let (mut otto, _) = operator_client(&site).await;
    let path = "/admin/notices";
    let form = otto.get(path).await;
    let fields =
        |title: &'static str, level: &'static str, until: &'static str, plan: &'static str| {
            let text = "We move.\nOn Sunday.";
            [
                ("title", title),
                ("text", text),
                ("level", level),
                ("until", until),
                ("plan", plan),
            ]
        };
    let later = "2024-10-06T06:00";
    for (sent, beside) in [
        (fields(" ", "info", later, ""), "title-error"),
        (fields("Disks", "loud", later, ""), "level-error"),
        (fields("Disks", "info", "", ""), "until-error"),
        (fields("Disks", "info", "tomorrow", ""), "until-error"),
        (
            fields("Disks", "info", "2024-10-01T00:00", ""),
            "until-error",
        ),
        (fields("Disks", "info", later, "nobodys\0"), "plan-error"),
    ] {
        let refused = otto.submit(path, &form, &sent).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{beside}");
        assert!(
            refused.has(&format!("id=\"{beside}\"")),
            "{beside} in {}",
            refused.body
        );
    }
    let sound = fields("Disks & <shelves>", "maintenance", later, "trial");
    let asked = otto.submit(path, &form, &sound).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    assert_eq!(asked.element("question"), "Tell 2 tenants");
    assert!(asked.has("Disks &#38; &#60;shelves&#62;") && asked.has("We move.\nOn Sunday."));
    assert!(
        !ada.get("/dashboard").await.has("Dismiss"),
        "a question tells nobody"
    );
    for wrong in ["", "1", "3", "all"] {
        let fields = [("step", "confirm"), ("confirm", wrong)];
        let refused = otto.submit(path, &asked, &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(refused.has("confirm-error"), "{wrong}");
    }
    let edit = otto.submit(path, &asked, &[("step", "edit")]).await;
    assert!(
        edit.has("value=\"Disks &#38; &#60;shelves&#62;\"") && edit.has("id=\"write-notice\""),
        "{}",
        edit.body
    );
    assert!(audited(&mut otto, "notice").await.is_empty());
    let sure = [("step", "confirm"), ("confirm", "2")];
    let done = otto.submit(path, &asked, &sure).await;
    assert_eq!(
        done.location(),
        "/admin/notices?notice=written",
        "{}",
        done.body
    );
    assert!(
        ada.get("/dashboard")
            .await
            .has("Disks &#38; &#60;shelves&#62;")
    );
    assert_eq!(audited(&mut otto, "notice.create").await.len(), 1);

    let list = otto.get(path).await;
    assert!(
        list.has("2 tenants on trial") && list.has(">shown<"),
        "{}",
        list.body
    );
    let end = format!("/admin/notices/{}/end", list.attribute("data-end-notice"));
    let asked = otto.get(&end).await;
    assert!(asked.has(">End it for 2 tenants</h1>"), "{}", asked.body);
    let refused = otto.submit(&end, &asked, &[("confirm", "1")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(ada.get("/dashboard").await.has("Dismiss"));
    let done = otto.submit(&end, &asked, &[("confirm", "2")]).await;
    assert_eq!(done.location(), "/admin/notices?notice=ended");
    assert!(!ada.get("/dashboard").await.has("Dismiss"));
    assert_eq!(audited(&mut otto, "notice.end").await.len(), 1);
    let nobodys = "/admin/notices/nonsense/end";
    assert_eq!(otto.get(nobodys).await.status, StatusCode::NOT_FOUND);
    // One tenant takes no number: nobody is on this plan.
    let sound = fields("Prices", "info", later, "business");
    let done = otto.submit(path, &form, &sound).await;
    assert_eq!(done.location(), "/admin/notices?notice=written");
    site.close().await;
}
