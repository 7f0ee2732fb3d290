//! Signing up, logging in and out, and sessions.
//! Nothing here tells whether an address is registered, in words or in time; signing up alone must.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ids::{MemberId, TenantId};
use crate::tenants::TRIAL;
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db, passwords, random, tenants};

/// A session that nobody uses ends after this.
const IDLE: Duration = Duration::days(2);
/// Every session ends after this.
const ABSOLUTE: Duration = Duration::days(14);
const TOUCH_AFTER: Duration = Duration::minutes(5);
/// Attempts to log in, on one address, in the window.
const ATTEMPTS: i64 = 10;
const WINDOW: Duration = Duration::minutes(15);

pub struct SignUp {
    pub company: String,
    pub email: String,
    pub password: String,
}

/// What the browser's cookie holds. Only its SHA-256 is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// The text for the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> [u8; 32] {
        sha256(&["session", &self.0])
    }

    fn csrf_token(&self) -> String {
        hex::encode(sha256(&["csrf", &self.0]))
    }
}

impl From<String> for SessionToken {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub tenant_id: TenantId,
    pub member_id: MemberId,
    pub email: String,
    pub company: String,
    pub role: Role,
    pub expires_at: DateTime<Utc>,
    /// To be sent along with every form; follows from the session token, which nobody else has.
    pub csrf_token: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Owner,
    Admin,
    Developer,
    Billing,
    ReadOnly,
}

#[derive(Debug)]
pub struct SignedIn {
    pub token: SessionToken,
    pub session: Session,
}

impl Role {
    /// `None` for a role that this release does not know; its bearer may do nothing.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "owner" => Some(Self::Owner),
            "admin" => Some(Self::Admin),
            "developer" => Some(Self::Developer),
            "billing" => Some(Self::Billing),
            "read_only" => Some(Self::ReadOnly),
            _ => None,
        }
    }
}

/// A tenant on the trial plan, its owner and a session, or none of them.
pub async fn sign_up(
    cp: &ControlPlane,
    sign_up: SignUp,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    let company = tenants::check_name("company", &sign_up.company)?;
    let email = fold_email(&sign_up.email)?;
    passwords::check_length(&sign_up.password)?;
    let hash = cp.passwords().hash(&sign_up.password).await?;
    let member = MemberId::random();
    let actor = Actor::Member {
        id: member,
        email: email.clone(),
    };
    let owner = tenants::Owner {
        id: member,
        email: &email,
        password_hash: Some(&hash),
    };
    let mut tx = cp.begin_system().await?.acting(actor, origin.clone());
    let tenant = tenants::insert(&mut tx, cp, TRIAL, &company, owner).await?;
    let signed_in = begin_session(&mut tx, cp, tenant, member).await?;
    db::revision::next_for_tenant(&mut tx, tenant).await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// One answer for a wrong password and an unknown address. The 11th attempt on one address within a quarter of an
/// hour is [`Error::TooManyRequests`], whatever the password.
pub async fn log_in(
    cp: &ControlPlane,
    email: &str,
    password: &str,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    // What is no address is an unknown one.
    let email = fold_email(email).unwrap_or_else(|_| email.to_lowercase());
    let account = sha256(&["login", &email]);
    count_attempt(cp, &account).await?;
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
    db::login_failures::delete_of(&mut tx, &account).await?;
    let now = cp.clock().now();
    db::sessions::delete_expired(&mut tx, member, now, now - IDLE).await?;
    let signed_in = begin_session(&mut tx, cp, tenant, member).await?;
    audit::record(&mut tx, cp, Some(tenant), "session.begin", "", json!({})).await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// A session that is over already is none.
pub async fn log_out(cp: &ControlPlane, token: &SessionToken) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    if let Some((tenant, email)) = db::sessions::delete(&mut tx, &token.hash()).await? {
        let tenant = TenantId(tenant);
        audit::record(&mut tx, cp, Some(tenant), "session.end", &email, json!({})).await?;
    }
    tx.commit().await
}

/// `None`: there is no such session, or it is over.
pub async fn session(cp: &ControlPlane, token: &SessionToken) -> Result<Option<Session>, Error> {
    let now = cp.clock().now();
    let hash = token.hash();
    let mut tx = cp.begin_system().await?;
    let Some(row) = db::sessions::get(&mut tx, &hash).await? else {
        return Ok(None);
    };
    let (Some(role), true) = (
        Role::parse(&row.role),
        now < row.expires_at && now < row.last_used_at + IDLE,
    ) else {
        return Ok(None);
    };
    let mut last_used_at = row.last_used_at;
    // Not at every request: reading a page should not write.
    if now - last_used_at > TOUCH_AFTER {
        db::sessions::touch(&mut tx, &hash, now).await?;
        tx.commit().await?;
        last_used_at = now;
    }
    Ok(Some(Session {
        tenant_id: row.tenant_id.into(),
        member_id: row.member_id.into(),
        email: row.email,
        company: row.company,
        role,
        expires_at: row.expires_at.min(last_used_at + IDLE),
        csrf_token: token.csrf_token(),
    }))
}

/// Counts the attempt as a failure before the password is looked at: of many at once no more than the limit pass.
/// Success takes them away again.
async fn count_attempt(cp: &ControlPlane, account: &[u8; 32]) -> Result<(), Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    db::login_failures::lock(&mut tx, account).await?;
    let (count, oldest) = db::login_failures::since(&mut tx, account, now - WINDOW).await?;
    if count >= ATTEMPTS {
        let wait = oldest.map_or(WINDOW, |oldest| oldest + WINDOW - now);
        return Err(Error::TooManyRequests {
            retry_after_seconds: wait.num_seconds().max(1).unsigned_abs(),
        });
    }
    db::login_failures::delete_before(&mut tx, now - WINDOW).await?;
    db::login_failures::insert(&mut tx, account, now).await?;
    tx.commit().await
}

async fn begin_session(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
    member: MemberId,
) -> Result<SignedIn, Error> {
    let token = SessionToken(random::token(&mut rand::rng()));
    let now = cp.clock().now();
    db::sessions::insert(tx, &token.hash(), tenant, member, now, now + ABSOLUTE).await?;
    let row = db::sessions::get(tx, &token.hash())
        .await?
        .ok_or(Error::NotFound("tenant"))?;
    let role = Role::parse(&row.role).ok_or(Error::Forbidden(
        "This release does not know the member's role.",
    ))?;
    let session = Session {
        tenant_id: tenant,
        member_id: member,
        email: row.email,
        company: row.company,
        role,
        expires_at: row.expires_at.min(now + IDLE),
        csrf_token: token.csrf_token(),
    };
    Ok(SignedIn { token, session })
}

/// The address as it is kept and compared: trimmed, in lower case.
pub(crate) fn fold_email(email: &str) -> Result<String, Error> {
    let folded = email.trim().to_lowercase();
    let plausible = folded.len() <= 254
        && !folded.chars().any(|c| c.is_whitespace() || c.is_control())
        && folded.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    if plausible {
        Ok(folded)
    } else {
        Err(Error::validation("email", "That is not an email address."))
    }
}

fn sha256(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folded_and_nonsense_is_refused() {
        assert_eq!(
            fold_email(" Ann@Example.COM ").ok().as_deref(),
            Some("ann@example.com")
        );
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b@c",
            &format!("{}@b", "x".repeat(260)),
        ] {
            let refused = fold_email(bad).err();
            assert_eq!(
                refused.as_ref().and_then(Error::field),
                Some("email"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_session_token_shows_itself_only_when_asked() {
        let token = SessionToken::from("secret".to_owned());
        assert_eq!(format!("{token:?}"), "SessionToken(..)");
        assert_eq!(token.expose(), "secret");
        assert!(!token.csrf_token().contains("secret"));
        assert_ne!(hex::encode(token.hash()), token.csrf_token());
    }
}
