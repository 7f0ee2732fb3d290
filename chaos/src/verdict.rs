//! What was seen that must not be, and what was seen at all. Whoever sees a breach says it here, and the run ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// More than these are the same again.
const MOST: usize = 20;

#[derive(Default)]
pub struct Verdict {
    breaches: Mutex<Vec<String>>,
    /// Requests of customers without limits that were not answered as asked.
    failures: Mutex<Vec<(Instant, String)>>,
    over: AtomicBool,
    pub answered: AtomicU64,
    pub refused: AtomicU64,
    pub failed: AtomicU64,
    pub broken: AtomicU64,
    /// How often a request was tried that had to be refused, and was.
    pub probes: AtomicU64,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Verdict {
    /// Something happened that must not.
    pub fn breach(&self, what: String) {
        let mut breaches = lock(&self.breaches);
        if breaches.len() < MOST {
            eprintln!("chaos: BREACH: {what}");
            breaches.push(what);
        }
    }

    pub fn breaches(&self) -> Vec<String> {
        lock(&self.breaches).clone()
    }

    pub fn is_broken(&self) -> bool {
        !lock(&self.breaches).is_empty()
    }

    pub fn failure(&self, what: String) {
        lock(&self.failures).push((Instant::now(), what));
    }

    /// What failed since then; what failed before is forgotten.
    pub fn failures_since(&self, since: Instant) -> Vec<String> {
        let failures = std::mem::take(&mut *lock(&self.failures));
        let since = failures.into_iter().filter(|(at, _)| *at >= since);
        since.map(|(_, what)| what).collect()
    }

    /// Clients come to their end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
