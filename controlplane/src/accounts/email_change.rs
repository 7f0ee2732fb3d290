//! Another address for the log-in: the new one confirms, and the old one can take it back for a week.
//! Whoever took a session over cannot take the account along.

use chrono::Duration;
use serde_json::json;

use super::{DEAD_LINK, Session, attempts, fold_email, password, sha256};
use crate::ids::{MemberId, TenantId};
use crate::mail::{self, AlreadyRegistered, ConfirmEmail, EmailChangeUndone, EmailChanged};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db, random};

const CONFIRM_LIVES: Duration = Duration::hours(24);
const UNDO_LIVES: Duration = Duration::days(7);

/// What a link in a mail leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailChange {
    Confirm,
    Undo,
}

/// Sends a link to the new address. That it may be somebody's already is told to it alone.
pub async fn change_email(
    cp: &ControlPlane,
    session: &Session,
    present_password: &str,
    new: &str,
    origin: &Origin,
) -> Result<(), Error> {
    let new = fold_email(new)?;
    if new == session.email {
        let message = "That is your address already.";
        return Err(Error::validation("email", message));
    }
    password::check_present(cp, session, present_password, origin).await?;
    cp.throttle().mail(origin.address)?;
    let now = cp.clock().now();
    let token = random::token(&mut rand::rng());
    let mut tx = cp
        .begin_system()
        .await?
        .acting(session.actor(), origin.clone());
    let taken = db::members::is_taken(&mut tx, &new, Some(session.member_id), now).await?;
    let row = db::email_changes::New {
        tenant: session.tenant_id,
        member: session.member_id,
        old_email: &session.email,
        new_email: &new,
        confirm_hash: &confirm_hash(&token),
        expires_at: now + CONFIRM_LIVES,
    };
    db::email_changes::replace(&mut tx, row).await?;
    if attempts::may_mail(&mut tx, cp, &new).await? {
        match taken {
            true => {
                let letter = AlreadyRegistered {
                    log_in: &mail::link(cp, "/login"),
                    reset: &mail::link(cp, "/password/forgot"),
                };
                mail::enqueue(&mut tx, cp, &new, &letter, None).await?;
            }
            false => {
                let letter = ConfirmEmail {
                    old: &session.email,
                    link: &mail::token_link(cp, "/email/confirm", &token),
                };
                let until = Some(now + CONFIRM_LIVES);
                mail::enqueue(&mut tx, cp, &new, &letter, until).await?;
            }
        }
    }
    let tenant = Some(session.tenant_id);
    audit::record(&mut tx, cp, tenant, "email.change_ask", &new, json!({})).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

/// The address that waits for its confirmation.
pub async fn pending_email(
    tx: &mut Tx,
    cp: &ControlPlane,
    session: &Session,
) -> Result<Option<String>, Error> {
    db::email_changes::pending(tx, session.member_id, cp.clock().now()).await
}

/// The link to the new address was followed, and its button pressed.
pub async fn confirm_email(cp: &ControlPlane, token: &str, origin: &Origin) -> Result<(), Error> {
    let dead = || Error::BadRequest(DEAD_LINK.to_owned());
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let row = db::email_changes::to_confirm(&mut tx, &confirm_hash(token), now).await?;
    let row = row.ok_or_else(dead)?;
    let (tenant, member) = (TenantId(row.tenant_id), MemberId(row.member_id));
    let mut tx = tx.acting(actor(member, &row.new_email), origin.clone());
    if db::members::is_taken(&mut tx, &row.new_email, Some(member), now).await? {
        return Err(dead());
    }
    move_to(&mut tx, member, &row.old_email, &row.new_email).await?;
    let token = random::token(&mut rand::rng());
    let until = now + UNDO_LIVES;
    db::email_changes::confirmed(&mut tx, row.id, &undo_hash(&token), until).await?;
    // A link that waits in the old address's mail must not set the password any more.
    db::password_resets::delete_of(&mut tx, member).await?;
    let letter = EmailChanged {
        new: &row.new_email,
        when: &password::when(cp),
        link: &mail::token_link(cp, "/email/undo", &token),
    };
    mail::enqueue(&mut tx, cp, &row.old_email, &letter, Some(until)).await?;
    let details = json!({ "old": row.old_email, "new": row.new_email });
    audit::record(&mut tx, cp, Some(tenant), "email.change", "", details).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

/// The link to the old address was followed, and its button pressed: the address is the log-in again, all sessions
/// end, and a link to set a new password is sent to it.
pub async fn undo_email(cp: &ControlPlane, token: &str, origin: &Origin) -> Result<(), Error> {
    let dead = || Error::BadRequest(DEAD_LINK.to_owned());
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let row = db::email_changes::to_undo(&mut tx, &undo_hash(token), now).await?;
    let row = row.ok_or_else(dead)?;
    let (tenant, member) = (TenantId(row.tenant_id), MemberId(row.member_id));
    let present = db::members::by_id(&mut tx, member).await?;
    let present = present.ok_or_else(dead)?;
    let mut tx = tx.acting(actor(member, &row.old_email), origin.clone());
    move_to(&mut tx, member, &present.email, &row.old_email).await?;
    db::email_changes::delete_of(&mut tx, member).await?;
    let ended = db::sessions::delete_others(&mut tx, member, None).await?;
    db::log_in_challenges::delete_of(&mut tx, member).await?;
    // Whoever moved the address may have locked its reader out.
    let since = row.expires_at - UNDO_LIVES;
    db::totp::delete_since(&mut tx, member, since).await?;
    db::passkeys::delete_since(&mut tx, member, since).await?;
    db::totp::drop_idle_recovery_codes(&mut tx, member).await?;
    let link = password::new_link(&mut tx, cp, tenant, member).await?;
    let letter = EmailChangeUndone { link: &link };
    let until = Some(now + password::LINK_LIVES);
    mail::enqueue(&mut tx, cp, &row.old_email, &letter, until).await?;
    let details = json!({ "old": present.email, "new": row.old_email, "sessions_ended": ended });
    audit::record(&mut tx, cp, Some(tenant), "email.undo", "", details).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

/// Which address a link would make the log-in's; `None`: it is dead.
pub async fn email_behind(
    cp: &ControlPlane,
    change: EmailChange,
    token: &str,
) -> Result<Option<String>, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    Ok(match change {
        EmailChange::Confirm => {
            let row = db::email_changes::to_confirm(&mut tx, &confirm_hash(token), now).await?;
            row.map(|row| row.new_email)
        }
        EmailChange::Undo => {
            let row = db::email_changes::to_undo(&mut tx, &undo_hash(token), now).await?;
            row.map(|row| row.old_email)
        }
    })
}

async fn move_to(tx: &mut Tx, member: MemberId, old: &str, new: &str) -> Result<(), Error> {
    match db::members::set_email(tx, member, old, new).await? {
        true => Ok(()),
        false => Err(Error::Conflict {
            code: "email_taken",
            message: "Somebody else logs in with this address now.".to_owned(),
        }),
    }
}

fn actor(id: MemberId, email: &str) -> Actor {
    Actor::Member {
        id,
        email: email.to_owned(),
    }
}

fn confirm_hash(token: &str) -> [u8; 32] {
    sha256(&["email confirm", token])
}

fn undo_hash(token: &str) -> [u8; 32] {
    sha256(&["email undo", token])
}
