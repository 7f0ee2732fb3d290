//! Where a node keeps account of its leases, and what becomes of them when it has lost that account or is gone.

use std::time::Duration;

use chrono::TimeDelta;
use wire::{Grant, Grants, ToNode};

use tracing::Instrument as _;

use super::notes;
use crate::ids::{NodeId, TenantId};
use crate::plane::CUT_OFF_MATTERS;
use crate::{ControlPlane, Error, Tx, db};

const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Every bucket's inventory is taken daily: by then what was stored is known, whatever a node has lost.
const SEEN_WITHIN: TimeDelta = TimeDelta::days(2);
/// Grants in one message.
const PAGE: usize = 500;

/// A stream began: the node is told all that its ledger was ever granted of what it still holds.
pub(super) async fn open(cp: &ControlPlane, node: NodeId, ledger: &str) -> Result<(), Error> {
    if ledger.is_empty() || ledger.len() > 64 {
        return Err(Error::validation("ledger", "It is 1 to 64 characters."));
    }
    let mut tx = cp.begin_system().await?;
    let known = db::leases::lock_ledger(tx.connection(), node).await?;
    // What any ledger held when the database was restored is not known.
    let every = known.void.as_deref() == Some(db::backup::EVERY_LEDGER);
    if every || known.void.as_deref() == Some(ledger) {
        if every {
            db::leases::set_void_ledger(tx.connection(), node, ledger).await?;
            tx.commit().await?;
        }
        let renew = ToNode::Renew {
            ledger: ledger.to_owned(),
        };
        cp.push().outboxes.send(node, renew);
        return Ok(());
    }
    if known.ledger.as_deref() != Some(ledger) {
        db::leases::set_ledger(tx.connection(), node, ledger).await?;
        let now = cp.clock().now();
        let lost = db::leases::lose(tx.connection(), node, ledger, now).await?;
        if lost > 0 {
            tracing::warn!(%node, lost, "a node has lost account of its leases; what they held is held until inventories have seen what was stored");
        }
    }
    let held = db::leases::of_node(tx.connection(), node).await?;
    tx.commit().await?;
    let grants: Vec<Grant> = held
        .into_iter()
        .filter(|lease| lease.ledger == ledger)
        .map(|lease| Grant {
            quota: lease.quota.written(),
            total: lease.granted,
        })
        .collect();
    // One at least: it says that questions will be answered.
    let mut pages = grants.chunks(PAGE);
    let mut page = pages.next().unwrap_or_default();
    loop {
        let grants = Grants {
            ledger: ledger.to_owned(),
            answers: None,
            grants: page.to_vec(),
        };
        cp.push().outboxes.send(node, ToNode::Grants(grants));
        match pages.next() {
            Some(next) => page = next,
            None => break,
        }
    }
    Ok(())
}

/// What the node holds is there for others again. A node that turns up later must begin another ledger.
pub(crate) async fn give_back(tx: &mut Tx, node: NodeId) -> Result<(), Error> {
    let held = db::leases::of_node(tx.connection(), node).await?;
    let tenants: Vec<TenantId> = held.iter().map(|lease| lease.quota.tenant).collect();
    db::usage::lock_tenants(tx, &tenants).await?;
    db::leases::lock_ledger(tx.connection(), node).await?;
    db::leases::void_ledger(tx.connection(), node).await?;
    db::leases::close(tx.connection(), node).await
}

/// Takes back what nodes hold that have not been seen since their signing keys were over. For ever.
pub(crate) async fn sweep(cp: ControlPlane) {
    loop {
        let sweeping = sweep_once(&cp).instrument(telemetry::job("leases.sweep"));
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, sweeping).await {
            tracing::warn!(%error, "leases of nodes that are gone could not be taken back");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

async fn sweep_once(cp: &ControlPlane) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    let now = cp.clock().now();
    db::leases::close_lost(tx.connection(), now - SEEN_WITHIN).await?;
    let forgotten = db::leases::forgotten(tx.connection(), now - CUT_OFF_MATTERS).await?;
    let beyond = db::leases::beyond(tx.connection()).await?;
    tx.commit().await?;
    // A node that was cut off when a quota was lowered has not heard that it is to give back.
    for tenant in beyond {
        let mut tx = cp.begin_system().await?;
        notes::recall_if_beyond(&mut tx, cp, tenant).await?;
        tx.commit().await?;
    }
    for node in forgotten {
        let mut tx = cp.begin_system().await?;
        give_back(&mut tx, node).await?;
        tx.commit().await?;
        tracing::info!(%node, "the leases of a node that is gone were taken back");
    }
    Ok(())
}
