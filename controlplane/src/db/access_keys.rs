//! Access keys. The secret is sealed before it comes here.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;
use wire::Scope;

use crate::access_keys::AccessKey;
use crate::ids::{MemberId, TenantId};
use crate::{Error, Tx};

struct Row {
    access_key_id: String,
    name: String,
    created_at: DateTime<Utc>,
    created_by: String,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    replaces: Option<String>,
    scope: Json<Scope>,
}

impl From<Row> for AccessKey {
    fn from(row: Row) -> Self {
        Self {
            access_key_id: row.access_key_id,
            name: row.name,
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            replaces: row.replaces,
            scope: row.scope.0,
        }
    }
}

pub(crate) async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<AccessKey>, Error> {
    let rows = query_as!(
        Row,
        r#"SELECT access_key_id, name, created_at, created_by, expires_at, revoked_at, replaces,
                  scope AS "scope: Json<Scope>"
           FROM access_keys WHERE tenant_id = $1 AND purpose = 'customer' ORDER BY created_at DESC, access_key_id"#,
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(AccessKey::from).collect())
}

pub(crate) async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    access_key_id: &str,
) -> Result<Option<AccessKey>, Error> {
    let row = query_as!(
        Row,
        r#"SELECT access_key_id, name, created_at, created_by, expires_at, revoked_at, replaces,
                  scope AS "scope: Json<Scope>"
           FROM access_keys WHERE tenant_id = $1 AND access_key_id = $2 AND purpose = 'customer'"#,
        tenant.0,
        access_key_id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(AccessKey::from))
}

/// Whose it is; needs a system transaction.
pub(crate) async fn tenant_of(tx: &mut Tx, access_key_id: &str) -> Result<Option<TenantId>, Error> {
    let id = query_scalar!(
        "SELECT tenant_id FROM access_keys WHERE access_key_id = $1",
        access_key_id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(id.map(TenantId))
}

pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    key: &AccessKey,
    sealed_secret: &[u8],
) -> Result<(), Error> {
    query!(
        "INSERT INTO access_keys (access_key_id, tenant_id, name, secret, scope, created_at, created_by, expires_at,
                                  replaces)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        key.access_key_id,
        tenant.0,
        key.name,
        sealed_secret,
        Json(&key.scope) as _,
        key.created_at,
        key.created_by,
        key.expires_at,
        key.replaces
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How many are neither revoked nor expired.
pub(crate) async fn count_usable(
    tx: &mut Tx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"SELECT count(*) AS "count!" FROM access_keys
           WHERE tenant_id = $1 AND purpose = 'customer' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"#,
        tenant.0,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

/// `false`: there is none that is not revoked already.
pub(crate) async fn revoke(
    tx: &mut Tx,
    tenant: TenantId,
    access_key_id: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "UPDATE access_keys SET revoked_at = $3
         WHERE tenant_id = $1 AND access_key_id = $2 AND revoked_at IS NULL AND purpose = 'customer'",
        tenant.0,
        access_key_id,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those of the dashboard too. How many of the customer's own there were.
pub(crate) async fn revoke_all(
    tx: &mut Tx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"WITH revoked AS (
               UPDATE access_keys SET revoked_at = $2 WHERE tenant_id = $1 AND revoked_at IS NULL RETURNING purpose
           )
           SELECT count(*) FILTER (WHERE purpose = 'customer') AS "count!" FROM revoked"#,
        tenant.0,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

pub(crate) async fn set_expiry(
    tx: &mut Tx,
    tenant: TenantId,
    access_key_id: &str,
    ends: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE access_keys SET expires_at = $3 WHERE tenant_id = $1 AND access_key_id = $2",
        tenant.0,
        access_key_id,
        ends
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A key of the dashboard's own.
pub(crate) struct Hidden<'a> {
    pub access_key_id: &'a str,
    pub name: &'a str,
    /// Sealed.
    pub secret: &'a [u8],
    pub scope: &'a Scope,
    pub expires_at: DateTime<Utc>,
    /// Of a session's key.
    pub member: Option<(MemberId, &'a [u8])>,
}

pub(crate) async fn insert_hidden(
    tx: &mut Tx,
    tenant: TenantId,
    key: Hidden<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let created_by = tx.actor.label();
    query!(
        "INSERT INTO access_keys (access_key_id, tenant_id, name, secret, scope, created_at, created_by, expires_at,
                                  purpose, member_id, session_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        key.access_key_id,
        tenant.0,
        key.name,
        key.secret,
        Json(key.scope) as _,
        now,
        created_by,
        key.expires_at,
        if key.member.is_some() { "console" } else { "link" },
        key.member.map(|(member, _)| member.0),
        key.member.map(|(_, session)| session)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The session's own key that works until then at least: its id and its sealed secret.
pub(crate) async fn of_session(
    tx: &mut Tx,
    tenant: TenantId,
    session: &[u8],
    until: DateTime<Utc>,
) -> Result<Option<(String, Vec<u8>)>, Error> {
    let row = query!(
        "SELECT access_key_id, secret FROM access_keys
         WHERE tenant_id = $1 AND session_hash = $2 AND revoked_at IS NULL AND expires_at > $3
         ORDER BY expires_at DESC LIMIT 1",
        tenant.0,
        session,
        until
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.access_key_id, row.secret)))
}

/// The key of the links to a bucket's objects that works until then at least.
pub(crate) async fn of_links(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: &str,
    until: DateTime<Utc>,
) -> Result<Option<(String, Vec<u8>)>, Error> {
    let row = query!(
        "SELECT access_key_id, secret FROM access_keys
         WHERE tenant_id = $1 AND purpose = 'link' AND name = $2 AND revoked_at IS NULL AND expires_at > $3
         ORDER BY expires_at DESC LIMIT 1",
        tenant.0,
        bucket,
        until
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.access_key_id, row.secret)))
}

/// How many there were.
pub(crate) async fn revoke_links(
    tx: &mut Tx,
    tenant: TenantId,
    bucket: &str,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let done = query!(
        "UPDATE access_keys SET revoked_at = $3
         WHERE tenant_id = $1 AND purpose = 'link' AND name = $2 AND revoked_at IS NULL",
        tenant.0,
        bucket,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// What a tenant document is made of.
pub(crate) struct Sealed {
    pub tenant_id: Uuid,
    pub access_key_id: String,
    pub secret: Vec<u8>,
    pub scope: Json<Scope>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The access keys of these tenants that did not end before that time.
pub(crate) async fn of_tenants(
    conn: &mut PgConnection,
    tenants: &[Uuid],
    ended_after: DateTime<Utc>,
) -> Result<Vec<Sealed>, sqlx::Error> {
    query_as!(
        Sealed,
        r#"SELECT tenant_id, access_key_id, secret, scope AS "scope: Json<Scope>", expires_at, revoked_at
           FROM access_keys
           WHERE tenant_id = ANY($1) AND (revoked_at IS NULL OR revoked_at > $2)
             AND (expires_at IS NULL OR expires_at > $2)
           ORDER BY tenant_id, access_key_id"#,
        tenants,
        ended_after
    )
    .fetch_all(conn)
    .await
}
