//! The one page behind an operator's link: a password and a second step together, or neither.

use serde_json::json;

use super::people::link_hash;
use super::{SignedIn, audit, sessions};
use crate::accounts::{DEAD_LINK, RecoveryCodes, TotpSetup, totp};
use crate::ids::OperatorId;
use crate::secrets::Purpose;
use crate::{Actor, ControlPlane, Error, Origin, db, passwords};

/// What the page shows. Nothing is kept until [`set_up`].
pub struct SetUp {
    pub email: String,
    pub totp: TotpSetup,
}

/// [`Error::BadRequest`]: the link leads nowhere any more.
pub async fn begin_set_up(cp: &ControlPlane, token: &str) -> Result<SetUp, Error> {
    let (id, email) = behind(cp, token).await?;
    let secret: [u8; 20] = rand::random();
    shown(cp, id, email, totp::secret(&secret))
}

/// The page again, after a mistake: the app has the secret already.
pub async fn resume_set_up(cp: &ControlPlane, token: &str, sealed: &str) -> Result<SetUp, Error> {
    let (id, email) = behind(cp, token).await?;
    let secret = totp::unseal(cp, Purpose::OperatorTotp, &id.to_string(), sealed)?;
    shown(cp, id, email, secret)
}

/// Uses the link up, and logs the operator in. Refused with the fields `password` and `code`.
pub async fn set_up(
    cp: &ControlPlane,
    token: &str,
    password: &str,
    (sealed, code): (&str, &str),
    origin: &Origin,
) -> Result<(SignedIn, RecoveryCodes), Error> {
    cp.throttle().log_in(origin.address)?;
    let (id, email) = behind(cp, token).await?;
    passwords::check_new(password)?;
    let row = id.to_string();
    let secret = totp::unseal(cp, Purpose::OperatorTotp, &row, sealed)?;
    let Some(last_step) = totp::matching_step(cp, secret.clone(), code, -1)? else {
        let message = "That is not the code that the app shows now. Is the device’s clock right?";
        return Err(Error::validation("code", message));
    };
    let password_hash = cp.passwords().hash(password).await?;
    let key = cp.master_key();
    let kept = key.seal(Purpose::OperatorTotp, &row, secret.as_ref())?;
    let (codes, hashes) = totp::new_codes(&row);
    let actor = Actor::NamedOperator {
        id,
        email: email.clone(),
    };
    let mut tx = cp.begin_system().await?.acting(actor, origin.clone());
    let set = db::operators::SetUp {
        id,
        setup_hash: &link_hash(token),
        password_hash: &password_hash,
        totp_secret: &kept,
        last_step,
        now: cp.clock().now(),
    };
    if !db::operators::set_up(&mut tx, set).await? {
        return Err(dead());
    }
    db::operators::add_recovery_codes(&mut tx, id, &hashes).await?;
    audit::record(&mut tx, cp, "operator.set_up", &email, json!({})).await?;
    let signed_in = sessions::begin(&mut tx, cp, id, email).await?;
    tx.commit().await?;
    Ok((signed_in, codes))
}

async fn behind(cp: &ControlPlane, token: &str) -> Result<(OperatorId, String), Error> {
    let mut tx = cp.begin_system().await?;
    let found = db::operators::by_setup(&mut tx, &link_hash(token), cp.clock().now()).await?;
    found.ok_or_else(dead)
}

fn dead() -> Error {
    Error::BadRequest(DEAD_LINK.to_owned())
}

fn shown(
    cp: &ControlPlane,
    id: OperatorId,
    email: String,
    secret: totp::Secret,
) -> Result<SetUp, Error> {
    let row = id.to_string();
    let totp = totp::shown(cp, Purpose::OperatorTotp, &row, &email, secret)?;
    Ok(SetUp { email, totp })
}
