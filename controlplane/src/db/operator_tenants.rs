//! What operators note about tenants, and when members logged in last.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use crate::ids::TenantId;
use crate::operators::Note;
use crate::{Error, Tx};

pub(crate) async fn notes(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Note>, Error> {
    let notes = query_as!(
        Note,
        "SELECT id, at, author, text FROM tenant_notes WHERE tenant_id = $1 ORDER BY id DESC LIMIT 200",
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(notes)
}

/// In the name of the transaction's actor.
pub(crate) async fn add_note(
    tx: &mut Tx,
    tenant: TenantId,
    at: DateTime<Utc>,
    text: &str,
) -> Result<Note, Error> {
    let author = tx.actor.among_operators();
    let id = query_scalar!(
        "INSERT INTO tenant_notes (tenant_id, at, author, text) VALUES ($1, $2, $3, $4) RETURNING id",
        tenant.0,
        at,
        author,
        text
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Note {
        id,
        at,
        author,
        text: text.to_owned(),
    })
}

/// By address, as far as the audit log knows.
pub(crate) async fn last_log_ins(
    tx: &mut Tx,
    tenant: TenantId,
) -> Result<Vec<(String, DateTime<Utc>)>, Error> {
    let rows = query!(
        r#"SELECT actor, max(at) AS "at!" FROM audit_log WHERE tenant_id = $1 AND action = 'session.begin' GROUP BY actor"#,
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (row.actor, row.at)).collect())
}
