//! A node's question for more: granted at once where there is room; else others are asked to give back what they hold,
//! and it is refused only with the figures that are left then.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use wire::{Ask, Full, Grant, Grants, ToNode};

use super::arithmetic::{Decision, Standing};
use super::{is_current, lock, notes};
use crate::db::leases::{Holder, Quota};
use crate::ids::NodeId;
use crate::{ControlPlane, Error, db};

/// For how long a question waits for what others hold, where it would fit by what is used.
const WAIT_FOR_HELD: Duration = Duration::from_secs(1);
/// For how long a question waits for what nodes have not told yet: what was deleted a moment ago.
const WAIT_FOR_NEWS: Duration = Duration::from_millis(300);
/// One recall serves every question within this time.
const RECALL_EVERY: Duration = Duration::from_millis(200);
/// Bookings here wake at once; those of other control planes are found in the table.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Divided among so many, nothing is left over for stock.
const NO_STOCK: usize = usize::MAX;

enum Outcome {
    Granted(Grants),
    Refused {
        used: u64,
        limit: u64,
        held: bool,
    },
    /// Of another ledger, another month, or a tenant that is gone.
    Void,
}

pub(super) async fn answer(cp: &ControlPlane, node: NodeId, ask: &Ask) -> Result<(), Error> {
    let Some(quota) = Quota::read(&ask.quota) else {
        return Ok(());
    };
    let laying_in = ask.need == 0 && ask.want == 0;
    let desk = cp.leases().desk(quota);
    let mut booked = cp.leases().booked.subscribe();
    let began = Instant::now();
    loop {
        booked.mark_unchanged();
        let outcome = {
            let _turn = desk.turn.lock().await;
            // The semaphore is never closed.
            let _room = cp.leases().at_once.acquire().await;
            attempt(cp, node, quota, ask).await?
        };
        let (used, limit, held) = match outcome {
            Outcome::Void => return Ok(()),
            Outcome::Granted(grants) => {
                cp.push().outboxes.send(node, ToNode::Grants(grants));
                return Ok(());
            }
            Outcome::Refused { .. } if laying_in => return Ok(()),
            Outcome::Refused { used, limit, held } => (used, limit, held),
        };
        let recalled = {
            let mut recalled = lock(&desk.recalled);
            let last = recalled.filter(|at| *at >= began || at.elapsed() < RECALL_EVERY);
            if last.is_none() {
                *recalled = Some(Instant::now());
            }
            last
        };
        if recalled.is_none() {
            notes::recall(cp, quota, Some(node)).await?;
        }
        let wait = if held { WAIT_FOR_HELD } else { WAIT_FOR_NEWS };
        let left =
            (recalled.unwrap_or(began).max(began) + wait).saturating_duration_since(Instant::now());
        if left.is_zero() {
            let full = Full {
                answers: ask.number,
                used,
                limit,
                held,
            };
            cp.push().outboxes.send(node, ToNode::Full(full));
            return Ok(());
        }
        let _ = timeout(left.min(LOOK_EVERY), booked.changed()).await;
    }
}

/// One transaction: grants if there is room.
async fn attempt(
    cp: &ControlPlane,
    node: NodeId,
    quota: Quota,
    ask: &Ask,
) -> Result<Outcome, Error> {
    let mut tx = cp.begin_system().await?;
    let now = cp.clock().now();
    db::usage::lock_tenants(&mut tx, &[quota.tenant]).await?;
    let conn = tx.connection();
    let used = db::leases::used(conn, quota).await?;
    let Some(limits) = db::leases::limits(conn, quota.tenant).await? else {
        return Ok(Outcome::Void);
    };
    let nodes = db::leases::connected(conn, now).await?;
    let is_node = |other: &Holder| other.node == node.0 && other.ledger == ask.ledger;
    let asking = nodes.iter().find(|other| is_node(other));
    let Some(asking) = asking.filter(|_| is_current(quota.resource, quota.period, cp.clock()))
    else {
        return Ok(Outcome::Void);
    };
    // Others lay in stock in its place.
    if asking.draining && ask.need == 0 && ask.want == 0 {
        return Ok(Outcome::Void);
    }
    let leases = db::leases::of_quota(conn, quota).await?;
    let held_by = |node: &Holder| {
        let of_node =
            |lease: &&db::leases::Lease| lease.node_id == node.node && lease.ledger == node.ledger;
        leases.iter().find(of_node)
    };
    let stocked = nodes.iter().filter(|node| !node.draining).count();
    let mut standing = Standing {
        // A tenant whose limit was just taken away may be served by a node that does not know it yet.
        limit: limits.quota(quota.resource).unwrap_or(i64::MAX as u64),
        used,
        outstanding: leases.iter().map(db::leases::Lease::outstanding).sum(),
    };
    let own_outstanding = held_by(asking).map_or(0, db::leases::Lease::outstanding);
    let decision = standing.decide(
        quota.resource,
        ask.need,
        ask.want,
        own_outstanding,
        if asking.draining { NO_STOCK } else { stocked },
    );
    let amount = match decision {
        Decision::Grant(amount) => amount,
        Decision::Refuse { held } => {
            return Ok(Outcome::Refused {
                used: u64::try_from(used).unwrap_or(0),
                limit: standing.limit,
                held,
            });
        }
    };
    let total = db::leases::grant(conn, quota, (node.0, &ask.ledger), amount, now).await?;
    standing.outstanding = standing.outstanding.saturating_add(amount);
    // Ahead of need, so that every node can go on by itself when no control plane is there.
    let mut seeded = false;
    for other in nodes
        .iter()
        .filter(|other| !is_node(other) && !other.draining && held_by(other).is_none())
    {
        let Decision::Grant(seed @ 1..) = standing.decide(quota.resource, 0, 0, 0, stocked) else {
            continue;
        };
        db::leases::grant(conn, quota, (other.node, &other.ledger), seed, now).await?;
        standing.outstanding = standing.outstanding.saturating_add(seed);
        seeded = true;
    }
    if seeded {
        notes::tell_granted(conn, quota).await?;
    }
    tx.commit().await?;
    let grant = Grant {
        quota: quota.written(),
        total,
    };
    Ok(Outcome::Granted(Grants {
        ledger: ask.ledger.clone(),
        answers: Some(ask.number),
        grants: vec![grant],
    }))
}
