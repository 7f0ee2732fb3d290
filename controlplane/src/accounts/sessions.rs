//! A member's own sessions: where they are logged in, and ending that.
//! All in the tenant's transaction: what another tenant has cannot be named.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{IDLE, Session};
use crate::ids::SessionId;
use crate::{ControlPlane, Error, Tx, audit, db};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    pub id: SessionId,
    pub created_at: DateTime<Utc>,
    /// To five minutes.
    pub last_used_at: DateTime<Utc>,
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// The last used first.
pub async fn list_sessions(
    tx: &mut Tx,
    cp: &ControlPlane,
    session: &Session,
) -> Result<Vec<ListedSession>, Error> {
    let now = cp.clock().now();
    db::sessions::list(tx, session.member_id, now, now - IDLE).await
}

/// Another member's session is as unknown as one that never was.
pub async fn end_session(
    tx: &mut Tx,
    cp: &ControlPlane,
    session: &Session,
    id: SessionId,
) -> Result<(), Error> {
    if !db::sessions::delete_one(tx, session.member_id, id).await? {
        return Err(Error::NotFound("session"));
    }
    let tenant = Some(session.tenant_id);
    audit::record(tx, cp, tenant, "session.revoke", &id.to_string(), json!({})).await
}

/// All but the one that asks; how many there were.
pub async fn end_other_sessions(
    tx: &mut Tx,
    cp: &ControlPlane,
    session: &Session,
) -> Result<u64, Error> {
    let ended = db::sessions::delete_others(tx, session.member_id, Some(session.id)).await?;
    let tenant = Some(session.tenant_id);
    let details = json!({ "sessions_ended": ended });
    audit::record(tx, cp, tenant, "session.revoke_others", "", details).await?;
    Ok(ended)
}
