//! The time of day as a parameter: the system's in production, put right by the database's, or the test's in tests.
//! Nothing else in the crate asks what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use tokio::time::Instant;

use crate::{ControlPlane, Error, db};

/// How often the database is asked what time it is.
const ASK_EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// An answer that took longer says nothing.
const ANSWERED_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
/// Within this a clock is right.
const TOLERANCE: Duration = Duration::seconds(2);

#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// And by how many milliseconds it is behind.
    System(Arc<AtomicI64>),
    Fixed(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    pub fn system() -> Self {
        Self(Source::System(Arc::default()))
    }

    /// A clock that stands still until [`advance`](Self::advance) is called; clones share the hands.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(Source::Fixed(Arc::new(Mutex::new(time))))
    }

    #[allow(clippy::disallowed_methods)] // the one place that asks the system
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System(behind) => {
                Utc::now() + Duration::milliseconds(behind.load(Ordering::Relaxed))
            }
            Source::Fixed(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Goes by this from now on, if it is the system's and differs. By how much it differed from what it was before.
    fn put_right(&self, right: DateTime<Utc>) -> Duration {
        let off = right - self.now();
        match &self.0 {
            Source::System(behind) if off.abs() > TOLERANCE => {
                behind.fetch_add(off.num_milliseconds(), Ordering::Relaxed);
                off
            }
            Source::System(_) | Source::Fixed(_) => Duration::zero(),
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

/// Several control planes compare what they wrote down with what time it is: who is connected, who has been silent for
/// how long. So all of them go by one clock, the database's; one whose own is an hour ahead would take every
/// node for gone, and give away what they hold.
pub(crate) async fn ask(cp: &ControlPlane) -> Result<(), Error> {
    let asked = Instant::now();
    let right = db::now(cp.pool()).await?;
    if asked.elapsed() < ANSWERED_WITHIN {
        let off = cp.clock().put_right(right);
        if !off.is_zero() {
            let seconds = off.num_seconds();
            tracing::warn!(
                seconds,
                "the clock of this machine, or the database's, is wrong: the database's counts"
            );
        }
    }
    Ok(())
}

pub(crate) async fn follow(cp: ControlPlane) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        if let Err(error) = db::in_time(db::PATIENCE, ask(&cp)).await {
            tracing::debug!(%error, "the database does not say what time it is");
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
