//! Sums over all tenants.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use wire::Rule;

use super::refusals::Row;
use crate::across::{Day, Refused, RefusedOn, Used};
use crate::ids::TenantId;
use crate::{Error, Tx};

/// Hours from `from` to before `to`; `by`: `stored`, `egress`, `requests`, `refusals`.
pub(crate) async fn top(
    tx: &mut Tx,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    by: &str,
    limit: i64,
) -> Result<Vec<Used>, Error> {
    let used = query_as!(
        Used,
        r#"SELECT t.id AS tenant_id, t.name, t.plan_id AS plan, COALESCE(s.stored_bytes, 0) AS "stored_bytes!",
                  COALESCE(s.objects, 0) AS "objects!", COALESCE(h.bytes_out, 0) AS "bytes_out!",
                  COALESCE(h.bytes_in, 0) AS "bytes_in!", COALESCE(h.requests, 0) AS "requests!",
                  COALESCE(r.refusals, 0) AS "refusals!"
           FROM tenants t
                LEFT JOIN tenant_usage s ON s.tenant_id = t.id
                LEFT JOIN (SELECT tenant_id, sum(bytes_out)::bigint AS bytes_out, sum(bytes_in)::bigint AS bytes_in,
                                  sum(requests)::bigint AS requests
                           FROM usage_hours WHERE hour >= $1 AND hour < $2 GROUP BY 1) h ON h.tenant_id = t.id
                LEFT JOIN (SELECT tenant_id, sum(1 + more)::bigint AS refusals
                           FROM refusals WHERE at >= $1 AND at < $2 GROUP BY 1) r ON r.tenant_id = t.id
           WHERE t.status <> 'deleted'
           ORDER BY CASE $3 WHEN 'stored' THEN s.stored_bytes WHEN 'egress' THEN h.bytes_out
                            WHEN 'requests' THEN h.requests ELSE r.refusals END DESC NULLS LAST, t.created_at, t.id
           LIMIT $4"#,
        from,
        to,
        by,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(used)
}

pub(crate) async fn days(
    tx: &mut Tx,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<Day>, Error> {
    let days = query_as!(
        Day,
        r#"SELECT d.day AS "day!", COALESCE(h.requests, 0) AS "requests!", COALESCE(h.bytes_in, 0) AS "bytes_in!",
                  COALESCE(h.bytes_out, 0) AS "bytes_out!", COALESCE(h.stored_delta, 0) AS "stored_delta!",
                  COALESCE(r.refusals, 0) AS "refusals!"
           FROM (SELECT s::date AS day FROM generate_series(($1::timestamptz AT TIME ZONE 'UTC')::date,
                    (($2::timestamptz - interval '1 second') AT TIME ZONE 'UTC')::date, interval '1 day') AS s) d
                LEFT JOIN (SELECT (hour AT TIME ZONE 'UTC')::date AS day, sum(requests)::bigint AS requests,
                                  sum(bytes_in)::bigint AS bytes_in, sum(bytes_out)::bigint AS bytes_out,
                                  sum(stored_delta)::bigint AS stored_delta
                           FROM usage_hours WHERE hour >= $1 AND hour < $2 GROUP BY 1) h ON h.day = d.day
                LEFT JOIN (SELECT (at AT TIME ZONE 'UTC')::date AS day, sum(1 + more)::bigint AS refusals
                           FROM refusals WHERE at >= $1 AND at < $2 GROUP BY 1) r ON r.day = d.day
           ORDER BY d.day"#,
        from,
        to
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(days)
}

pub(crate) async fn refused(
    tx: &mut Tx,
    rule: Option<&str>,
    tenant: Option<TenantId>,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Refused>, Error> {
    let rows = query!(
        r#"SELECT r.tenant_id, t.name, r.rule, sum(1 + r.more)::bigint AS "count!", max(r.at) AS "last_at!",
                  (array_agg(r.request_id ORDER BY r.at DESC))[1] AS "request_id!"
           FROM refusals r JOIN tenants t ON t.id = r.tenant_id
           WHERE r.at >= $3 AND ($1::text IS NULL OR r.rule = $1) AND ($2::uuid IS NULL OR r.tenant_id = $2)
           GROUP BY 1, 2, 3 ORDER BY 4 DESC, 5 DESC, 1, 3 LIMIT $4"#,
        rule,
        tenant.map(TenantId::as_uuid),
        since,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    let refused = rows.into_iter().map(|row| Refused {
        tenant_id: row.tenant_id.into(),
        name: row.name,
        rule: Rule::from_name(&row.rule),
        count: row.count,
        last_at: row.last_at,
        request_id: row.request_id,
    });
    Ok(refused.collect())
}

pub(crate) async fn refused_by_day(
    tx: &mut Tx,
    rule: Option<&str>,
    tenant: Option<TenantId>,
    since: DateTime<Utc>,
) -> Result<Vec<RefusedOn>, Error> {
    let rows = query!(
        r#"SELECT (at AT TIME ZONE 'UTC')::date AS "day!", rule, sum(1 + more)::bigint AS "count!"
           FROM refusals
           WHERE at >= $3 AND ($1::text IS NULL OR rule = $1) AND ($2::uuid IS NULL OR tenant_id = $2)
           GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"#,
        rule,
        tenant.map(TenantId::as_uuid),
        since
    )
    .fetch_all(tx.connection())
    .await?;
    let refused = rows.into_iter().map(|row| RefusedOn {
        day: row.day,
        rule: Rule::from_name(&row.rule),
        count: row.count,
    });
    Ok(refused.collect())
}

pub(crate) async fn refusals(
    tx: &mut Tx,
    rule: Option<&str>,
    tenant: Option<TenantId>,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let rows = query_as!(
        Row,
        "SELECT tenant_id, request_id, at, node_id, operation, bucket, access_key_id, status, code, rule, counter,
            limited_to, revision, clears_at, more
         FROM refusals
         WHERE at >= $3 AND ($1::text IS NULL OR rule = $1) AND ($2::uuid IS NULL OR tenant_id = $2)
         ORDER BY at DESC, request_id LIMIT $4",
        rule,
        tenant.map(TenantId::as_uuid),
        since,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
