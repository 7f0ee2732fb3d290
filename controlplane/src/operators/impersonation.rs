//! An operator who looks at a dashboard as its customer sees it: for a reason, until an end, and in both logs. They change
//! nothing there, and see no secret, nobody's own log-in, and nothing of what is stored.

use std::time::Duration as Wait;

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use uuid::Uuid;

use super::Session;
use crate::accounts::{self, Role};
use crate::ids::{MemberId, OperatorId, SessionId, TenantId};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db, tenants};

/// Minutes that one may last, and lasts unless said.
pub const MINUTES: std::ops::RangeInclusive<u32> = 15..=480;
pub const USUAL_MINUTES: u32 = 30;
const REASON: usize = 500;
/// Those whose time is over are written down so soon.
const LOOK_EVERY: Wait = Wait::from_secs(10);

/// Who looks, on the page that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looking {
    pub operator_id: OperatorId,
    pub email: String,
    pub reason: String,
    pub until: DateTime<Utc>,
    /// Of the operator's session, for the button that ends it.
    pub csrf_token: String,
}

/// An open one, as it is kept.
pub(crate) struct Open {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub company: String,
    pub reason: String,
    pub expires_at: DateTime<Utc>,
}

/// One that has ended.
pub(crate) struct Ended {
    pub tenant_id: TenantId,
    pub operator_id: OperatorId,
    pub email: String,
    pub reason: String,
}

/// Which are to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    OfSession(Uuid),
    OfOperator(OperatorId),
    Due,
}

/// Ends the one that this session had before. Without a reason it is [`Error::BadRequest`]; `minutes` is a field.
pub async fn begin(
    cp: &ControlPlane,
    session: &Session,
    tenant: TenantId,
    (reason, minutes): (&str, u32),
    origin: &Origin,
) -> Result<DateTime<Utc>, Error> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON {
        let message = format!("Say why, in 1 to {REASON} characters: the customer reads it.");
        return Err(Error::BadRequest(message));
    }
    if !MINUTES.contains(&minutes) {
        let (least, most) = (MINUTES.start(), MINUTES.end());
        let message = format!("It lasts {least} to {most} minutes.");
        return Err(Error::validation("minutes", message));
    }
    let tx = cp.begin_system().await?;
    let mut tx = tx.acting(session.actor(), origin.clone());
    let found = tenants::by_id(&mut tx, tenant).await?;
    if found.status == wire::TenantStatus::Deleted {
        return Err(Error::NotFound("tenant"));
    }
    end_which(&mut tx, cp, Which::OfSession(session.id), "another").await?;
    let now = cp.clock().now();
    let until = now + Duration::minutes(minutes.into());
    let id = Uuid::new_v4();
    db::impersonations::insert(&mut tx, (id, session), tenant, reason, (now, until)).await?;
    let details = json!({ "reason": reason, "until": until });
    let action = "impersonation.begin";
    audit::record(&mut tx, cp, Some(tenant), action, &session.email, details).await?;
    tx.commit().await?;
    Ok(until)
}

/// What is over already is none.
pub async fn end(cp: &ControlPlane, session: &Session, origin: &Origin) -> Result<(), Error> {
    let tx = cp.begin_system().await?;
    let mut tx = tx.acting(session.actor(), origin.clone());
    end_which(&mut tx, cp, Which::OfSession(session.id), "ended").await?;
    tx.commit().await
}

/// What this operator's session sees of a customer's dashboard: a session that may look and nothing else.
pub async fn current(
    cp: &ControlPlane,
    session: &Session,
) -> Result<Option<accounts::Session>, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let Some(open) = db::impersonations::open_of(&mut tx, session.id, now).await? else {
        return Ok(None);
    };
    Ok(Some(accounts::Session {
        id: SessionId(open.id),
        tenant_id: open.tenant_id,
        member_id: MemberId(Uuid::nil()),
        email: session.email.clone(),
        company: open.company,
        role: Role::ReadOnly,
        expires_at: open.expires_at.min(session.expires_at),
        csrf_token: session.csrf_token.clone(),
        looking: Some(Looking {
            operator_id: session.operator_id,
            email: session.email.clone(),
            reason: open.reason,
            until: open.expires_at,
            csrf_token: session.csrf_token.clone(),
        }),
    }))
}

/// Writes each end into both logs, in the name of the operator whose it was. Needs a system transaction, whose actor is the
/// operator's afterwards.
pub(super) async fn end_which(
    tx: &mut Tx,
    cp: &ControlPlane,
    which: Which,
    why: &str,
) -> Result<usize, Error> {
    let ended = db::impersonations::end(tx, which, cp.clock().now()).await?;
    let count = ended.len();
    let actor = tx.actor.clone();
    for one in ended {
        // Time has no name.
        if matches!(which, Which::Due) {
            tx.actor = Actor::NamedOperator {
                id: one.operator_id,
                email: one.email.clone(),
            };
        }
        let details = json!({ "why": why, "reason": one.reason });
        let (tenant, action) = (Some(one.tenant_id), "impersonation.end");
        audit::record(tx, cp, tenant, action, &one.email, details).await?;
    }
    tx.actor = actor;
    Ok(count)
}

/// Those whose time is over.
pub async fn end_due(cp: &ControlPlane) -> Result<usize, Error> {
    let mut tx = cp.begin_system().await?;
    let count = end_which(&mut tx, cp, Which::Due, "time").await?;
    tx.commit().await?;
    Ok(count)
}

pub(crate) async fn watch(cp: ControlPlane) {
    loop {
        if let Err(error) = db::in_time(db::PATIENCE, end_due(&cp)).await {
            tracing::warn!(%error, "impersonations whose time is over could not be ended");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
