//! One tenant's limits on this node: its buckets, what is under way, and what was asked for lately. Made when a tenant's
//! first request comes, and forgotten when nothing would be forgotten with it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::{Demand, HeldShares, Limits, Shares, WHOLE, units};

use super::bucket::{Bucket, Ticket};
use super::over::Over;

/// Debt in bytes beyond this much time is refused at the gate, rather than waited for.
const MOST_DEBT: Duration = Duration::from_secs(5);
/// A stream may send this much at once, however small its share.
const LEAST_BYTES: f64 = 64.0 * 1024.0;
/// Demand is what was asked for in so many windows.
const WINDOWS: usize = 3;
/// What has not changed by more than a tenth is said this seldom.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// Counts a request as under way until it is dropped, and paces its bytes.
#[derive(Debug)]
pub struct UnderWay(Arc<TenantLimiter>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UnderWay {
    /// Whose limits it is under; `None` if the tenant has no limit on bytes.
    pub fn paced(&self) -> Option<Arc<TenantLimiter>> {
        let limited = lock(&self.0.state).limits.bytes_per_second.is_some();
        limited.then(|| self.0.clone())
    }
}

#[derive(Debug)]
pub struct TenantLimiter {
    state: Mutex<State>,
    under_way: AtomicU32,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    shares: Shares,
    requests: Bucket,
    /// Only of tenants with a limit on bytes.
    bytes: Option<Bucket>,
    now: Window,
    since: Instant,
    before: VecDeque<(Window, Duration)>,
    reported: Option<(Demand, Instant)>,
}

/// What was asked for between two samples.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    requests: u32,
    /// The most at once, and those that were refused for it.
    at_once: u32,
    refused_at_once: u32,
    bytes: u64,
    waited: bool,
}

fn part(share: u32, of: f64) -> f64 {
    of * f64::from(share) / f64::from(WHOLE)
}

/// Tokens a second, and at once: at least one request fits in any bucket.
fn request_figures(limits: &Limits, share: u32) -> (f64, f64) {
    let rate = part(share, f64::from(limits.requests_per_second.max(1)));
    (rate, part(share, f64::from(limits.burst.max(1))).max(1.0))
}

fn byte_figures(limit: u64, share: u32) -> (f64, f64) {
    let rate = part(share, limit.max(1) as f64);
    (rate, rate.max(LEAST_BYTES))
}

impl TenantLimiter {
    pub fn new(limits: &Limits, shares: Shares, now: Instant) -> Self {
        let (rate, burst) = request_figures(limits, shares.requests);
        let bytes = limits.bytes_per_second.map(|limit| {
            let (rate, capacity) = byte_figures(limit, shares.bandwidth);
            Bucket::new(rate, capacity, now)
        });
        TenantLimiter {
            state: Mutex::new(State {
                limits: limits.clone(),
                shares,
                requests: Bucket::new(rate, burst, now),
                bytes,
                now: Window::default(),
                since: now,
                before: VecDeque::new(),
                reported: None,
            }),
            under_way: AtomicU32::new(0),
        }
    }

    pub fn admit(self: Arc<Self>, limits: &Limits, now: Instant) -> Result<UnderWay, Over> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.limits != *limits {
            state.limits = limits.clone();
            state.fit(now);
        }
        state.now.requests = state.now.requests.saturating_add(1);
        let before = self.under_way.load(Ordering::Relaxed);
        state.now.at_once = state.now.at_once.max(before.saturating_add(1));
        if let Some(most) = limits.concurrent_requests {
            let most = units(state.shares.concurrency, most);
            if before >= most {
                state.now.refused_at_once = state.now.refused_at_once.saturating_add(1);
                return Err(Over::Concurrency {
                    counter: before.into(),
                    limit: most.into(),
                });
            }
        }
        if let (Some(bucket), Some(limit)) = (&mut state.bytes, limits.bytes_per_second) {
            let debt = bucket.debt(now);
            if debt > MOST_DEBT {
                state.now.waited = true;
                let limit = part(state.shares.bandwidth, limit as f64);
                return Err(Over::Bandwidth {
                    wait: debt - MOST_DEBT,
                    counter: (limit + limit * debt.as_secs_f64()) as u64,
                    limit: limit as u64,
                });
            }
        }
        if let Err(wait) = state.requests.take(now) {
            let rate = request_figures(limits, state.shares.requests).0;
            let counter = state.demand(now).0;
            return Err(Over::Rate {
                wait,
                counter,
                limit: (rate * 1000.0) as u64,
            });
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        drop(guard);
        Ok(UnderWay(self))
    }

    /// So many bytes have gone by; the next ones of this stream wait for the ticket's turn.
    pub fn pass(&self, bytes: usize, now: Instant) -> Option<Ticket> {
        let mut state = lock(&self.state);
        state.now.bytes = state.now.bytes.saturating_add(bytes as u64);
        let bucket = state.bytes.as_mut()?;
        let ticket = bucket.spend(bytes as f64, now);
        let wait = bucket.wait(ticket, now);
        state.now.waited |= !wait.is_zero();
        (!wait.is_zero()).then_some(ticket)
    }

    /// How long that is still, as limits and shares are now.
    pub fn wait(&self, ticket: Ticket, now: Instant) -> Duration {
        let mut state = lock(&self.state);
        let bucket = state.bytes.as_mut();
        bucket.map_or(Duration::ZERO, |bucket| bucket.wait(ticket, now))
    }

    pub fn set_shares(&self, shares: Shares, now: Instant) {
        let mut state = lock(&self.state);
        if state.shares != shares {
            state.shares = shares;
            state.fit(now);
        }
    }

    /// The share of concurrency that is taken now: more than the tenant's share until enough of what is under way has
    /// ended.
    pub fn held(&self, tenant_id: &str, number: i64) -> HeldShares {
        let state = lock(&self.state);
        let mut shares = state.shares;
        if let Some(most) = state.limits.concurrent_requests.filter(|most| *most > 0) {
            let under_way = self.under_way.load(Ordering::Relaxed);
            if under_way > units(shares.concurrency, most) {
                let taken = (u64::from(under_way) * u64::from(WHOLE)).div_ceil(u64::from(most));
                shares.concurrency = u32::try_from(taken).unwrap_or(u32::MAX).min(WHOLE);
            }
        }
        HeldShares {
            tenant_id: tenant_id.to_owned(),
            number,
            shares,
        }
    }

    /// Ends a window. What to report, if it says something new, or if it is `always` of interest.
    pub fn sample(&self, tenant_id: &str, always: bool, now: Instant) -> Option<Demand> {
        let mut state = lock(&self.state);
        let (requests, concurrency, bandwidth) = state.demand(now);
        let window = std::mem::take(&mut state.now);
        let length = now.saturating_duration_since(state.since);
        state.since = now;
        state.before.push_back((window, length));
        if state.before.len() >= WINDOWS {
            state.before.pop_front();
        }
        // Those under way now were not asked for in the next window, and are there all the same.
        state.now.at_once = self.under_way.load(Ordering::Relaxed);
        let demand = Demand {
            tenant_id: tenant_id.to_owned(),
            requests,
            concurrency,
            bandwidth,
        };
        if !always && !state.is_much(&demand) {
            state.reported = None;
            return None;
        }
        if let Some((said, at)) = &state.reported
            && now.saturating_duration_since(*at) < REPEAT_AFTER
            && like(said, &demand)
        {
            return None;
        }
        state.reported = Some((demand.clone(), now));
        Some(demand)
    }

    /// Whether a new limiter would be as this one is.
    pub fn is_idle(&self, now: Instant) -> bool {
        let mut state = lock(&self.state);
        self.under_way.load(Ordering::Relaxed) == 0
            && state.now.requests == 0
            && state.before.iter().all(|(window, _)| window.requests == 0)
            && state.requests.is_full(now)
            && state.bytes.as_mut().is_none_or(|bytes| bytes.is_full(now))
    }
}

impl State {
    /// Brings the buckets to what limits and shares say now.
    fn fit(&mut self, now: Instant) {
        let (rate, burst) = request_figures(&self.limits, self.shares.requests);
        self.requests.set(rate, burst, now);
        let Some(limit) = self.limits.bytes_per_second else {
            self.bytes = None;
            return;
        };
        let (rate, capacity) = byte_figures(limit, self.shares.bandwidth);
        match &mut self.bytes {
            Some(bytes) => bytes.set(rate, capacity, now),
            None => self.bytes = Some(Bucket::new(rate, capacity, now)),
        }
    }

    /// Thousandths of requests a second, requests at once, bytes a second.
    fn demand(&self, now: Instant) -> (u64, u32, u64) {
        let mut time = now.saturating_duration_since(self.since);
        let (mut requests, mut bytes) = (u64::from(self.now.requests), self.now.bytes);
        let mut at_once = self.now.at_once.saturating_add(self.now.refused_at_once);
        // A stream that waits for long takes nothing meanwhile, and wants it all the same.
        let mut waited = self.now.waited || self.bytes.as_ref().is_some_and(|b| b.owes(now));
        for (window, length) in &self.before {
            time += *length;
            requests += u64::from(window.requests);
            bytes += window.bytes;
            at_once = at_once.max(window.at_once.saturating_add(window.refused_at_once));
            waited |= window.waited;
        }
        let seconds = time.as_secs_f64().max(0.25);
        let bandwidth = (bytes as f64 / seconds) as u64;
        (
            (requests as f64 * 1000.0 / seconds) as u64,
            at_once.min(self.limits.concurrent_requests.unwrap_or(u32::MAX)),
            match (waited, self.limits.bytes_per_second) {
                (true, Some(limit)) => bandwidth.max(limit),
                _ => bandwidth,
            },
        )
    }

    /// Half of any share, or more.
    fn is_much(&self, demand: &Demand) -> bool {
        let rate = request_figures(&self.limits, self.shares.requests).0;
        let at_once = self.limits.concurrent_requests;
        let bytes = self.limits.bytes_per_second;
        demand.requests as f64 >= rate * 500.0
            || at_once.is_some_and(|most| {
                demand.concurrency > 0
                    && 2 * u64::from(demand.concurrency)
                        >= u64::from(units(self.shares.concurrency, most))
            })
            || bytes.is_some_and(|most| {
                demand.bandwidth as f64 >= part(self.shares.bandwidth, most as f64) / 2.0
            })
    }
}

/// Within a tenth of each other.
fn like(a: &Demand, b: &Demand) -> bool {
    let near = |a: u64, b: u64| a.abs_diff(b) * 10 <= a.max(b);
    near(a.requests, b.requests)
        && near(a.concurrency.into(), b.concurrency.into())
        && near(a.bandwidth, b.bandwidth)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "tenant_tests.rs"]
mod tests;
