//! Operators' sessions: shorter than members', and of tables and hashes of their own, so that neither passes for the other.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use uuid::Uuid;

use super::impersonation::Which;
use super::{audit, impersonation};
use crate::accounts::{SessionToken, sha256};
use crate::ids::OperatorId;
use crate::{Actor, ControlPlane, Error, Origin, Tx, db, random};

/// A session that nobody uses ends after this.
const IDLE: Duration = Duration::hours(1);
/// Every session ends after this.
const ABSOLUTE: Duration = Duration::hours(12);
const TOUCH_AFTER: Duration = Duration::minutes(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: Uuid,
    pub operator_id: OperatorId,
    pub email: String,
    pub expires_at: DateTime<Utc>,
    /// To be sent along with every form; follows from the session token, which nobody else has.
    pub csrf_token: String,
}

#[derive(Debug)]
pub struct SignedIn {
    pub token: SessionToken,
    pub session: Session,
}

impl Session {
    /// In whose name a transaction of this session acts.
    pub fn actor(&self) -> Actor {
        Actor::NamedOperator {
            id: self.operator_id,
            email: self.email.clone(),
        }
    }
}

/// `None`: there is no such session, it is over, or its operator is disabled.
pub async fn session(cp: &ControlPlane, token: &SessionToken) -> Result<Option<Session>, Error> {
    let now = cp.clock().now();
    let hash = hash(token);
    let mut tx = cp.begin_system().await?;
    let Some(row) = db::operator_sessions::get(&mut tx, &hash).await? else {
        return Ok(None);
    };
    if now >= row.expires_at || now >= row.last_used_at + IDLE {
        return Ok(None);
    }
    let mut last_used_at = row.last_used_at;
    // Not at every request: reading a page should not write.
    if now - last_used_at > TOUCH_AFTER {
        db::operator_sessions::touch(&mut tx, &hash, now).await?;
        tx.commit().await?;
        last_used_at = now;
    }
    Ok(Some(Session {
        id: row.id,
        operator_id: OperatorId(row.operator_id),
        email: row.email,
        expires_at: row.expires_at.min(last_used_at + IDLE),
        csrf_token: csrf_token(token),
    }))
}

/// A session that is over already is none.
pub async fn log_out(
    cp: &ControlPlane,
    token: &SessionToken,
    origin: &Origin,
) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    if let Some((session, id, email)) = db::operator_sessions::delete(&mut tx, &hash(token)).await?
    {
        let actor = Actor::NamedOperator {
            id,
            email: email.clone(),
        };
        tx = tx.acting(actor, origin.clone());
        impersonation::end_which(&mut tx, cp, Which::OfSession(session), "log-out").await?;
        audit::record(&mut tx, cp, "operator.log_out", &email, json!({})).await?;
    }
    tx.commit().await
}

/// A new token each time: what a browser held before a log-in opens nothing after it.
pub(super) async fn begin(
    tx: &mut Tx,
    cp: &ControlPlane,
    operator_id: OperatorId,
    email: String,
) -> Result<SignedIn, Error> {
    let token = SessionToken::from(random::token(&mut rand::rng()).to_string());
    let now = cp.clock().now();
    let until = now + ABSOLUTE;
    let id = db::operator_sessions::insert(tx, &hash(&token), operator_id, now, until).await?;
    let session = Session {
        id,
        operator_id,
        email,
        expires_at: until.min(now + IDLE),
        csrf_token: csrf_token(&token),
    };
    Ok(SignedIn { token, session })
}

fn hash(token: &SessionToken) -> [u8; 32] {
    sha256(&["operator's session", token.expose()])
}

fn csrf_token(token: &SessionToken) -> String {
    hex::encode(sha256(&["operator's csrf", token.expose()]))
}
