//! Rows of the database as the plan has them, and back. Only what has changed is written.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use wire::Limits;

use super::grant::Grant;
use super::plan::{Node, Row, Tenant};
use crate::db;
use crate::ids::NodeId;

/// A demand that was not said again for so long is none.
const FRESH: TimeDelta = TimeDelta::seconds(3);
/// How much longer than the node itself the control plane believes in its hold: what was on its way to the node when it
/// was last heard may have been heard there later.
const MARGIN: TimeDelta = TimeDelta::seconds(60);
/// A node that was cut off serves for as long as its signing keys reach: eight days.
const FORGET_AFTER: TimeDelta = TimeDelta::days(9);
/// A drained node's part of the floors is halved at once, and again after each of these.
const HALVE_EVERY: TimeDelta = TimeDelta::seconds(3);

pub(super) struct Fleet {
    pub nodes: Vec<Node>,
    pub tenants: Vec<Tenant>,
}

impl Fleet {
    pub(super) async fn read(
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        hold: TimeDelta,
        dead: &[NodeId],
    ) -> Result<Fleet, sqlx::Error> {
        let nodes = db::allotments::nodes(conn).await?;
        let nodes = nodes.into_iter().map(|row| node(&row, now, hold, dead));
        let nodes: Vec<Node> = nodes.collect();
        let rows = db::allotments::all(conn).await?;
        let demands = db::allotments::demands(conn, now - FRESH).await?;
        let ids: HashSet<Uuid> = rows
            .iter()
            .map(|row| row.tenant_id)
            .chain(demands.iter().map(|row| row.tenant_id))
            .collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let limits = match ids.is_empty() {
            true => Vec::new(),
            false => db::allotments::limits(conn, &ids).await?,
        };
        let mut tenants: HashMap<Uuid, Tenant> = limits
            .into_iter()
            .map(|row| {
                let tenant = Tenant {
                    id: row.id,
                    limits: Limits {
                        requests_per_second: row.rate.unsigned_abs(),
                        burst: row.burst.unsigned_abs(),
                        concurrent_requests: row.concurrency.map(i32::unsigned_abs),
                        bytes_per_second: row.bandwidth.map(i64::unsigned_abs),
                        quota_bytes: None,
                        quota_objects: None,
                        quota_egress_bytes: None,
                    },
                    rows: Vec::new(),
                    demands: HashMap::new(),
                    finished: false,
                };
                (row.id, tenant)
            })
            .collect();
        for row in rows {
            if let Some(tenant) = tenants.get_mut(&row.tenant_id) {
                tenant.rows.push(plan_row(&row));
            }
        }
        for row in demands {
            if let Some(tenant) = tenants.get_mut(&row.tenant_id) {
                let figures = [row.requests, row.concurrency, row.bandwidth];
                tenant
                    .demands
                    .insert(row.node_id, figures.map(i64::unsigned_abs));
            }
        }
        let tenants = tenants.into_values().collect();
        Ok(Fleet { nodes, tenants })
    }

    /// Whether there is anything new to tell.
    pub(super) async fn write(
        self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<bool, sqlx::Error> {
        let mut news = false;
        for node in &self.nodes {
            if node.forgotten {
                db::allotments::remove_node(conn, node.id).await?;
            }
            if node.changed {
                let (share, held) = (signed(node.floor.share), signed(node.floor.held));
                db::allotments::set_floor(conn, node.id, share, held).await?;
                news = true;
            }
        }
        let forgotten: Vec<Uuid> = self
            .nodes
            .iter()
            .filter(|node| node.forgotten)
            .map(|node| node.id)
            .collect();
        for tenant in &self.tenants {
            if tenant.finished {
                db::allotments::remove(conn, tenant.id).await?;
                continue;
            }
            for row in &tenant.rows {
                if row.changed && !forgotten.contains(&row.node) {
                    db::allotments::put(conn, &db_row(tenant.id, row, now)).await?;
                    news = true;
                }
            }
            if let Some(row) = tenant.rows.iter().find(|row| row.touched) {
                db::allotments::touch(conn, tenant.id, row.busy_at).await?;
            }
        }
        Ok(news)
    }
}

fn node(
    row: &db::allotments::NodeRow,
    now: DateTime<Utc>,
    hold: TimeDelta,
    dead: &[NodeId],
) -> Node {
    let reachable = row.connected_until.is_some_and(|until| until > now);
    let silent = row.last_seen.map(|seen| now - seen);
    Node {
        id: row.id,
        reachable,
        gone: !reachable
            && (dead.contains(&NodeId(row.id)) || silent.is_none_or(|time| time > hold + MARGIN)),
        forgotten: !reachable && silent.is_none_or(|time| time > FORGET_AFTER),
        halvings: row.draining_at.map(|since| {
            let passed = (now - since).num_seconds() / HALVE_EVERY.num_seconds();
            u32::try_from(passed + 1).unwrap_or(1)
        }),
        floor: Grant {
            share: row.floor.unsigned_abs(),
            held: row.floor_held.unsigned_abs(),
        },
        acked: row.floor_acked == row.floor_number,
        changed: false,
    }
}

fn plan_row(row: &db::allotments::Row) -> Row {
    let grant = |share: i32, held: i32| Grant {
        share: share.unsigned_abs(),
        held: held.unsigned_abs(),
    };
    Row {
        node: row.node_id,
        acked: row.acked == row.number,
        released: row.released,
        grants: [
            grant(row.requests, row.requests_held),
            grant(row.concurrency, row.concurrency_held),
            grant(row.bandwidth, row.bandwidth_held),
        ],
        busy_at: row.busy_at,
        changed: false,
        touched: false,
    }
}

fn db_row(tenant: Uuid, row: &Row, now: DateTime<Utc>) -> db::allotments::Row {
    let [requests, concurrency, bandwidth] = row.grants;
    db::allotments::Row {
        tenant_id: tenant,
        node_id: row.node,
        number: 0,
        acked: 0,
        told_at: now,
        busy_at: row.busy_at,
        released: row.released,
        requests: signed(requests.share),
        requests_held: signed(requests.held),
        concurrency: signed(concurrency.share),
        concurrency_held: signed(concurrency.held),
        bandwidth: signed(bandwidth.share),
        bandwidth_held: signed(bandwidth.held),
    }
}

pub(super) fn signed(share: u32) -> i32 {
    i32::try_from(share.min(wire::WHOLE)).unwrap_or(i32::MAX)
}
