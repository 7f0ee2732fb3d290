//! Those who run the installation: how they are made, set up, log in, and what they did.
//! Nobody gets in with a password alone, and nothing here tells whether an address is an operator's.

pub mod audit;
pub mod impersonation;
mod log_in;
mod people;
mod sessions;
mod set_up;
mod tenants;

pub use impersonation::Looking;
pub(crate) use impersonation::{Ended, Open, Which};
pub use log_in::{is_challenge, log_in, log_in_with_code};
pub use people::{Operator, SetUpLink, create, disable, list, reset};
pub use sessions::{Session, SignedIn, log_out, session};
pub use set_up::{SetUp, begin_set_up, resume_set_up, set_up};

pub use tenants::{
    Chosen, Note, Search, Word, add_note, last_log_ins, notes, question, search, set_several,
};

use crate::accounts::{attempts, totp};
use crate::ids::OperatorId;
use crate::secrets::Purpose;
use crate::{ControlPlane, Error, Origin, Tx, db};

const WRONG_CODE: &str = "That code is wrong, was used already, or is too old.";

/// A transaction in the operator's name, in which a code of theirs was used up: before what lets another operator in.
pub async fn confirm(
    cp: &ControlPlane,
    session: &Session,
    code: &str,
    origin: &Origin,
) -> Result<Tx, Error> {
    let account = code_attempts_of(session.operator_id);
    attempts::count(cp, &account).await?;
    let tx = cp.begin_system().await?;
    let mut tx = tx.acting(session.actor(), origin.clone());
    if check_code(&mut tx, cp, session.operator_id, code)
        .await?
        .is_none()
    {
        return Err(Error::validation("code", WRONG_CODE));
    }
    attempts::forget(&mut tx, &account).await?;
    Ok(tx)
}

fn code_attempts_of(operator: OperatorId) -> [u8; 32] {
    crate::accounts::sha256(&["operator's code", &operator.to_string()])
}

/// Uses the code up, if it is one, and says what it was. The caller has counted the attempt, and commits.
async fn check_code(
    tx: &mut Tx,
    cp: &ControlPlane,
    operator: OperatorId,
    code: &str,
) -> Result<Option<&'static str>, Error> {
    let typed = totp::plain(code);
    if typed.len() > 8 {
        let hash = totp::recovery_hash(&operator.to_string(), &typed);
        let used = db::operators::use_recovery_code(tx, operator, &hash).await?;
        return Ok(used.then_some("password and recovery code"));
    }
    let found = db::operators::lock_credentials(tx, operator).await?;
    let Some((sealed, last)) = found.and_then(|row| Some((row.totp_secret?, row.totp_last_step)))
    else {
        return Ok(None);
    };
    let key = cp.master_key();
    let secret = key.open(Purpose::OperatorTotp, &operator.to_string(), &sealed)?;
    let Some(step) = totp::matching_step(cp, totp::secret(&secret), &typed, last)? else {
        return Ok(None);
    };
    db::operators::set_last_step(tx, operator, step).await?;
    Ok(Some("password and code"))
}
