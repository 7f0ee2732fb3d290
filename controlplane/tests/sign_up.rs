//! Signing up: a link that works once, in the right hands, and answers that tell nothing.

use chrono::Duration;
use controlplane::accounts::{self, Proof, SignUp, SignedIn};
use controlplane::{Error, Origin};

use crate::accounts::{log_in, status};
use crate::plane::{BROWSER, PASSWORD, Plane};

/// What somebody at [`BROWSER`] types.
pub fn sign_up(email: &str) -> SignUp {
    SignUp {
        company: "Acme".to_owned(),
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        browser: BROWSER.to_owned(),
    }
}

/// Presses the button behind a link.
async fn confirm(plane: &Plane, token: &str, proof: Proof<'_>) -> Result<SignedIn, Error> {
    accounts::confirm_sign_up(&plane.cp, token, proof, &Origin::default()).await
}

const SAME_BROWSER: Proof<'_> = Proof {
    browser: BROWSER,
    password: None,
};

#[tokio::test]
async fn row_05_a_sign_up_reads_the_same_for_a_new_and_for_a_registered_address() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    plane.mail("confirm_sign_up", "ann@example.com").await;
    let origin = Origin::default();
    let again = accounts::sign_up(&plane.cp, sign_up("ANN@example.com"), &origin).await;
    assert!(again.unwrap().link.is_none());
    let told = plane.mail("already_registered", "ann@example.com").await;
    assert!(told.text.contains("http://127.0.0.1:8080/login"));
    assert!(told.text.contains("http://127.0.0.1:8080/password/forgot"));
    assert!(!told.text.contains("token"));
    // Whatever was kept for it leads nowhere, and the password is still the owner's own.
    assert!(log_in(&plane, "ann@example.com", PASSWORD).await.is_ok());
    plane.stop().await;
}

#[tokio::test]
async fn row_06_a_link_works_once_and_for_a_day_and_only_the_newest() {
    let plane = Plane::start().await;
    let origin = Origin::default();
    let send = async || {
        let sent = accounts::sign_up(&plane.cp, sign_up("ann@example.com"), &origin).await;
        sent.unwrap();
        let mail = plane.mail("confirm_sign_up", "ann@example.com").await;
        assert!(
            mail.link()
                .starts_with("http://127.0.0.1:8080/signup/confirm?token="),
            "{}",
            mail.text
        );
        mail.token()
    };
    let older = send().await;
    let newer = send().await;
    assert_eq!(status(&confirm(&plane, &older, SAME_BROWSER).await), 400);
    assert_eq!(status(&confirm(&plane, "", SAME_BROWSER).await), 400);
    // Looking uses nothing up: scanners of mail look.
    for _ in 0..2 {
        let found = accounts::pending_sign_up(&plane.cp, &newer, BROWSER).await;
        let found = found.unwrap().unwrap();
        assert_eq!(
            (found.email.as_str(), found.needs_password),
            ("ann@example.com", false)
        );
    }
    let signed_in = confirm(&plane, &newer, SAME_BROWSER).await.unwrap();
    assert_eq!(signed_in.session.email, "ann@example.com");
    assert_eq!(status(&confirm(&plane, &newer, SAME_BROWSER).await), 400);

    let sent = accounts::sign_up(&plane.cp, sign_up("bob@example.com"), &origin).await;
    sent.unwrap();
    let late = plane
        .mail("confirm_sign_up", "bob@example.com")
        .await
        .token();
    plane.clock.advance(Duration::hours(24));
    assert_eq!(status(&confirm(&plane, &late, SAME_BROWSER).await), 400);
    plane.stop().await;
}

#[tokio::test]
async fn a_link_alone_does_not_confirm_what_somebody_else_typed() {
    let plane = Plane::start().await;
    // Eve signs up with Ann's address, and Ann, who waits for a mail of her own, follows the link.
    let sent = accounts::sign_up(&plane.cp, sign_up("ann@example.com"), &Origin::default()).await;
    let link = sent.unwrap().link.unwrap();
    let (_, token) = link.split_once("?token=").unwrap();
    for browser in ["", "another browser"] {
        let found = accounts::pending_sign_up(&plane.cp, token, browser).await;
        assert!(found.unwrap().unwrap().needs_password);
        for password in [None, Some("a password of Ann's")] {
            let answer = confirm(&plane, token, Proof { browser, password }).await;
            let error = answer.unwrap_err();
            assert_eq!(error.field(), Some("password"), "{error:?}");
        }
    }
    let knows = Proof {
        browser: "a phone",
        password: Some(PASSWORD),
    };
    assert!(confirm(&plane, token, knows).await.is_ok());
    plane.stop().await;
}

#[tokio::test]
async fn nobodys_mailbox_is_flooded() {
    let plane = Plane::start().await;
    let origin = Origin::default();
    for _ in 0..8 {
        let sent = accounts::sign_up(&plane.cp, sign_up("ann@example.com"), &origin).await;
        assert!(sent.is_ok(), "who asks learns nothing");
    }
    plane.outbox_is_empty().await;
    assert_eq!(plane.mails().len(), 5);
    plane.stop().await;
}
