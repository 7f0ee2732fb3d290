//! Signing up, logging in, sessions that end, and guessing that is slowed down.

use chrono::Duration;
use controlplane::accounts::{self, LogIn, Role, SessionToken, SignUp};
use controlplane::{Error, Origin, operators, tenants};
use http::Method;
use serde_json::json;

use crate::plane::{BROWSER, PASSWORD, Plane};
use crate::sign_up::sign_up;

/// Of a member without a second step.
pub async fn log_in(plane: &Plane, email: &str, password: &str) -> Result<SessionToken, Error> {
    log_in_from(plane, email, password, &Origin::default()).await
}

async fn log_in_from(
    plane: &Plane,
    email: &str,
    password: &str,
    origin: &Origin,
) -> Result<SessionToken, Error> {
    match accounts::log_in(&plane.cp, email, password, origin).await? {
        LogIn::Done(signed_in) => Ok(signed_in.token),
        LogIn::SecondStep(_) => panic!("{email} has no second step"),
    }
}

pub fn status<T>(answer: &Result<T, Error>) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(error) => error.status().as_u16(),
    }
}

#[tokio::test]
async fn signing_up_makes_a_tenant_on_trial_and_logs_its_owner_in() {
    let plane = Plane::start().await;
    let signed_in = plane.sign_up(" Ann@Example.com ").await;
    let session = accounts::session(&plane.cp, &signed_in.token)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(session, signed_in.session);
    assert_eq!(
        (session.email.as_str(), session.company.as_str()),
        ("ann@example.com", "Acme")
    );
    assert_eq!(session.role, Role::Owner);
    let mut tx = plane.cp.begin_tenant(session.tenant_id).await.unwrap();
    let tenant = tenants::get(&mut tx).await.unwrap();
    drop(tx);
    assert_eq!(tenant.plan.id, "trial");
    assert_eq!(
        tenant.trial_ends_at,
        Some(plane.clock.now() + Duration::days(14))
    );
    assert!(tenant.revision > 0, "nodes hear of it");
    let other = log_in(&plane, "ANN@example.com", PASSWORD).await.unwrap();
    assert_ne!(other, signed_in.token);
    accounts::log_out(&plane.cp, &other).await.unwrap();
    assert_eq!(accounts::session(&plane.cp, &other).await.unwrap(), None);
    assert!(
        accounts::session(&plane.cp, &signed_in.token)
            .await
            .unwrap()
            .is_some()
    );
    let made_up = SessionToken::from("made up".to_owned());
    assert_eq!(accounts::session(&plane.cp, &made_up).await.unwrap(), None);
    plane.stop().await;
}

#[tokio::test]
async fn a_form_that_is_not_right_says_which_field() {
    let plane = Plane::start().await;
    for (company, email, password, field) in [
        (" ", "a@example.com", PASSWORD, "company"),
        ("Acme", "nonsense", PASSWORD, "email"),
        ("Acme", "a@example.com", "short", "password"),
        ("Acme", "a@example.com", "iloveyou", "password"),
    ] {
        let sign_up = SignUp {
            company: company.to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
            browser: BROWSER.to_owned(),
        };
        let refused = accounts::sign_up(&plane.cp, sign_up, &Origin::default())
            .await
            .unwrap_err();
        assert_eq!(refused.field(), Some(field));
    }
    let long = SignUp {
        password: "x".repeat(10_000),
        ..sign_up("a@example.com")
    };
    let refused = accounts::sign_up(&plane.cp, long, &Origin::default()).await;
    assert_eq!(status(&refused), 400);
    let enough = SignUp {
        password: "x".repeat(64),
        ..sign_up("a@example.com")
    };
    let sent = accounts::sign_up(&plane.cp, enough, &Origin::default()).await;
    assert!(sent.is_ok(), "{sent:?}");
    let mails: i64 = plane.database.count("SELECT count(*) FROM sign_ups").await;
    assert_eq!(mails, 1);
    let mut tx = plane.cp.begin_system().await.unwrap();
    assert_eq!(
        tenants::list(&mut tx).await.unwrap().len(),
        0,
        "nothing before the link"
    );
    drop(tx);
    plane.stop().await;
}

#[tokio::test]
async fn sessions_end_when_nobody_uses_them_and_in_any_case() {
    let plane = Plane::start().await;
    let idle = plane.sign_up("idle@example.com").await.token;
    let busy = plane.sign_up("busy@example.com").await.token;
    let is_alive =
        async |token: &SessionToken| accounts::session(&plane.cp, token).await.unwrap().is_some();
    for _ in 0..13 {
        plane.clock.advance(Duration::days(1));
        assert!(is_alive(&busy).await);
    }
    assert!(!is_alive(&idle).await);
    let left = accounts::session(&plane.cp, &busy).await.unwrap().unwrap();
    assert_eq!(left.expires_at, plane.clock.now() + Duration::days(1));
    plane.clock.advance(Duration::days(1));
    assert!(
        !is_alive(&busy).await,
        "used all the time, and over all the same"
    );
    plane.stop().await;
}

#[tokio::test]
async fn row_02_a_wrong_password_and_an_unknown_address_are_answered_alike() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    let wrong = log_in(&plane, "ann@example.com", "wrong password")
        .await
        .unwrap_err();
    let unknown = log_in(&plane, "bob@example.com", "wrong password")
        .await
        .unwrap_err();
    let nonsense = log_in(&plane, "", "").await.unwrap_err();
    for error in [&unknown, &nonsense] {
        assert_eq!(
            (error.status(), error.code()),
            (wrong.status(), wrong.code())
        );
        assert_eq!(error.message(), wrong.message());
    }
    assert_eq!(wrong.status(), 401);
    assert!(log_in(&plane, "ann@example.com", PASSWORD).await.is_ok());
    plane.stop().await;
}

#[tokio::test]
async fn row_03_the_eleventh_attempt_in_a_quarter_of_an_hour_has_to_wait() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    plane.sign_up("eve@example.com").await;
    for email in ["ann@example.com", "nobody@example.com"] {
        for _ in 0..10 {
            assert_eq!(
                log_in(&plane, email, "wrong password")
                    .await
                    .unwrap_err()
                    .status(),
                401
            );
        }
        let refused = log_in(&plane, email, PASSWORD).await.unwrap_err();
        assert!(
            matches!(
                refused,
                Error::TooManyRequests {
                    retry_after_seconds: 900
                }
            ),
            "{refused:?}"
        );
    }
    assert!(
        log_in(&plane, "eve@example.com", PASSWORD).await.is_ok(),
        "others are not held up"
    );
    plane.clock.advance(Duration::minutes(15));
    assert!(log_in(&plane, "ann@example.com", PASSWORD).await.is_ok());
    // Success takes the failures away: ten more may fail.
    for _ in 0..9 {
        log_in(&plane, "ann@example.com", "wrong password")
            .await
            .unwrap_err();
    }
    assert!(log_in(&plane, "ann@example.com", PASSWORD).await.is_ok());
    plane.stop().await;
}

#[tokio::test]
async fn row_03_many_guesses_at_once_are_no_more_guesses() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    let guesses = (0..30).map(|_| log_in(&plane, "ann@example.com", "wrong password"));
    let answers = futures_util::future::join_all(guesses).await;
    let looked_at = answers
        .iter()
        .filter(|a| matches!(a, Err(Error::Unauthorized(_))))
        .count();
    let held_up = answers
        .iter()
        .filter(|a| matches!(a, Err(Error::TooManyRequests { .. })))
        .count();
    assert_eq!((looked_at, held_up), (10, 20));
    plane.stop().await;
}

#[tokio::test]
async fn row_03_guesses_from_changing_addresses_are_counted_by_account_and_from_one_by_network() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    let from = |n: u32| Origin {
        address: Some(std::net::Ipv4Addr::from(0xCB00_7100 + n).into()),
        ..Origin::default()
    };
    for n in 0..10 {
        let answer = log_in_from(&plane, "ann@example.com", "wrong password", &from(n)).await;
        assert_eq!(status(&answer), 401);
    }
    let answer = log_in_from(&plane, "ann@example.com", PASSWORD, &from(10)).await;
    assert_eq!(status(&answer), 429);

    let one = from(200);
    for n in 0..60 {
        let email = format!("nobody-{n}@example.com");
        let answer = log_in_from(&plane, &email, "", &one).await;
        assert_eq!(status(&answer), 401, "{n}");
    }
    let answer = log_in_from(&plane, "nobody-60@example.com", "", &one).await;
    assert_eq!(status(&answer), 429);
    let answer = log_in_from(&plane, "nobody-60@example.com", "", &from(201)).await;
    assert_eq!(status(&answer), 401, "another network");
    plane.stop().await;
}

#[tokio::test]
async fn row_04_a_password_of_ten_kilobytes_is_refused_before_it_is_hashed() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    let long = "x".repeat(10_000);
    for email in ["ann@example.com", "nobody@example.com"] {
        // Were it counted, or hashed, there would be another answer after ten of them.
        for _ in 0..15 {
            assert_eq!(status(&log_in(&plane, email, &long).await), 400);
        }
    }
    assert!(log_in(&plane, "ann@example.com", PASSWORD).await.is_ok());
    plane.stop().await;
}

/// The middle of many, so that what else the machine does is left out.
#[tokio::test]
async fn row_02_an_unknown_address_takes_as_long_as_a_wrong_password() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    let refused = async |email: &str| {
        assert_eq!(status(&log_in(&plane, email, "wrong password").await), 401);
    };
    as_long_for_unknown(&plane, "ann@example.com", refused).await;
    plane.stop().await;
}

#[tokio::test]
async fn row_02_operators_unknown_address_takes_as_long_as_a_wrong_password() {
    let plane = Plane::start().await;
    plane.sign_up("ann@example.com").await;
    let body = json!({ "email": "otto@example.com" });
    let (made, _) = plane.admin(Method::POST, "/operators", Some(body)).await;
    assert_eq!(made, 201);
    // Ann's password is as good as one of his own: only the time that it takes is looked at.
    plane
        .database
        .execute(r"UPDATE operators SET totp_secret = '\x00', password_hash = (SELECT password_hash FROM members)")
        .await;
    let origin = Origin::default();
    let refused = async |email: &str| {
        let answer = operators::log_in(&plane.cp, email, "wrong password", &origin).await;
        assert_eq!(status(&answer), 401);
    };
    as_long_for_unknown(&plane, "otto@example.com", refused).await;
    let right = operators::log_in(&plane.cp, "otto@example.com", PASSWORD, &origin).await;
    assert_eq!(status(&right), 200, "his password is one");
    plane.stop().await;
}

/// Measures a known and an unknown address side by side, and fails unless they take the same to five parts in a hundred.
/// What else the machine does at a time meets both of a pair, so pairs are compared, and the one in the middle is taken.
async fn as_long_for_unknown(plane: &Plane, known: &str, refused: impl AsyncFn(&str)) {
    let timed = async |email: &str| {
        let begun = std::time::Instant::now();
        refused(email).await;
        begun.elapsed().as_secs_f64()
    };
    timed("nobody@example.com").await; // makes what all unknown ones are compared with
    let mut ratios = Vec::new();
    let mut ratio = 0.0;
    // On a machine that does other things too, more pairs are fair; twice the work would never pass.
    for round in 0..30 {
        for n in 0..20 {
            if n % 8 == 0 {
                plane.database.execute("DELETE FROM login_failures").await;
                // The first failure makes the row that later ones count in: that is not what is compared.
                refused(known).await;
                refused("nobody@example.com").await;
            }
            // Neither is always the one that comes after the other.
            let (a, b) = if n % 2 == 0 {
                let a = timed(known).await;
                (a, timed("nobody@example.com").await)
            } else {
                let b = timed("nobody@example.com").await;
                (timed(known).await, b)
            };
            ratios.push(b / a);
        }
        ratios.sort_by(f64::total_cmp);
        ratio = ratios[ratios.len() / 2];
        println!("round {round}: {ratio}");
        if (0.95..=1.05).contains(&ratio) {
            break;
        }
    }
    assert!((0.95..=1.05).contains(&ratio), "{ratio}");
}
