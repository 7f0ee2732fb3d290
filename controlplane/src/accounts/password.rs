//! A new password: by who knows the present one, or by who reads the address's mail.
//! Either way every other session ends, and the address is told.

use chrono::Duration;
use serde_json::json;

use super::{DEAD_LINK, Session, attempts, fold_email, sha256};
use crate::ids::{MemberId, TenantId};
use crate::mail::{self, PasswordChanged, ResetPassword};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db, passwords, random};

pub(super) const LINK_LIVES: Duration = Duration::hours(1);

/// Sends a link to the address if somebody logs in with it. Who asks learns nothing, in words or in time: the work is
/// done after the answer.
pub async fn forgot_password(cp: &ControlPlane, email: &str, origin: &Origin) -> Result<(), Error> {
    let email = fold_email(email)?;
    cp.throttle().mail(origin.address)?;
    let (plane, origin) = (cp.clone(), origin.clone());
    cp.spawn(async move {
        if let Err(error) = send_reset(&plane, &email, origin).await {
            tracing::error!(%error, "a link for a new password was not sent");
        }
    });
    Ok(())
}

async fn send_reset(cp: &ControlPlane, email: &str, origin: Origin) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    let Some(found) = db::members::credentials(&mut tx, email).await? else {
        return Ok(());
    };
    if !attempts::may_mail(&mut tx, cp, email).await? {
        return Ok(());
    }
    let (tenant, member) = (TenantId(found.tenant_id), MemberId(found.id));
    // Whoever it was, it was not proven to be the member.
    let mut tx = tx.acting(Actor::System, origin);
    let link = new_link(&mut tx, cp, tenant, member).await?;
    let letter = ResetPassword { link: &link };
    let until = cp.clock().now() + LINK_LIVES;
    mail::enqueue(&mut tx, cp, email, &letter, Some(until)).await?;
    let action = "password.reset_ask";
    audit::record(&mut tx, cp, Some(tenant), action, email, json!({})).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

/// A link under which the member sets a new password; older ones are dead.
pub(super) async fn new_link(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
    member: MemberId,
) -> Result<String, Error> {
    let token = random::token(&mut rand::rng());
    let until = cp.clock().now() + LINK_LIVES;
    db::password_resets::replace(tx, tenant, member, &token_hash(&token), until).await?;
    Ok(mail::token_link(cp, "/password/reset", &token))
}

/// Whether the link still works.
pub async fn is_reset_open(cp: &ControlPlane, token: &str) -> Result<bool, Error> {
    let mut tx = cp.begin_system().await?;
    let found = db::password_resets::get(&mut tx, &token_hash(token), cp.clock().now()).await?;
    Ok(found.is_some())
}

/// Ends every session of the member's, and logs nobody in: a second step stays one.
pub async fn reset_password(
    cp: &ControlPlane,
    token: &str,
    password: &str,
    origin: &Origin,
) -> Result<(), Error> {
    let dead = || Error::BadRequest(DEAD_LINK.to_owned());
    passwords::check_new(password)?;
    cp.throttle().log_in(origin.address)?;
    let hash = token_hash(token);
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let member = db::password_resets::get(&mut tx, &hash, now).await?;
    drop(tx); // no connection is held while hashing
    let member = MemberId(member.ok_or_else(dead)?);
    let password = cp.passwords().hash(password).await?;
    let mut tx = cp.begin_system().await?;
    if !db::password_resets::delete(&mut tx, &hash).await? {
        return Err(dead());
    }
    let login = db::members::by_id(&mut tx, member).await?;
    let login = login.ok_or_else(dead)?;
    let actor = Actor::Member {
        id: member,
        email: login.email.clone(),
    };
    let mut tx = tx.acting(actor, origin.clone());
    db::members::set_password(&mut tx, member, &password).await?;
    let ended = db::sessions::delete_others(&mut tx, member, None).await?;
    db::log_in_challenges::delete_of(&mut tx, member).await?;
    attempts::forget(&mut tx, &attempts::password_of(&login.email)).await?;
    let tenant = TenantId(login.tenant_id);
    let details = json!({ "sessions_ended": ended });
    audit::record(&mut tx, cp, Some(tenant), "password.reset", "", details).await?;
    tell(&mut tx, cp, &login.email).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

/// The session that asks stays, every other ends; how many did.
pub async fn change_password(
    cp: &ControlPlane,
    session: &Session,
    present: &str,
    new: &str,
    origin: &Origin,
) -> Result<u64, Error> {
    passwords::check_new(new).map_err(|error| match error {
        Error::Validation { message, .. } => Error::validation("new_password", message),
        other => other,
    })?;
    check_present(cp, session, present, origin).await?;
    let hash = cp.passwords().hash(new).await?;
    let member = session.member_id;
    let mut tx = cp
        .begin_system()
        .await?
        .acting(session.actor(), origin.clone());
    db::members::set_password(&mut tx, member, &hash).await?;
    let ended = db::sessions::delete_others(&mut tx, member, Some(session.id)).await?;
    db::log_in_challenges::delete_of(&mut tx, member).await?;
    db::password_resets::delete_of(&mut tx, member).await?;
    let tenant = Some(session.tenant_id);
    let details = json!({ "sessions_ended": ended });
    audit::record(&mut tx, cp, tenant, "password.change", "", details).await?;
    tell(&mut tx, cp, &session.email).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(ended)
}

/// That the session's member is before the screen. Refused with the field `password`; guesses count as at the log-in.
pub(crate) async fn check_present(
    cp: &ControlPlane,
    session: &Session,
    password: &str,
    origin: &Origin,
) -> Result<(), Error> {
    passwords::check_size(password)?;
    cp.throttle().log_in(origin.address)?;
    let account = attempts::password_of(&session.email);
    attempts::count(cp, &account).await?;
    let mut tx = cp.begin_system().await?;
    let login = db::members::by_id(&mut tx, session.member_id).await?;
    drop(tx); // no connection is held while hashing
    let hash = login.and_then(|login| login.password_hash);
    if !cp.passwords().verify(password, hash).await? {
        return Err(Error::validation("password", "That is not your password."));
    }
    let mut tx = cp.begin_system().await?;
    attempts::forget(&mut tx, &account).await?;
    tx.commit().await
}

async fn tell(tx: &mut Tx, cp: &ControlPlane, email: &str) -> Result<(), Error> {
    let letter = PasswordChanged {
        when: &when(cp),
        from: &from(tx),
        reset: &mail::link(cp, "/password/forgot"),
    };
    mail::enqueue(tx, cp, email, &letter, None).await
}

/// Now, as mails say it.
pub(crate) fn when(cp: &ControlPlane) -> String {
    let now = cp.clock().now();
    now.format("%-d %b %Y, %H:%M UTC").to_string()
}

/// Where the transaction's request came from, as mails say it.
pub(crate) fn from(tx: &Tx) -> String {
    let address = tx.origin.address;
    address.map_or("an unknown address".to_owned(), |address| {
        address.to_string()
    })
}

fn token_hash(token: &str) -> [u8; 32] {
    sha256(&["password reset", token])
}
