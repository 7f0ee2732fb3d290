//! Turns of what a machine can run only a few of at a time: at most two stacks, however many tests there are.
//! Whoever holds one may start any number of processes for it.

use std::sync::{Condvar, Mutex};

const AT_ONCE: usize = 2;

static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// The right to run a stack; given back when dropped.
pub struct Turn(());

impl Turn {
    pub fn wait() -> Self {
        let running = RUNNING.0.lock().unwrap_or_else(|e| e.into_inner());
        let mut running = RUNNING
            .1
            .wait_while(running, |running| *running >= AT_ONCE)
            .unwrap_or_else(|e| e.into_inner());
        *running += 1;
        Turn(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.0.lock().unwrap_or_else(|e| e.into_inner()) -= 1;
        RUNNING.1.notify_one();
    }
}
