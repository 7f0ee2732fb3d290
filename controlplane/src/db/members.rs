//! Members: people who log in.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};
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

/// As [`credentials`], by id.
pub(crate) async fn by_id(tx: &mut Tx, member: MemberId) -> Result<Option<Login>, Error> {
    let row = query_as!(
        Login,
        "SELECT m.tenant_id, m.email, m.password_hash
         FROM members m JOIN tenants t ON t.id = m.tenant_id WHERE m.id = $1 AND t.status <> 'deleted'",
        member.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

pub(crate) struct Login {
    pub tenant_id: Uuid,
    pub email: String,
    pub password_hash: Option<String>,
}

/// Whether somebody logs in with this address, or may take it back (that was theirs, and not `except`'s).
pub(crate) async fn is_taken(
    tx: &mut Tx,
    email: &str,
    except: Option<MemberId>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let taken = query_scalar!(
        r#"SELECT EXISTS (SELECT FROM members WHERE email = $1)
               OR EXISTS (SELECT FROM email_changes WHERE old_email = $1 AND undo_hash IS NOT NULL
                          AND expires_at > $3 AND member_id IS DISTINCT FROM $2) AS "taken!""#,
        email,
        except.map(|id| id.0),
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(taken)
}

pub(crate) async fn set_password(tx: &mut Tx, member: MemberId, hash: &str) -> Result<(), Error> {
    query!(
        "UPDATE members SET password_hash = $2 WHERE id = $1",
        member.0,
        hash
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Also the tenant's own address, where it was this member's. `false`: somebody else has the new one.
pub(crate) async fn set_email(
    tx: &mut Tx,
    member: MemberId,
    old: &str,
    new: &str,
) -> Result<bool, Error> {
    let done = query!(
        "UPDATE members SET email = $2 WHERE id = $1
         AND NOT EXISTS (SELECT FROM members other WHERE other.email = $2 AND other.id <> $1)",
        member.0,
        new
    )
    .execute(tx.connection())
    .await?;
    query!(
        "UPDATE tenants SET email = $3 WHERE email = $2 AND id = (SELECT tenant_id FROM members WHERE id = $1)",
        member.0,
        old,
        new
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) struct Listed {
    pub id: Uuid,
    pub email: String,
    pub role: String,
    pub created_at: DateTime<Utc>,
    pub second_step: bool,
}

/// A tenant's, the first who came first.
pub(crate) async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Listed>, Error> {
    let rows = query_as!(
        Listed,
        r#"SELECT m.id, m.email, m.role, m.created_at,
                  (EXISTS (SELECT FROM totp WHERE totp.member_id = m.id)
                   OR EXISTS (SELECT FROM passkeys p WHERE p.member_id = m.id)) AS "second_step!"
           FROM members m WHERE m.tenant_id = $1 ORDER BY m.created_at, m.id"#,
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

pub(crate) async fn set_role(tx: &mut Tx, member: MemberId, role: &str) -> Result<(), Error> {
    query!("UPDATE members SET role = $2 WHERE id = $1", member.0, role)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// With sessions, second step and open links.
pub(crate) async fn delete(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    query!("DELETE FROM members WHERE id = $1", member.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}
