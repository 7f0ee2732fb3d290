//! Logging in: a password, then a second step if the member wants one.
//! One answer, after the same work, for a wrong password and for an address that nobody has.

use chrono::Duration;
use serde_json::json;
use zeroize::Zeroizing;

use super::{IDLE, SessionToken, SignedIn, attempts, begin_session, fold_email, sha256, totp};
use crate::ids::{MemberId, TenantId};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db, passwords, random};

/// How long the second step may take.
const CHALLENGE_LIVES: Duration = Duration::minutes(10);

#[derive(Debug)]
pub enum LogIn {
    Done(Box<SignedIn>),
    /// The password was right; the token is for [`log_in_with_code`]. It opens nothing else.
    SecondStep(SessionToken),
}

/// The 11th attempt on one address within a quarter of an hour is [`Error::TooManyRequests`], whatever the password
/// and wherever it comes from; so are many attempts from one network, on whatever addresses.
pub async fn log_in(
    cp: &ControlPlane,
    email: &str,
    password: &str,
    origin: &Origin,
) -> Result<LogIn, Error> {
    passwords::check_size(password)?;
    cp.throttle().log_in(origin.address)?;
    // What is no address is an unknown one.
    let email = fold_email(email).unwrap_or_else(|_| email.to_lowercase());
    let account = attempts::password_of(&email);
    attempts::count(cp, &account).await?;
    let mut tx = cp.begin_system().await?;
    let found = db::members::credentials(&mut tx, &email).await?;
    drop(tx); // no connection is held while hashing
    let hash = found.as_ref().and_then(|f| f.password_hash.clone());
    let matches = cp.passwords().verify(password, hash).await?;
    let Some(found) = found.filter(|_| matches) else {
        tracing::info!(address = ?origin.address, "log-in refused");
        return Err(Error::Unauthorized("The address or the password is wrong."));
    };
    let (tenant, member) = (TenantId(found.tenant_id), MemberId(found.id));
    let actor = Actor::Member { id: member, email };
    let mut tx = cp.begin_system().await?.acting(actor, origin.clone());
    attempts::forget(&mut tx, &account).await?;
    let answer = match db::totp::is_asked(&mut tx, member).await? {
        true => LogIn::SecondStep(challenge(&mut tx, cp, tenant, member).await?),
        false => LogIn::Done(Box::new(
            begin(&mut tx, cp, tenant, member, "password", false).await?,
        )),
    };
    tx.commit().await?;
    Ok(answer)
}

/// By what the second step can be passed; a recovery code always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    pub app: bool,
    pub passkey: bool,
}

/// `None`: that took too long, or never was.
pub async fn ways(cp: &ControlPlane, challenge: &SessionToken) -> Result<Option<Ways>, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let member = db::log_in_challenges::get(&mut tx, &challenge_hash(challenge), now).await?;
    let Some(member) = member else {
        return Ok(None);
    };
    let standing = db::totp::standing(&mut tx, MemberId(member)).await?;
    Ok(Some(Ways {
        app: standing.app_since.is_some(),
        passkey: standing.passkeys > 0,
    }))
}

/// The second step: a code of the member's app, or one of their recovery codes. Ten wrong ones within a quarter of an
/// hour are [`Error::TooManyRequests`].
pub async fn log_in_with_code(
    cp: &ControlPlane,
    challenge: &SessionToken,
    code: &str,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    let over = || Error::Unauthorized("That took too long. Log in again.");
    cp.throttle().log_in(origin.address)?;
    let hash = challenge_hash(challenge);
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let member = db::log_in_challenges::get(&mut tx, &hash, now).await?;
    drop(tx);
    let member = MemberId(member.ok_or_else(over)?);
    let account = totp::attempts_of(member);
    attempts::count(cp, &account).await?;

    let mut tx = cp.begin_system().await?;
    let login = db::members::by_id(&mut tx, member).await?;
    let login = login.ok_or_else(over)?;
    let actor = Actor::Member {
        id: member,
        email: login.email,
    };
    let mut tx = tx.acting(actor, origin.clone());
    let Some(step) = totp::check(&mut tx, cp, member, code).await? else {
        let message = "That code is wrong, was used already, or is too old.";
        return Err(Error::validation("code", message));
    };
    if !db::log_in_challenges::delete(&mut tx, &hash).await? {
        return Err(over());
    }
    attempts::forget(&mut tx, &account).await?;
    let tenant = TenantId(login.tenant_id);
    let signed_in = begin(&mut tx, cp, tenant, member, step.word(), true).await?;
    tx.commit().await?;
    Ok(signed_in)
}

async fn challenge(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
    member: MemberId,
) -> Result<SessionToken, Error> {
    let token = SessionToken(Zeroizing::new(random::token(&mut rand::rng()).to_string()));
    let now = cp.clock().now();
    let hash = challenge_hash(&token);
    let until = now + CHALLENGE_LIVES;
    db::log_in_challenges::insert(tx, tenant, member, &hash, now, until).await?;
    Ok(token)
}

/// `two_steps`: the member has passed a second one, or what counts as both.
pub(super) async fn begin(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
    member: MemberId,
    with: &str,
    two_steps: bool,
) -> Result<SignedIn, Error> {
    let now = cp.clock().now();
    db::sessions::delete_expired(tx, member, now, now - IDLE).await?;
    let signed_in = begin_session(tx, cp, tenant, member).await?;
    if two_steps {
        db::sessions::set_second_step_at(tx, signed_in.session.id, now).await?;
    }
    let details = json!({ "with": with });
    audit::record(tx, cp, Some(tenant), "session.begin", "", details).await?;
    Ok(signed_in)
}

/// Not a session's: neither token passes for the other.
pub(super) fn challenge_hash(token: &SessionToken) -> [u8; 32] {
    sha256(&["log-in challenge", token.expose()])
}
