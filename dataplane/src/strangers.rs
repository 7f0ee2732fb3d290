//! Failed authentication, counted by source address in fixed memory. A stranger who goes on failing learns less and less:
//! no reasons, no canonical requests, only `SlowDown`. Who signs correctly is never affected, whatever their neighbours do.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

const SLOTS: usize = 16 * 1024;
/// Failures of one address within one window that still get an explanation.
const EXPLAINED: u64 = 600;
const WINDOW_SECONDS: i64 = 60;

/// 128 KiB, however many addresses come. Two that share a slot share a count, which costs them explanations only.
pub struct Strangers {
    /// The window's number in the upper half, failures in the lower.
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Strangers {
    fn default() -> Self {
        Strangers {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Strangers {
    /// Counts a failure, and tells whether it still gets an explanation.
    pub fn failed(&self, peer: IpAddr, now: DateTime<Utc>) -> bool {
        let index = usize::try_from(self.hasher.hash_one(network(peer))).unwrap_or(0) % SLOTS;
        let Some(slot) = self.slots.get(index) else {
            return true;
        };
        let window = u64::from(u32::try_from(now.timestamp() / WINDOW_SECONDS).unwrap_or(0));
        let next = |before: u64| match before >> 32 == window {
            true if before & 0xffff_ffff >= EXPLAINED => before,
            true => before + 1,
            false => window << 32 | 1,
        };
        let before = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
            Some(next(before))
        });
        let before = before.unwrap_or_else(|unchanged| unchanged);
        next(before) != before
    }
}

/// Whoever has one IPv6 address has a whole /64 of them.
pub fn network(peer: IpAddr) -> u128 {
    match peer.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(strangers: &Strangers, peer: &str, now: DateTime<Utc>, times: usize) -> usize {
        (0..times)
            .filter(|_| strangers.failed(peer.parse().unwrap(), now))
            .count()
    }

    #[test]
    fn explanations_run_out_and_come_back() {
        let strangers = Strangers::default();
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(explained(&strangers, "192.0.2.1", now, 1000), 600);
        assert_eq!(explained(&strangers, "2001:db8::1", now, 300), 300);
        assert_eq!(
            explained(&strangers, "2001:db8::2", now, 1000),
            300,
            "one network"
        );
        assert_eq!(
            explained(
                &strangers,
                "192.0.2.1",
                now + chrono::TimeDelta::seconds(60),
                1
            ),
            1
        );
    }
}
