//! How long things took, in a few atomics, as Prometheus counts it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in milliseconds, and as they are written.
const BOUNDS: [(u64, &str); 12] = [
    (5, "0.005"),
    (10, "0.01"),
    (25, "0.025"),
    (50, "0.05"),
    (100, "0.1"),
    (250, "0.25"),
    (500, "0.5"),
    (1_000, "1"),
    (2_500, "2.5"),
    (5_000, "5"),
    (10_000, "10"),
    (60_000, "60"),
];

/// Takes no lock, and two additions to count.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Those within each bound and above the one before; the last: those above all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    pub fn count(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|(bound, _)| bound * 1000 < micros);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds its series, in seconds; nothing where nothing was counted. `labels` are whole: `operation="GetObject"`.
    pub fn render(&self, out: &mut String, name: &str, labels: &str) {
        let counts = self.counts.each_ref().map(|n| n.load(Ordering::Relaxed));
        let all: u64 = counts.iter().sum();
        if all == 0 {
            return;
        }
        let mut below = 0;
        for ((_, bound), count) in BOUNDS.iter().zip(counts) {
            below += count;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
        }
        let micros = self.micros.load(Ordering::Relaxed);
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        let _ = writeln!(
            out,
            "{name}_bucket{{{labels},le=\"+Inf\"}} {all}\n{name}_sum{{{labels}}} {seconds}.{rest:06}\n{name}_count{{{labels}}} {all}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_within_its_bound_and_all_above_it() {
        let histogram = Histogram::default();
        let mut text = String::new();
        histogram.render(&mut text, "h", "a=\"b\"");
        assert_eq!(text, "");
        for millis in [5, 6, 700, 61_000] {
            histogram.count(Duration::from_millis(millis));
        }
        histogram.render(&mut text, "h", "a=\"b\"");
        for line in [
            "h_bucket{a=\"b\",le=\"0.005\"} 1",
            "h_bucket{a=\"b\",le=\"0.01\"} 2",
            "h_bucket{a=\"b\",le=\"0.5\"} 2",
            "h_bucket{a=\"b\",le=\"1\"} 3",
            "h_bucket{a=\"b\",le=\"60\"} 3",
            "h_bucket{a=\"b\",le=\"+Inf\"} 4",
            "h_sum{a=\"b\"} 61.711000",
            "h_count{a=\"b\"} 4",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
