//! Where the time comes from: the system's clock in production, a held one in tests.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

type Now = dyn Fn() -> DateTime<Utc> + Send + Sync;

/// Cheap to clone; every clone tells the same time.
#[derive(Clone)]
pub struct Clock(Arc<Now>);

impl Clock {
    pub fn system() -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "the one place that asks the system"
        )]
        Clock(Arc::new(Utc::now))
    }

    /// A clock that tells whatever `now` returns.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Clock(Arc::new(now))
    }

    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
