//! Notices: to everybody or to one plan, with the number said, until the member puts them away or their time is over.

use chrono::Duration;
use controlplane::ids::{NoticeId, TenantId};
use controlplane::notices::{self, Shown};
use controlplane::{accounts::SignedIn, plans};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::billing::business;
use crate::plane::Plane;

async fn create(plane: &Plane, body: Value) -> (StatusCode, Value) {
    plane.admin(Method::POST, "/notices", Some(body)).await
}

fn notice(change: Value) -> Value {
    let mut body = json!({
        "title": "Maintenance", "text": "On Sunday.\nFor an hour.", "level": "maintenance",
        "until": "2026-03-08T00:00:00Z",
    });
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn shown(plane: &Plane, who: &SignedIn) -> Vec<Shown> {
    let session = &who.session;
    let mut tx = plane.cp.begin_tenant(session.tenant_id).await.unwrap();
    notices::for_member(&mut tx, &plane.cp, session.member_id)
        .await
        .unwrap()
}

async fn dismiss(plane: &Plane, who: &SignedIn, id: NoticeId) -> bool {
    let session = &who.session;
    let mut tx = plane.cp.begin_tenant(session.tenant_id).await.unwrap();
    let done = notices::dismiss(&mut tx, &plane.cp, session.member_id, id).await;
    tx.commit().await.unwrap();
    done.is_ok()
}

#[tokio::test]
async fn a_notice_reaches_as_many_as_were_confirmed_until_it_is_put_away() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let bob = plane.sign_up("bob@example.com").await;
    for confirm in [Value::Null, json!(1), json!(3)] {
        let (status, refused) = create(&plane, notice(json!({ "confirm": confirm }))).await;
        assert_eq!(
            (status, refused["code"].as_str()),
            (StatusCode::CONFLICT, Some("confirm_needed")),
            "{refused}"
        );
        assert!(
            refused["detail"].as_str().unwrap().contains("2 tenants"),
            "{refused}"
        );
    }
    assert!(shown(&plane, &ann).await.is_empty());
    let (status, made) = create(&plane, notice(json!({ "confirm": 2 }))).await;
    assert_eq!(
        (status, &made["tenants"]),
        (StatusCode::CREATED, &json!(2)),
        "{made}"
    );
    let id: NoticeId = made["notice_id"].as_str().unwrap().parse().unwrap();
    let seen = shown(&plane, &ann).await;
    assert_eq!(seen[0].title, "Maintenance");
    assert_eq!(seen[0].text, "On Sunday.\nFor an hour.");
    assert!(
        dismiss(&plane, &ann, id).await && dismiss(&plane, &ann, id).await,
        "twice"
    );
    assert!(shown(&plane, &ann).await.is_empty());
    assert_eq!(shown(&plane, &bob).await.len(), 1, "each member for itself");
    assert!(!dismiss(&plane, &ann, NoticeId::random()).await);
    let (_, list) = plane.admin(Method::GET, "/notices", None).await;
    assert_eq!(list["notices"][0]["dismissed"], json!(1));
    plane.clock.advance(Duration::days(6));
    assert_eq!(shown(&plane, &bob).await.len(), 1);
    plane.clock.advance(Duration::days(1));
    assert!(shown(&plane, &bob).await.is_empty(), "it is over");
    plane.stop().await;
}

#[tokio::test]
async fn a_notice_to_a_plan_begins_in_time_and_ends_by_hand() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let bob = plane.sign_up("bob@example.com").await;
    let _other: TenantId = business(&plane, "eve@example.com").await;
    let path = format!("/tenants/{}/plan", bob.session.tenant_id);
    plane
        .admin(Method::POST, &path, Some(json!({ "plan": "business" })))
        .await;
    // One tenant alone needs no number.
    let to_trial =
        notice(json!({ "plan": "trial", "from": "2026-03-02T00:00:00Z", "level": "info" }));
    let (status, made) = create(&plane, to_trial).await;
    assert_eq!(
        (status, &made["tenants"]),
        (StatusCode::CREATED, &json!(1)),
        "{made}"
    );
    let id: NoticeId = made["notice_id"].as_str().unwrap().parse().unwrap();
    assert!(shown(&plane, &ann).await.is_empty(), "not yet");
    plane.clock.advance(Duration::days(1));
    assert_eq!(shown(&plane, &ann).await.len(), 1);
    assert!(shown(&plane, &bob).await.is_empty(), "on another plan");
    assert!(!dismiss(&plane, &bob, id).await, "it is not shown to them");
    let end = format!("/notices/{id}/end");
    for _ in 0..2 {
        let (status, ended) = plane.admin(Method::POST, &end, None).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(ended["ended_at"], "2026-03-02T12:00:00Z");
    }
    assert!(shown(&plane, &ann).await.is_empty());
    let (status, _) = plane
        .admin(
            Method::POST,
            &format!("/notices/{}/end", "0".repeat(32)),
            None,
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let audited = "SELECT count(*) FROM audit_log WHERE action IN ('notice.create', 'notice.end')";
    assert_eq!(plane.database.count(audited).await, 2);
    let mut tx = plane.cp.begin_system().await.unwrap();
    assert_eq!(plans::list(&mut tx).await.unwrap().len(), 2);
    drop(tx);
    plane.stop().await;
}

#[tokio::test]
async fn a_refusal_of_a_notice_names_the_field() {
    let plane = Plane::start().await;
    for (change, field) in [
        (json!({ "title": " " }), "title"),
        (json!({ "title": "x".repeat(121) }), "title"),
        (json!({ "text": "a\u{7}b" }), "text"),
        (json!({ "level": "panic" }), "level"),
        (json!({ "until": "2026-03-01T11:00:00Z" }), "until"),
        (json!({ "until": "2028-03-01T11:00:00Z" }), "until"),
        (json!({ "from": "2026-03-09T00:00:00Z" }), "until"),
        (json!({ "plan": "none" }), "plan"),
        (json!({ "colour": "red" }), "colour"),
    ] {
        let (status, refused) = create(&plane, notice(change.clone())).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{change}: {refused}"
        );
        assert_eq!(refused["field"], json!(field), "{change}: {refused}");
    }
    let (status, _) = create(&plane, notice(json!({}))).await;
    assert_eq!(
        status,
        StatusCode::CREATED,
        "there is nobody: no number is needed"
    );
    plane.stop().await;
}
