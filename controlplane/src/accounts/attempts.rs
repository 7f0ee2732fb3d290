//! How often an account may be guessed at, and how often mail is sent to an address that somebody typed.
//! What does not exist counts the same as what does.

use chrono::Duration;

use super::sha256;
use crate::{ControlPlane, Error, Tx, db};

const WINDOW: Duration = Duration::minutes(15);
/// Attempts on one account in the window.
const ATTEMPTS: i64 = 10;
/// Mails to one address in the window, that anybody can cause.
const MAILS: i64 = 5;

/// The account behind a password.
pub(super) fn password_of(email: &str) -> [u8; 32] {
    sha256(&["login", email])
}

/// Counts the attempt as a failure before the guess is looked at: of many at once no more than the limit pass.
/// Success takes them away again, by [`forget`].
pub(crate) async fn count(cp: &ControlPlane, account: &[u8; 32]) -> Result<(), Error> {
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

pub(crate) async fn forget(tx: &mut Tx, account: &[u8; 32]) -> Result<(), Error> {
    db::login_failures::delete_of(tx, account).await
}

/// Whether another mail may be sent to the address, and counts it. Needs a system transaction.
pub(crate) async fn may_mail(tx: &mut Tx, cp: &ControlPlane, email: &str) -> Result<bool, Error> {
    let now = cp.clock().now();
    let account = sha256(&["mail", email]);
    db::login_failures::lock(tx, &account).await?;
    let (count, _) = db::login_failures::since(tx, &account, now - WINDOW).await?;
    if count >= MAILS {
        tracing::warn!("no further mail is sent to an address that had several");
        return Ok(false);
    }
    db::login_failures::insert(tx, &account, now).await?;
    Ok(true)
}
