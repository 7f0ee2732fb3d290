//! Operators' looks at dashboards: open ones, and how they end.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::ids::{OperatorId, TenantId};
use crate::operators::{Ended, Open, Session, Which};
use crate::{Error, Tx};

pub(crate) async fn insert(
    tx: &mut Tx,
    (id, session): (Uuid, &Session),
    tenant: TenantId,
    reason: &str,
    (began_at, expires_at): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(), Error> {
    query!(
        "INSERT INTO impersonations (id, operator_session_id, operator_id, tenant_id, reason, began_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id,
        session.id,
        session.operator_id.0,
        tenant.0,
        reason,
        began_at,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Of a tenant that is not deleted.
pub(crate) async fn open_of(
    tx: &mut Tx,
    session: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Open>, Error> {
    let row = query!(
        "SELECT i.id, i.tenant_id, t.name, i.reason, i.expires_at
         FROM impersonations i JOIN tenants t ON t.id = i.tenant_id
         WHERE i.operator_session_id = $1 AND i.ended_at IS NULL AND i.expires_at > $2 AND t.status <> 'deleted'",
        session,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Open {
        id: row.id,
        tenant_id: TenantId(row.tenant_id),
        company: row.name,
        reason: row.reason,
        expires_at: row.expires_at,
    }))
}

/// Each of them once, whoever else ends them at the same time.
pub(crate) async fn end(
    tx: &mut Tx,
    which: Which,
    now: DateTime<Utc>,
) -> Result<Vec<Ended>, Error> {
    let (session, operator, due) = match which {
        Which::OfSession(session) => (Some(session), None, false),
        Which::OfOperator(operator) => (None, Some(operator.0), false),
        Which::Due => (None, None, true),
    };
    let rows = query!(
        "UPDATE impersonations i SET ended_at = $4 FROM operators o
         WHERE o.id = i.operator_id AND i.ended_at IS NULL
           AND (i.operator_session_id = $1 OR i.operator_id = $2 OR ($3 AND i.expires_at <= $4))
         RETURNING i.tenant_id, i.operator_id, o.email, i.reason",
        session,
        operator,
        due,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    let ended = rows.into_iter().map(|row| Ended {
        tenant_id: TenantId(row.tenant_id),
        operator_id: OperatorId(row.operator_id),
        email: row.email,
        reason: row.reason,
    });
    Ok(ended.collect())
}
