//! Which traces the last changes belong to, so that nodes can go on with them. Kept in memory alone and for a few changes:
//! what is not found is pushed all the same, and its trace ends at the commit.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use telemetry::Traceparent;
use wire::Revision;

const KEPT: usize = 256;

#[derive(Default)]
pub(crate) struct Causes(Mutex<VecDeque<(Revision, Traceparent)>>);

impl Causes {
    /// A notification of a change: its revision, and its trace if it has one.
    pub(crate) fn note(&self, payload: &str) {
        let Some((revision, traceparent)) = payload.split_once(' ') else {
            return;
        };
        let (Ok(revision), Ok(traceparent)) = (revision.parse(), traceparent.parse()) else {
            return;
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((revision, traceparent));
    }

    pub(crate) fn of(&self, revision: Revision) -> Option<Traceparent> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().rev().find(|kept| kept.0 == revision);
        found.map(|kept| kept.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_last_changes_are_known_and_no_more() {
        let causes = Causes::default();
        for payload in ["1", "2 nonsense", "x y"] {
            causes.note(payload);
        }
        assert_eq!((causes.of(1), causes.of(2)), (None, None));
        for revision in 1..=KEPT + 1 {
            causes.note(&format!("{revision} {TRACE}"));
        }
        assert_eq!(causes.of(1), None);
        assert_eq!(causes.of(2).map(|t| t.to_string()).as_deref(), Some(TRACE));
        assert_eq!(causes.0.lock().map(|kept| kept.len()).ok(), Some(KEPT));
    }
}
