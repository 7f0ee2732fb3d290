//! The time of day as a parameter: the system's in production, the test's in tests.
//! Nothing else in the crate asks what time it is.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, NaiveDate, Utc};

#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Fixed(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`advance`](Self::advance) is called; clones share the hands.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(Source::Fixed(Arc::new(Mutex::new(time))))
    }

    #[allow(clippy::disallowed_methods)] // the one place that asks the system
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now(),
            Source::Fixed(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The UTC day, as signing keys count days.
    pub fn today(&self) -> NaiveDate {
        self.now().date_naive()
    }

    /// Moves a fixed clock; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Fixed(time) = &self.0 {
            *time.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

/// The same clock as governor wants it: the time since 1970.
#[derive(Clone)]
pub(crate) struct SinceEpoch(pub(crate) Clock);

impl governor::clock::Clock for SinceEpoch {
    type Instant = std::time::Duration;

    fn now(&self) -> std::time::Duration {
        let since = self.0.now() - DateTime::UNIX_EPOCH;
        since.to_std().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_fixed_clock_move_together() {
        let clock = Clock::at(DateTime::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(Duration::days(1));
        assert_eq!(other.now(), DateTime::UNIX_EPOCH + Duration::days(1));
        assert_eq!(other.today().to_string(), "1970-01-02");
    }
}
