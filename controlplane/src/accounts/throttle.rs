//! How often one network may try: log-ins with many accounts, and mails to many addresses.
//! Memory is fixed: networks share cells, of which there are few enough to have them all.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::SinceEpoch;
use crate::{Clock, Error};

/// 16,384 cells of a few words each; that two networks share one by chance is no harm.
const CELLS: u64 = 1 << 14;

type Limiter = RateLimiter<u16, HashMapStateStore<u16>, SinceEpoch, NoOpMiddleware<Duration>>;

pub(crate) struct Throttle {
    /// Which networks share a cell, nobody outside can know.
    hasher: RandomState,
    log_ins: Limiter,
    mails: Limiter,
    clock: SinceEpoch,
}

impl Throttle {
    pub(crate) fn new(clock: Clock) -> Self {
        let clock = SinceEpoch(clock);
        let limiter = |every: u64, burst: u32| {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::with_period(Duration::from_secs(every))
                .unwrap_or(Quota::per_hour(burst))
                .allow_burst(burst);
            RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())
        };
        Self {
            hasher: RandomState::new(),
            // An office behind one address logs in on a Monday morning; who guesses goes on at six a minute.
            log_ins: limiter(10, 60),
            mails: limiter(60, 20),
            clock,
        }
    }

    /// Counts one attempt to log in, or one code.
    pub(crate) fn log_in(&self, address: Option<IpAddr>) -> Result<(), Error> {
        self.check(&self.log_ins, address)
    }

    /// Counts one form that sends mail to whatever address is typed.
    pub(crate) fn mail(&self, address: Option<IpAddr>) -> Result<(), Error> {
        self.check(&self.mails, address)
    }

    fn check(&self, limiter: &Limiter, address: Option<IpAddr>) -> Result<(), Error> {
        let Some(address) = address else {
            return Ok(());
        };
        let cell = self.hasher.hash_one(network(address)) % CELLS;
        let cell = u16::try_from(cell).unwrap_or_default();
        limiter.check_key(&cell).map_err(|until| {
            tracing::warn!(%address, "too many attempts from one network");
            Error::TooManyRequests {
                retry_after_seconds: until.wait_time_from(self.clock.now()).as_secs().max(1),
            }
        })
    }
}

/// A customer of an IPv6 provider has at least a /64 of addresses.
fn network(address: IpAddr) -> [u8; 8] {
    let mut network = [0; 8];
    match address.to_canonical() {
        IpAddr::V4(address) => network[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => network.copy_from_slice(&address.octets()[..8]),
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn passes(throttle: &Throttle, address: &str) -> bool {
        throttle.log_in(Some(address.parse().unwrap())).is_ok()
    }

    #[test]
    fn one_network_is_held_up_and_others_are_not() {
        let clock = Clock::at(DateTime::UNIX_EPOCH + chrono::Duration::days(20_000));
        let throttle = Throttle::new(clock.clone());
        for _ in 0..60 {
            assert!(passes(&throttle, "203.0.113.7"));
        }
        let held_up = throttle.log_in(Some("203.0.113.7".parse().unwrap()));
        assert!(matches!(
            held_up,
            Err(Error::TooManyRequests {
                retry_after_seconds: 10
            })
        ));
        assert!(!passes(&throttle, "::ffff:203.0.113.7"), "the same one");
        assert!(passes(&throttle, "203.0.113.8"));
        assert!(throttle.log_in(None).is_ok());
        clock.advance(chrono::Duration::seconds(10));
        assert!(passes(&throttle, "203.0.113.7"));
        assert!(!passes(&throttle, "203.0.113.7"));
    }

    #[test]
    fn changing_addresses_within_a_64_do_not_help() {
        let throttle = Throttle::new(Clock::at(DateTime::UNIX_EPOCH));
        let tries = (0..100).filter(|n| passes(&throttle, &format!("2001:db8:0:1::{n:x}")));
        assert_eq!(tries.count(), 60);
        assert!(passes(&throttle, "2001:db8:0:2::1"));
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let throttle = Throttle::new(Clock::at(DateTime::UNIX_EPOCH));
        for n in 0..100_000u32 {
            let _ = throttle.log_in(Some(std::net::Ipv4Addr::from(n).into()));
        }
        assert!(throttle.log_ins.len() <= 1 << 14);
    }
}
