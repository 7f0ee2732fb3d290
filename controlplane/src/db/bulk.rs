//! Rows by the thousand, for measuring: as the tables' own modules write them one by one.

use sqlx::query;
use uuid::Uuid;
use wire::Revision;

use crate::{Error, Tx};

/// Takes so many numbers at once; the last of them. Holds the row to the end of the transaction.
pub(crate) async fn take_revisions(tx: &mut Tx, count: i64) -> Result<Revision, Error> {
    let row = query!(
        "UPDATE revision SET number = number + $1 RETURNING number",
        count
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.number)
}

/// On the plan `business`, called by their ids. `revisions` are one for each.
pub(crate) async fn insert_tenants(
    tx: &mut Tx,
    ids: &[Uuid],
    revisions: &[Revision],
) -> Result<(), Error> {
    query!(
        "INSERT INTO tenants (id, name, email, plan_id, terms_version, terms_since, revision, created_at)
         SELECT new.id, new.id::text, new.id::text || '@example.com', p.id, p.version, now(), revision, now()
         FROM UNNEST($1::uuid[], $2::bigint[]) AS new (id, revision), plans p WHERE p.id = 'business'",
        ids,
        revisions
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn insert_access_keys(
    tx: &mut Tx,
    access_key_ids: &[String],
    tenants: &[Uuid],
    sealed: &[Vec<u8>],
) -> Result<(), Error> {
    query!(
        "INSERT INTO access_keys (access_key_id, tenant_id, name, secret, created_at, created_by)
         SELECT access_key_id, tenant_id, 'measured', secret, now(), 'system'
         FROM UNNEST($1::text[], $2::uuid[], $3::bytea[]) AS new (access_key_id, tenant_id, secret)",
        access_key_ids,
        tenants,
        sealed
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Dedicated, of the one engine, which is told nothing of them.
pub(crate) async fn insert_buckets(
    tx: &mut Tx,
    ids: &[Uuid],
    tenants: &[Uuid],
    names: &[String],
    engine: &str,
) -> Result<(), Error> {
    query!(
        "INSERT INTO buckets (id, tenant_id, name, status, engine_id, engine_bucket, prefix, created_at)
         SELECT id, tenant_id, name, 'active', $4, 'vt-' || replace(id::text, '-', ''), '', now()
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[]) AS new (id, tenant_id, name)",
        ids,
        tenants,
        names,
        engine
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
