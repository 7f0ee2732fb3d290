//! How a tenant's limits stand: what nodes hold of them, and what is asked of each.

use chrono::{DateTime, Utc};
use sqlx::query_as;

use crate::ids::TenantId;
use crate::{Error, Tx};

/// Of one node: what it may hold of the tenant's limits, in parts per billion, and what clients ask of it.
pub(crate) struct Share {
    pub s3_address: String,
    pub connected: bool,
    pub requests: i32,
    pub concurrency: i32,
    pub bandwidth: i32,
    pub requests_asked: i64,
    pub concurrency_asked: i64,
    pub bandwidth_asked: i64,
}

/// In the order in which the nodes joined. A demand from before `fresh` is none.
pub(crate) async fn shares(
    tx: &mut Tx,
    tenant: TenantId,
    now: DateTime<Utc>,
    fresh: DateTime<Utc>,
) -> Result<Vec<Share>, Error> {
    let shares = query_as!(
        Share,
        r#"SELECT n.s3_address, COALESCE(n.connected_until > $2, false) AS "connected!",
                  COALESCE(a.requests_held, n.floor_held) AS "requests!",
                  COALESCE(a.concurrency_held, n.floor_held) AS "concurrency!",
                  COALESCE(a.bandwidth_held, n.floor_held) AS "bandwidth!",
                  COALESCE(d.requests, 0) AS "requests_asked!", COALESCE(d.concurrency, 0) AS "concurrency_asked!",
                  COALESCE(d.bandwidth, 0) AS "bandwidth_asked!"
           FROM nodes n LEFT JOIN allotments a ON a.tenant_id = $1 AND a.node_id = n.id
                        LEFT JOIN demands d ON d.tenant_id = $1 AND d.node_id = n.id AND d.at > $3
           WHERE n.removed_at IS NULL AND n.left_at IS NULL ORDER BY n.created_at, n.id"#,
        tenant.0,
        now,
        fresh
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(shares)
}

pub(crate) struct Outstanding {
    pub resource: String,
    pub s3_address: String,
    pub bytes: i64,
}

/// What nodes hold of the quotas that count now, and may still use; `month` is that of egress.
pub(crate) async fn outstanding(
    tx: &mut Tx,
    tenant: TenantId,
    month: i32,
) -> Result<Vec<Outstanding>, Error> {
    let held = query_as!(
        Outstanding,
        r#"SELECT l.resource, n.s3_address, sum(l.granted - l.consumed)::bigint AS "bytes!"
           FROM leases l JOIN nodes n ON n.id = l.node_id
           WHERE l.tenant_id = $1 AND l.granted > l.consumed AND l.period IN (0, $2)
           GROUP BY 1, 2, n.created_at, n.id ORDER BY 1, n.created_at, n.id"#,
        tenant.0,
        month
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(held)
}
