//! The second step of the log-in: codes, each once; recovery codes, each once; and no way around it.

use chrono::Duration;
use controlplane::accounts::{self, LogIn, SessionToken, SignedIn};
use controlplane::{Error, Origin};
use totp_rs::{Builder, Secret, Totp};

use crate::plane::{PASSWORD, Plane};

fn origin() -> Origin {
    Origin::default()
}

/// The app on a phone.
pub struct App(Totp);

impl App {
    pub fn new(secret: &str) -> Self {
        let secret = Secret::try_from_base32(secret.replace(' ', "")).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    pub fn code(&self, plane: &Plane) -> String {
        let now = u64::try_from(plane.clock.now().timestamp()).unwrap();
        self.0.generate(now).to_string()
    }
}

pub async fn set_up(plane: &Plane, member: &SignedIn) -> (App, Vec<String>) {
    let setup = accounts::begin_totp(&plane.cp, &member.session).unwrap();
    let app = App::new(&setup.secret);
    assert!(setup.uri.contains(&setup.secret.replace(' ', "")));
    let wrong = accounts::enable_totp(
        &plane.cp,
        &member.session,
        &setup.sealed,
        "000000",
        PASSWORD,
        &origin(),
    )
    .await;
    assert_eq!(wrong.err().unwrap().field(), Some("code"));
    let code = app.code(plane);
    let wrong = accounts::enable_totp(
        &plane.cp,
        &member.session,
        &setup.sealed,
        &code,
        "wrong",
        &origin(),
    )
    .await;
    assert_eq!(wrong.err().unwrap().field(), Some("password"));
    let codes = accounts::enable_totp(
        &plane.cp,
        &member.session,
        &setup.sealed,
        &code,
        PASSWORD,
        &origin(),
    )
    .await
    .unwrap();
    assert_eq!(codes.0.len(), 10);
    plane.clock.advance(Duration::seconds(30));
    (app, codes.0)
}

pub async fn challenge(plane: &Plane, email: &str, password: &str) -> SessionToken {
    match accounts::log_in(&plane.cp, email, password, &origin())
        .await
        .unwrap()
    {
        LogIn::SecondStep(challenge) => challenge,
        LogIn::Done(_) => panic!("the second step was left out"),
    }
}

pub async fn pass(plane: &Plane, challenge: &SessionToken, code: &str) -> Result<SignedIn, Error> {
    accounts::log_in_with_code(&plane.cp, challenge, code, &origin()).await
}

#[tokio::test]
async fn a_log_in_needs_the_password_and_a_code_that_was_not_used() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (app, _) = set_up(&plane, &ann).await;
    plane.mail("second_step_changed", "ann@example.com").await;
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    let as_session = accounts::session(&plane.cp, &token).await.unwrap();
    assert!(as_session.is_none(), "half a log-in opens nothing");
    for wrong in ["", "000000", "1234567", "not a code"] {
        let refused = pass(&plane, &token, wrong).await.unwrap_err();
        assert_eq!(refused.field(), Some("code"), "{wrong}");
    }
    let code = app.code(&plane);
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let signed_in = pass(&plane, &token, &spaced).await.unwrap();
    assert_eq!(signed_in.session.email, "ann@example.com");
    assert!(
        pass(&plane, &token, &code).await.is_err(),
        "the challenge is used up"
    );
    let next = challenge(&plane, "ann@example.com", PASSWORD).await;
    assert!(
        pass(&plane, &next, &code).await.is_err(),
        "the code is used up"
    );
    // One early, one late.
    plane.clock.advance(Duration::seconds(60));
    let early = app.code(&plane);
    plane.clock.advance(Duration::seconds(30));
    assert!(pass(&plane, &next, &early).await.is_ok());
    let late = challenge(&plane, "ann@example.com", PASSWORD).await;
    plane.clock.advance(Duration::minutes(10));
    let code = app.code(&plane);
    assert_eq!(pass(&plane, &late, &code).await.unwrap_err().status(), 401);
    plane.stop().await;
}

#[tokio::test]
async fn codes_cannot_be_guessed_at_leisure() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (app, _) = set_up(&plane, &ann).await;
    for _ in 0..10 {
        // A new challenge gives no new guesses.
        let token = challenge(&plane, "ann@example.com", PASSWORD).await;
        assert_eq!(
            pass(&plane, &token, "000000").await.unwrap_err().status(),
            422
        );
    }
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    let code = app.code(&plane);
    assert_eq!(pass(&plane, &token, &code).await.unwrap_err().status(), 429);
    plane.clock.advance(Duration::minutes(15));
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    assert!(pass(&plane, &token, &app.code(&plane)).await.is_ok());
    plane.stop().await;
}

#[tokio::test]
async fn a_recovery_code_opens_once() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let bob = plane.sign_up("bob@example.com").await;
    let (_, codes) = set_up(&plane, &ann).await;
    let (_, bobs) = set_up(&plane, &bob).await;
    let kept = "SELECT count(*) FROM recovery_codes WHERE recovery_codes::text LIKE '%";
    let plain = format!("{kept}{}%'", hex::encode(codes[0].replace('-', "")));
    assert_eq!(plane.database.count(&plain).await, 0, "kept as hashes");
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    assert!(pass(&plane, &token, &bobs[0]).await.is_err(), "another's");
    assert!(pass(&plane, &token, &codes[0].to_uppercase()).await.is_ok());
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    assert!(pass(&plane, &token, &codes[0]).await.is_err(), "used");
    assert!(
        pass(&plane, &token, &codes[1].replace('-', ""))
            .await
            .is_ok()
    );
    let mut tx = plane.cp.begin_tenant(ann.session.tenant_id).await.unwrap();
    let standing = accounts::second_step(&mut tx, &ann.session).await.unwrap();
    assert_eq!(standing.unwrap().recovery_codes_left, 8);
    drop(tx);

    let new = accounts::new_recovery_codes(&plane.cp, &ann.session, &codes[2], &origin()).await;
    let new = new.unwrap().0;
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    assert!(pass(&plane, &token, &codes[3]).await.is_err(), "replaced");
    assert!(pass(&plane, &token, &new[0]).await.is_ok());
    plane.stop().await;
}

#[tokio::test]
async fn turning_it_off_asks_for_the_password_and_a_code() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (app, _) = set_up(&plane, &ann).await;
    let off = async |password: &str, code: &str| {
        accounts::disable_totp(&plane.cp, &ann.session, password, code, &origin()).await
    };
    let code = app.code(&plane);
    assert_eq!(
        off("wrong", &code).await.unwrap_err().field(),
        Some("password")
    );
    assert_eq!(
        off(PASSWORD, "000000").await.unwrap_err().field(),
        Some("code")
    );
    challenge(&plane, "ann@example.com", PASSWORD).await; // still on
    off(PASSWORD, &code).await.unwrap();
    let answer = accounts::log_in(&plane.cp, "ann@example.com", PASSWORD, &origin()).await;
    assert!(matches!(answer, Ok(LogIn::Done(_))));
    plane.stop().await;
}

#[tokio::test]
async fn a_reset_of_the_password_is_no_way_around_it_and_a_setup_is_nobody_elses() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let eve = plane.sign_up("eve@example.com").await;
    set_up(&plane, &ann).await;
    accounts::forgot_password(&plane.cp, "ann@example.com", &origin())
        .await
        .unwrap();
    let token = plane
        .mail("reset_password", "ann@example.com")
        .await
        .token();
    let new = "another horse entirely";
    accounts::reset_password(&plane.cp, &token, new, &origin())
        .await
        .unwrap();
    challenge(&plane, "ann@example.com", new).await;

    let setup = accounts::begin_totp(&plane.cp, &ann.session).unwrap();
    let code = App::new(&setup.secret).code(&plane);
    let foreign = accounts::enable_totp(
        &plane.cp,
        &eve.session,
        &setup.sealed,
        &code,
        PASSWORD,
        &origin(),
    )
    .await;
    assert_eq!(foreign.err().unwrap().status(), 400);
    plane.stop().await;
}
