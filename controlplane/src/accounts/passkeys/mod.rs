//! Passkeys (WebAuthn): a member's own, beside the password and the codes of an app.
//! Alone one counts as both steps of a log-in, because the device has asked for a finger, a face or a PIN; after the
//! password it is the second.

mod ceremony;
mod log_in;
mod party;
mod register;

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

pub use log_in::{
    begin_passkey_log_in, begin_passkey_step, log_in_with_passkey, pass_with_passkey,
};
pub use party::{NoPasskeys, RelyingParty};
pub use register::{add_passkey, begin_passkey};

use super::{Session, confirm, totp};
use crate::ids::PasskeyId;
use crate::{ControlPlane, Error, Origin, Tx, audit, db};

/// For how long a challenge waits for its answer; the library ends it by itself then, too.
const CEREMONY_LIVES: Duration = Duration::minutes(5);
const MAX_NAME: usize = 60;
/// Of one member.
const MAX_PASSKEYS: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What a page's script needs.
#[derive(Debug, Clone)]
pub struct Ceremony {
    /// JSON for `navigator.credentials`: `PublicKeyCredentialCreationOptionsJSON` or `…RequestOptionsJSON`.
    pub options: String,
    /// Where the page must be.
    pub origin: String,
}

/// The oldest first.
pub async fn list_passkeys(tx: &mut Tx, session: &Session) -> Result<Vec<Passkey>, Error> {
    db::passkeys::list(tx, session.member_id).await
}

/// Another member's passkey is as unknown as one that never was.
pub async fn passkey(tx: &mut Tx, session: &Session, id: PasskeyId) -> Result<Passkey, Error> {
    let passkeys = list_passkeys(tx, session).await?;
    let found = passkeys.into_iter().find(|passkey| passkey.id == id);
    found.ok_or(Error::NotFound("passkey"))
}

pub async fn rename_passkey(
    tx: &mut Tx,
    cp: &ControlPlane,
    session: &Session,
    id: PasskeyId,
    name: &str,
) -> Result<(), Error> {
    let name = check_name(name)?;
    let old = passkey(tx, session, id).await?.name;
    db::passkeys::rename(tx, session.member_id, id, &name).await?;
    let details = json!({ "old": old });
    let tenant = Some(session.tenant_id);
    audit::record(tx, cp, tenant, "passkey.rename", &name, details).await
}

/// Asks for the password, and for a second step as everything does that weakens a log-in.
pub async fn remove_passkey(
    cp: &ControlPlane,
    session: &Session,
    id: PasskeyId,
    password: &str,
    code: &str,
    origin: &Origin,
) -> Result<(), Error> {
    let mut tx = confirm::confirm(cp, session, password, code, origin).await?;
    let removed = db::passkeys::delete(&mut tx, session.member_id, id).await?;
    let name = removed.ok_or(Error::NotFound("passkey"))?;
    db::totp::drop_idle_recovery_codes(&mut tx, session.member_id).await?;
    let what = format!("The passkey \"{name}\" was removed");
    let entry = ("passkey.remove", name.as_str());
    totp::changed(&mut tx, cp, session, entry, &what).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

/// As it is kept: trimmed, 1 to 60 characters.
fn check_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("Give it a name of 1 to {MAX_NAME} characters.");
        return Err(Error::validation("name", message));
    }
    Ok(name.to_owned())
}

fn party(cp: &ControlPlane) -> Result<RelyingParty, Error> {
    RelyingParty::of(cp.config()).map_err(|no| Error::Forbidden(no.why()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(check_name(" Laptop ").ok().as_deref(), Some("Laptop"));
        for bad in ["", "  ", "a\nb", &"x".repeat(61)] {
            let refused = check_name(bad).err();
            assert_eq!(refused.as_ref().and_then(Error::field), Some("name"));
        }
    }
}
