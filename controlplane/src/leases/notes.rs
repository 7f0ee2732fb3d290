//! What control planes tell each other about leases, through the database, each for the nodes that are connected to it.
//! A note that is lost costs time and nothing else.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use wire::{Grant, Grants, Recall, Resource, ToNode};

use super::{Quota, period_of};
use crate::ids::{NodeId, TenantId};
use crate::{ControlPlane, Error, Tx, db};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    Recall(Recall),
    /// Nodes that did not ask were granted something.
    Granted(wire::Quota),
}

/// Every connected node but one gives back what it holds, and all tell what they have written down.
pub(super) async fn recall(
    cp: &ControlPlane,
    quota: Quota,
    keeps: Option<NodeId>,
) -> Result<(), Error> {
    let mut conn = cp.pool().acquire().await?;
    tell_recall(&mut conn, quota, keeps).await
}

async fn tell_recall(
    conn: &mut PgConnection,
    quota: Quota,
    keeps: Option<NodeId>,
) -> Result<(), Error> {
    let note = Note::Recall(Recall {
        quota: quota.written(),
        keeps: keeps.map(|node| node.to_string()),
    });
    tell(conn, &note).await
}

pub(super) async fn tell_granted(conn: &mut PgConnection, quota: Quota) -> Result<(), Error> {
    tell(conn, &Note::Granted(quota.written())).await
}

async fn tell(conn: &mut PgConnection, note: &Note) -> Result<(), Error> {
    let text = serde_json::to_string(note).map_err(|error| Error::Internal(error.into()))?;
    db::leases::notify(conn, &text).await
}

/// After the tenant's limits were changed: what is handed out beyond them is asked back.
pub(crate) async fn recall_if_beyond(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
) -> Result<(), Error> {
    // A grant that is under way goes by the limits of before: either it is seen here, or it waits and sees the new ones.
    db::usage::lock_tenants(tx, &[tenant]).await?;
    let Some(limits) = db::leases::limits(tx.connection(), tenant).await? else {
        return Ok(());
    };
    for resource in [
        Resource::StoredBytes,
        Resource::Objects,
        Resource::EgressBytes,
    ] {
        let Some(limit) = limits.quota(resource) else {
            continue;
        };
        let quota = Quota {
            tenant,
            resource,
            period: period_of(resource, cp.clock()),
        };
        let used = db::leases::used(tx.connection(), quota).await?;
        let leases = db::leases::of_quota(tx.connection(), quota).await?;
        let outstanding: u64 = leases.iter().map(db::leases::Lease::outstanding).sum();
        if i128::from(used) + i128::from(outstanding) > i128::from(limit) {
            tell_recall(tx.connection(), quota, None).await?;
        }
    }
    Ok(())
}

/// Passes a note on to the nodes that are connected here.
pub(crate) async fn hear_note(cp: &ControlPlane, text: &str) -> Result<(), Error> {
    let outboxes = &cp.push().outboxes;
    match serde_json::from_str(text) {
        Ok(Note::Recall(recall)) => {
            for node in outboxes.nodes() {
                outboxes.send(node, ToNode::Recall(recall.clone()));
            }
        }
        Ok(Note::Granted(quota)) => {
            let Some(quota) = Quota::read(&quota) else {
                return Ok(());
            };
            let mut tx = cp.begin_system().await?;
            let leases = db::leases::of_quota(tx.connection(), quota).await?;
            drop(tx);
            for lease in leases {
                let grant = Grant {
                    quota: quota.written(),
                    total: lease.granted.unsigned_abs(),
                };
                let grants = Grants {
                    ledger: lease.ledger,
                    answers: None,
                    grants: vec![grant],
                };
                outboxes.send(NodeId(lease.node_id), ToNode::Grants(grants));
            }
        }
        // A newer control plane's.
        Err(error) => tracing::debug!(%error, "a note about leases cannot be read"),
    }
    Ok(())
}
