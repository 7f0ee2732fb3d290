//! Usage as it is booked: batches, sums by the hour, and what is stored. Whoever writes here has locked the tenants'
//! rows, in the order of their ids.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{query, query_scalar};
use uuid::Uuid;
use wire::UsageLine;

use crate::ids::{BucketId, TenantId};
use crate::usage::{Batch, Booked, End, Known, Line, Stored, Upload, UploadKey};
use crate::{Error, Tx};

/// `false`: it is there already.
pub(crate) async fn insert_batch(
    tx: &mut Tx,
    batch: &Batch,
    lines: &[UsageLine],
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO usage_batches (node_id, boot, sequence, booked_at, lines) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        batch.node.0,
        batch.boot,
        batch.sequence,
        now,
        Json(lines) as _
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those of them that exist, each with a row of usage that is ours to the end of the transaction.
pub(crate) async fn lock_tenants(
    tx: &mut Tx,
    tenants: &[TenantId],
) -> Result<HashSet<TenantId>, Error> {
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    query!(
        "INSERT INTO tenant_usage (tenant_id) SELECT id FROM tenants WHERE id = ANY($1) ORDER BY id
         ON CONFLICT DO NOTHING",
        &ids
    )
    .execute(tx.connection())
    .await?;
    let locked = query_scalar!(
        "SELECT tenant_id FROM tenant_usage WHERE tenant_id = ANY($1) ORDER BY tenant_id FOR UPDATE",
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(locked.into_iter().map(TenantId).collect())
}

/// What the arithmetic must know of the database. What the lines free is marked as freed here.
pub(crate) async fn known(
    tx: &mut Tx,
    lines: &[Line<'_>],
    now: DateTime<Utc>,
) -> Result<Known, Error> {
    let (tenants, freed): (Vec<Uuid>, Vec<i64>) = lines
        .iter()
        .flat_map(Line::freed)
        .map(|(tenant, what)| (tenant.0, what))
        .unzip();
    let fresh = query!(
        r#"INSERT INTO usage_freed (tenant_id, what, at)
           SELECT tenant_id, what, $3 FROM UNNEST($1::uuid[], $2::bigint[]) AS f (tenant_id, what)
           ON CONFLICT DO NOTHING RETURNING tenant_id, what"#,
        &tenants,
        &freed,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    let buckets: Vec<Uuid> = lines.iter().map(|line| line.bucket.0).collect();
    let buckets = query!(
        "SELECT tenant_id, id FROM buckets WHERE id = ANY($1)",
        &buckets
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(Known {
        fresh: fresh
            .into_iter()
            .map(|row| (TenantId(row.tenant_id), row.what))
            .collect(),
        uploads: uploads(tx, lines).await?,
        buckets: buckets
            .into_iter()
            .map(|row| (TenantId(row.tenant_id), BucketId(row.id)))
            .collect(),
    })
}

async fn uploads(tx: &mut Tx, lines: &[Line<'_>]) -> Result<HashMap<UploadKey, Upload>, Error> {
    let (mut tenants, mut buckets, mut uploads) = (Vec::new(), Vec::new(), Vec::new());
    for (tenant, bucket, upload) in lines.iter().flat_map(Line::uploads) {
        tenants.push(tenant.0);
        buckets.push(bucket.0);
        uploads.push(upload);
    }
    let rows = query!(
        r#"SELECT u.tenant_id, u.bucket_id, u.upload, u.part_bytes, u.state, u.object_bytes
           FROM usage_uploads u
           WHERE (u.tenant_id, u.bucket_id, u.upload)
              IN (SELECT a, b, c FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[]) AS t (a, b, c))"#,
        &tenants,
        &buckets,
        &uploads
    )
    .fetch_all(tx.connection())
    .await?;
    let known = rows.into_iter().map(|row| {
        let key = (TenantId(row.tenant_id), BucketId(row.bucket_id), row.upload);
        let end = match row.state.as_str() {
            "completed" => End::Completed(row.object_bytes),
            "aborted" => End::Aborted,
            _ => End::Open,
        };
        let part_bytes = row.part_bytes;
        (key, Upload { part_bytes, end })
    });
    Ok(known.collect())
}

pub(crate) async fn apply(tx: &mut Tx, booked: &Booked, now: DateTime<Utc>) -> Result<(), Error> {
    add_hours(tx, booked).await?;
    put_uploads(tx, booked, now).await?;
    add_to_buckets(tx, booked).await
}

async fn add_hours(tx: &mut Tx, booked: &Booked) -> Result<(), Error> {
    let hours = || booked.hours.iter();
    let tenants: Vec<Uuid> = hours().map(|(key, _)| key.tenant.0).collect();
    let times: Vec<DateTime<Utc>> = hours().map(|(key, _)| key.hour).collect();
    let buckets: Vec<Uuid> = hours().map(|(key, _)| key.bucket.0).collect();
    let keys: Vec<String> = hours().map(|(key, _)| key.access_key_id.clone()).collect();
    let classes: Vec<String> = hours().map(|(key, _)| key.class.to_owned()).collect();
    let requests: Vec<i64> = hours().map(|(_, sum)| sum.requests).collect();
    let bytes_in: Vec<i64> = hours().map(|(_, sum)| sum.bytes_in).collect();
    let bytes_out: Vec<i64> = hours().map(|(_, sum)| sum.bytes_out).collect();
    let stored: Vec<i64> = hours().map(|(_, sum)| sum.stored).collect();
    let objects: Vec<i64> = hours().map(|(_, sum)| sum.objects).collect();
    query!(
        "INSERT INTO usage_hours AS u (tenant_id, hour, bucket_id, access_key_id, class, requests, bytes_in, bytes_out,
                                       stored_delta, objects_delta)
         SELECT * FROM UNNEST($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                              $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
         ON CONFLICT (tenant_id, hour, bucket_id, access_key_id, class) DO UPDATE SET
            requests = u.requests + EXCLUDED.requests, bytes_in = u.bytes_in + EXCLUDED.bytes_in,
            bytes_out = u.bytes_out + EXCLUDED.bytes_out, stored_delta = u.stored_delta + EXCLUDED.stored_delta,
            objects_delta = u.objects_delta + EXCLUDED.objects_delta",
        &tenants,
        &times,
        &buckets,
        &keys,
        &classes,
        &requests,
        &bytes_in,
        &bytes_out,
        &stored,
        &objects
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn put_uploads(tx: &mut Tx, booked: &Booked, now: DateTime<Utc>) -> Result<(), Error> {
    if booked.uploads.is_empty() {
        return Ok(());
    }
    let uploads = || booked.uploads.iter();
    let tenants: Vec<Uuid> = uploads().map(|(key, _)| key.0.0).collect();
    let buckets: Vec<Uuid> = uploads().map(|(key, _)| key.1.0).collect();
    let ids: Vec<i64> = uploads().map(|(key, _)| key.2).collect();
    let parts: Vec<i64> = uploads().map(|(_, upload)| upload.part_bytes).collect();
    let (states, bytes): (Vec<String>, Vec<Option<i64>>) = uploads()
        .map(|(_, upload)| match upload.end {
            End::Open => ("open".to_owned(), None),
            End::Completed(bytes) => ("completed".to_owned(), bytes),
            End::Aborted => ("aborted".to_owned(), None),
        })
        .unzip();
    query!(
        "INSERT INTO usage_uploads (tenant_id, bucket_id, upload, part_bytes, state, object_bytes, changed_at)
         SELECT t.*, $7 FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[]) AS t
         ON CONFLICT (tenant_id, bucket_id, upload) DO UPDATE SET part_bytes = EXCLUDED.part_bytes,
            state = EXCLUDED.state, object_bytes = EXCLUDED.object_bytes, changed_at = EXCLUDED.changed_at",
        &tenants,
        &buckets,
        &ids,
        &parts,
        &states,
        &bytes as &[Option<i64>],
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn add_to_buckets(tx: &mut Tx, booked: &Booked) -> Result<(), Error> {
    if booked.buckets.is_empty() {
        return Ok(());
    }
    let moved = || booked.buckets.iter();
    let tenants: Vec<Uuid> = moved().map(|(key, _)| key.0.0).collect();
    let buckets: Vec<Uuid> = moved().map(|(key, _)| key.1.0).collect();
    let added: Vec<i64> = moved().map(|(_, moved)| moved.added_bytes).collect();
    let removed: Vec<i64> = moved().map(|(_, moved)| moved.removed_bytes).collect();
    let added_objects: Vec<i64> = moved().map(|(_, moved)| moved.added_objects).collect();
    let removed_objects: Vec<i64> = moved().map(|(_, moved)| moved.removed_objects).collect();
    query!(
        "INSERT INTO bucket_usage AS u (tenant_id, bucket_id, stored_bytes, objects, added_bytes, removed_bytes,
                                        added_objects, removed_objects)
         SELECT t, b, ab - rb, ao - ro, ab, rb, ao, ro
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
              AS m (t, b, ab, rb, ao, ro)
         ON CONFLICT (tenant_id, bucket_id) DO UPDATE SET
            stored_bytes = u.stored_bytes + EXCLUDED.stored_bytes, objects = u.objects + EXCLUDED.objects,
            added_bytes = u.added_bytes + EXCLUDED.added_bytes, removed_bytes = u.removed_bytes + EXCLUDED.removed_bytes,
            added_objects = u.added_objects + EXCLUDED.added_objects,
            removed_objects = u.removed_objects + EXCLUDED.removed_objects",
        &tenants,
        &buckets,
        &added,
        &removed,
        &added_objects,
        &removed_objects
    )
    .execute(tx.connection())
    .await?;
    query!(
        "UPDATE tenant_usage u SET stored_bytes = u.stored_bytes + m.bytes, objects = u.objects + m.objects
         FROM (SELECT t, sum(ab - rb)::bigint AS bytes, sum(ao - ro)::bigint AS objects
               FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS m (t, ab, rb, ao, ro)
               GROUP BY t) m
         WHERE u.tenant_id = m.t",
        &tenants,
        &added,
        &removed,
        &added_objects,
        &removed_objects
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn of_tenant(tx: &mut Tx, tenant: TenantId) -> Result<Stored, Error> {
    let row = query!(
        "SELECT stored_bytes, objects FROM tenant_usage WHERE tenant_id = $1",
        tenant.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map_or_else(Stored::default, |row| Stored {
        stored_bytes: u64::try_from(row.stored_bytes).unwrap_or(0),
        objects: u64::try_from(row.objects).unwrap_or(0),
    }))
}

/// What is needed no more: batches, marks of what was freed, and uploads that have ended, from before these times.
pub(crate) async fn purge(
    tx: &mut Tx,
    batches: DateTime<Utc>,
    freed: DateTime<Utc>,
    uploads: DateTime<Utc>,
) -> Result<(), Error> {
    query!("DELETE FROM usage_batches WHERE booked_at < $1", batches)
        .execute(tx.connection())
        .await?;
    query!("DELETE FROM usage_freed WHERE at < $1", freed)
        .execute(tx.connection())
        .await?;
    query!(
        "DELETE FROM usage_uploads WHERE changed_at < $1 AND state <> 'open'",
        uploads
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
