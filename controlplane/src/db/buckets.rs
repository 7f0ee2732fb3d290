//! Buckets and their states.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;
use wire::CorsRule;

use crate::buckets::{self, Bucket};
use crate::ids::{BucketId, TenantId};
use crate::{Error, Tx};

/// At most one public bucket of a name over all tenants.
const PUBLIC_NAME: &str = "buckets_by_public_name";

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub name: String,
    pub status: String,
    pub engine_id: String,
    pub engine_bucket: String,
    pub prefix: String,
    pub created_at: DateTime<Utc>,
    pub claim: Option<Uuid>,
    pub claimed_until: Option<DateTime<Utc>>,
    pub public_read: bool,
    pub cors: Json<Vec<CorsRule>>,
    pub object_lock: bool,
}

fn refusal(error: sqlx::Error) -> Error {
    match error.as_database_error().and_then(|e| e.constraint()) {
        Some(PUBLIC_NAME) => buckets::public_name_taken(),
        _ => error.into(),
    }
}

/// Those that customers see, by name.
pub(crate) async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Bucket>, Error> {
    let rows = query!(
        r#"SELECT id, name, created_at, public_read, cors AS "cors: Json<Vec<CorsRule>>", object_lock
           FROM buckets WHERE tenant_id = $1 AND status <> 'creating' ORDER BY name"#,
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Bucket {
            id: row.id.into(),
            name: row.name,
            created_at: row.created_at,
            public_read: row.public_read,
            cors: row.cors.0,
            object_lock: row.object_lock,
        })
        .collect())
}

pub(crate) async fn find(tx: &mut Tx, tenant: TenantId, name: &str) -> Result<Option<Row>, Error> {
    let row = query_as!(
        Row,
        r#"SELECT id, tenant_id, name, status, engine_id, engine_bucket, prefix, created_at, claim, claimed_until,
                  public_read, cors AS "cors: Json<Vec<CorsRule>>", object_lock
           FROM buckets WHERE tenant_id = $1 AND name = $2 FOR UPDATE"#,
        tenant.0,
        name
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

pub(crate) async fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"SELECT count(*) AS "count!" FROM buckets WHERE tenant_id = $1"#,
        tenant.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

/// Refused with `BucketAlreadyExists` where it is public and its name is another public bucket's.
pub(crate) async fn insert(tx: &mut Tx, row: &Row) -> Result<(), Error> {
    query!(
        "INSERT INTO buckets (id, tenant_id, name, status, engine_id, engine_bucket, prefix, created_at, claim,
                              claimed_until, public_read, cors, object_lock)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        row.id,
        row.tenant_id,
        row.name,
        row.status,
        row.engine_id,
        row.engine_bucket,
        row.prefix,
        row.created_at,
        row.claim,
        row.claimed_until,
        row.public_read,
        Json(&row.cors.0) as _,
        row.object_lock
    )
    .execute(tx.connection())
    .await
    .map_err(refusal)?;
    Ok(())
}

/// Changes the state and the claim, whoever holds it; the caller has the row locked.
pub(crate) async fn set(
    tx: &mut Tx,
    id: Uuid,
    status: &str,
    claim: Option<(Uuid, DateTime<Utc>)>,
) -> Result<(), Error> {
    query!(
        "UPDATE buckets SET status = $2, claim = $3, claimed_until = $4 WHERE id = $1",
        id,
        status,
        claim.map(|(claim, _)| claim),
        claim.map(|(_, until)| until)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Refused with `BucketAlreadyExists` where the name is another public bucket's.
pub(crate) async fn set_public_read(tx: &mut Tx, id: Uuid, public_read: bool) -> Result<(), Error> {
    query!(
        "UPDATE buckets SET public_read = $2 WHERE id = $1",
        id,
        public_read
    )
    .execute(tx.connection())
    .await
    .map_err(refusal)?;
    Ok(())
}

pub(crate) async fn set_cors(tx: &mut Tx, id: Uuid, cors: &[CorsRule]) -> Result<(), Error> {
    query!(
        "UPDATE buckets SET cors = $2 WHERE id = $1",
        id,
        Json(cors) as _
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How the engine's bucket is about to be made. `false`: the claim is no longer the caller's.
pub(crate) async fn set_object_lock(
    tx: &mut Tx,
    id: Uuid,
    claim: Uuid,
    object_lock: bool,
) -> Result<bool, Error> {
    let done = query!(
        "UPDATE buckets SET object_lock = $3 WHERE id = $1 AND claim = $2",
        id,
        claim,
        object_lock
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a claim by becoming active. `false`: the claim is no longer the caller's.
pub(crate) async fn activate(
    tx: &mut Tx,
    id: Uuid,
    claim: Uuid,
    created_at: Option<DateTime<Utc>>,
) -> Result<bool, Error> {
    let done = query!(
        "UPDATE buckets SET status = 'active', claim = NULL, claimed_until = NULL, created_at = COALESCE($3, created_at)
         WHERE id = $1 AND claim = $2",
        id,
        claim,
        created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets go of a claim; the state stays, and whoever comes next may take it up. What is not there yet holds no public
/// name.
pub(crate) async fn release(tx: &mut Tx, id: Uuid, claim: Uuid) -> Result<(), Error> {
    query!(
        "UPDATE buckets SET claim = NULL, claimed_until = NULL, public_read = public_read AND status <> 'creating'
         WHERE id = $1 AND claim = $2",
        id,
        claim
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// `false`: the claim is no longer the caller's.
pub(crate) async fn delete(tx: &mut Tx, id: BucketId, claim: Uuid) -> Result<bool, Error> {
    let done = query!(
        "DELETE FROM buckets WHERE id = $1 AND claim = $2",
        id.0,
        claim
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The buckets of these tenants that nodes know.
pub(crate) async fn of_tenants(
    conn: &mut PgConnection,
    tenants: &[Uuid],
) -> Result<Vec<Row>, sqlx::Error> {
    query_as!(
        Row,
        r#"SELECT id, tenant_id, name, status, engine_id, engine_bucket, prefix, created_at, claim, claimed_until,
                  public_read, cors AS "cors: Json<Vec<CorsRule>>", object_lock
           FROM buckets WHERE tenant_id = ANY($1) AND status <> 'creating' ORDER BY tenant_id, name"#,
        tenants
    )
    .fetch_all(conn)
    .await
}

/// In whatever state they are.
pub(crate) async fn all_of_tenant(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Row>, Error> {
    let rows = query_as!(
        Row,
        r#"SELECT id, tenant_id, name, status, engine_id, engine_bucket, prefix, created_at, claim, claimed_until,
                  public_read, cors AS "cors: Json<Vec<CorsRule>>", object_lock
           FROM buckets WHERE tenant_id = $1 ORDER BY name"#,
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Whoever has a claim on it.
pub(crate) async fn forget(tx: &mut Tx, id: Uuid) -> Result<(), Error> {
    query!("DELETE FROM buckets WHERE id = $1", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Deletions that nobody is at work on any more.
pub(crate) async fn left_deleting(
    tx: &mut Tx,
    now: DateTime<Utc>,
) -> Result<Vec<(Uuid, String)>, Error> {
    let rows = query!(
        "SELECT tenant_id, name FROM buckets
         WHERE status = 'deleting' AND (claimed_until IS NULL OR claimed_until <= $1) LIMIT 100",
        now
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|r| (r.tenant_id, r.name)).collect())
}

/// Frees a public name that a creation nobody is at work on any more had reserved, and ends its claim: whoever comes
/// back to it finds that it is no longer his. Needs a system transaction. `false`: the name is not so reserved.
pub(crate) async fn free_public_name(
    tx: &mut Tx,
    name: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    // A row that is locked is being taken up; waiting for it could be waiting for each other.
    let done = query!(
        "UPDATE buckets SET public_read = false, claim = NULL, claimed_until = NULL
         WHERE id IN (SELECT id FROM buckets WHERE name = $1 AND public_read AND status = 'creating'
                      AND (claimed_until IS NULL OR claimed_until <= $2) FOR UPDATE SKIP LOCKED)",
        name,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The engine's names of the newest buckets that are alone in one there.
pub(crate) async fn newest_of_engine(
    tx: &mut Tx,
    engine: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let names = query_scalar!(
        "SELECT engine_bucket FROM buckets WHERE engine_id = $1 AND prefix = '' AND status = 'active'
         ORDER BY created_at DESC LIMIT $2",
        engine,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(names)
}
