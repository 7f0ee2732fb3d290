//! A new password, by mail or by the present one; another address, and the way back from it; sessions that are ended.

use chrono::Duration;
use controlplane::accounts::{self, EmailChange, Session, SessionToken};
use controlplane::{Error, Origin, audit};

use crate::accounts::{log_in, status};
use crate::plane::{PASSWORD, Plane};
use crate::sign_up::sign_up;

const NEW: &str = "another horse entirely";

async fn is_alive(plane: &Plane, token: &SessionToken) -> bool {
    accounts::session(&plane.cp, token).await.unwrap().is_some()
}

async fn session(plane: &Plane, token: &SessionToken) -> Session {
    accounts::session(&plane.cp, token).await.unwrap().unwrap()
}

async fn forgot(plane: &Plane, email: &str) -> String {
    let origin = Origin::default();
    accounts::forgot_password(&plane.cp, email, &origin)
        .await
        .unwrap();
    plane.mail("reset_password", email).await.token()
}

async fn reset(plane: &Plane, token: &str, password: &str) -> Result<(), Error> {
    accounts::reset_password(&plane.cp, token, password, &Origin::default()).await
}

async fn actions(plane: &Plane, session: &Session) -> Vec<String> {
    let mut tx = plane.cp.begin_tenant(session.tenant_id).await.unwrap();
    let entries = audit::list(&mut tx, 50).await.unwrap();
    entries.into_iter().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn row_06_a_reset_sets_the_password_once_and_ends_every_session() {
    let plane = Plane::start().await;
    let first = plane.sign_up("ann@example.com").await;
    let second = log_in(&plane, "ann@example.com", PASSWORD).await.unwrap();
    let older = forgot(&plane, "ann@example.com").await;
    let token = forgot(&plane, "ann@example.com").await;
    assert_eq!(status(&reset(&plane, &older, NEW).await), 400, "replaced");
    assert_eq!(status(&reset(&plane, "made up", NEW).await), 400);
    assert!(accounts::is_reset_open(&plane.cp, &token).await.unwrap());
    assert_eq!(
        status(&reset(&plane, &token, "short").await),
        422,
        "and the link lives on"
    );
    reset(&plane, &token, NEW).await.unwrap();
    assert_eq!(status(&reset(&plane, &token, NEW).await), 400, "used");
    assert!(!accounts::is_reset_open(&plane.cp, &token).await.unwrap());
    for old in [&first.token, &second] {
        assert!(!is_alive(&plane, old).await);
    }
    assert_eq!(
        status(&log_in(&plane, "ann@example.com", PASSWORD).await),
        401
    );
    assert!(log_in(&plane, "ann@example.com", NEW).await.is_ok());
    plane.mail("password_changed", "ann@example.com").await;
    let actions = actions(&plane, &first.session).await;
    assert!(
        actions.contains(&"password.reset_ask".to_owned()),
        "{actions:?}"
    );
    assert!(
        actions.contains(&"password.reset".to_owned()),
        "{actions:?}"
    );

    let late = forgot(&plane, "ann@example.com").await;
    plane.clock.advance(Duration::hours(1));
    assert_eq!(status(&reset(&plane, &late, NEW).await), 400, "too old");
    plane.stop().await;
}

#[tokio::test]
async fn nobody_hears_of_a_reset_that_is_not_registered() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    let origin = Origin::default();
    for email in ["nobody@example.com", "ann@example.com"] {
        accounts::forgot_password(&plane.cp, email, &origin)
            .await
            .unwrap();
    }
    plane.mail("reset_password", "ann@example.com").await;
    plane.outbox_is_empty().await;
    assert!(
        plane
            .mails()
            .iter()
            .all(|mail| mail.to != "nobody@example.com")
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_tenant_that_the_operator_made_gets_its_password_by_mail() {
    let plane = Plane::start().await;
    plane.tenant("made@example.com").await;
    assert_eq!(status(&log_in(&plane, "made@example.com", "").await), 401);
    let token = forgot(&plane, "made@example.com").await;
    reset(&plane, &token, NEW).await.unwrap();
    assert!(log_in(&plane, "made@example.com", NEW).await.is_ok());
    plane.stop().await;
}

#[tokio::test]
async fn who_changes_the_password_knows_the_present_one_and_stays_logged_in() {
    let plane = Plane::start().await;
    let here = plane.sign_up("ann@example.com").await;
    let elsewhere = log_in(&plane, "ann@example.com", PASSWORD).await.unwrap();
    let change = async |present: &str, new: &str| {
        let origin = Origin::default();
        accounts::change_password(&plane.cp, &here.session, present, new, &origin).await
    };
    let refused = change("wrong password", NEW).await.unwrap_err();
    assert_eq!(refused.field(), Some("password"));
    let refused = change(PASSWORD, "iloveyou").await.unwrap_err();
    assert_eq!(refused.field(), Some("new_password"));
    assert!(is_alive(&plane, &elsewhere).await);
    assert_eq!(change(PASSWORD, NEW).await.unwrap(), 1);
    assert!(is_alive(&plane, &here.token).await);
    assert!(!is_alive(&plane, &elsewhere).await);
    assert!(log_in(&plane, "ann@example.com", NEW).await.is_ok());
    let told = plane.mail("password_changed", "ann@example.com").await;
    assert!(told.text.contains("1 Mar 2026, 12:00 UTC"), "{}", told.text);
    // A stolen session must not be good for guessing.
    for _ in 0..10 {
        assert_eq!(status(&change("wrong password", NEW).await), 422);
    }
    assert_eq!(status(&change(NEW, PASSWORD).await), 429);
    plane.stop().await;
}

#[tokio::test]
async fn an_address_changes_when_the_new_one_agrees() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let origin = Origin::default();
    let change = async |password: &str, new: &str| {
        accounts::change_email(&plane.cp, &ann.session, password, new, &origin).await
    };
    assert_eq!(
        change("wrong password", "ann@new.example")
            .await
            .unwrap_err()
            .field(),
        Some("password")
    );
    assert_eq!(
        change(PASSWORD, "nonsense").await.unwrap_err().field(),
        Some("email")
    );
    change(PASSWORD, "Ann@New.example").await.unwrap();
    assert!(
        log_in(&plane, "ann@new.example", PASSWORD).await.is_err(),
        "not yet"
    );
    let token = plane.mail("confirm_email", "ann@new.example").await.token();
    let behind = accounts::email_behind(&plane.cp, EmailChange::Confirm, &token).await;
    assert_eq!(behind.unwrap().as_deref(), Some("ann@new.example"));
    accounts::confirm_email(&plane.cp, &token, &origin)
        .await
        .unwrap();
    assert_eq!(
        status(&accounts::confirm_email(&plane.cp, &token, &origin).await),
        400
    );
    assert_eq!(session(&plane, &ann.token).await.email, "ann@new.example");
    assert!(log_in(&plane, "ann@new.example", PASSWORD).await.is_ok());
    assert!(log_in(&plane, "ann@example.com", PASSWORD).await.is_err());
    let contact = "SELECT count(*) FROM tenants WHERE email = 'ann@new.example'";
    assert_eq!(plane.database.count(contact).await, 1);

    // For a week nobody else gets the old address.
    plane.mail("email_changed", "ann@example.com").await;
    let sent = accounts::sign_up(&plane.cp, sign_up("ann@example.com"), &origin).await;
    assert!(sent.unwrap().link.is_none());
    plane.clock.advance(Duration::days(7));
    let sent = accounts::sign_up(&plane.cp, sign_up("ann@example.com"), &origin).await;
    assert!(sent.unwrap().link.is_some());
    plane.stop().await;
}

#[tokio::test]
async fn who_took_a_session_over_cannot_take_the_address_along() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let origin = Origin::default();
    // Eve knows the password, moves the address twice.
    let mut session = ann.session.clone();
    for email in ["eve@evil.example", "eve@evil2.example"] {
        accounts::change_email(&plane.cp, &session, PASSWORD, email, &origin)
            .await
            .unwrap();
        let token = plane.mail("confirm_email", email).await.token();
        accounts::confirm_email(&plane.cp, &token, &origin)
            .await
            .unwrap();
        session.email = email.to_owned();
    }
    let undo = plane.mail("email_changed", "ann@example.com").await.token();
    let other = plane
        .mail("email_changed", "eve@evil.example")
        .await
        .token();
    plane.clock.advance(Duration::days(6));
    let eve = log_in(&plane, "eve@evil2.example", PASSWORD).await.unwrap();
    accounts::undo_email(&plane.cp, &undo, &origin)
        .await
        .unwrap();
    assert!(!is_alive(&plane, &eve).await);
    for dead in [&undo, &other] {
        assert_eq!(
            status(&accounts::undo_email(&plane.cp, dead, &origin).await),
            400
        );
    }
    let token = plane
        .mail("email_change_undone", "ann@example.com")
        .await
        .token();
    reset(&plane, &token, NEW).await.unwrap();
    assert!(log_in(&plane, "ann@example.com", NEW).await.is_ok());
    for email in ["eve@evil.example", "eve@evil2.example"] {
        assert!(log_in(&plane, email, PASSWORD).await.is_err());
    }
    plane.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_so_by_mail_alone() {
    let plane = Plane::start().await;
    plane.sign_up("bob@example.com").await;
    let ann = plane.sign_up("ann@example.com").await;
    let origin = Origin::default();
    let answer = accounts::change_email(
        &plane.cp,
        &ann.session,
        PASSWORD,
        "bob@example.com",
        &origin,
    )
    .await;
    assert_eq!(status(&answer), 200);
    plane.mail("already_registered", "bob@example.com").await;
    plane.outbox_is_empty().await;
    assert!(
        plane
            .mails()
            .iter()
            .all(|mail| mail.kind != "confirm_email")
    );
    plane.stop().await;
}

#[tokio::test]
async fn ones_own_sessions_are_listed_and_ended_and_nobody_elses() {
    let plane = Plane::start().await;
    let here = plane.sign_up("ann@example.com").await;
    let elsewhere = log_in(&plane, "ann@example.com", PASSWORD).await.unwrap();
    let bob = plane.sign_up("bob@example.com").await;
    let begin = async || plane.cp.begin_tenant(here.session.tenant_id).await.unwrap();
    let mut tx = begin().await;
    let listed = accounts::list_sessions(&mut tx, &plane.cp, &here.session)
        .await
        .unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|s| s.id == here.session.id));
    let foreign = accounts::end_session(&mut tx, &plane.cp, &here.session, bob.session.id).await;
    assert_eq!(status(&foreign), 404);
    let ended = accounts::end_other_sessions(&mut tx, &plane.cp, &here.session).await;
    assert_eq!(ended.unwrap(), 1);
    tx.commit().await.unwrap();
    assert!(is_alive(&plane, &here.token).await && is_alive(&plane, &bob.token).await);
    assert!(!is_alive(&plane, &elsewhere).await);

    let again = log_in(&plane, "ann@example.com", PASSWORD).await.unwrap();
    let id = session(&plane, &again).await.id;
    let mut tx = begin().await;
    accounts::end_session(&mut tx, &plane.cp, &here.session, id)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(!is_alive(&plane, &again).await);
    plane.stop().await;
}
