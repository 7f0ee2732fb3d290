//! A token bucket whose rate and capacity can be changed while it is in use, without a gift: a smaller capacity takes
//! tokens away, a greater one adds none. It knows no clock.

use std::time::{Duration, Instant};

/// What is owed to a bucket that never fills: nothing comes of waiting longer.
const NEVER: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
pub struct Bucket {
    /// Tokens a second.
    rate: f64,
    capacity: f64,
    /// Below zero: owed.
    tokens: f64,
    /// All that was ever spent, whether it was there or not.
    spent: f64,
    at: Instant,
}

/// A place in the line of those who spent more than was there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticket(f64);

impl Bucket {
    /// A full one.
    pub fn new(rate: f64, capacity: f64, now: Instant) -> Self {
        Bucket {
            rate,
            capacity,
            tokens: capacity,
            spent: 0.0,
            at: now,
        }
    }

    fn settle(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(self.capacity);
        self.at = self.at.max(now);
    }

    pub fn set(&mut self, rate: f64, capacity: f64, now: Instant) {
        self.settle(now);
        self.rate = rate;
        self.capacity = capacity;
        self.tokens = self.tokens.min(capacity);
    }

    /// One token, or how long it will take until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.settle(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(self.time_for(1.0 - self.tokens))
    }

    /// Takes tokens whether they are there or not.
    pub fn spend(&mut self, tokens: f64, now: Instant) -> Ticket {
        self.settle(now);
        self.tokens -= tokens;
        self.spent += tokens;
        Ticket(self.spent)
    }

    /// How long it takes, at the present rate, until what was spent up to this ticket is paid off.
    pub fn wait(&mut self, ticket: Ticket, now: Instant) -> Duration {
        self.settle(now);
        let later = (self.spent - ticket.0).max(0.0);
        self.time_for(-self.tokens - later)
    }

    /// How long it takes until nothing is owed.
    pub fn debt(&mut self, now: Instant) -> Duration {
        self.wait(Ticket(self.spent), now)
    }

    /// Whether anything is owed.
    pub fn owes(&self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens + gained < 0.0
    }

    pub fn is_full(&mut self, now: Instant) -> bool {
        self.settle(now);
        self.tokens >= self.capacity
    }

    fn time_for(&self, tokens: f64) -> Duration {
        if tokens <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(tokens / self.rate).map_or(NEVER, |time| time.min(NEVER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_and_the_next_waits_for_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(2.0, 5.0, now);
        for _ in 0..5 {
            assert_eq!(bucket.take(now), Ok(()));
        }
        assert_eq!(bucket.take(now), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(now + Duration::from_millis(500)), Ok(()));
    }

    #[test]
    fn a_bucket_without_a_rate_never_fills() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.0, 1.0, now);
        assert_eq!(bucket.take(now), Ok(()));
        assert_eq!(bucket.take(now + Duration::from_secs(9999)), Err(NEVER));
    }

    #[test]
    fn what_is_owed_is_paid_off_at_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(100.0, 100.0, now);
        let first = bucket.spend(100.0, now);
        let second = bucket.spend(50.0, now);
        let third = bucket.spend(100.0, now);
        assert_eq!(bucket.wait(first, now), Duration::ZERO);
        assert_eq!(bucket.wait(second, now), Duration::from_millis(500));
        assert_eq!(bucket.wait(third, now), Duration::from_millis(1500));
        // A greater rate shortens what is waited for already.
        bucket.set(1000.0, 100.0, now);
        assert_eq!(bucket.wait(third, now), Duration::from_millis(150));
        assert_eq!(
            bucket.debt(now + Duration::from_millis(100)),
            Duration::from_millis(50)
        );
    }

    proptest! {
        /// Against every other way to count: what passed in any stretch of time is at most the greatest capacity that
        /// there was, and what the rates brought since.
        #[test]
        fn no_history_of_changes_is_a_gift(
            steps in prop::collection::vec((0u64..400, 0u32..200, 0u32..60, 0usize..30), 1..80)
        ) {
            let start = Instant::now();
            let mut now = start;
            let (mut rate, mut capacity) = (10.0, 10.0);
            let mut bucket = Bucket::new(rate, capacity, now);
            // What a stretch that began at some step may have let pass by now.
            let mut allowed: Vec<f64> = vec![];
            let mut passed: Vec<f64> = vec![];
            for (millis, new_rate, new_capacity, takes) in steps {
                let gained = rate * millis as f64 / 1000.0;
                now += Duration::from_millis(millis);
                allowed.iter_mut().for_each(|allowed| *allowed += gained);
                let held = bucket.clone();
                (rate, capacity) = (f64::from(new_rate), f64::from(new_capacity));
                bucket.set(rate, capacity, now);
                prop_assert!(bucket.tokens <= capacity);
                let mut unchanged = held;
                unchanged.settle(now);
                prop_assert!(bucket.tokens <= unchanged.tokens);
                allowed.push(capacity);
                passed.push(0.0);
                for _ in 0..takes {
                    if bucket.take(now).is_ok() {
                        passed.iter_mut().for_each(|passed| *passed += 1.0);
                    }
                }
                for (passed, allowed) in passed.iter().zip(&allowed) {
                    prop_assert!(*passed <= allowed + 1e-6, "{passed} of {allowed}");
                }
            }
        }
    }
}
