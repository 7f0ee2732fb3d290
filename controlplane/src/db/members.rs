//! Members: people who log in.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use crate::ids::{MemberId, TenantId};
use crate::{Error, Tx};

pub(crate) struct New<'a> {
    pub id: MemberId,
    pub tenant: TenantId,
    pub email: &'a str,
    pub password_hash: Option<&'a str>,
    pub role: &'a str,
    pub created_at: DateTime<Utc>,
}

/// `false`: the address is taken.
pub(crate) async fn insert(tx: &mut Tx, new: New<'_>) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO members (id, tenant_id, email, password_hash, role, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email) DO NOTHING",
        new.id.0,
        new.tenant.0,
        new.email,
        new.password_hash,
        new.role,
        new.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) struct Credentials {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub password_hash: Option<String>,
}

/// Who logs in with this address, unless the tenant is gone.
pub(crate) async fn credentials(tx: &mut Tx, email: &str) -> Result<Option<Credentials>, Error> {
    let row = query_as!(
        Credentials,
        "SELECT m.id, m.tenant_id, m.password_hash FROM members m JOIN tenants t ON t.id = m.tenant_id
         WHERE m.email = $1 AND t.status <> 'deleted'",
        email
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}
