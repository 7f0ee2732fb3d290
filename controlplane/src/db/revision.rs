//! The one serial order of changes.

use sqlx::{PgExecutor, query, query_as, query_scalar};
use uuid::Uuid;
use wire::Revision;

use super::REVISION_CHANNEL;
use crate::ids::TenantId;
use crate::{Error, Tx};

pub(crate) async fn head(executor: impl PgExecutor<'_>) -> Result<Revision, sqlx::Error> {
    query_scalar!("SELECT number FROM revision")
        .fetch_one(executor)
        .await
}

/// Where the serial order stands.
pub(crate) struct Position {
    pub head: Revision,
    /// Names the history that the numbers are of.
    pub epoch: Uuid,
    /// Of the last change of settings or engines.
    pub settings: Revision,
}

pub(crate) async fn position(executor: impl PgExecutor<'_>) -> Result<Position, sqlx::Error> {
    query_as!(
        Position,
        r#"SELECT number AS head, epoch, COALESCE((SELECT revision FROM settings), 0) AS "settings!" FROM revision"#
    )
    .fetch_one(executor)
    .await
}

/// Begins another history: what followed the earlier one is to be told everything anew.
pub(crate) async fn new_epoch(tx: &mut Tx) -> Result<(), Error> {
    query!("UPDATE revision SET epoch = gen_random_uuid()")
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Takes the next number for a change of this tenant. Holds the row to the end of the transaction, so it comes last;
/// the tenant's row is locked before it, so that two changes of one tenant cannot wait for each other.
pub(crate) async fn next_for_tenant(tx: &mut Tx, tenant: TenantId) -> Result<Revision, Error> {
    query!(
        "SELECT id FROM tenants WHERE id = $1 FOR NO KEY UPDATE",
        tenant.0
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or(Error::NotFound("tenant"))?;
    let number = next(tx).await?;
    query!(
        "UPDATE tenants SET revision = $2 WHERE id = $1",
        tenant.0,
        number
    )
    .execute(tx.connection())
    .await?;
    Ok(number)
}

/// Takes the next number for a change of settings or engines.
pub(crate) async fn next_for_settings(tx: &mut Tx) -> Result<Revision, Error> {
    let number = next(tx).await?;
    query!("UPDATE settings SET revision = $1", number)
        .execute(tx.connection())
        .await?;
    Ok(number)
}

/// Whoever has a number holds up every other change until it is committed, and one who stands still does not for long.
async fn next(tx: &mut Tx) -> Result<Revision, Error> {
    let number = query!(
        "UPDATE revision SET number = number + 1
         RETURNING number, set_config('idle_in_transaction_session_timeout', '5000', true) AS idle"
    )
    .fetch_one(tx.connection())
    .await?
    .number;
    // Who listens is told which trace it belongs to, if it is traced: that outlives no process.
    let note = match telemetry::cause() {
        Some(cause) => format!("{number} {cause}"),
        None => number.to_string(),
    };
    query!("SELECT pg_notify($1, $2)", REVISION_CHANNEL, note)
        .execute(tx.connection())
        .await?;
    Ok(number)
}
