//! The fleet in the operators' area: a node is let in, drained, had back and removed, and the last one that is ready stays.

use http::StatusCode;

use crate::business::audited;
use crate::operators::operator_client;
use crate::site::{Browser, Page, Site};

/// The address of the page of that node.
async fn path_of(operator: &mut Browser, s3_address: &str) -> String {
    let list = operator.get("/admin/fleet").await;
    let end = format!("\">{s3_address}</a>");
    let (before, _) = list.body.split_once(&end).expect("the node is listed");
    let (_, path) = before.rsplit_once("href=\"").expect("a link");
    path.to_owned()
}

async fn act(operator: &mut Browser, path: &str, act: &str, fields: &[(&str, &str)]) -> Page {
    let page = operator.get(path).await;
    operator
        .submit(&format!("{path}/{act}"), &page, fields)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_drained_and_had_back_but_not_the_last_that_is_ready() {
    let site = Site::start().await;
    let (mut otto, _) = operator_client(&site).await;
    assert!(otto.get("/admin/fleet").await.has("No node has joined"));
    site.node("127.0.0.1:9000", true).await;
    site.node("127.0.0.1:9010", true).await;
    let list = otto.get("/admin/fleet").await;
    assert!(list.has("2 of 2 nodes ready"), "{}", list.body);
    let (one, other) = (
        path_of(&mut otto, "127.0.0.1:9000").await,
        path_of(&mut otto, "127.0.0.1:9010").await,
    );
    assert_eq!(otto.get(&one).await.element("state"), "ready");

    let drained = act(&mut otto, &one, "drain", &[]).await;
    assert_eq!(drained.status, StatusCode::OK, "{}", drained.body);
    // Nobody is at the other end of this one, and so the page does not claim it.
    assert!(drained.has("has not said that it is draining"));
    assert_eq!(drained.element("state"), "draining");
    assert!(otto.get("/admin/fleet").await.has("1 of 2 nodes ready"));

    let last = act(&mut otto, &other, "drain", &[]).await;
    assert_eq!(last.status, StatusCode::CONFLICT);
    assert!(last.has("No other node is ready") && last.has("id=\"refused\""));
    assert_eq!(otto.get(&other).await.element("state"), "ready");
    let forced = act(&mut otto, &other, "drain", &[("force", "yes")]).await;
    assert_eq!(forced.status, StatusCode::OK);
    assert_eq!(forced.element("state"), "draining");
    for path in [&one, &other] {
        let back = act(&mut otto, path, "undrain", &[]).await;
        assert_eq!(back.location(), path);
        assert_eq!(otto.get(path).await.element("state"), "ready");
    }
    assert_eq!(audited(&mut otto, "node.drain").await.len(), 2);
    assert_eq!(audited(&mut otto, "node.undrain").await.len(), 2);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_removed_once_it_is_gone_and_another_let_in() {
    let site = Site::start().await;
    let (mut otto, _) = operator_client(&site).await;
    site.node("127.0.0.1:9000", true).await;
    site.node("127.0.0.1:9010", false).await;
    let list = otto.get("/admin/fleet").await;
    assert!(list.has("cut off"));
    let (there, gone) = (
        path_of(&mut otto, "127.0.0.1:9000").await,
        path_of(&mut otto, "127.0.0.1:9010").await,
    );
    let asked = otto.get(&format!("{there}/remove")).await;
    let refused = otto.submit(&format!("{there}/remove"), &asked, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.has("The node is connected"));
    assert!(!otto.get(&there).await.has("id=\"remove\""));
    assert!(otto.get(&gone).await.has("id=\"remove\""));
    let asked = otto.get(&format!("{gone}/remove")).await;
    let done = otto.submit(&format!("{gone}/remove"), &asked, &[]).await;
    assert_eq!(done.location(), "/admin/fleet?notice=removed");
    let list = otto.get(done.location()).await;
    assert!(!list.has("127.0.0.1:9010") && list.has("127.0.0.1:9000"));
    for path in [&*gone, &format!("{gone}/remove"), "/admin/fleet/nonsense"] {
        assert_eq!(otto.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(audited(&mut otto, "node.remove").await.len(), 1);

    let made = otto.submit("/admin/fleet/join-token", &list, &[]).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let token = made.element("join-token").to_owned();
    assert!(token.len() >= 32, "{token}");
    assert!(!otto.get("/admin/fleet").await.has(&token), "shown once");
    let log = audited(&mut otto, "join_token.create").await;
    assert!(log.len() == 1 && !log[0].contains(&token));
    site.close().await;
}
