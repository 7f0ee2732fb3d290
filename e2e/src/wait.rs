//! Waiting for something to become true, instead of for some time to pass.
//! Nothing waits for ever: what does not come within its time is a failure that says what was waited for.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// The first `Some` of `check`.
///
/// # Panics
/// When there was none `within` that time.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(
            begun.elapsed() < within,
            "waited {} s in vain: {what}",
            within.as_secs()
        );
        std::thread::sleep(PAUSE);
    }
}
