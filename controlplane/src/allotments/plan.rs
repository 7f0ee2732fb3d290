//! The whole division as a pure function: nodes, tenants that are divided by demand, and what to tell whom next. Run again
//! and again, it converges; however late or never it is answered, no limit is given out twice.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use wire::{Limits, WHOLE};

use super::fair::{self, Claim};
use super::grant::{Grant, step};

/// A tenant without much demand for so long falls back to the floors.
const QUIET: TimeDelta = TimeDelta::seconds(5);
/// How often it is written down that a tenant is busy.
const BUSY_EVERY: TimeDelta = TimeDelta::seconds(1);

/// A part that was halved so often is nothing.
const GONE_AFTER: u32 = 7;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub id: Uuid,
    /// Its stream is there: it can be told something.
    pub reachable: bool,
    /// Its process is no more, or it has been silent for so long that it holds its floor at most.
    pub gone: bool,
    /// It was cut off for longer than its signing keys reach, or never connected.
    pub forgotten: bool,
    /// It is drained: its part of the floors is halved so many times.
    pub halvings: Option<u32>,
    pub floor: Grant,
    pub acked: bool,
    pub changed: bool,
}

/// One tenant's share at one node.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub node: Uuid,
    pub acked: bool,
    /// Told to fall back to its floor.
    pub released: bool,
    /// Requests, concurrency, bandwidth.
    pub grants: [Grant; 3],
    pub busy_at: DateTime<Utc>,
    /// To be written, and to be told under a new number.
    pub changed: bool,
    /// To be written, and no more.
    pub touched: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub id: Uuid,
    pub limits: Limits,
    pub rows: Vec<Row>,
    /// By node: thousandths of requests a second, requests at once, bytes a second.
    pub demands: HashMap<Uuid, [u64; 3]>,
    /// All are back at their floors, and have said so.
    pub finished: bool,
}

/// One round.
pub(crate) fn plan(nodes: &mut [Node], tenants: &mut [Tenant], now: DateTime<Utc>) {
    for node in nodes.iter_mut().filter(|node| node.forgotten) {
        node.changed |= node.floor != Grant::default();
        node.floor = Grant::default();
    }
    for tenant in tenants.iter_mut() {
        reclaim(nodes, tenant);
    }
    let settled = floors(nodes, tenants);
    for tenant in tenants.iter_mut() {
        divide(nodes, tenant, settled, now);
    }
}

fn node(nodes: &[Node], id: Uuid) -> Option<&Node> {
    nodes.iter().find(|node| node.id == id)
}

/// What a node that is gone held above its floor is free again.
fn reclaim(nodes: &[Node], tenant: &mut Tenant) {
    for row in &mut tenant.rows {
        if let Some(node) = node(nodes, row.node).filter(|node| node.gone && !node.reachable) {
            let before = row.grants;
            for grant in &mut row.grants {
                grant.reclaim(node.floor.used());
            }
            if row.grants != before {
                row.changed = true;
                row.acked = false;
            }
        }
    }
}

/// Divides the floors evenly. Whether nothing is left to do.
fn floors(nodes: &mut [Node], tenants: &[Tenant]) -> bool {
    let bound: u64 = nodes
        .iter()
        .filter(|node| !node.reachable)
        .map(|node| u64::from(node.floor.used()))
        .sum();
    if !nodes.iter().any(|node| node.reachable) {
        return true;
    }
    let parts = parts(nodes, u64::from(WHOLE).saturating_sub(bound));
    // A tenant that is divided by demand does not see floors grow: its shares must be told first, everywhere.
    let fixed = |id: Uuid| {
        tenants
            .iter()
            .filter(|tenant| !tenant.rows.is_empty())
            .all(|tenant| {
                tenant
                    .rows
                    .iter()
                    .any(|row| row.node == id && row.acked && !row.released)
            })
    };
    let targets: Vec<Option<u32>> = nodes
        .iter()
        .zip(&parts)
        .map(|(node, part)| part.filter(|target| *target <= node.floor.share || fixed(node.id)))
        .collect();
    let mut grants: Vec<Grant> = nodes.iter().map(|node| node.floor).collect();
    step(&mut grants, &targets);
    for (node, grant) in nodes.iter_mut().zip(grants) {
        if node.floor.share != grant.share {
            node.changed = true;
            node.acked = false;
            node.floor = grant;
        }
    }
    nodes
        .iter()
        .zip(parts)
        .all(|(node, part)| part.is_none_or(|target| node.acked && node.floor.share == target))
}

/// Each reachable node's part of what is free. One that is drained has less and less, then nothing: what comes to it
/// nevertheless is demand, and is divided as such.
fn parts(nodes: &[Node], free: u64) -> Vec<Option<u32>> {
    let reachable = || nodes.iter().filter(|node| node.reachable);
    let even = free / (reachable().count() as u64).max(1);
    let stays = |node: &&Node| node.halvings.is_none();
    let staying = reachable().filter(stays).count() as u64;
    let eased = |node: &Node| match node.halvings {
        Some(halvings) if staying > 0 && halvings >= GONE_AFTER => Some(0),
        Some(halvings) if staying > 0 => Some(even >> halvings),
        _ => None,
    };
    let left: u64 = reachable().filter_map(eased).sum();
    let rest = match staying {
        0 => even,
        staying => free.saturating_sub(left) / staying,
    };
    let part = |node: &Node| u32::try_from(eased(node).unwrap_or(rest)).unwrap_or(WHOLE);
    nodes
        .iter()
        .map(|node| node.reachable.then(|| part(node)))
        .collect()
}

fn divide(nodes: &[Node], tenant: &mut Tenant, settled: bool, now: DateTime<Utc>) {
    let busy = is_busy(nodes, tenant);
    if tenant.rows.is_empty() && !busy {
        return;
    }
    enter(nodes, tenant, now);
    let busy_at = tenant
        .rows
        .iter()
        .map(|row| row.busy_at)
        .max()
        .unwrap_or(now);
    if busy && now - busy_at > BUSY_EVERY {
        for row in &mut tenant.rows {
            row.busy_at = now;
            row.touched = true;
        }
    }
    let quiet = !busy && now - busy_at > QUIET;
    if tenant.rows.iter().any(|row| row.released) {
        if quiet && settled {
            tenant.finished = tenant.rows.iter().all(|row| row.released && row.acked);
            return;
        }
        fix(nodes, tenant);
    }
    for dimension in 0..3 {
        share(nodes, tenant, dimension, quiet);
    }
    if quiet && settled && tenant.rows.iter().all(|row| is_at_floor(nodes, row)) {
        for row in &mut tenant.rows {
            row.released = true;
            row.acked = false;
            row.changed = true;
        }
    }
}

/// Whether some node is asked for much of what it has.
fn is_busy(nodes: &[Node], tenant: &Tenant) -> bool {
    nodes.iter().any(|node| {
        let floor = u64::from(node.floor.share);
        let part = if tenant.rows.is_empty() { 8 } else { 5 };
        (0..3).any(|dimension| {
            demand(tenant, node.id, dimension).is_some_and(|demand| demand > floor * part / 10)
        })
    })
}

/// In parts per billion of the limit; `None`: there is no limit.
fn demand(tenant: &Tenant, node: Uuid, dimension: usize) -> Option<u64> {
    let limits = &tenant.limits;
    // In the unit of the demand.
    let limit = match dimension {
        0 => Some(u64::from(limits.requests_per_second) * 1000),
        1 => limits.concurrent_requests.map(u64::from),
        _ => limits.bytes_per_second,
    };
    let demand = tenant
        .demands
        .get(&node)
        .and_then(|demands| demands.get(dimension))
        .copied()
        .unwrap_or(0);
    limit.map(|limit| {
        let part = u128::from(demand) * u128::from(WHOLE) / u128::from(limit.max(1));
        u64::try_from(part)
            .unwrap_or(u64::MAX)
            .min(1000 * u64::from(WHOLE))
    })
}

/// A row for every node: without one it has its floor.
fn enter(nodes: &[Node], tenant: &mut Tenant, now: DateTime<Utc>) {
    for node in nodes {
        let known = tenant.rows.iter().any(|row| row.node == node.id);
        if known || (!node.reachable && node.floor.used() == 0) {
            continue;
        }
        tenant.rows.push(Row {
            node: node.id,
            acked: false,
            released: false,
            grants: [Grant::held(node.floor.used()); 3],
            busy_at: now,
            changed: true,
            touched: false,
        });
    }
}

/// From the floor to an explicit share of the same size.
fn fix(nodes: &[Node], tenant: &mut Tenant) {
    for row in tenant.rows.iter_mut().filter(|row| row.released) {
        let floor = node(nodes, row.node).map_or(0, |node| node.floor.used());
        for grant in &mut row.grants {
            let used = grant.used();
            *grant = Grant::held(floor);
            if !row.acked {
                grant.held = used.max(floor);
            }
        }
        row.released = false;
        row.acked = false;
        row.changed = true;
    }
}

fn share(nodes: &[Node], tenant: &mut Tenant, dimension: usize, quiet: bool) {
    let told = |row: &Row| node(nodes, row.node).filter(|node| node.reachable);
    let grants: Vec<Grant> = tenant
        .rows
        .iter()
        .map(|row| row.grants.get(dimension).copied().unwrap_or_default())
        .collect();
    let bound: u64 = tenant
        .rows
        .iter()
        .zip(&grants)
        .filter(|(row, _)| told(row).is_none())
        .map(|(_, grant)| u64::from(grant.used()))
        .sum();
    let total = u32::try_from(u64::from(WHOLE).saturating_sub(bound)).unwrap_or(0);
    let mut at_floor = quiet;
    let mut claims = Vec::new();
    for (row, grant) in tenant.rows.iter().zip(&grants) {
        let Some(node) = told(row) else { continue };
        let demand = demand(tenant, row.node, dimension);
        at_floor |= demand.is_none();
        claims.push(Claim {
            demand: demand.unwrap_or(0),
            floor: node.floor.share,
            share: grant.share,
        });
    }
    let count = tenant.limits.concurrent_requests.filter(|_| dimension == 1);
    let mut wanted = match at_floor {
        true => claims.iter().map(|claim| claim.floor).collect(),
        false => fair::targets(&claims, total, count),
    }
    .into_iter();
    let targets: Vec<Option<u32>> = tenant
        .rows
        .iter()
        .map(|row| told(row).and_then(|_| wanted.next()))
        .collect();
    let mut after = grants;
    step(&mut after, &targets);
    for (row, after) in tenant.rows.iter_mut().zip(after) {
        if let Some(grant) = row.grants.get_mut(dimension)
            && grant.share != after.share
        {
            *grant = after;
            row.changed = true;
            row.acked = false;
        }
    }
}

fn is_at_floor(nodes: &[Node], row: &Row) -> bool {
    node(nodes, row.node).is_none_or(|node| {
        let floor = node.floor.share;
        match node.reachable {
            true => row.acked && row.grants.iter().all(|grant| *grant == Grant::held(floor)),
            false => row.grants.iter().all(|grant| grant.used() <= floor),
        }
    })
}

#[cfg(test)]
mod tests;
