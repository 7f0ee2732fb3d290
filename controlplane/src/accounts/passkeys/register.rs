//! A new passkey: who asks proves that it is them, then the browser makes one and its answer is checked.
//! The challenge is bound to the session, and answered once.

use super::{CEREMONY_LIVES, Ceremony, MAX_PASSKEYS, ceremony, check_name, party};
use crate::accounts::{RecoveryCodes, Session, confirm, sha256, totp};
use crate::ids::PasskeyId;
use crate::{ControlPlane, Error, Origin, db};

/// Asks for the password, and for a second step where there is one already. Fields that may be refused: `name`,
/// `password`, `code`.
pub async fn begin_passkey(
    cp: &ControlPlane,
    session: &Session,
    name: &str,
    password: &str,
    code: &str,
    origin: &Origin,
) -> Result<Ceremony, Error> {
    let party = party(cp)?;
    let name = check_name(name)?;
    let mut tx = confirm::confirm(cp, session, password, code, origin).await?;
    let existing = db::passkeys::credential_ids(&mut tx, session.member_id).await?;
    if existing.len() >= MAX_PASSKEYS {
        return Err(Error::Conflict {
            code: "too_many_passkeys",
            message: format!("You have {MAX_PASSKEYS} passkeys already. Remove one first."),
        });
    }
    let begun = ceremony::begin_registration(&party, session.member_id, &session.email, existing)?;
    let now = cp.clock().now();
    let row = db::passkey_ceremonies::New {
        binding: &binding(session),
        name: &name,
        state: &begun.state,
        expires_at: now + CEREMONY_LIVES,
    };
    db::passkey_ceremonies::replace(&mut tx, row, now).await?;
    tx.commit().await?;
    Ok(Ceremony {
        options: begun.options,
        origin: party.origin,
    })
}

/// `answer`: what the browser made, as JSON. With the first second step come recovery codes.
pub async fn add_passkey(
    cp: &ControlPlane,
    session: &Session,
    answer: &str,
    origin: &Origin,
) -> Result<Option<RecoveryCodes>, Error> {
    let refused = || {
        let message = "The passkey could not be taken. Begin again.";
        Error::BadRequest(message.to_owned())
    };
    let party = party(cp)?;
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let begun = db::passkey_ceremonies::take(&mut tx, &binding(session), now).await?;
    tx.commit().await?; // used up, whatever the answer is worth
    let begun = begun.ok_or_else(refused)?;
    let made = ceremony::finish_registration(&party, &begun.state, answer).map_err(|why| {
        tracing::info!(?why, "a new passkey was refused");
        refused()
    })?;
    let tx = cp.begin_system().await?;
    let mut tx = tx.acting(session.actor(), origin.clone());
    let row = db::passkeys::New {
        id: PasskeyId::random(),
        tenant: session.tenant_id,
        member: session.member_id,
        name: &begun.name,
        credential_id: &made.credential_id,
        static_state: &made.static_state,
        dynamic_state: &made.dynamic_state,
        created_at: now,
    };
    if !db::passkeys::insert(&mut tx, row).await? {
        return Err(refused());
    }
    let has_codes = db::totp::has_recovery_codes(&mut tx, session.member_id).await?;
    let codes = match has_codes {
        true => None,
        false => Some(totp::draw_recovery_codes(&mut tx, session).await?),
    };
    let what = format!("The passkey \"{}\" was added", begun.name);
    let entry = ("passkey.add", begun.name.as_str());
    totp::changed(&mut tx, cp, session, entry, &what).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(codes)
}

fn binding(session: &Session) -> [u8; 32] {
    sha256(&["passkey registration", &session.id.to_string()])
}
