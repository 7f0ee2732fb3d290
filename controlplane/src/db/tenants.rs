//! Tenants, with the terms that hold for them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;
use wire::{Limits, Revision, TenantStatus};

use crate::ids::TenantId;
use crate::operators::Search;
use crate::plans::Plan;
use crate::tenants::Tenant;
use crate::{Error, Tx};

struct Row {
    id: Uuid,
    name: String,
    email: String,
    status: String,
    billing_status: String,
    created_at: DateTime<Utc>,
    trial_ends_at: Option<DateTime<Utc>>,
    revision: Revision,
    rate: i32,
    burst: i32,
    quota: Option<i64>,
    concurrency: Option<i32>,
    bandwidth: Option<i64>,
    max_staleness_seconds: Option<i32>,
    quota_objects: Option<i64>,
    quota_egress: Option<i64>,
    buckets: i32,
    access_keys: i32,
    plan_id: String,
    terms_version: i32,
    terms_since: DateTime<Utc>,
    plan_name: String,
    price_cents: i64,
    currency: String,
    storage_bytes: i64,
    egress_bytes: Option<i64>,
    storage_price_micros: Option<i64>,
    egress_price_micros: Option<i64>,
    plan_quota: Option<i64>,
    plan_quota_objects: Option<i64>,
    plan_quota_egress: Option<i64>,
    plan_rate: i32,
    plan_burst: i32,
    plan_concurrency: Option<i32>,
    plan_bandwidth: Option<i64>,
    trial_days: Option<i32>,
    bucket_limit: i32,
    access_key_limit: i32,
    engine_id: Option<String>,
}

macro_rules! select {
    ($tail:literal $(, $arg:expr)*) => {
        query_as!(
            Row,
            r#"SELECT t.id, t.name, t.email, t.status, t.billing_status, t.created_at, t.trial_ends_at, t.revision,
                      COALESCE(t.requests_per_second, p.requests_per_second) AS "rate!",
                      COALESCE(t.burst, p.burst) AS "burst!",
                      LEAST(COALESCE(t.quota_bytes, p.quota_bytes), t.cap_storage_bytes) AS quota, t.max_staleness_seconds,
                      COALESCE(t.concurrent_requests, p.concurrent_requests) AS concurrency,
                      COALESCE(t.bytes_per_second, p.bytes_per_second) AS bandwidth,
                      COALESCE(t.quota_objects, p.quota_objects) AS quota_objects,
                      LEAST(COALESCE(t.quota_egress_bytes, p.quota_egress_bytes), t.cap_egress_bytes) AS quota_egress,
                      COALESCE(t.bucket_limit, p.bucket_limit) AS "buckets!",
                      COALESCE(t.access_key_limit, p.access_key_limit) AS "access_keys!",
                      p.id AS plan_id, p.version AS terms_version, t.terms_since, p.name AS plan_name, p.price_cents,
                      p.currency, p.storage_bytes, p.egress_bytes, p.storage_price_micros, p.egress_price_micros,
                      p.concurrent_requests AS plan_concurrency, p.bytes_per_second AS plan_bandwidth,
                      p.quota_bytes AS plan_quota, p.quota_objects AS plan_quota_objects,
                      p.quota_egress_bytes AS plan_quota_egress, p.requests_per_second AS plan_rate, p.burst AS plan_burst,
                      p.trial_days, p.bucket_limit, p.access_key_limit, t.engine_id
               FROM tenants t JOIN terms p ON p.id = t.plan_id AND p.version = t.terms_version "# + $tail
            $(, $arg)*
        )
    };
}

impl From<Row> for Tenant {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            email: row.email,
            status: worse(status_from(&row.status), status_from(&row.billing_status)),
            operator_status: status_from(&row.status),
            billing_status: status_from(&row.billing_status),
            terms_since: row.terms_since,
            limits: Limits {
                requests_per_second: row.rate.unsigned_abs(),
                burst: row.burst.unsigned_abs(),
                concurrent_requests: row.concurrency.map(i32::unsigned_abs),
                bytes_per_second: row.bandwidth.map(i64::unsigned_abs),
                quota_bytes: row.quota.map(i64::unsigned_abs),
                quota_objects: row.quota_objects.map(i64::unsigned_abs),
                quota_egress_bytes: row.quota_egress.map(i64::unsigned_abs),
            },
            bucket_limit: row.buckets,
            access_key_limit: row.access_keys,
            plan: Plan {
                id: row.plan_id,
                version: row.terms_version,
                name: row.plan_name,
                price_cents: row.price_cents,
                currency: row.currency,
                storage_bytes: row.storage_bytes,
                egress_bytes: row.egress_bytes,
                storage_price_micros: row.storage_price_micros,
                egress_price_micros: row.egress_price_micros,
                quota_bytes: row.plan_quota,
                quota_objects: row.plan_quota_objects,
                quota_egress_bytes: row.plan_quota_egress,
                requests_per_second: row.plan_rate,
                burst: row.plan_burst,
                concurrent_requests: row.plan_concurrency,
                bytes_per_second: row.plan_bandwidth,
                trial_days: row.trial_days,
                bucket_limit: row.bucket_limit,
                access_key_limit: row.access_key_limit,
            },
            max_staleness_seconds: row.max_staleness_seconds.map(i32::unsigned_abs),
            created_at: row.created_at,
            trial_ends_at: row.trial_ends_at,
            revision: row.revision,
            engine: row.engine_id,
        }
    }
}

/// Of the operator's word and what paying leaves of it, whichever allows less.
fn worse(one: TenantStatus, other: TenantStatus) -> TenantStatus {
    let severity = |status| match status {
        TenantStatus::Active => 0,
        TenantStatus::ReadOnly => 1,
        TenantStatus::Suspended => 2,
        TenantStatus::Unknown => 3,
        TenantStatus::Deleted => 4,
    };
    std::cmp::max_by_key(one, other, |status| severity(*status))
}

pub(crate) fn status_from(text: &str) -> TenantStatus {
    match text {
        "active" => TenantStatus::Active,
        "read_only" => TenantStatus::ReadOnly,
        "suspended" => TenantStatus::Suspended,
        "deleted" => TenantStatus::Deleted,
        _ => TenantStatus::Unknown,
    }
}

fn status_text(status: TenantStatus) -> &'static str {
    match status {
        TenantStatus::Active => "active",
        TenantStatus::ReadOnly => "read_only",
        TenantStatus::Deleted => "deleted",
        // What is not known is denied.
        TenantStatus::Suspended | TenantStatus::Unknown => "suspended",
    }
}

pub(crate) async fn get(tx: &mut Tx, id: TenantId) -> Result<Option<Tenant>, Error> {
    let row = select!("WHERE t.id = $1", id.0)
        .fetch_optional(tx.connection())
        .await?;
    Ok(row.map(Tenant::from))
}

/// As [`get`], and nobody else changes the tenant before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: TenantId) -> Result<Option<Tenant>, Error> {
    let row = select!("WHERE t.id = $1 FOR NO KEY UPDATE OF t", id.0)
        .fetch_optional(tx.connection())
        .await?;
    Ok(row.map(Tenant::from))
}

pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<Tenant>, Error> {
    let rows = select!("WHERE t.status <> 'deleted' ORDER BY t.created_at, t.id")
        .fetch_all(tx.connection())
        .await?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

/// The newest first.
pub(crate) async fn search(tx: &mut Tx, search: &Search) -> Result<Vec<Tenant>, Error> {
    let rows = select!(
        "WHERE ($1 = '' OR strpos(lower(t.name), lower($1)) > 0 OR strpos(lower(t.email), lower($1)) > 0
                OR replace(t.id::text, '-', '') = lower(replace($1, '-', '')))
           AND CASE WHEN t.status = 'deleted' THEN $2 = 'deleted' AND t.removed_at IS NULL
                    WHEN $2 = '' THEN true
                    WHEN 'suspended' IN (t.status, t.billing_status) THEN $2 = 'suspended'
                    WHEN 'read_only' IN (t.status, t.billing_status) THEN $2 = 'read_only'
                    ELSE $2 = 'active' END
           AND ($3 = '' OR t.plan_id = $3)
           AND ($4::uuid IS NULL
                OR (t.created_at, t.id) < (SELECT c.created_at, c.id FROM tenants c WHERE c.id = $4))
         ORDER BY t.created_at DESC, t.id DESC LIMIT $5",
        search.text,
        search.status,
        search.plan,
        search.after.map(TenantId::as_uuid),
        i64::from(search.limit)
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

/// Up to `limit` tenants that changed after `revision`, in the order of their changes; deleted ones too.
pub(crate) async fn changed_after(
    conn: &mut PgConnection,
    revision: Revision,
    limit: i64,
) -> Result<Vec<Tenant>, sqlx::Error> {
    let rows = select!(
        "WHERE t.revision > $1 ORDER BY t.revision LIMIT $2",
        revision,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

/// Up to `limit` tenants that are not deleted, by id, after the id given.
pub(crate) async fn page(
    conn: &mut PgConnection,
    after: Option<TenantId>,
    limit: i64,
) -> Result<Vec<Tenant>, sqlx::Error> {
    let after = after.map_or(Uuid::nil(), TenantId::as_uuid);
    let rows = select!(
        "WHERE t.id > $1 AND t.status <> 'deleted' ORDER BY t.id LIMIT $2",
        after,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

pub(crate) struct New<'a> {
    pub id: TenantId,
    pub name: &'a str,
    pub email: &'a str,
    pub plan: &'a str,
    pub terms_version: i32,
    pub trial_ends_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

pub(crate) async fn insert(tx: &mut Tx, new: New<'_>) -> Result<(), Error> {
    query!(
        "INSERT INTO tenants (id, name, email, plan_id, terms_version, trial_ends_at, created_at, terms_since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        new.id.0,
        new.name,
        new.email,
        new.plan,
        new.terms_version,
        new.trial_ends_at,
        new.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_engine(
    tx: &mut Tx,
    id: TenantId,
    engine: Option<&str>,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET engine_id = $2 WHERE id = $1",
        id.0,
        engine
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_status(
    tx: &mut Tx,
    id: TenantId,
    status: TenantStatus,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET status = $2 WHERE id = $1",
        id.0,
        status_text(status)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What paying, or not, leaves of it.
pub(crate) async fn set_billing_status(
    tx: &mut Tx,
    id: TenantId,
    status: TenantStatus,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET billing_status = $2 WHERE id = $1",
        id.0,
        status_text(status)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// On other terms from `since` on, without a trial unless it has one.
pub(crate) async fn set_plan(
    tx: &mut Tx,
    id: TenantId,
    (plan, version): (&str, i32),
    since: DateTime<Utc>,
    trial_ends_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET plan_id = $2, terms_version = $3, terms_since = $4, trial_ends_at = $5 WHERE id = $1",
        id.0,
        plan,
        version,
        since,
        trial_ends_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// At the spending cap: what may be stored and read at most. `None`: what the terms say.
pub(crate) async fn set_caps(
    tx: &mut Tx,
    id: TenantId,
    storage: Option<i64>,
    egress: Option<i64>,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET cap_storage_bytes = $2, cap_egress_bytes = $3 WHERE id = $1",
        id.0,
        storage,
        egress
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn caps(tx: &mut Tx, id: TenantId) -> Result<(Option<i64>, Option<i64>), Error> {
    let row = query!(
        "SELECT cap_storage_bytes, cap_egress_bytes FROM tenants WHERE id = $1",
        id.0
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.cap_storage_bytes, row.cap_egress_bytes))
}

pub(crate) async fn set_email(tx: &mut Tx, id: TenantId, email: &str) -> Result<(), Error> {
    query!("UPDATE tenants SET email = $2 WHERE id = $1", id.0, email)
        .execute(tx.connection())
        .await?;
    Ok(())
}

pub(crate) async fn set_name(tx: &mut Tx, id: TenantId, name: &str) -> Result<(), Error> {
    query!("UPDATE tenants SET name = $2 WHERE id = $1", id.0, name)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Each figure: whether it is set at all, and to what (`None`: the plan's).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub rate: Option<Option<i32>>,
    pub burst: Option<Option<i32>>,
    pub concurrency: Option<Option<i32>>,
    pub bandwidth: Option<Option<i64>>,
    pub quota_bytes: Option<Option<i64>>,
    pub quota_objects: Option<Option<i64>>,
    pub quota_egress_bytes: Option<Option<i64>>,
    pub bucket_limit: Option<Option<i32>>,
    pub access_key_limit: Option<Option<i32>>,
}

pub(crate) async fn set_limits(tx: &mut Tx, id: TenantId, set: Figures) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET
            requests_per_second = CASE WHEN $2 THEN $3 ELSE requests_per_second END,
            burst = CASE WHEN $4 THEN $5 ELSE burst END,
            quota_bytes = CASE WHEN $6 THEN $7 ELSE quota_bytes END,
            concurrent_requests = CASE WHEN $8 THEN $9 ELSE concurrent_requests END,
            bytes_per_second = CASE WHEN $10 THEN $11 ELSE bytes_per_second END,
            quota_objects = CASE WHEN $12 THEN $13 ELSE quota_objects END,
            quota_egress_bytes = CASE WHEN $14 THEN $15 ELSE quota_egress_bytes END,
            bucket_limit = CASE WHEN $16 THEN $17 ELSE bucket_limit END,
            access_key_limit = CASE WHEN $18 THEN $19 ELSE access_key_limit END
         WHERE id = $1",
        id.0,
        set.rate.is_some(),
        set.rate.flatten(),
        set.burst.is_some(),
        set.burst.flatten(),
        set.quota_bytes.is_some(),
        set.quota_bytes.flatten(),
        set.concurrency.is_some(),
        set.concurrency.flatten(),
        set.bandwidth.is_some(),
        set.bandwidth.flatten(),
        set.quota_objects.is_some(),
        set.quota_objects.flatten(),
        set.quota_egress_bytes.is_some(),
        set.quota_egress_bytes.flatten(),
        set.bucket_limit.is_some(),
        set.bucket_limit.flatten(),
        set.access_key_limit.is_some(),
        set.access_key_limit.flatten()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// `None`: for as long as a node has signing keys.
pub(crate) async fn set_max_staleness(
    tx: &mut Tx,
    id: TenantId,
    seconds: Option<i32>,
) -> Result<(), Error> {
    query!(
        "UPDATE tenants SET max_staleness_seconds = $2 WHERE id = $1",
        id.0,
        seconds
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn count(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    query_scalar!(r#"SELECT count(*) AS "count!" FROM tenants WHERE status <> 'deleted'"#)
        .fetch_one(conn)
        .await
}
