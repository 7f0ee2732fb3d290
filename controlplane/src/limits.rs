//! How a tenant's limits stand: what is allowed, what is used or asked, what nodes hold and what is left. It reads what
//! enforces them (`allotments`, `leases`), and changes nothing.

use chrono::TimeDelta;
use serde::Serialize;
use wire::{Resource, WHOLE, units};

use crate::{ControlPlane, Error, Tx, db, leases, tenants, usage};

/// A demand that was not said again for so long is none: nodes say it four times a second.
const FRESH: TimeDelta = TimeDelta::seconds(3);

/// A limit on what goes on at a time, divided among nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pace {
    pub what: Paced,
    /// Over all nodes together; none is no limit.
    pub limit: Option<u64>,
    /// What clients ask now, admitted or not; 0 where it is little.
    pub asked: u64,
    pub nodes: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Paced {
    /// Requests a second.
    Requests,
    /// Requests at once.
    Concurrency,
    /// Bytes of bodies a second, received and sent together.
    Bandwidth,
}

/// One node's part of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    pub s3_address: String,
    pub connected: bool,
    /// What it may admit; none without a limit.
    pub share: Option<u64>,
    pub asked: u64,
}

/// A limit on what there is in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quota {
    pub what: Counted,
    /// None is no limit.
    pub limit: Option<u64>,
    pub used: u64,
    /// What nodes hold ready for requests to come, by node; together with what is used never more than the limit.
    pub held: Vec<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    StoredBytes,
    Objects,
    /// In this calendar month (UTC).
    EgressBytes,
    Buckets,
    AccessKeys,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub s3_address: String,
    pub amount: u64,
}

impl Quota {
    /// What may still be used, the part that nodes hold included.
    pub fn left(&self) -> Option<u64> {
        Some(self.limit?.saturating_sub(self.used))
    }

    pub fn held(&self) -> u64 {
        self.held.iter().map(|held| held.amount).sum()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub burst: u64,
    pub paces: Vec<Pace>,
    pub quotas: Vec<Quota>,
}

/// Of the tenant of a tenant's transaction.
pub async fn standing(tx: &mut Tx, cp: &ControlPlane) -> Result<Standing, Error> {
    let tenant = tenants::get(tx).await?;
    let (limits, now) = (&tenant.limits, cp.clock().now());
    let shares = db::limits::shares(tx, tenant.id, now, now - FRESH).await?;
    let paces = vec![
        pace(
            Paced::Requests,
            Some(limits.requests_per_second.into()),
            &shares,
        ),
        pace(
            Paced::Concurrency,
            limits.concurrent_requests.map(u64::from),
            &shares,
        ),
        pace(Paced::Bandwidth, limits.bytes_per_second, &shares),
    ];
    let month = leases::month(cp.clock().today());
    let month = i32::try_from(month).unwrap_or(i32::MAX);
    let held = db::limits::outstanding(tx, tenant.id, month).await?;
    let stored = usage::of_tenant(tx, tenant.id).await?;
    let egress = leases::egress_bytes(tx, cp.clock(), tenant.id).await?;
    let buckets = db::buckets::count(tx, tenant.id).await?;
    let keys = db::access_keys::count_usable(tx, tenant.id, now).await?;
    let count = |figure: i64| u64::try_from(figure).unwrap_or(0);
    let leased = |what, resource, limit, used| Quota {
        what,
        limit,
        used,
        held: held_of(&held, resource),
    };
    let plain = |what, limit: i32, used: i64| Quota {
        what,
        limit: Some(count(limit.into())),
        used: count(used),
        held: Vec::new(),
    };
    let quotas = vec![
        leased(
            Counted::StoredBytes,
            Resource::StoredBytes,
            limits.quota_bytes,
            stored.stored_bytes,
        ),
        leased(
            Counted::Objects,
            Resource::Objects,
            limits.quota_objects,
            stored.objects,
        ),
        leased(
            Counted::EgressBytes,
            Resource::EgressBytes,
            limits.quota_egress_bytes,
            egress,
        ),
        plain(Counted::Buckets, tenant.bucket_limit, buckets),
        plain(Counted::AccessKeys, tenant.access_key_limit, keys),
    ];
    Ok(Standing {
        burst: limits.burst.into(),
        paces,
        quotas,
    })
}

fn pace(what: Paced, limit: Option<u64>, shares: &[db::limits::Share]) -> Pace {
    let nodes: Vec<Part> = shares
        .iter()
        .map(|row| {
            let (share, asked) = match what {
                // Thousandths of requests.
                Paced::Requests => (row.requests, (row.requests_asked + 500) / 1000),
                Paced::Concurrency => (row.concurrency, row.concurrency_asked),
                Paced::Bandwidth => (row.bandwidth, row.bandwidth_asked),
            };
            Part {
                s3_address: row.s3_address.clone(),
                connected: row.connected,
                share: limit.map(|limit| part_of(limit, share.unsigned_abs())),
                asked: u64::try_from(asked).unwrap_or(0),
            }
        })
        .collect();
    Pace {
        what,
        limit,
        asked: nodes.iter().map(|node| node.asked).sum(),
        nodes,
    }
}

/// As nodes count it: small figures to the whole number.
fn part_of(limit: u64, share: u32) -> u64 {
    match u32::try_from(limit) {
        Ok(limit) => units(share, limit).into(),
        Err(_) => u64::try_from(u128::from(limit) * u128::from(share) / u128::from(WHOLE))
            .unwrap_or(limit),
    }
}

fn held_of(held: &[db::limits::Outstanding], resource: Resource) -> Vec<Held> {
    let name = db::leases::name(resource);
    let held = held.iter().filter(|row| row.resource == name);
    held.map(|row| Held {
        s3_address: row.s3_address.clone(),
        amount: u64::try_from(row.bytes).unwrap_or(0),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(address: &str, requests: i32, asked: i64) -> db::limits::Share {
        db::limits::Share {
            s3_address: address.to_owned(),
            connected: true,
            requests,
            concurrency: 0,
            bandwidth: 500_000_000,
            requests_asked: asked,
            concurrency_asked: 0,
            bandwidth_asked: 0,
        }
    }

    #[test]
    fn a_node_has_its_part_of_the_limit() {
        let shares = [
            share("a", 250_000_000, 12_400),
            share("b", 750_000_000, 600),
        ];
        let requests = pace(Paced::Requests, Some(100), &shares);
        let parts: Vec<_> = requests
            .nodes
            .iter()
            .map(|node| (node.share, node.asked))
            .collect();
        assert_eq!(parts, [(Some(25), 12), (Some(75), 1)]);
        assert_eq!(requests.asked, 13);
        let bandwidth = pace(Paced::Bandwidth, Some(10_000_000_000), &shares);
        assert_eq!(bandwidth.nodes[0].share, Some(5_000_000_000));
        let free = pace(Paced::Concurrency, None, &shares);
        assert_eq!((free.limit, free.nodes[0].share), (None, None));
    }

    #[test]
    fn what_is_left_holds_what_nodes_have_ready() {
        let quota = Quota {
            what: Counted::Objects,
            limit: Some(10),
            used: 7,
            held: vec![Held {
                s3_address: "a".to_owned(),
                amount: 2,
            }],
        };
        assert_eq!((quota.left(), quota.held()), (Some(3), 2));
        let over = Quota {
            used: 12,
            ..quota.clone()
        };
        assert_eq!(over.left(), Some(0));
        assert_eq!(
            Quota {
                limit: None,
                ..quota
            }
            .left(),
            None
        );
    }
}
