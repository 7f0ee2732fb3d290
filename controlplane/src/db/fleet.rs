//! What nodes hold, as the operator looks at it.

use sqlx::{PgConnection, query, query_as, query_scalar};

use crate::Error;
use crate::ids::NodeId;
use crate::nodes::{Held, LeaseOf, ShareOf};

pub(crate) async fn count_shares(conn: &mut PgConnection, node: NodeId) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"SELECT count(*) AS "count!" FROM allotments WHERE node_id = $1"#,
        node.0
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

pub(crate) async fn shares(
    conn: &mut PgConnection,
    node: NodeId,
    limit: i64,
) -> Result<Vec<ShareOf>, Error> {
    let rows = query!(
        "SELECT a.tenant_id, t.name, a.requests_held, a.concurrency_held, a.bandwidth_held
         FROM allotments a JOIN tenants t ON t.id = a.tenant_id
         WHERE a.node_id = $1 ORDER BY a.requests_held DESC, a.tenant_id LIMIT $2",
        node.0,
        limit
    )
    .fetch_all(conn)
    .await?;
    let shares = rows.into_iter().map(|row| ShareOf {
        tenant_id: row.tenant_id.into(),
        name: row.name,
        requests: row.requests_held.unsigned_abs(),
        concurrency: row.concurrency_held.unsigned_abs(),
        bandwidth: row.bandwidth_held.unsigned_abs(),
    });
    Ok(shares.collect())
}

pub(crate) async fn leases(conn: &mut PgConnection, node: NodeId) -> Result<Vec<Held>, Error> {
    let held = query_as!(
        Held,
        r#"SELECT resource, count(DISTINCT tenant_id) AS "tenants!", LEAST(sum(granted - consumed), 9223372036854775807)::bigint AS "amount!"
           FROM leases WHERE node_id = $1 AND granted > consumed GROUP BY resource ORDER BY resource"#,
        node.0
    )
    .fetch_all(conn)
    .await?;
    Ok(held)
}

pub(crate) async fn largest_leases(
    conn: &mut PgConnection,
    node: NodeId,
    limit: i64,
) -> Result<Vec<LeaseOf>, Error> {
    let rows = query!(
        r#"SELECT l.tenant_id, t.name, l.resource, sum(l.granted - l.consumed)::bigint AS "amount!"
           FROM leases l JOIN tenants t ON t.id = l.tenant_id
           WHERE l.node_id = $1 AND l.granted > l.consumed
           GROUP BY 1, 2, 3 ORDER BY 3, 4 DESC, 1 LIMIT $2"#,
        node.0,
        limit
    )
    .fetch_all(conn)
    .await?;
    let leases = rows.into_iter().map(|row| LeaseOf {
        tenant_id: row.tenant_id.into(),
        name: row.name,
        resource: row.resource,
        amount: row.amount,
    });
    Ok(leases.collect())
}
