//! That the member is before the screen, and not only somebody with their session: asked before what would lock them out,
//! let another in, or cannot be undone.

use chrono::Duration;

use super::{Session, password, totp};
use crate::{ControlPlane, Error, Origin, Tx, db};

/// So long after a session passed a second step it is not asked for another.
const FRESH: Duration = Duration::minutes(15);

/// The password, and where the log-in has a second step a code as well, unless this session passed one within the last
/// quarter of an hour. Refused with the fields `password` and `code`. Gives a system transaction in the session's name.
pub(crate) async fn confirm(
    cp: &ControlPlane,
    session: &Session,
    password: &str,
    code: &str,
    origin: &Origin,
) -> Result<Tx, Error> {
    password::check_present(cp, session, password, origin).await?;
    let tx = cp.begin_system().await?;
    let mut tx = tx.acting(session.actor(), origin.clone());
    if !db::totp::is_asked(&mut tx, session.member_id).await? {
        return Ok(tx);
    }
    if !code.is_empty() {
        drop(tx);
        return totp::confirmed(cp, session, code, origin).await;
    }
    let passed = db::sessions::second_step_at(&mut tx, session.id).await?;
    if passed.is_some_and(|at| cp.clock().now() < at + FRESH) {
        return Ok(tx);
    }
    let message = "Type a code of your app or a recovery code. With a passkey: log out and in again with it; for a \
                   quarter of an hour no code is asked for.";
    Err(Error::validation("code", message))
}
