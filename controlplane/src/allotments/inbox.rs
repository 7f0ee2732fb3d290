//! What nodes say of shares, demand and refusals, written down in the order in which it came. Nobody waits for it but the
//! next round.

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use wire::{Allotted, Demand, FromNode};

use super::store::signed;
use crate::db::allotments::{self, Demands, Held};
use crate::ids::{NodeId, TenantId};
use crate::{ControlPlane, Error, db, refusals};

/// Messages written in one transaction.
const MOST: usize = 64;

pub(super) async fn run(cp: ControlPlane, mut inbox: mpsc::Receiver<(NodeId, FromNode)>) {
    let mut messages = Vec::new();
    while inbox.recv_many(&mut messages, MOST).await > 0 {
        let taken = std::mem::take(&mut messages);
        if let Err(error) = db::in_time(db::PATIENCE, write(&cp, taken)).await {
            tracing::warn!(%error, "what nodes said was not written down");
        }
    }
}

async fn write(cp: &ControlPlane, messages: Vec<(NodeId, FromNode)>) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    // Rounds write the same rows, in another order.
    let answers = |message: &(NodeId, FromNode)| matches!(message.1, FromNode::Allotted(_));
    if messages.iter().any(answers) {
        allotments::lock(tx.connection()).await?;
    }
    let mut due = false;
    let mut refused = Vec::new();
    for (node, message) in messages {
        match message {
            FromNode::Demands { demands } => {
                let demands = rows(demands);
                let now = cp.clock().now();
                allotments::demand(tx.connection(), node.0, &demands, now).await?;
                due = true;
            }
            FromNode::Allotted(allotted) => {
                acknowledge(tx.connection(), node, allotted, cp.clock().now()).await?;
                due = true;
            }
            FromNode::Refusals { refusals } => refused.push((node, refusals)),
            _ => {}
        }
    }
    if due {
        allotments::announce(tx.connection(), "divide").await?;
    }
    tx.commit().await?;
    for (node, kept) in refused {
        refusals::record(cp, node, kept).await?;
    }
    Ok(())
}

fn rows(demands: Vec<Demand>) -> Demands {
    let mut rows = Demands::default();
    for demand in demands {
        let Ok(tenant) = demand.tenant_id.parse::<TenantId>() else {
            continue;
        };
        rows.tenants.push(tenant.0);
        rows.requests
            .push(i64::try_from(demand.requests).unwrap_or(i64::MAX));
        rows.concurrency.push(demand.concurrency.into());
        rows.bandwidth
            .push(i64::try_from(demand.bandwidth).unwrap_or(i64::MAX));
    }
    rows
}

async fn acknowledge(
    conn: &mut sqlx::PgConnection,
    node: NodeId,
    allotted: Allotted,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let floor = signed(allotted.floor);
    allotments::acknowledge_floor(conn, node.0, allotted.number, floor).await?;
    if allotted.draining {
        allotments::acknowledge_drain(conn, node.0, now).await?;
    }
    for held in allotted.tenants {
        let Ok(tenant) = held.tenant_id.parse::<TenantId>() else {
            continue;
        };
        let held = Held {
            tenant: tenant.0,
            number: held.number,
            requests: signed(held.shares.requests),
            concurrency: signed(held.shares.concurrency),
            bandwidth: signed(held.shares.bandwidth),
        };
        allotments::acknowledge(conn, node.0, &held).await?;
    }
    Ok(())
}
