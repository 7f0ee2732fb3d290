//! The one serial order of changes.

use sqlx::{PgExecutor, query, query_scalar};
use wire::Revision;

use super::REVISION_CHANNEL;
use crate::ids::TenantId;
use crate::{Error, Tx};

pub(crate) async fn head(executor: impl PgExecutor<'_>) -> Result<Revision, sqlx::Error> {
    query_scalar!("SELECT number FROM revision")
        .fetch_one(executor)
        .await
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

async fn next(tx: &mut Tx) -> Result<Revision, Error> {
    let number = query_scalar!("UPDATE revision SET number = number + 1 RETURNING number")
        .fetch_one(tx.connection())
        .await?;
    query!(
        "SELECT pg_notify($1, $2)",
        REVISION_CHANNEL,
        number.to_string()
    )
    .execute(tx.connection())
    .await?;
    Ok(number)
}
