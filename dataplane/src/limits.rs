//! Who may go on right now: requests a second and requests at once, per tenant. A limiter lives as long as its tenant
//! does, so that memory grows with tenants and nobody's limit is ever forgotten.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use wire::Limits;

/// One tenant's limiter on this node.
pub struct TenantLimiter {
    limits: Limits,
    rate: DefaultDirectRateLimiter,
    clock: DefaultClock,
    under_way: Arc<AtomicU32>,
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// More than the rate and its burst; it clears after this time.
    Rate(Duration),
    /// More at once than the plan allows.
    Concurrency,
}

/// Counts a request as under way until it is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TenantLimiter {
    pub fn new(limits: &Limits) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(limits.requests_per_second))
            .allow_burst(at_least_one(limits.burst));
        TenantLimiter {
            limits: limits.clone(),
            rate: RateLimiter::direct(quota),
            clock: DefaultClock::default(),
            under_way: Arc::default(),
        }
    }

    /// Whether a document with these limits can keep this limiter, and with it what was already spent.
    pub fn fits(&self, limits: &Limits) -> bool {
        self.limits.requests_per_second == limits.requests_per_second
            && self.limits.burst == limits.burst
            && self.limits.concurrent_requests == limits.concurrent_requests
    }

    pub fn admit(&self) -> Result<UnderWay, Over> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let guard = UnderWay(self.under_way.clone());
        if self
            .limits
            .concurrent_requests
            .is_some_and(|most| before >= most)
        {
            return Err(Over::Concurrency);
        }
        match self.rate.check() {
            Ok(()) => Ok(guard),
            Err(not_until) => Err(Over::Rate(not_until.wait_time_from(self.clock.now()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rate: u32, burst: u32, concurrent: Option<u32>) -> Limits {
        Limits {
            requests_per_second: rate,
            burst,
            concurrent_requests: concurrent,
            quota_bytes: None,
        }
    }

    #[test]
    fn a_burst_passes_and_the_next_waits() {
        let limiter = TenantLimiter::new(&limits(1, 5, None));
        for _ in 0..5 {
            assert!(limiter.admit().is_ok());
        }
        match limiter.admit() {
            Err(Over::Rate(wait)) => {
                assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1))
            }
            other => panic!("expected to wait, got {other:?}"),
        }
    }

    #[test]
    fn requests_at_once_are_counted_and_given_back() {
        let limiter = TenantLimiter::new(&limits(1000, 1000, Some(2)));
        let first = limiter.admit().unwrap();
        let _second = limiter.admit().unwrap();
        assert_eq!(limiter.admit().unwrap_err(), Over::Concurrency);
        drop(first);
        assert!(limiter.admit().is_ok());
    }

    #[test]
    fn a_limiter_is_kept_while_its_limits_are_the_same() {
        let limiter = TenantLimiter::new(&limits(1, 1, None));
        assert!(limiter.fits(&Limits {
            quota_bytes: Some(1),
            ..limits(1, 1, None)
        }));
        assert!(!limiter.fits(&limits(2, 1, None)));
    }
}
