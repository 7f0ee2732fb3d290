//! Who may go on right now: requests a second, requests at once and bytes a second, per tenant, as this node's share of
//! what holds over all nodes. It asks nobody: what it may give out it was told before.

mod bucket;
mod disk;
mod over;
mod pace;
mod report;
mod tenant;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use wire::{Allotment, Allotted, Demand, HeldShares, Limits, Shares, TenantShares, WHOLE};

pub use over::Over;
pub use pace::Pace;
pub use report::run as report;
pub use tenant::{TenantLimiter, UnderWay};

/// The limiters of every tenant that was here lately, and what this node was told of its shares.
pub struct Limiters {
    live: DashMap<String, Arc<TenantLimiter>, RandomState>,
    told: Mutex<Told>,
    /// Locked alone: what is written to it was decided before.
    disk: Mutex<Option<disk::Disk>>,
    born: Instant,
    /// Milliseconds of this value's life until which shares above the floor hold without a word of the control plane.
    held_until: AtomicU64,
    /// Others are to serve in this node's place.
    retiring: AtomicBool,
}

struct Told {
    number: i64,
    floor: u32,
    hold: Duration,
    tenants: HashMap<String, (i64, Shares)>,
    /// Tenants of which more is under way than their share, by what was last said of them.
    draining: HashMap<String, HeldShares>,
}

impl Default for Limiters {
    /// A node that was never told of any other holds everything.
    fn default() -> Self {
        Limiters {
            live: DashMap::default(),
            told: Mutex::new(Told {
                number: 0,
                floor: WHOLE,
                hold: Duration::ZERO,
                tenants: HashMap::new(),
                draining: HashMap::new(),
            }),
            disk: Mutex::new(None),
            born: Instant::now(),
            held_until: AtomicU64::new(u64::MAX),
            retiring: AtomicBool::new(false),
        }
    }
}

impl Told {
    fn shares(&self, tenant_id: &str) -> Shares {
        let told = self.tenants.get(tenant_id).map(|told| told.1);
        told.unwrap_or(Shares::all(self.floor))
    }
}

impl Limiters {
    /// Begins with what an earlier process wrote down: the floor, and whatever was below it. A node that has joined and
    /// finds nothing written down holds nothing until the control plane has told it more.
    pub fn load(&self, dir: &Path, has_joined: bool) {
        let (disk, known) = disk::Disk::open(dir);
        let known = known.or(has_joined.then(disk::Known::nothing));
        *lock(&self.disk) = Some(disk);
        let mut told = self.lock();
        if let Some(known) = known {
            told.floor = known.floor;
            told.number = known.number;
            told.tenants = known
                .tenants
                .into_iter()
                .filter_map(|tenant| Some((tenant.tenant_id, (tenant.number, tenant.shares?))))
                .collect();
        }
    }

    pub fn admit(&self, tenant_id: &str, limits: &Limits, now: Instant) -> Result<UnderWay, Over> {
        if self.age(now) > self.held_until.load(Ordering::Relaxed) {
            self.fall_back(now);
        }
        let found = self.live.get(tenant_id).map(|limiter| limiter.clone());
        let limiter = found.unwrap_or_else(|| {
            // Held while the limiter is entered, so that no change of shares passes it by.
            let told = self.lock();
            let shares = told.shares(tenant_id);
            let new = || Arc::new(TenantLimiter::new(limits, shares, now));
            self.live
                .entry(tenant_id.to_owned())
                .or_insert_with(new)
                .clone()
        });
        limiter.admit(limits, now)
    }

    /// The control plane has said something.
    pub fn heard(&self, now: Instant) {
        let hold = self.lock().hold;
        if !hold.is_zero() {
            let until = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
            self.held_until
                .store(self.age(now).saturating_add(until), Ordering::Relaxed);
        }
    }

    /// Whether this node may admit anything of anybody.
    pub fn has_share(&self) -> bool {
        let told = self.lock();
        told.floor > 0 || !told.tenants.is_empty()
    }

    pub fn floor(&self) -> u32 {
        self.lock().floor
    }

    /// Whether the control plane wants others to serve in this node's place.
    pub fn is_retiring(&self) -> bool {
        self.retiring.load(Ordering::Relaxed)
    }

    /// Holds nothing from now on, after a restart neither, until the control plane says more.
    pub fn give_up(&self, now: Instant) -> anyhow::Result<()> {
        let mut told = self.lock();
        told.floor = 0;
        told.tenants.clear();
        self.fit(&told, now);
        let known = told.known();
        drop(told);
        if let Some(disk) = &mut *lock(&self.disk) {
            disk.save(&known)?;
        }
        Ok(())
    }

    /// Takes over what the control plane says, writes down what a restart must not exceed, and only then answers.
    pub fn apply(&self, allotment: &Allotment, now: Instant) -> anyhow::Result<Allotted> {
        let mut told = self.lock();
        told.hold = Duration::from_secs(allotment.hold_seconds.into());
        if allotment.whole {
            let kept: Vec<&str> = allotment
                .tenants
                .iter()
                .map(|tenant| tenant.tenant_id.as_str())
                .collect();
            told.tenants.retain(|id, _| kept.contains(&id.as_str()));
            told.draining.clear();
        }
        if allotment.whole || allotment.number >= told.number {
            (told.number, told.floor) = (allotment.number, allotment.floor);
            self.retiring.store(allotment.draining, Ordering::Relaxed);
        }
        for TenantShares {
            tenant_id,
            number,
            shares,
        } in &allotment.tenants
        {
            let before = told.tenants.get(tenant_id).map_or(0, |before| before.0);
            if *number < before && !allotment.whole {
                continue;
            }
            match shares {
                Some(shares) => told.tenants.insert(tenant_id.clone(), (*number, *shares)),
                None => told.tenants.remove(tenant_id),
            };
        }
        self.fit(&told, now);
        let known = told.known();
        drop(told);
        if let Some(disk) = &mut *lock(&self.disk) {
            disk.save(&known)?;
        }
        let mut told = self.lock();
        let mut held = Vec::new();
        for tenant in &allotment.tenants {
            let mine = self.held(&told, &tenant.tenant_id, tenant.number);
            if mine.shares.concurrency > told.shares(&tenant.tenant_id).concurrency {
                told.draining.insert(tenant.tenant_id.clone(), mine.clone());
            } else {
                told.draining.remove(&tenant.tenant_id);
            }
            held.push(mine);
        }
        let allotted = Allotted {
            number: told.number,
            floor: told.floor,
            draining: self.is_retiring(),
            tenants: held,
        };
        drop(told);
        self.heard(now);
        Ok(allotted)
    }

    /// What is held of tenants whose requests under way have become fewer since it was last said.
    pub fn drained(&self) -> Option<Allotted> {
        let mut told = self.lock();
        let before = std::mem::take(&mut told.draining);
        let mut news = Vec::new();
        for (id, said) in before {
            let mine = self.held(&told, &id, said.number);
            if mine.shares.concurrency > told.shares(&id).concurrency {
                told.draining.insert(id, mine.clone());
            }
            if mine != said {
                news.push(mine);
            }
        }
        let (number, floor) = (told.number, told.floor);
        (!news.is_empty()).then_some(Allotted {
            number,
            floor,
            draining: self.is_retiring(),
            tenants: news,
        })
    }

    fn held(&self, told: &Told, tenant_id: &str, number: i64) -> HeldShares {
        match self.live.get(tenant_id) {
            Some(limiter) => limiter.held(tenant_id, number),
            None => HeldShares {
                tenant_id: tenant_id.to_owned(),
                number,
                shares: told.shares(tenant_id),
            },
        }
    }

    /// The control plane has been silent for too long: what exceeds the floor is no longer ours.
    fn fall_back(&self, now: Instant) {
        let mut told = self.lock();
        if self.age(now) <= self.held_until.swap(u64::MAX, Ordering::Relaxed) {
            return;
        }
        let floor = Shares::all(told.floor);
        for (_, shares) in told.tenants.values_mut() {
            *shares = shares.at_most(floor);
        }
        self.fit(&told, now);
        tracing::warn!("the control plane is silent: shares above the floor are given up");
    }

    fn fit(&self, told: &Told, now: Instant) {
        for limiter in &self.live {
            limiter.set_shares(told.shares(limiter.key()), now);
        }
    }

    /// What is worth telling of every tenant's demand since the last time; forgets who was not here lately.
    pub fn sample(&self, now: Instant) -> Vec<Demand> {
        let always: Vec<String> = self.lock().tenants.keys().cloned().collect();
        let always: std::collections::HashSet<&str> = always.iter().map(String::as_str).collect();
        let mut demands = Vec::new();
        let mut idle = Vec::new();
        for limiter in &self.live {
            let told = always.contains(limiter.key().as_str());
            demands.extend(limiter.sample(limiter.key(), told, now));
            if !told && limiter.is_idle(now) {
                idle.push(limiter.key().clone());
            }
        }
        for id in idle {
            self.live.remove_if(&id, |_, limiter| {
                Arc::strong_count(limiter) == 1 && limiter.is_idle(now)
            });
        }
        demands
    }

    fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    /// Shares below the floor must outlive this process; the floor stands in for the others.
    fn known(&self) -> disk::Known {
        let floor = Shares::all(self.floor);
        let mut tenants: Vec<TenantShares> = self
            .tenants
            .iter()
            .filter(|(_, (_, shares))| shares.at_most(floor) != floor)
            .map(|(id, (number, shares))| TenantShares {
                tenant_id: id.clone(),
                number: *number,
                shares: Some(shares.at_most(floor)),
            })
            .collect();
        tenants.sort_by(|a, b| a.tenant_id.cmp(&b.tenant_id));
        disk::Known {
            number: self.number,
            floor: self.floor,
            tenants,
        }
    }
}

#[cfg(test)]
mod tests;
