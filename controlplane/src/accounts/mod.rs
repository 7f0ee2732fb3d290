//! Signing up, logging in and out, sessions, and what a member does to their own log-in.
//! Nothing here tells whether an address is registered, in words or in time.

pub(crate) mod attempts;
mod caller;
pub(crate) mod confirm;
mod email_change;
mod log_in;
mod passkeys;
pub(crate) mod password;
mod role;
mod sessions;
mod sign_up;
mod throttle;
pub(crate) mod totp;

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use caller::Caller;
pub use email_change::{
    EmailChange, change_email, confirm_email, email_behind, pending_email, undo_email,
};
pub use log_in::{LogIn, Ways, log_in, log_in_with_code, ways};
pub use passkeys::{
    Ceremony, NoPasskeys, Passkey, RelyingParty, add_passkey, begin_passkey, begin_passkey_log_in,
    begin_passkey_step, list_passkeys, log_in_with_passkey, pass_with_passkey, passkey,
    remove_passkey, rename_passkey,
};
pub use password::{change_password, forgot_password, is_reset_open, reset_password};
pub use role::{Act, Role, may};
pub use sessions::{ListedSession, end_other_sessions, end_session, list_sessions};
pub use sign_up::{
    PendingSignUp, Proof, SignUp, SignUpSent, confirm_sign_up, pending_sign_up, sign_up,
};
pub(crate) use throttle::Throttle;
pub use totp::{
    RecoveryCodes, SecondStep, TotpSetup, begin_totp, disable_totp, enable_totp,
    new_recovery_codes, resume_totp, second_step,
};

use crate::ids::{MemberId, SessionId, TenantId};
use crate::operators::Looking;
use crate::{Actor, ControlPlane, Error, Tx, audit, db, random};

/// A session that nobody uses ends after this.
const IDLE: Duration = Duration::days(2);
/// Every session ends after this.
const ABSOLUTE: Duration = Duration::days(14);
const TOUCH_AFTER: Duration = Duration::minutes(5);
/// A link in a mail was used, is too old, or never was.
pub(crate) const DEAD_LINK: &str =
    "This link was used already, is too old, or was replaced by a newer one.";

/// What the browser's cookie holds. Only its SHA-256 is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// The text for the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
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
    pub id: SessionId,
    pub tenant_id: TenantId,
    pub member_id: MemberId,
    pub email: String,
    pub company: String,
    pub role: Role,
    pub expires_at: DateTime<Utc>,
    /// To be sent along with every form; follows from the session token, which nobody else has.
    pub csrf_token: String,
    /// It is no member's: an operator looks, and changes nothing.
    pub looking: Option<Looking>,
}

#[derive(Debug)]
pub struct SignedIn {
    pub token: SessionToken,
    pub session: Session,
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
        id: row.id.into(),
        tenant_id: row.tenant_id.into(),
        member_id: row.member_id.into(),
        email: row.email,
        company: row.company,
        role,
        expires_at: row.expires_at.min(last_used_at + IDLE),
        csrf_token: token.csrf_token(),
        looking: None,
    }))
}

impl Session {
    pub fn may(&self, act: Act) -> bool {
        may(self.role, act) && (self.looking.is_none() || act == Act::View)
    }

    /// In whose name a transaction of this session acts.
    pub fn actor(&self) -> Actor {
        match &self.looking {
            Some(looking) => Actor::NamedOperator {
                id: looking.operator_id,
                email: looking.email.clone(),
            },
            None => Actor::Member {
                id: self.member_id,
                email: self.email.clone(),
            },
        }
    }
}

/// A new token each time: what a browser held before a log-in opens nothing after it.
pub(crate) async fn begin_session(
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
        id: row.id.into(),
        tenant_id: tenant,
        member_id: member,
        email: row.email,
        company: row.company,
        role,
        expires_at: row.expires_at.min(now + IDLE),
        csrf_token: token.csrf_token(),
        looking: None,
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
        })
        // What no mail can be sent to.
        && folded.parse::<lettre::Address>().is_ok();
    if plausible {
        Ok(folded)
    } else {
        Err(Error::validation("email", "That is not an email address."))
    }
}

pub(crate) fn sha256(parts: &[&str]) -> [u8; 32] {
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
