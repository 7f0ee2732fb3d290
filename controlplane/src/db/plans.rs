//! Plans as they are sold, and every version of their terms.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use crate::plans::{Offer, Plan, Subscriber, Version};
use crate::{Error, Tx};

struct Row {
    id: String,
    version: i32,
    name: String,
    price_cents: i64,
    currency: String,
    storage_bytes: i64,
    egress_bytes: Option<i64>,
    storage_price_micros: Option<i64>,
    egress_price_micros: Option<i64>,
    quota_bytes: Option<i64>,
    quota_objects: Option<i64>,
    quota_egress_bytes: Option<i64>,
    requests_per_second: i32,
    burst: i32,
    concurrent_requests: Option<i32>,
    bytes_per_second: Option<i64>,
    trial_days: Option<i32>,
    bucket_limit: i32,
    access_key_limit: i32,
    for_sale: bool,
    retired_at: Option<DateTime<Utc>>,
}

macro_rules! select {
    ($tail:literal $(, $arg:expr)*) => {
        query_as!(
            Row,
            "SELECT id, version, name, price_cents, currency, storage_bytes, egress_bytes, storage_price_micros,
                    egress_price_micros, quota_bytes, quota_objects, quota_egress_bytes, requests_per_second, burst,
                    concurrent_requests, bytes_per_second, trial_days, bucket_limit, access_key_limit, for_sale,
                    retired_at
             FROM plans " + $tail
            $(, $arg)*
        )
    };
}

impl From<Row> for Offer {
    fn from(row: Row) -> Self {
        Self {
            for_sale: row.for_sale,
            retired_at: row.retired_at,
            plan: Plan {
                id: row.id,
                version: row.version,
                name: row.name,
                price_cents: row.price_cents,
                currency: row.currency,
                storage_bytes: row.storage_bytes,
                egress_bytes: row.egress_bytes,
                storage_price_micros: row.storage_price_micros,
                egress_price_micros: row.egress_price_micros,
                quota_bytes: row.quota_bytes,
                quota_objects: row.quota_objects,
                quota_egress_bytes: row.quota_egress_bytes,
                requests_per_second: row.requests_per_second,
                burst: row.burst,
                concurrent_requests: row.concurrent_requests,
                bytes_per_second: row.bytes_per_second,
                trial_days: row.trial_days,
                bucket_limit: row.bucket_limit,
                access_key_limit: row.access_key_limit,
            },
        }
    }
}

pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<Offer>, Error> {
    let rows = select!("ORDER BY position, id")
        .fetch_all(tx.connection())
        .await?;
    Ok(rows.into_iter().map(Offer::from).collect())
}

pub(crate) async fn get(tx: &mut Tx, plan: &str) -> Result<Option<Offer>, Error> {
    let row = select!("WHERE id = $1", plan)
        .fetch_optional(tx.connection())
        .await?;
    Ok(row.map(Offer::from))
}

/// As [`get`], and nobody else changes the plan before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, plan: &str) -> Result<Option<Offer>, Error> {
    let row = select!("WHERE id = $1 FOR UPDATE", plan)
        .fetch_optional(tx.connection())
        .await?;
    Ok(row.map(Offer::from))
}

/// As the last in the order. `false`: there is one with this id.
pub(crate) async fn insert(tx: &mut Tx, offer: &Offer) -> Result<bool, Error> {
    let plan = &offer.plan;
    let done = query!(
        "INSERT INTO plans (id, version, name, price_cents, currency, storage_bytes, egress_bytes, storage_price_micros,
                            egress_price_micros, quota_bytes, quota_objects, quota_egress_bytes, requests_per_second,
                            burst, concurrent_requests, bytes_per_second, trial_days, bucket_limit, access_key_limit,
                            for_sale, position)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                COALESCE(max(position), 0) + 1 FROM plans
         ON CONFLICT (id) DO NOTHING",
        plan.id,
        plan.version,
        plan.name,
        plan.price_cents,
        plan.currency,
        plan.storage_bytes,
        plan.egress_bytes,
        plan.storage_price_micros,
        plan.egress_price_micros,
        plan.quota_bytes,
        plan.quota_objects,
        plan.quota_egress_bytes,
        plan.requests_per_second,
        plan.burst,
        plan.concurrent_requests,
        plan.bytes_per_second,
        plan.trial_days,
        plan.bucket_limit,
        plan.access_key_limit,
        offer.for_sale
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn update(tx: &mut Tx, offer: &Offer) -> Result<(), Error> {
    let plan = &offer.plan;
    query!(
        "UPDATE plans SET version = $2, name = $3, price_cents = $4, currency = $5, storage_bytes = $6, egress_bytes = $7,
            storage_price_micros = $8, egress_price_micros = $9, quota_bytes = $10, quota_objects = $11,
            quota_egress_bytes = $12, requests_per_second = $13, burst = $14, concurrent_requests = $15,
            bytes_per_second = $16, trial_days = $17, bucket_limit = $18, access_key_limit = $19, for_sale = $20,
            retired_at = $21
         WHERE id = $1",
        plan.id,
        plan.version,
        plan.name,
        plan.price_cents,
        plan.currency,
        plan.storage_bytes,
        plan.egress_bytes,
        plan.storage_price_micros,
        plan.egress_price_micros,
        plan.quota_bytes,
        plan.quota_objects,
        plan.quota_egress_bytes,
        plan.requests_per_second,
        plan.burst,
        plan.concurrent_requests,
        plan.bytes_per_second,
        plan.trial_days,
        plan.bucket_limit,
        plan.access_key_limit,
        offer.for_sale,
        offer.retired_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes this version down, for good.
pub(crate) async fn keep_terms(tx: &mut Tx, plan: &Plan) -> Result<(), Error> {
    query!(
        "INSERT INTO terms (id, version, name, price_cents, currency, storage_bytes, egress_bytes, storage_price_micros,
                            egress_price_micros, quota_bytes, quota_objects, quota_egress_bytes, requests_per_second,
                            burst, concurrent_requests, bytes_per_second, trial_days, bucket_limit, access_key_limit)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        plan.id,
        plan.version,
        plan.name,
        plan.price_cents,
        plan.currency,
        plan.storage_bytes,
        plan.egress_bytes,
        plan.storage_price_micros,
        plan.egress_price_micros,
        plan.quota_bytes,
        plan.quota_objects,
        plan.quota_egress_bytes,
        plan.requests_per_second,
        plan.burst,
        plan.concurrent_requests,
        plan.bytes_per_second,
        plan.trial_days,
        plan.bucket_limit,
        plan.access_key_limit
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The length of the trial in days, if these terms are one; an outer `None`: there are no such terms.
pub(crate) async fn trial_days(
    tx: &mut Tx,
    plan: &str,
    version: i32,
) -> Result<Option<Option<i32>>, Error> {
    let days = query_scalar!(
        "SELECT trial_days FROM terms WHERE id = $1 AND version = $2",
        plan,
        version
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(days)
}

/// Every version of the plan's terms, the newest first.
pub(crate) async fn versions(tx: &mut Tx, plan: &str) -> Result<Vec<Version>, Error> {
    let rows = query!(
        r#"SELECT p.id, p.version, p.name, p.price_cents, p.currency, p.storage_bytes, p.egress_bytes, p.storage_price_micros,
                  p.egress_price_micros, p.quota_bytes, p.quota_objects, p.quota_egress_bytes, p.requests_per_second,
                  p.burst, p.concurrent_requests, p.bytes_per_second, p.trial_days, p.bucket_limit, p.access_key_limit,
                  (SELECT count(*) FROM tenants t
                   WHERE t.plan_id = p.id AND t.terms_version = p.version AND t.status <> 'deleted') AS "tenants!"
           FROM terms p WHERE p.id = $1 ORDER BY p.version DESC"#,
        plan
    )
    .fetch_all(tx.connection())
    .await?;
    let versions = rows.into_iter().map(|row| Version {
        tenants: row.tenants,
        terms: Plan {
            id: row.id,
            version: row.version,
            name: row.name,
            price_cents: row.price_cents,
            currency: row.currency,
            storage_bytes: row.storage_bytes,
            egress_bytes: row.egress_bytes,
            storage_price_micros: row.storage_price_micros,
            egress_price_micros: row.egress_price_micros,
            quota_bytes: row.quota_bytes,
            quota_objects: row.quota_objects,
            quota_egress_bytes: row.quota_egress_bytes,
            requests_per_second: row.requests_per_second,
            burst: row.burst,
            concurrent_requests: row.concurrent_requests,
            bytes_per_second: row.bytes_per_second,
            trial_days: row.trial_days,
            bucket_limit: row.bucket_limit,
            access_key_limit: row.access_key_limit,
        },
    });
    Ok(versions.collect())
}

/// Who is on the plan and not deleted, the newest first.
pub(crate) async fn subscribers(
    tx: &mut Tx,
    plan: &str,
    limit: i64,
) -> Result<Vec<Subscriber>, Error> {
    let subscribers = query_as!(
        Subscriber,
        "SELECT id AS tenant_id, name, terms_version AS version, terms_since AS since FROM tenants
         WHERE plan_id = $1 AND status <> 'deleted' ORDER BY terms_since DESC, id LIMIT $2",
        plan,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(subscribers)
}
