//! Signing up: a form, a mail, a button. Until the button there is no tenant and no member.
//! New and registered addresses get the same answer, after the same work; only the mails differ.

use chrono::Duration;
use subtle::ConstantTimeEq;

use super::{DEAD_LINK, SignedIn, attempts, begin_session, fold_email, sha256};
use crate::ids::MemberId;
use crate::mail::{self, AlreadyRegistered, ConfirmSignUp};
use crate::tenants::TRIAL;
use crate::{Actor, ControlPlane, Error, Origin, db, passwords, random, tenants};

const LINK_LIVES: Duration = Duration::hours(24);

pub struct SignUp {
    pub company: String,
    pub email: String,
    pub password: String,
    /// A secret of the browser's, which proves at the confirmation that it is the same one.
    pub browser: String,
}

/// The same for a new address and a registered one.
#[derive(Debug)]
pub struct SignUpSent {
    /// Where one person tries it out on their own machine, so that they need not look for the mail. `None` where the
    /// address is registered.
    pub link: Option<String>,
}

/// What a link would make.
#[derive(Debug, PartialEq, Eq)]
pub struct PendingSignUp {
    pub email: String,
    pub company: String,
    /// Another browser signed up than the one that asks: whoever reads the mail may not be who chose the password.
    pub needs_password: bool,
}

/// That who confirms is who signed up: the browser's secret, or else the password.
pub struct Proof<'a> {
    pub browser: &'a str,
    pub password: Option<&'a str>,
}

pub async fn sign_up(cp: &ControlPlane, new: SignUp, origin: &Origin) -> Result<SignUpSent, Error> {
    let company = tenants::check_name("company", &new.company)?;
    let email = fold_email(&new.email)?;
    passwords::check_new(&new.password)?;
    cp.throttle().mail(origin.address)?;
    let hash = cp.passwords().hash(&new.password).await?;
    let token = random::token(&mut rand::rng());
    let now = cp.clock().now();
    let until = now + LINK_LIVES;
    let mut tx = cp.begin_system().await?;
    let taken = db::members::is_taken(&mut tx, &email, None, now).await?;
    db::sign_ups::delete_expired(&mut tx, now).await?;
    let row = db::sign_ups::New {
        email: &email,
        company: &company,
        password_hash: &hash,
        token_hash: &token_hash(&token),
        browser_hash: &browser_hash(&new.browser),
        expires_at: until,
    };
    db::sign_ups::replace(&mut tx, row).await?;
    let link = mail::token_link(cp, "/signup/confirm", &token);
    if attempts::may_mail(&mut tx, cp, &email).await? {
        match taken {
            true => {
                let letter = AlreadyRegistered {
                    log_in: &mail::link(cp, "/login"),
                    reset: &mail::link(cp, "/password/forgot"),
                };
                mail::enqueue(&mut tx, cp, &email, &letter, None).await?;
            }
            false => {
                let letter = ConfirmSignUp { link: &link };
                mail::enqueue(&mut tx, cp, &email, &letter, Some(until)).await?;
            }
        }
    }
    tx.commit().await?;
    cp.mailer().wake();
    let shown = !taken && cp.is_for_one_machine();
    Ok(SignUpSent {
        link: shown.then_some(link),
    })
}

/// `None`: the link was used, is too old, or was replaced.
pub async fn pending_sign_up(
    cp: &ControlPlane,
    token: &str,
    browser: &str,
) -> Result<Option<PendingSignUp>, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let Some(row) = db::sign_ups::get(&mut tx, &token_hash(token), now).await? else {
        return Ok(None);
    };
    // The token of a registered address was sent to nobody.
    Ok(Some(PendingSignUp {
        needs_password: !is_same(&row.browser_hash, browser),
        email: row.email,
        company: row.company,
    }))
}

/// A tenant on the trial plan, its owner and a session, or none of them. The link is used up only if it worked.
pub async fn confirm_sign_up(
    cp: &ControlPlane,
    token: &str,
    proof: Proof<'_>,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    let dead = || Error::BadRequest(DEAD_LINK.to_owned());
    let now = cp.clock().now();
    let hash = token_hash(token);
    let mut tx = cp.begin_system().await?;
    let row = db::sign_ups::get(&mut tx, &hash, now).await?;
    drop(tx); // no connection is held while hashing
    let row = row.ok_or_else(dead)?;
    if !is_same(&row.browser_hash, proof.browser) {
        let password = proof.password.unwrap_or_default();
        passwords::check_size(password)?;
        cp.throttle().log_in(origin.address)?;
        attempts::count(cp, &hash).await?;
        let known = Some(row.password_hash.clone());
        if !cp.passwords().verify(password, known).await? {
            let message = "That is not the password that was chosen at the sign-up.";
            return Err(Error::validation("password", message));
        }
    }
    let member = MemberId::random();
    let actor = Actor::Member {
        id: member,
        email: row.email.clone(),
    };
    let owner = tenants::Owner {
        id: member,
        email: &row.email,
        password_hash: Some(&row.password_hash),
    };
    let mut tx = cp.begin_system().await?.acting(actor, origin.clone());
    if !db::sign_ups::delete(&mut tx, &hash).await?
        || db::members::is_taken(&mut tx, &row.email, None, now).await?
    {
        return Err(dead());
    }
    let tenant = tenants::insert(&mut tx, cp, TRIAL, &row.company, owner).await?;
    let signed_in = begin_session(&mut tx, cp, tenant, member).await?;
    db::revision::next_for_tenant(&mut tx, tenant).await?;
    tx.commit().await?;
    Ok(signed_in)
}

fn token_hash(token: &str) -> [u8; 32] {
    sha256(&["sign-up", token])
}

fn browser_hash(browser: &str) -> [u8; 32] {
    sha256(&["sign-up browser", browser])
}

/// A browser without a secret is nobody's.
fn is_same(expected: &[u8], browser: &str) -> bool {
    !browser.is_empty() && bool::from(browser_hash(browser).ct_eq(expected))
}
