//! Passkeys: alone in place of both steps, after the password in place of the second, and never by anything but their key.

use chrono::Duration;
use controlplane::accounts::{self, LogIn, Passkey, SessionToken, SignedIn, Ways};
use controlplane::{Error, Origin, audit};

use crate::authenticator::Authenticator;
use crate::plane::{PASSWORD, Plane};

/// Where pages of `http://127.0.0.1:8080` have passkeys.
const HERE: &str = "http://localhost:8080";

fn origin() -> Origin {
    Origin::default()
}

async fn add_to(
    plane: &Plane,
    member: &SignedIn,
    name: &str,
    device: &mut Authenticator,
) -> Result<Option<Vec<String>>, Error> {
    let (cp, session) = (&plane.cp, &member.session);
    let begun = accounts::begin_passkey(cp, session, name, PASSWORD, "", &origin()).await?;
    assert_eq!(begun.origin, HERE);
    let made = device.make(&begun.options);
    let codes = accounts::add_passkey(cp, session, &made, &origin()).await?;
    Ok(codes.map(|codes| codes.0))
}

/// A device with a first passkey of the member, and the recovery codes that come with it.
async fn set_up(plane: &Plane, member: &SignedIn) -> (Authenticator, Vec<String>) {
    let mut device = Authenticator::at(HERE);
    let codes = add_to(plane, member, "Laptop", &mut device).await.unwrap();
    (device, codes.expect("the first second step"))
}

async fn log_in(plane: &Plane, device: &mut Authenticator) -> Result<SignedIn, Error> {
    let (token, begun) = accounts::begin_passkey_log_in(&plane.cp, &origin()).await?;
    let answer = device.answer(&begun.options);
    accounts::log_in_with_passkey(&plane.cp, &token, &answer, &origin()).await
}

async fn challenge(plane: &Plane, email: &str, password: &str) -> SessionToken {
    let answer = accounts::log_in(&plane.cp, email, password, &origin()).await;
    match answer.unwrap() {
        LogIn::SecondStep(challenge) => challenge,
        LogIn::Done(_) => panic!("the second step was left out"),
    }
}

async fn second(
    plane: &Plane,
    challenge: &SessionToken,
    device: &mut Authenticator,
) -> Result<SignedIn, Error> {
    let begun = accounts::begin_passkey_step(&plane.cp, challenge, &origin()).await?;
    let answer = device.answer(&begun.options);
    accounts::pass_with_passkey(&plane.cp, challenge, &answer, &origin()).await
}

async fn list(plane: &Plane, member: &SignedIn) -> Vec<Passkey> {
    let tenant = member.session.tenant_id;
    let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
    accounts::list_passkeys(&mut tx, &member.session)
        .await
        .unwrap()
}

fn status<T>(result: &Result<T, Error>) -> u16 {
    result.as_ref().err().map_or(200, |e| e.status().as_u16())
}

#[tokio::test]
async fn a_passkey_is_made_and_logs_in_alone() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (mut device, codes) = set_up(&plane, &ann).await;
    assert_eq!(codes.len(), 10);
    let mail = plane.mail("second_step_changed", "ann@example.com").await;
    assert!(mail.subject.contains("Laptop"), "{}", mail.subject);
    let mut phone = Authenticator::at(HERE);
    let signed_in = log_in(&plane, &mut device).await.unwrap();
    assert_eq!(signed_in.session.email, "ann@example.com");
    let more = add_to(&plane, &signed_in, "Phone", &mut phone).await;
    assert_eq!(more.unwrap(), None, "the codes that there are stay");
    assert_eq!(
        log_in(&plane, &mut phone).await.unwrap().session.email,
        "ann@example.com"
    );
    let mut names: Vec<_> = list(&plane, &ann)
        .await
        .into_iter()
        .map(|p| (p.name, p.last_used_at.is_some()))
        .collect();
    // Both are of the same moment: the test's clock stands still.
    names.sort_unstable();
    assert_eq!(
        names,
        [("Laptop".to_owned(), true), ("Phone".to_owned(), true)]
    );

    let mut tx = plane.cp.begin_tenant(ann.session.tenant_id).await.unwrap();
    let log = audit::list(&mut tx, 50).await.unwrap();
    drop(tx);
    let with = log
        .iter()
        .find(|entry| entry.action == "session.begin")
        .unwrap();
    assert_eq!(with.details["with"], "passkey");
    assert_eq!(
        log.iter()
            .filter(|entry| entry.action == "passkey.add")
            .count(),
        2
    );
    plane.stop().await;
}

#[tokio::test]
async fn whatever_is_not_quite_right_is_refused_with_one_sentence() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (device, _) = set_up(&plane, &ann).await;
    let mut sentences = Vec::new();
    type Change = fn(&mut Authenticator);
    let wrong: [(&str, Change); 4] = [
        ("another site", |d| {
            d.origin = "https://evil.example".to_owned()
        }),
        ("another port", |d| {
            d.origin = "http://localhost:9999".to_owned()
        }),
        ("nobody was asked for a finger", |d| d.verifies = false),
        ("a device that nobody knows", |d| {
            *d = Authenticator::at(HERE)
        }),
    ];
    for (what, change) in wrong {
        let mut changed = device.clone();
        change(&mut changed);
        let refused = log_in(&plane, &mut changed).await;
        assert_eq!(status(&refused), 401, "{what}");
        sentences.push(refused.err().unwrap().message());
    }
    // Each as it should be, but for the challenge.
    let mut device = device;
    let begin = async || {
        accounts::begin_passkey_log_in(&plane.cp, &origin())
            .await
            .unwrap()
    };
    let finish = async |token: &SessionToken, answer: &str| {
        accounts::log_in_with_passkey(&plane.cp, token, answer, &origin()).await
    };
    let (mine, begun) = begin().await;
    let (other, _) = begin().await;
    let answer = device.answer(&begun.options);
    let refused = finish(&other, &answer).await;
    assert_eq!(status(&refused), 401, "another browser's challenge");
    sentences.push(refused.err().unwrap().message());
    let (altered, begun) = begin().await;
    let signed = device.answer(&begun.options);
    let (before, after) = signed.split_once("\"signature\":\"").unwrap();
    let flipped = if after.starts_with('A') { "B" } else { "A" };
    let forged = format!("{before}\"signature\":\"{flipped}{}", &after[1..]);
    let refused = finish(&altered, &forged).await;
    sentences.push(refused.err().unwrap().message());
    assert_eq!(status(&finish(&mine, &answer).await), 200, "the twin");
    assert_eq!(status(&finish(&mine, &answer).await), 401, "once");
    let (late, begun) = begin().await;
    let answer = device.answer(&begun.options);
    plane.clock.advance(Duration::minutes(5));
    let refused = finish(&late, &answer).await;
    sentences.push(refused.err().unwrap().message());
    // An answer to the one ceremony is none to the other.
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    let (_, begun) = begin().await;
    let answer = device.answer(&begun.options);
    let crossed = accounts::pass_with_passkey(&plane.cp, &token, &answer, &origin()).await;
    sentences.push(crossed.err().unwrap().message());
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "{sentences:?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_copied_passkey_is_refused_and_its_owner_is_told() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (mut device, _) = set_up(&plane, &ann).await;
    let mut copy = device.clone();
    log_in(&plane, &mut device).await.unwrap();
    log_in(&plane, &mut device).await.unwrap();
    assert_eq!(status(&log_in(&plane, &mut copy).await), 401);
    let mail = plane.mail("passkey_copied", "ann@example.com").await;
    assert!(
        mail.text.contains("Laptop") && mail.text.contains("/account"),
        "{}",
        mail.text
    );
    let mut tx = plane.cp.begin_tenant(ann.session.tenant_id).await.unwrap();
    let log = audit::list(&mut tx, 5).await.unwrap();
    assert_eq!(
        (log[0].action.as_str(), log[0].actor.as_str()),
        ("passkey.copied", "system")
    );
    drop(tx);
    assert_eq!(
        status(&log_in(&plane, &mut device).await),
        200,
        "the one that is ahead"
    );

    // Devices that keep no counter say 0 for ever.
    let bob = plane.sign_up("bob@example.com").await;
    let mut synced = Authenticator::at(HERE);
    synced.counter = 0;
    add_to(&plane, &bob, "Phone", &mut synced).await.unwrap();
    for _ in 0..2 {
        synced.counter = 0;
        assert_eq!(status(&log_in(&plane, &mut synced).await), 200);
    }
    plane.stop().await;
}

#[tokio::test]
async fn after_the_password_it_is_the_second_step_and_no_reset_leads_around_it() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let bob = plane.sign_up("bob@example.com").await;
    let (mut device, codes) = set_up(&plane, &ann).await;
    let (mut bobs, _) = set_up(&plane, &bob).await;
    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    let ways = accounts::ways(&plane.cp, &token).await.unwrap();
    assert_eq!(
        ways,
        Some(Ways {
            app: false,
            passkey: true
        })
    );
    assert_eq!(
        status(&second(&plane, &token, &mut bobs).await),
        401,
        "another's"
    );
    assert_eq!(status(&second(&plane, &token, &mut device).await), 200);
    assert_eq!(
        status(&second(&plane, &token, &mut device).await),
        401,
        "used up"
    );
    assert_eq!(accounts::ways(&plane.cp, &token).await.unwrap(), None);

    let token = challenge(&plane, "ann@example.com", PASSWORD).await;
    let code =
        async |code: &str| accounts::log_in_with_code(&plane.cp, &token, code, &origin()).await;
    assert_eq!(
        code("000000").await.err().unwrap().field(),
        Some("code"),
        "there is no app"
    );
    assert_eq!(
        status(&code(&codes[0]).await),
        200,
        "a recovery code stands in"
    );

    accounts::forgot_password(&plane.cp, "ann@example.com", &origin())
        .await
        .unwrap();
    let reset = plane
        .mail("reset_password", "ann@example.com")
        .await
        .token();
    let new = "another horse entirely";
    accounts::reset_password(&plane.cp, &reset, new, &origin())
        .await
        .unwrap();
    let token = challenge(&plane, "ann@example.com", new).await;
    assert_eq!(status(&second(&plane, &token, &mut device).await), 200);
    plane.stop().await;
}

#[tokio::test]
async fn adding_and_removing_ask_who_it_is() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let eve = plane.sign_up("eve@example.com").await;
    let begin = async |member: &SignedIn, name: &str, password: &str, code: &str| {
        accounts::begin_passkey(&plane.cp, &member.session, name, password, code, &origin()).await
    };
    let field = |refused: Error| refused.field().unwrap_or_default().to_owned();
    assert_eq!(
        field(begin(&ann, " ", PASSWORD, "").await.unwrap_err()),
        "name"
    );
    assert_eq!(
        field(begin(&ann, "a", "wrong", "").await.unwrap_err()),
        "password"
    );
    let (mut device, codes) = set_up(&plane, &ann).await;
    // From now on the session must have passed a second step, or a code is asked for.
    assert_eq!(
        field(begin(&ann, "a", PASSWORD, "").await.unwrap_err()),
        "code"
    );
    assert_eq!(
        field(begin(&ann, "a", PASSWORD, "123456").await.unwrap_err()),
        "code"
    );
    assert!(begin(&ann, "a", PASSWORD, &codes[0]).await.is_ok());
    let fresh = log_in(&plane, &mut device).await.unwrap();
    assert!(begin(&fresh, "a", PASSWORD, "").await.is_ok());

    let id = list(&plane, &ann).await[0].id;
    let remove = async |member: &SignedIn, password: &str, code: &str| {
        accounts::remove_passkey(&plane.cp, &member.session, id, password, code, &origin()).await
    };
    assert_eq!(
        status(&remove(&eve, PASSWORD, "").await),
        404,
        "another tenant's"
    );
    let mut tx = plane.cp.begin_tenant(eve.session.tenant_id).await.unwrap();
    let renamed = accounts::rename_passkey(&mut tx, &plane.cp, &eve.session, id, "mine").await;
    assert_eq!(status(&renamed), 404);
    drop(tx);
    let mut tx = plane.cp.begin_tenant(ann.session.tenant_id).await.unwrap();
    accounts::rename_passkey(&mut tx, &plane.cp, &ann.session, id, "Desk")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        field(remove(&fresh, "wrong", "").await.unwrap_err()),
        "password"
    );
    assert_eq!(field(remove(&ann, PASSWORD, "").await.unwrap_err()), "code");
    plane.clock.advance(Duration::minutes(15));
    assert_eq!(
        field(remove(&fresh, PASSWORD, "").await.unwrap_err()),
        "code",
        "no longer fresh"
    );
    remove(&fresh, PASSWORD, &codes[1]).await.unwrap();
    assert_eq!(
        status(&log_in(&plane, &mut device).await),
        401,
        "removed is removed"
    );
    let left = "SELECT count(*) FROM recovery_codes r JOIN members m ON m.id = r.member_id WHERE m.email LIKE 'ann%'";
    assert_eq!(
        plane.database.count(left).await,
        0,
        "nothing is left to recover"
    );
    let answer = accounts::log_in(&plane.cp, "ann@example.com", PASSWORD, &origin()).await;
    assert!(matches!(answer, Ok(LogIn::Done(_))));
    plane.stop().await;
}

#[tokio::test]
async fn an_answer_to_another_sessions_challenge_makes_no_passkey() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let eve = plane.sign_up("eve@example.com").await;
    let begin = async |member: &SignedIn| {
        accounts::begin_passkey(&plane.cp, &member.session, "a", PASSWORD, "", &origin())
            .await
            .unwrap()
    };
    let add = async |member: &SignedIn, made: &str| {
        accounts::add_passkey(&plane.cp, &member.session, made, &origin()).await
    };
    let mut device = Authenticator::at(HERE);
    let made = device.make(&begin(&ann).await.options);
    assert_eq!(status(&add(&eve, &made).await), 400, "she began none");
    begin(&eve).await;
    assert_eq!(status(&add(&eve, &made).await), 400, "hers is another");
    let mut elsewhere = Authenticator::at("https://evil.example");
    let foreign = elsewhere.make(&begin(&eve).await.options);
    assert_eq!(status(&add(&eve, &foreign).await), 400);
    assert_eq!(status(&add(&ann, "{}").await), 400, "and used up");
    let made = device.make(&begin(&ann).await.options);
    assert_eq!(status(&add(&ann, &made).await), 200);
    // A key that somebody has belongs to nobody else.
    let again = device.make(&begin(&eve).await.options);
    assert_eq!(status(&add(&eve, &again).await), 400);
    plane.stop().await;
}

#[tokio::test]
async fn a_change_of_address_that_is_undone_takes_later_passkeys_along() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (mut own, _) = set_up(&plane, &ann).await;
    let thief = log_in(&plane, &mut own).await.unwrap();
    let (cp, session) = (&plane.cp, &thief.session);
    accounts::change_email(cp, session, PASSWORD, "eve@evil.example", &origin())
        .await
        .unwrap();
    let token = plane
        .mail("confirm_email", "eve@evil.example")
        .await
        .token();
    plane.clock.advance(Duration::minutes(1));
    accounts::confirm_email(cp, &token, &origin())
        .await
        .unwrap();
    let undo = plane.mail("email_changed", "ann@example.com").await.token();
    let mut hers = Authenticator::at(HERE);
    let moved = accounts::session(cp, &thief.token).await.unwrap().unwrap();
    let begun = accounts::begin_passkey(cp, &moved, "b", PASSWORD, "", &origin())
        .await
        .unwrap();
    accounts::add_passkey(cp, &moved, &hers.make(&begun.options), &origin())
        .await
        .unwrap();
    assert_eq!(status(&log_in(&plane, &mut hers).await), 200);
    accounts::undo_email(cp, &undo, &origin()).await.unwrap();
    assert_eq!(status(&log_in(&plane, &mut hers).await), 401);
    assert_eq!(status(&log_in(&plane, &mut own).await), 200);
    plane.stop().await;
}
