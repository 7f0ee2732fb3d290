//! Booking: what a batch of a node's journal read, and took of the node's leases, in the one transaction that books the
//! batch's usage. Since it takes at least what it uses, the sum of used and outstanding does not grow.

use std::collections::{BTreeMap, HashSet};

use chrono::DateTime;
use wire::{Taken, UsageLine};

use super::{Quota, month};
use crate::ids::{NodeId, TenantId};
use crate::{Error, Tx, db};

/// What is to be booked of one batch.
#[derive(Debug, Default)]
pub(crate) struct Booking {
    read: BTreeMap<(TenantId, wire::Period), i64>,
    taken: BTreeMap<(Quota, String), i64>,
}

impl Booking {
    /// What cannot be read is left outstanding, and said in the log.
    pub(crate) fn new(lines: &[UsageLine], taken: &[Taken]) -> Booking {
        let mut booking = Booking::default();
        for line in lines.iter().filter(|line| line.bytes_out > 0) {
            let hour = DateTime::from_timestamp(i64::from(line.hour) * 3600, 0);
            if let (Ok(tenant), Some(hour)) = (line.tenant_id.parse(), hour) {
                booking.reads(tenant, month(hour.date_naive()), line.bytes_out);
            }
        }
        for taken in taken {
            let Some(quota) = Quota::read(&taken.quota) else {
                tracing::error!(?taken, "what a batch took of a lease cannot be read");
                continue;
            };
            let sum = booking
                .taken
                .entry((quota, taken.ledger.clone()))
                .or_default();
            *sum = sum.saturating_add(figure(taken.amount));
            if taken.used > 0 {
                booking.reads(quota.tenant, quota.period, taken.used);
            }
        }
        booking
    }

    fn reads(&mut self, tenant: TenantId, month: wire::Period, bytes: u64) {
        let sum = self.read.entry((tenant, month)).or_default();
        *sum = sum.saturating_add(figure(bytes));
    }

    /// Whose usage must be locked before it is booked.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = TenantId> {
        let read = self.read.keys().map(|(tenant, _)| *tenant);
        read.chain(self.taken.keys().map(|(quota, _)| quota.tenant))
    }

    /// `tenants`: those that exist, locked.
    pub(crate) async fn book(
        mut self,
        tx: &mut Tx,
        node: NodeId,
        tenants: &HashSet<TenantId>,
    ) -> Result<(), Error> {
        self.read.retain(|(tenant, _), _| tenants.contains(tenant));
        if !self.read.is_empty() {
            db::leases::add_egress(tx.connection(), &self.read).await?;
        }
        let taken: Vec<(Quota, &str, i64)> = self
            .taken
            .iter()
            .map(|((quota, ledger), amount)| (*quota, ledger.as_str(), *amount))
            .collect();
        if !taken.is_empty() {
            db::leases::consume(tx.connection(), node, &taken).await?;
        }
        Ok(())
    }
}

fn figure(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
