//! Leases. Whoever grants or books has locked the tenants' rows of usage first, in the order of their ids, so that no two
//! transactions wait for each other.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;
use wire::{Limits, Period, Resource};

use crate::Error;
use crate::ids::{NodeId, TenantId};

/// The channel on which control planes tell each other what concerns leases.
pub(crate) const CHANNEL: &str = "vaultaire_leases";

/// One tenant's quota of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Quota {
    pub tenant: TenantId,
    pub resource: Resource,
    pub period: Period,
}

impl Quota {
    /// `None`: of no tenant that there could be, or of something that is not known here.
    pub(crate) fn read(quota: &wire::Quota) -> Option<Quota> {
        let tenant = quota.tenant_id.parse().ok()?;
        (quota.resource != Resource::Unknown && i32::try_from(quota.period).is_ok()).then_some(
            Quota {
                tenant,
                resource: quota.resource,
                period: quota.period,
            },
        )
    }

    pub(crate) fn written(self) -> wire::Quota {
        wire::Quota {
            tenant_id: self.tenant.to_string(),
            resource: self.resource,
            period: self.period,
        }
    }

    fn period(self) -> i32 {
        i32::try_from(self.period).unwrap_or(i32::MAX)
    }
}

pub(crate) fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::StoredBytes => "stored_bytes",
        Resource::Objects => "objects",
        Resource::EgressBytes => "egress_bytes",
        Resource::Unknown => "unknown",
    }
}

fn named(name: &str) -> Resource {
    match name {
        "stored_bytes" => Resource::StoredBytes,
        "objects" => Resource::Objects,
        "egress_bytes" => Resource::EgressBytes,
        _ => Resource::Unknown,
    }
}

/// What holds for the tenant; `None`: there is no such tenant any more.
pub(crate) async fn limits(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> Result<Option<Limits>, Error> {
    let row = query!(
        r#"SELECT LEAST(COALESCE(t.quota_bytes, p.quota_bytes), t.cap_storage_bytes) AS bytes,
                  COALESCE(t.quota_objects, p.quota_objects) AS objects,
                  LEAST(COALESCE(t.quota_egress_bytes, p.quota_egress_bytes), t.cap_egress_bytes) AS egress
           FROM tenants t JOIN terms p ON p.id = t.plan_id AND p.version = t.terms_version
           WHERE t.id = $1 AND t.status <> 'deleted'"#,
        tenant.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Limits {
        requests_per_second: 1,
        burst: 1,
        concurrent_requests: None,
        bytes_per_second: None,
        quota_bytes: row.bytes.map(i64::unsigned_abs),
        quota_objects: row.objects.map(i64::unsigned_abs),
        quota_egress_bytes: row.egress.map(i64::unsigned_abs),
    }))
}

/// What is used, as it is shown.
pub(crate) async fn used(conn: &mut PgConnection, quota: Quota) -> Result<i64, Error> {
    let tenant = quota.tenant.0;
    let used = match quota.resource {
        Resource::EgressBytes => {
            query_scalar!(
                "SELECT bytes FROM egress_months WHERE tenant_id = $1 AND month = $2",
                tenant,
                quota.period()
            )
            .fetch_optional(conn)
            .await?
        }
        Resource::Objects => {
            query_scalar!(
                "SELECT objects FROM tenant_usage WHERE tenant_id = $1",
                tenant
            )
            .fetch_optional(conn)
            .await?
        }
        _ => {
            query_scalar!(
                "SELECT stored_bytes FROM tenant_usage WHERE tenant_id = $1",
                tenant
            )
            .fetch_optional(conn)
            .await?
        }
    };
    Ok(used.unwrap_or(0))
}

/// Adds to what was read. The tenants' rows are locked.
pub(crate) async fn add_egress(
    conn: &mut PgConnection,
    read: &BTreeMap<(TenantId, Period), i64>,
) -> Result<(), Error> {
    let tenants: Vec<Uuid> = read.keys().map(|(tenant, _)| tenant.0).collect();
    let months: Vec<i32> = read
        .keys()
        .map(|(_, month)| i32::try_from(*month).unwrap_or(i32::MAX))
        .collect();
    let bytes: Vec<i64> = read.values().copied().collect();
    query!(
        "INSERT INTO egress_months AS e (tenant_id, month, bytes)
         SELECT * FROM UNNEST($1::uuid[], $2::integer[], $3::bigint[])
         ON CONFLICT (tenant_id, month) DO UPDATE SET bytes = e.bytes + EXCLUDED.bytes",
        &tenants,
        &months,
        &bytes
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) struct Lease {
    pub node_id: Uuid,
    pub ledger: String,
    pub granted: i64,
    pub consumed: i64,
}

impl Lease {
    pub(crate) fn outstanding(&self) -> u64 {
        u64::try_from(self.granted - self.consumed).unwrap_or(0)
    }
}

/// Every lease of the quota. Nobody changes them while the tenant's usage is locked.
pub(crate) async fn of_quota(conn: &mut PgConnection, quota: Quota) -> Result<Vec<Lease>, Error> {
    let rows = query_as!(
        Lease,
        "SELECT node_id, ledger, granted, consumed FROM leases WHERE tenant_id = $1 AND resource = $2 AND period = $3",
        quota.tenant.0,
        name(quota.resource),
        quota.period()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Adds to a lease, and answers all that the ledger was ever granted of it.
pub(crate) async fn grant(
    conn: &mut PgConnection,
    quota: Quota,
    (node, ledger): (Uuid, &str),
    amount: u64,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    let total = query_scalar!(
        "INSERT INTO leases (tenant_id, resource, period, node_id, ledger, granted, granted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, resource, period, node_id, ledger)
         DO UPDATE SET granted = leases.granted + EXCLUDED.granted, granted_at = EXCLUDED.granted_at
         RETURNING granted",
        quota.tenant.0,
        name(quota.resource),
        quota.period(),
        node,
        ledger,
        amount,
        now
    )
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(total).unwrap_or(0))
}

/// What a batch took of a node's leases is outstanding no more. The tenants' rows are locked.
pub(crate) async fn consume(
    conn: &mut PgConnection,
    node: NodeId,
    taken: &[(Quota, &str, i64)],
) -> Result<(), Error> {
    let tenants: Vec<Uuid> = taken.iter().map(|(q, ..)| q.tenant.0).collect();
    let resources: Vec<&str> = taken.iter().map(|(q, ..)| name(q.resource)).collect();
    let periods: Vec<i32> = taken.iter().map(|(q, ..)| q.period()).collect();
    let ledgers: Vec<&str> = taken.iter().map(|(_, ledger, _)| *ledger).collect();
    let amounts: Vec<i64> = taken.iter().map(|(.., amount)| *amount).collect();
    query!(
        "UPDATE leases SET consumed = LEAST(leases.granted, leases.consumed + t.amount)
         FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::bigint[])
              AS t (tenant_id, resource, period, ledger, amount)
         WHERE leases.tenant_id = t.tenant_id AND leases.resource = t.resource AND leases.period = t.period
           AND leases.ledger = t.ledger AND leases.node_id = $6",
        &tenants,
        &resources as &[&str],
        &periods,
        &ledgers as &[&str],
        &amounts,
        node.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) struct OfNode {
    pub quota: Quota,
    pub ledger: String,
    pub granted: u64,
}

/// What a node has outstanding, in all its ledgers, in the order of the quotas.
pub(crate) async fn of_node(conn: &mut PgConnection, node: NodeId) -> Result<Vec<OfNode>, Error> {
    let rows = query!(
        "SELECT tenant_id, resource, period, ledger, granted FROM leases
         WHERE node_id = $1 AND granted > consumed ORDER BY tenant_id, resource, period",
        node.0
    )
    .fetch_all(conn)
    .await?;
    let leases = rows.into_iter().map(|row| OfNode {
        quota: Quota {
            tenant: TenantId(row.tenant_id),
            resource: named(&row.resource),
            period: row.period.unsigned_abs(),
        },
        ledger: row.ledger,
        granted: row.granted.unsigned_abs(),
    });
    Ok(leases.collect())
}

/// Nothing of the node's leases is outstanding any more.
pub(crate) async fn close(conn: &mut PgConnection, node: NodeId) -> Result<(), Error> {
    query!(
        "UPDATE leases SET consumed = granted WHERE node_id = $1 AND granted > consumed",
        node.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The node has lost account of what is not in this ledger. How many leases that are.
pub(crate) async fn lose(
    conn: &mut PgConnection,
    node: NodeId,
    ledger: &str,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let done = query!(
        "UPDATE leases SET lost_at = $3
         WHERE node_id = $1 AND ledger <> $2 AND granted > consumed AND lost_at IS NULL",
        node.0,
        ledger,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// What was lost before then is outstanding no more.
pub(crate) async fn close_lost(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<(), Error> {
    query!(
        "UPDATE leases SET consumed = granted WHERE lost_at < $1 AND granted > consumed",
        before
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) struct Ledger {
    pub ledger: Option<String>,
    pub void: Option<String>,
}

/// The node's ledger, and the last one that was declared void. Locked, so that a node has one.
pub(crate) async fn lock_ledger(conn: &mut PgConnection, node: NodeId) -> Result<Ledger, Error> {
    let row = query_as!(
        Ledger,
        "SELECT ledger, void_ledger AS void FROM nodes WHERE id = $1 FOR NO KEY UPDATE",
        node.0
    )
    .fetch_optional(conn)
    .await?;
    row.ok_or(Error::NotFound("node"))
}

pub(crate) async fn set_ledger(
    conn: &mut PgConnection,
    node: NodeId,
    ledger: &str,
) -> Result<(), Error> {
    query!("UPDATE nodes SET ledger = $2 WHERE id = $1", node.0, ledger)
        .execute(conn)
        .await?;
    Ok(())
}

/// This ledger of the node's is good for nothing, whichever the node is known to have.
pub(crate) async fn set_void_ledger(
    conn: &mut PgConnection,
    node: NodeId,
    ledger: &str,
) -> Result<(), Error> {
    query!(
        "UPDATE nodes SET void_ledger = $2 WHERE id = $1",
        node.0,
        ledger
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The node's ledger is good for nothing any more; the node must begin another.
pub(crate) async fn void_ledger(conn: &mut PgConnection, node: NodeId) -> Result<(), Error> {
    query!(
        "UPDATE nodes SET void_ledger = COALESCE(ledger, void_ledger), ledger = NULL WHERE id = $1",
        node.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A connected node that has a ledger.
pub(crate) struct Holder {
    pub node: Uuid,
    pub ledger: String,
    /// It gets what a request at hand needs, and no stock.
    pub draining: bool,
}

pub(crate) async fn connected(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<Holder>, Error> {
    let rows = query_as!(
        Holder,
        r#"SELECT id AS node, ledger AS "ledger!", draining_at IS NOT NULL AS "draining!" FROM nodes
           WHERE connected_until > $1 AND removed_at IS NULL AND ledger IS NOT NULL ORDER BY id"#,
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Nodes that were last seen before then, or never connected since, and still hold something.
pub(crate) async fn forgotten(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<Vec<NodeId>, Error> {
    let ids = query_scalar!(
        "SELECT id FROM nodes WHERE COALESCE(last_seen, created_at) < $1
           AND EXISTS (SELECT FROM leases WHERE node_id = nodes.id AND granted > consumed)",
        before
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(NodeId).collect())
}

/// Tenants of whom more is used and held than what is stored may come to.
pub(crate) async fn beyond(conn: &mut PgConnection) -> Result<Vec<TenantId>, Error> {
    let ids = query_scalar!(
        "SELECT h.tenant_id
         FROM (SELECT tenant_id, resource, sum(granted - consumed) AS held FROM leases
               WHERE granted > consumed AND period = 0 GROUP BY tenant_id, resource) h
         JOIN tenants t ON t.id = h.tenant_id
         JOIN terms p ON p.id = t.plan_id AND p.version = t.terms_version
         LEFT JOIN tenant_usage u ON u.tenant_id = h.tenant_id
         WHERE h.held > CASE h.resource
             WHEN 'objects' THEN COALESCE(t.quota_objects, p.quota_objects) - COALESCE(u.objects, 0)
             ELSE LEAST(COALESCE(t.quota_bytes, p.quota_bytes), t.cap_storage_bytes) - COALESCE(u.stored_bytes, 0)
         END
         GROUP BY h.tenant_id"
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}

/// Tells every control plane, when the transaction commits.
pub(crate) async fn notify(conn: &mut PgConnection, text: &str) -> Result<(), Error> {
    query!("SELECT pg_notify($1, $2)", CHANNEL, text)
        .execute(conn)
        .await?;
    Ok(())
}
