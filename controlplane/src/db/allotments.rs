//! Shares of tenants' limits, what nodes said of them, and what is demanded.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as};
use uuid::Uuid;

/// The channel on which it is announced that there is something to divide, or to tell.
pub(crate) const CHANNEL: &str = "vaultaire_allotments";

/// One round at a time, whichever control plane it runs on; given back at the transaction's end. A control plane that
/// stands still must not hold up the others: its transaction is ended for it.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query!(
        "SELECT set_config('idle_in_transaction_session_timeout', '3000', true) AS idle,
            set_config('lock_timeout', '5000', true) AS wait"
    )
    .fetch_one(&mut *conn)
    .await?;
    query!("SELECT pg_advisory_xact_lock(7310568212342905) AS lock")
        .fetch_one(conn)
        .await
        .map(drop)
}

/// `divide`: something was demanded or acknowledged. `tell`: nodes are to be told.
pub(crate) async fn announce(conn: &mut PgConnection, what: &str) -> Result<(), sqlx::Error> {
    query!("SELECT pg_notify($1, $2)", CHANNEL, what)
        .fetch_one(conn)
        .await
        .map(drop)
}

pub(crate) struct NodeRow {
    pub id: Uuid,
    pub s3_address: String,
    pub connected_until: Option<DateTime<Utc>>,
    pub last_seen: Option<DateTime<Utc>>,
    pub floor: i32,
    pub floor_held: i32,
    pub floor_number: i64,
    pub floor_acked: i64,
    pub draining_at: Option<DateTime<Utc>>,
}

pub(crate) async fn nodes(conn: &mut PgConnection) -> Result<Vec<NodeRow>, sqlx::Error> {
    query_as!(
        NodeRow,
        "SELECT id, s3_address, connected_until, last_seen, floor, floor_held, floor_number, floor_acked,
            draining_at
         FROM nodes WHERE removed_at IS NULL AND left_at IS NULL ORDER BY created_at, id"
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn set_floor(
    conn: &mut PgConnection,
    node: Uuid,
    floor: i32,
    held: i32,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE nodes SET floor = $2, floor_held = $3, floor_number = nextval('allotment_number') WHERE id = $1",
        node,
        floor,
        held
    )
    .execute(conn)
    .await
    .map(drop)
}

pub(crate) struct Row {
    pub tenant_id: Uuid,
    pub node_id: Uuid,
    pub number: i64,
    pub acked: i64,
    pub told_at: DateTime<Utc>,
    pub busy_at: DateTime<Utc>,
    pub released: bool,
    pub requests: i32,
    pub requests_held: i32,
    pub concurrency: i32,
    pub concurrency_held: i32,
    pub bandwidth: i32,
    pub bandwidth_held: i32,
}

pub(crate) async fn all(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    query_as!(
        Row,
        "SELECT tenant_id, node_id, number, acked, told_at, busy_at, released, requests, requests_held, concurrency,
            concurrency_held, bandwidth, bandwidth_held
         FROM allotments ORDER BY tenant_id, node_id"
    )
    .fetch_all(conn)
    .await
}

/// Those of these nodes that were told after `number`, or have not answered what they were told before `unanswered`.
pub(crate) async fn of_nodes(
    conn: &mut PgConnection,
    nodes: &[Uuid],
    number: i64,
    unanswered: DateTime<Utc>,
) -> Result<Vec<Row>, sqlx::Error> {
    query_as!(
        Row,
        "SELECT tenant_id, node_id, number, acked, told_at, busy_at, released, requests, requests_held, concurrency,
            concurrency_held, bandwidth, bandwidth_held
         FROM allotments WHERE node_id = ANY($1) AND (number > $2 OR (acked <> number AND told_at < $3))
         ORDER BY node_id, tenant_id",
        nodes,
        number,
        unanswered
    )
    .fetch_all(conn)
    .await
}

/// Writes a row whose node is to be told something new: it gets a new number.
pub(crate) async fn put(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    query!(
        "INSERT INTO allotments (tenant_id, node_id, number, told_at, busy_at, released, requests, requests_held,
            concurrency, concurrency_held, bandwidth, bandwidth_held)
         VALUES ($1, $2, nextval('allotment_number'), $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (tenant_id, node_id) DO UPDATE SET number = EXCLUDED.number, told_at = EXCLUDED.told_at,
            busy_at = EXCLUDED.busy_at, released = EXCLUDED.released, requests = EXCLUDED.requests,
            requests_held = EXCLUDED.requests_held, concurrency = EXCLUDED.concurrency,
            concurrency_held = EXCLUDED.concurrency_held, bandwidth = EXCLUDED.bandwidth,
            bandwidth_held = EXCLUDED.bandwidth_held",
        row.tenant_id,
        row.node_id,
        row.told_at,
        row.busy_at,
        row.released,
        row.requests,
        row.requests_held,
        row.concurrency,
        row.concurrency_held,
        row.bandwidth,
        row.bandwidth_held
    )
    .execute(conn)
    .await
    .map(drop)
}

pub(crate) async fn touch(
    conn: &mut PgConnection,
    tenant: Uuid,
    busy_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE allotments SET busy_at = $2 WHERE tenant_id = $1",
        tenant,
        busy_at
    )
    .execute(conn)
    .await
    .map(drop)
}

pub(crate) async fn remove(conn: &mut PgConnection, tenant: Uuid) -> Result<(), sqlx::Error> {
    query!("DELETE FROM allotments WHERE tenant_id = $1", tenant)
        .execute(conn)
        .await
        .map(drop)
}

/// A node that is told nothing any more holds nothing.
pub(crate) async fn remove_node(conn: &mut PgConnection, node: Uuid) -> Result<(), sqlx::Error> {
    query!("DELETE FROM allotments WHERE node_id = $1", node)
        .execute(conn)
        .await
        .map(drop)
}

/// What a node holds of what it was told under this number.
pub(crate) struct Held {
    pub tenant: Uuid,
    pub number: i64,
    pub requests: i32,
    pub concurrency: i32,
    pub bandwidth: i32,
}

pub(crate) async fn acknowledge(
    conn: &mut PgConnection,
    node: Uuid,
    held: &Held,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE allotments SET acked = number, requests_held = $4, concurrency_held = $5, bandwidth_held = $6
         WHERE tenant_id = $1 AND node_id = $2 AND number = $3",
        held.tenant,
        node,
        held.number,
        held.requests,
        held.concurrency,
        held.bandwidth
    )
    .execute(conn)
    .await
    .map(drop)
}

pub(crate) async fn acknowledge_floor(
    conn: &mut PgConnection,
    node: Uuid,
    number: i64,
    floor: i32,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE nodes SET floor_acked = $2, floor_held = $3
         WHERE id = $1 AND floor_number = $2 AND (floor_acked <> $2 OR floor_held <> $3)",
        node,
        number,
        floor
    )
    .execute(conn)
    .await
    .map(drop)
}

/// It has heard that it is drained, and says so to whoever asks whether it is ready.
pub(crate) async fn acknowledge_drain(
    conn: &mut PgConnection,
    node: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    query!(
        "UPDATE nodes SET drain_told_at = $2 WHERE id = $1 AND draining_at IS NOT NULL AND drain_told_at IS NULL",
        node,
        now
    )
    .execute(conn)
    .await
    .map(drop)
}

#[derive(Default)]
pub(crate) struct Demands {
    pub tenants: Vec<Uuid>,
    pub requests: Vec<i64>,
    pub concurrency: Vec<i64>,
    pub bandwidth: Vec<i64>,
}

pub(crate) async fn demand(
    conn: &mut PgConnection,
    node: Uuid,
    demands: &Demands,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    query!(
        "INSERT INTO demands (tenant_id, node_id, requests, concurrency, bandwidth, at)
         SELECT DISTINCT ON (d.tenant) d.tenant, $1::uuid, d.requests, d.concurrency, d.bandwidth, $6::timestamptz
         FROM UNNEST($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[]) AS d (tenant, requests, concurrency, bandwidth)
         ORDER BY d.tenant
         ON CONFLICT (tenant_id, node_id) DO UPDATE SET requests = EXCLUDED.requests,
            concurrency = EXCLUDED.concurrency, bandwidth = EXCLUDED.bandwidth, at = EXCLUDED.at",
        node,
        &demands.tenants,
        &demands.requests,
        &demands.concurrency,
        &demands.bandwidth,
        now
    )
    .execute(conn)
    .await
    .map(drop)
}

pub(crate) struct DemandRow {
    pub tenant_id: Uuid,
    pub node_id: Uuid,
    pub requests: i64,
    pub concurrency: i64,
    pub bandwidth: i64,
}

pub(crate) async fn demands(
    conn: &mut PgConnection,
    after: DateTime<Utc>,
) -> Result<Vec<DemandRow>, sqlx::Error> {
    query_as!(
        DemandRow,
        "SELECT tenant_id, node_id, requests, concurrency, bandwidth FROM demands WHERE at > $1",
        after
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn forget_demands(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    query!("DELETE FROM demands WHERE at < $1", before)
        .execute(conn)
        .await
        .map(drop)
}

pub(crate) struct LimitsRow {
    pub id: Uuid,
    pub rate: i32,
    pub burst: i32,
    pub concurrency: Option<i32>,
    pub bandwidth: Option<i64>,
}

pub(crate) async fn limits(
    conn: &mut PgConnection,
    tenants: &[Uuid],
) -> Result<Vec<LimitsRow>, sqlx::Error> {
    query_as!(
        LimitsRow,
        r#"SELECT t.id, COALESCE(t.requests_per_second, p.requests_per_second) AS "rate!",
            COALESCE(t.burst, p.burst) AS "burst!",
            COALESCE(t.concurrent_requests, p.concurrent_requests) AS concurrency,
            COALESCE(t.bytes_per_second, p.bytes_per_second) AS bandwidth
         FROM tenants t JOIN terms p ON p.id = t.plan_id AND p.version = t.terms_version
         WHERE t.id = ANY($1)"#,
        tenants
    )
    .fetch_all(conn)
    .await
}
