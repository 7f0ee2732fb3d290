//! Tenants that are deleted: in their time of grace, due for removal, and what is left of them afterwards.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_scalar};

use crate::deletion::DeletedTenant;
use crate::ids::TenantId;
use crate::{Error, Tx};

/// One control plane removes: the key of its advisory lock.
pub(crate) const LOCK: i64 = 0x7661_756c_7472_6d76;

pub(crate) async fn begin(
    tx: &mut Tx,
    id: TenantId,
    now: DateTime<Utc>,
    remove_after: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET status_before = status, status = 'deleted', deleted_at = $2, remove_after = $3
         WHERE id = $1",
        id.0,
        now,
        remove_after
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Sessions, log-ins under way, and whatever waits in a mail.
pub(crate) async fn end_log_ins(tx: &mut Tx, id: TenantId) -> Result<(), Error> {
    query!("DELETE FROM sessions WHERE tenant_id = $1", id.0)
        .execute(tx.connection())
        .await?;
    query!("DELETE FROM log_in_challenges WHERE tenant_id = $1", id.0)
        .execute(tx.connection())
        .await?;
    query!("DELETE FROM password_resets WHERE tenant_id = $1", id.0)
        .execute(tx.connection())
        .await?;
    query!("DELETE FROM invitations WHERE tenant_id = $1", id.0)
        .execute(tx.connection())
        .await?;
    query!(
        "DELETE FROM email_changes WHERE tenant_id = $1 AND NOT confirmed",
        id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// `false`: it is not deleted, or its time is over.
pub(crate) async fn restore(tx: &mut Tx, id: TenantId, now: DateTime<Utc>) -> Result<bool, Error> {
    let done = query!(
        "UPDATE tenants SET status = status_before, status_before = NULL, deleted_at = NULL, remove_after = NULL
         WHERE id = $1 AND status = 'deleted' AND removed_at IS NULL AND remove_after > $2",
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those that are not removed yet, the first that will be first.
pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<DeletedTenant>, Error> {
    let rows = query!(
        r#"SELECT id, name, email, deleted_at AS "deleted_at!", remove_after AS "remove_after!" FROM tenants
           WHERE remove_after IS NOT NULL AND removed_at IS NULL ORDER BY remove_after, id"#
    )
    .fetch_all(tx.connection())
    .await?;
    let listed = rows.into_iter().map(|row| DeletedTenant {
        tenant_id: row.id.into(),
        name: row.name,
        email: row.email,
        deleted_at: row.deleted_at,
        remove_after: row.remove_after,
    });
    Ok(listed.collect())
}

/// Whose time is over, the longest first.
pub(crate) async fn due(
    tx: &mut Tx,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<TenantId>, Error> {
    let ids = query_scalar!(
        "SELECT id FROM tenants WHERE status = 'deleted' AND remove_after <= $1 AND removed_at IS NULL
         ORDER BY remove_after, id LIMIT $2",
        now,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}

/// The removal did not go through; it is tried again with the next look.
pub(crate) async fn note_failure(
    tx: &mut Tx,
    id: TenantId,
    now: DateTime<Utc>,
    error: &str,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET removal_attempts = removal_attempts + 1, removal_tried_at = $2, removal_error = $3
         WHERE id = $1",
        id.0,
        now,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Everything of the tenant's but its name and plan, its usage by hour and month, what was paid, and its audit log.
/// Members take their sessions, second steps, open links and API tokens along.
pub(crate) async fn forget(tx: &mut Tx, id: TenantId, now: DateTime<Utc>) -> Result<(), Error> {
    macro_rules! delete {
        ($($statement:literal),* $(,)?) => {
            $(query!($statement, id.0).execute(tx.connection()).await?;)*
        };
    }
    delete!(
        "DELETE FROM tenant_notes WHERE tenant_id = $1",
        "DELETE FROM members WHERE tenant_id = $1",
        "DELETE FROM invitations WHERE tenant_id = $1",
        "DELETE FROM access_keys WHERE tenant_id = $1",
        "DELETE FROM access_key_uses WHERE tenant_id = $1",
        "DELETE FROM refusals WHERE tenant_id = $1",
        "DELETE FROM allotments WHERE tenant_id = $1",
        "DELETE FROM demands WHERE tenant_id = $1",
        "DELETE FROM leases WHERE tenant_id = $1",
        "DELETE FROM bucket_usage WHERE tenant_id = $1",
        "DELETE FROM tenant_usage WHERE tenant_id = $1",
        "DELETE FROM usage_freed WHERE tenant_id = $1",
        "DELETE FROM usage_uploads WHERE tenant_id = $1",
        "DELETE FROM spending WHERE tenant_id = $1",
        "DELETE FROM usage_alerts WHERE tenant_id = $1",
        "DELETE FROM customer_webhooks WHERE tenant_id = $1",
        "DELETE FROM metered WHERE tenant_id = $1",
        "DELETE FROM meter_events WHERE tenant_id = $1",
    );
    query!(
        "UPDATE tenants SET email = '', removed_at = $2 WHERE id = $1",
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// `false`: another control plane is at it.
pub(crate) async fn try_lock(conn: &mut PgConnection) -> Result<bool, Error> {
    let ours = query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "ours!""#, LOCK)
        .fetch_one(conn)
        .await?;
    Ok(ours)
}

pub(crate) async fn unlock(conn: &mut PgConnection) -> Result<(), Error> {
    query_scalar!(r#"SELECT pg_advisory_unlock($1) AS "held!""#, LOCK)
        .fetch_one(conn)
        .await?;
    Ok(())
}
