//! An operator's log-in: the password, and always a second step. Throttled as customers' log-ins are.

use chrono::Duration;
use serde_json::json;

use super::{SignedIn, WRONG_CODE, audit, check_code, code_attempts_of, sessions};
use crate::accounts::{SessionToken, attempts, fold_email, sha256};
use crate::ids::OperatorId;
use crate::{Actor, ControlPlane, Error, Origin, db, passwords, random};

/// How long the second step may take.
const CHALLENGE_LIVES: Duration = Duration::minutes(10);

/// The token is for [`log_in_with_code`]; it opens nothing else. One answer, after the same work, for a wrong password and for
/// an address that is no operator's.
pub async fn log_in(
    cp: &ControlPlane,
    email: &str,
    password: &str,
    origin: &Origin,
) -> Result<SessionToken, Error> {
    passwords::check_size(password)?;
    cp.throttle().log_in(origin.address)?;
    // What is no address is an unknown one.
    let email = fold_email(email).unwrap_or_else(|_| email.to_lowercase());
    let account = sha256(&["operator's log-in", &email]);
    attempts::count(cp, &account).await?;
    let mut tx = cp.begin_system().await?;
    let found = db::operators::credentials(&mut tx, &email).await?;
    drop(tx); // no connection is held while hashing
    let hash = found.as_ref().and_then(|f| f.password_hash.clone());
    let matches = cp.passwords().verify(password, hash).await?;
    let Some(found) = found.filter(|_| matches) else {
        tracing::warn!(address = ?origin.address, "an operator's log-in was refused");
        return Err(Error::Unauthorized("The address or the password is wrong."));
    };
    let mut tx = cp.begin_system().await?;
    attempts::forget(&mut tx, &account).await?;
    let token = SessionToken::from(random::token(&mut rand::rng()).to_string());
    let now = cp.clock().now();
    let until = now + CHALLENGE_LIVES;
    db::operators::add_challenge(
        &mut tx,
        OperatorId(found.id),
        &challenge_hash(&token),
        now,
        until,
    )
    .await?;
    tx.commit().await?;
    Ok(token)
}

/// Whether there is something to go on with.
pub async fn is_challenge(cp: &ControlPlane, challenge: &SessionToken) -> Result<bool, Error> {
    let mut tx = cp.begin_system().await?;
    let hash = challenge_hash(challenge);
    let found = db::operators::challenged(&mut tx, &hash, cp.clock().now()).await?;
    Ok(found.is_some())
}

/// A code of the operator's app, or one of their recovery codes. Ten wrong ones within a quarter of an hour are
/// [`Error::TooManyRequests`].
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
    let operator = db::operators::challenged(&mut tx, &hash, now).await?;
    drop(tx);
    let operator = operator.ok_or_else(over)?;
    let account = code_attempts_of(operator);
    attempts::count(cp, &account).await?;

    let mut tx = cp.begin_system().await?;
    let found = db::operators::lock_credentials(&mut tx, operator).await?;
    let email = found.ok_or_else(over)?.email;
    let actor = Actor::NamedOperator {
        id: operator,
        email: email.clone(),
    };
    let mut tx = tx.acting(actor, origin.clone());
    let Some(with) = check_code(&mut tx, cp, operator, code).await? else {
        return Err(Error::validation("code", WRONG_CODE));
    };
    if !db::operators::take_challenge(&mut tx, &hash).await? {
        return Err(over());
    }
    attempts::forget(&mut tx, &account).await?;
    db::operators::set_last_log_in(&mut tx, operator, now).await?;
    let details = json!({ "with": with });
    audit::record(&mut tx, cp, "operator.log_in", &email, details).await?;
    let signed_in = sessions::begin(&mut tx, cp, operator, email).await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// Not a session's, nor a member's: no token passes for another.
fn challenge_hash(token: &SessionToken) -> [u8; 32] {
    sha256(&["operator's challenge", token.expose()])
}
