//! Codes of an app (RFC 6238) as the second step of the log-in, and recovery codes for when app or passkey is lost.
//! Every code is accepted once; the secret is sealed, and recovery codes are kept as hashes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::json;
pub(crate) use totp_rs::Secret;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::{Session, attempts, confirm, password, sha256};
use crate::ids::MemberId;
use crate::mail::{self, SecondStepChanged};
use crate::secrets::Purpose;
use crate::{ControlPlane, Error, Origin, Tx, audit, db, random};

const RECOVERY_CODES: usize = 10;
const STEP_SECONDS: u64 = 30;

/// What the page of the setting-up shows. Nothing is kept until [`enable_totp`].
pub struct TotpSetup {
    /// For typing: letters and digits in groups of four.
    pub secret: Zeroizing<String>,
    /// `otpauth://…`, for the app's camera.
    pub uri: Zeroizing<String>,
    /// The secret again, sealed for this member: the form hands it back.
    pub sealed: String,
}

/// Shown once, and never again.
pub struct RecoveryCodes(pub Vec<String>);

/// How a second step was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    Totp,
    RecoveryCode,
}

impl Passed {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Totp => "password and code",
            Self::RecoveryCode => "password and recovery code",
        }
    }
}

/// What a member's log-in asks for besides the password, and how many recovery codes are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondStep {
    /// Since when codes of an app are taken.
    pub app_since: Option<DateTime<Utc>>,
    pub passkeys: i64,
    pub recovery_codes_left: i64,
}

/// `None`: the password is all that is asked for.
pub async fn second_step(tx: &mut Tx, session: &Session) -> Result<Option<SecondStep>, Error> {
    let standing = db::totp::standing(tx, session.member_id).await?;
    Ok(Some(standing).filter(|step| step.app_since.is_some() || step.passkeys > 0))
}

pub fn begin_totp(cp: &ControlPlane, session: &Session) -> Result<TotpSetup, Error> {
    let bytes: [u8; 20] = rand::random();
    setup(cp, session, secret(&bytes))
}

/// The page again, after a mistake: the app has the secret already.
pub fn resume_totp(cp: &ControlPlane, session: &Session, sealed: &str) -> Result<TotpSetup, Error> {
    let row = session.member_id.to_string();
    setup(cp, session, unseal(cp, Purpose::Totp, &row, sealed)?)
}

fn setup(cp: &ControlPlane, session: &Session, secret: Secret) -> Result<TotpSetup, Error> {
    let row = session.member_id.to_string();
    shown(cp, Purpose::Totp, &row, &session.email, secret)
}

pub(crate) fn secret(bytes: &[u8]) -> Secret {
    Secret::from(bytes)
}

/// `row` is the id of whose secret it is.
pub(crate) fn shown(
    cp: &ControlPlane,
    purpose: Purpose,
    row: &str,
    email: &str,
    secret: Secret,
) -> Result<TotpSetup, Error> {
    let key = cp.master_key();
    let sealed = key.seal(purpose, row, secret.as_ref())?;
    let text = Zeroizing::new(secret.to_base32());
    // An address needs no escaping but for these.
    let email = email.replace('%', "%25").replace('?', "%3F");
    let email = email.replace('#', "%23").replace('&', "%26");
    let uri = format!(
        "otpauth://totp/Vaultaire:{email}?secret={}&issuer=Vaultaire",
        *text
    );
    let letters: Vec<char> = text.chars().collect();
    let groups = letters.chunks(4).map(String::from_iter);
    Ok(TotpSetup {
        secret: Zeroizing::new(groups.collect::<Vec<_>>().join(" ")),
        uri: Zeroizing::new(uri),
        sealed: URL_SAFE_NO_PAD.encode(sealed),
    })
}

/// `code` shows that the app has the secret. Asks for the password: a session alone must not lock its member out. Where
/// there are passkeys, the session must have passed one lately. The recovery codes replace those that there were.
pub async fn enable_totp(
    cp: &ControlPlane,
    session: &Session,
    sealed: &str,
    code: &str,
    present_password: &str,
    origin: &Origin,
) -> Result<RecoveryCodes, Error> {
    let member = session.member_id;
    let secret = unseal(cp, Purpose::Totp, &member.to_string(), sealed)?;
    let Some(step) = matching_step(cp, secret.clone(), code, -1)? else {
        let message = "That is not the code that the app shows now. Is the device’s clock right?";
        return Err(Error::validation("code", message));
    };
    let mut tx = confirm::confirm(cp, session, present_password, "", origin).await?;
    let row = member.to_string();
    let kept = cp.master_key().seal(Purpose::Totp, &row, secret.as_ref())?;
    let now = cp.clock().now();
    if !db::totp::insert(&mut tx, session.tenant_id, member, &kept, step, now).await? {
        return Err(Error::Conflict {
            code: "second_step_exists",
            message: "The second step is set up already.".to_owned(),
        });
    }
    let codes = draw_recovery_codes(&mut tx, session).await?;
    let entry = ("second_step.enable", session.email.as_str());
    let what = "Two-step log-in was set up";
    changed(&mut tx, cp, session, entry, what).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(codes)
}

/// Asks for the password and a code.
pub async fn disable_totp(
    cp: &ControlPlane,
    session: &Session,
    present_password: &str,
    code: &str,
    origin: &Origin,
) -> Result<(), Error> {
    password::check_present(cp, session, present_password, origin).await?;
    let mut tx = confirmed(cp, session, code, origin).await?;
    db::totp::delete(&mut tx, session.member_id).await?;
    db::totp::drop_idle_recovery_codes(&mut tx, session.member_id).await?;
    let entry = ("second_step.disable", session.email.as_str());
    let what = "Codes of an app were turned off";
    changed(&mut tx, cp, session, entry, what).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

/// In place of those that there were. Asks for a code.
pub async fn new_recovery_codes(
    cp: &ControlPlane,
    session: &Session,
    code: &str,
    origin: &Origin,
) -> Result<RecoveryCodes, Error> {
    let mut tx = confirmed(cp, session, code, origin).await?;
    let codes = draw_recovery_codes(&mut tx, session).await?;
    let entry = ("second_step.new_recovery_codes", session.email.as_str());
    let what = "New recovery codes were made";
    changed(&mut tx, cp, session, entry, what).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(codes)
}

/// Whose guesses at codes are counted.
pub(super) fn attempts_of(member: MemberId) -> [u8; 32] {
    sha256(&["code", &member.to_string()])
}

/// Uses the code up, if it is one. The caller has counted the attempt, and commits.
pub(super) async fn check(
    tx: &mut Tx,
    cp: &ControlPlane,
    member: MemberId,
    code: &str,
) -> Result<Option<Passed>, Error> {
    let typed = plain(code);
    if typed.len() > 8 {
        let hash = recovery_hash(&member.to_string(), &typed);
        let used = db::totp::use_recovery_code(tx, member, &hash).await?;
        return Ok(used.then_some(Passed::RecoveryCode));
    }
    let Some(row) = db::totp::lock(tx, member).await? else {
        return Ok(None);
    };
    let key = cp.master_key();
    let secret = key.open(Purpose::Totp, &member.to_string(), &row.secret)?;
    let secret = Secret::from(secret.as_slice());
    let Some(step) = matching_step(cp, secret, &typed, row.last_step)? else {
        return Ok(None);
    };
    db::totp::set_last_step(tx, member, step).await?;
    Ok(Some(Passed::Totp))
}

/// A transaction in the session's name, in which a code was used up.
pub(super) async fn confirmed(
    cp: &ControlPlane,
    session: &Session,
    code: &str,
    origin: &Origin,
) -> Result<Tx, Error> {
    let account = attempts_of(session.member_id);
    attempts::count(cp, &account).await?;
    let mut tx = begin(cp, session, origin).await?;
    if check(&mut tx, cp, session.member_id, code).await?.is_none() {
        let message = "That code is wrong, was used already, or is too old.";
        return Err(Error::validation("code", message));
    }
    attempts::forget(&mut tx, &account).await?;
    Ok(tx)
}

async fn begin(cp: &ControlPlane, session: &Session, origin: &Origin) -> Result<Tx, Error> {
    let tx = cp.begin_system().await?;
    Ok(tx.acting(session.actor(), origin.clone()))
}

/// As it is compared: dashes and blanks are for people.
pub(crate) fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The time step whose code it is: of now, one before or one after, and later than the last that was used.
pub(crate) fn matching_step(
    cp: &ControlPlane,
    secret: Secret,
    code: &str,
    last: i64,
) -> Result<Option<i64>, Error> {
    let now = cp.clock().now().timestamp().max(0).unsigned_abs();
    let typed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if typed.len() != 6 || !typed.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let step = totp(secret)?.check(&typed, now);
    let step = step.and_then(|step| i64::try_from(step).ok());
    Ok(step.filter(|step| *step > last))
}

/// As every app has it: SHA-1, six digits, thirty seconds.
fn totp(secret: Secret) -> Result<Totp, Error> {
    let builder = Builder::new().with_secret(secret);
    let built = builder
        .with_skew(1)
        .with_step_duration(STEP_SECONDS)
        .build();
    built.map_err(|error| Error::Internal(anyhow::anyhow!("TOTP: {error}")))
}

/// What [`shown`] has sealed.
pub(crate) fn unseal(
    cp: &ControlPlane,
    purpose: Purpose,
    row: &str,
    sealed: &str,
) -> Result<Secret, Error> {
    let key = cp.master_key();
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok();
    let opened = bytes.and_then(|bytes| key.open(purpose, row, &bytes).ok());
    let opened = opened
        .ok_or_else(|| Error::BadRequest("Open the page anew, and begin again.".to_owned()))?;
    Ok(Secret::from(opened.as_slice()))
}

/// In place of those that there were.
pub(super) async fn draw_recovery_codes(
    tx: &mut Tx,
    session: &Session,
) -> Result<RecoveryCodes, Error> {
    let member = session.member_id;
    let (codes, hashes) = new_codes(&member.to_string());
    db::totp::set_recovery_codes(tx, session.tenant_id, member, &hashes).await?;
    Ok(codes)
}

/// For the one of that id, and what is kept of them.
pub(crate) fn new_codes(of: &str) -> (RecoveryCodes, Vec<Vec<u8>>) {
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| random::recovery_code(&mut rand::rng()))
        .collect();
    let hashes = codes.iter().map(|code| recovery_hash(of, code).to_vec());
    let hashes = hashes.collect();
    (RecoveryCodes(codes), hashes)
}

/// Dashes and case are for people.
pub(crate) fn recovery_hash(of: &str, code: &str) -> [u8; 32] {
    let plain = Zeroizing::new(plain(code).to_ascii_lowercase());
    sha256(&["recovery code", of, &plain])
}

/// Writes down what was done, as action and target, and tells the member.
pub(super) async fn changed(
    tx: &mut Tx,
    cp: &ControlPlane,
    session: &Session,
    (action, target): (&str, &str),
    what: &str,
) -> Result<(), Error> {
    let tenant = Some(session.tenant_id);
    audit::record(tx, cp, tenant, action, target, json!({})).await?;
    let letter = SecondStepChanged {
        what,
        when: &password::when(cp),
        from: &password::from(tx),
        reset: &mail::link(cp, "/password/forgot"),
    };
    mail::enqueue(tx, cp, &session.email, &letter, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://www.rfc-editor.org/rfc/rfc6238#appendix-B>, the last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let totp = totp(Secret::from(*b"12345678901234567890")).unwrap();
            assert_eq!(totp.check(code, time), Some(time / 30), "{code}");
            assert_eq!(totp.check(code, time + 30), Some(time / 30), "one late");
            assert_eq!(totp.check(code, time + 60), None, "two late");
        }
    }

    #[test]
    fn a_recovery_code_is_the_same_in_capitals_and_without_dashes() {
        let hash = recovery_hash("ann", "abcd-efgh-2345-6789");
        assert_eq!(hash, recovery_hash("ann", "ABCDEFGH23456789"));
        assert_ne!(hash, recovery_hash("eve", "abcd-efgh-2345-6789"));
    }
}
