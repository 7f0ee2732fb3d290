//! What was measured of a fleet, and the page's section that tells it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{KEYS, NODES};

/// Bytes of signing keys of one tenant in a node's memory: 16 days.
const SIGNING_KEYS: u64 = KEYS as u64 * 16 * 32;
const MIB: f64 = 1024.0 * 1024.0;

/// What was measured with so many tenants.
pub struct Figures {
    pub tenants: usize,
    /// Until every node, all starting at once with nothing, was ready.
    pub cold: Duration,
    /// Sent to all nodes for that.
    pub snapshot_bytes: u64,
    /// Of the control plane, over what it had before.
    pub plane_peak: u64,
    pub plane_before: u64,
    /// Of one node at rest, the middle of all.
    pub node_memory: u64,
    /// From the request for a change until the last node serves it, sorted.
    pub changes: Vec<Duration>,
    pub cpu_per_change: Duration,
    /// Of one node.
    pub node_cpu_per_change: Duration,
}

impl Figures {
    fn percentile(&self, share: f64) -> f64 {
        let at = ((self.changes.len() - 1) as f64 * share).ceil() as usize;
        self.changes.get(at).map_or(f64::NAN, Duration::as_secs_f64) * 1e3
    }

    pub fn told(&self) -> String {
        format!(
            "{} tenants: cold {:.1} s, {:.0} MiB to each node; control plane {:.0} MiB, at most {:.0}; \
             node {:.0} MiB; change p50 {:.0} ms, p99 {:.0} ms, CPU {:.1} ms, a node's {:.1} ms",
            self.tenants,
            self.cold.as_secs_f64(),
            self.snapshot_bytes as f64 / NODES as f64 / MIB,
            self.plane_before as f64 / MIB,
            self.plane_peak as f64 / MIB,
            self.node_memory as f64 / MIB,
            self.percentile(0.5),
            self.percentile(0.99),
            self.cpu_per_change.as_secs_f64() * 1e3,
            self.node_cpu_per_change.as_secs_f64() * 1e3,
        )
    }
}

/// The page's section: what was measured, and whether the aims are met.
pub fn section(all: &[Figures]) -> String {
    let mut out = format!(
        "One control plane and {NODES} nodes on this machine, {KEYS} access keys and one or two buckets a tenant. The database \
         is a throwaway one that does not wait for its disk.\n\n| tenants |{}\n| --- |{}\n",
        all.iter()
            .map(|f| format!(" {} |", f.tenants))
            .collect::<String>(),
        " ---: |".repeat(all.len()),
    );
    let mut line = |name: &str, value: &dyn Fn(&Figures) -> String| {
        let cells: String = all.iter().map(|f| format!(" {} |", value(f))).collect();
        let _ = writeln!(out, "| {name} |{cells}");
    };
    line("cold snapshot, all nodes at once", &|f| {
        format!("{:.1} s", f.cold.as_secs_f64())
    });
    line("bytes to a node", &|f| {
        format!("{:.1} MiB", f.snapshot_bytes as f64 / NODES as f64 / MIB)
    });
    line("control plane's memory before, and at most", &|f| {
        format!(
            "{:.0}, {:.0} MiB",
            f.plane_before as f64 / MIB,
            f.plane_peak as f64 / MIB
        )
    });
    line("a node's memory", &|f| {
        format!("{:.0} MiB", f.node_memory as f64 / MIB)
    });
    line("change: p50", &|f| format!("{:.0} ms", f.percentile(0.5)));
    line("change: p99", &|f| format!("{:.0} ms", f.percentile(0.99)));
    line("control plane's CPU a change", &|f| {
        format!("{:.1} ms", f.cpu_per_change.as_secs_f64() * 1e3)
    });
    let [few, .., many] = all else { return out };
    let per_tenant = many.node_memory.saturating_sub(few.node_memory)
        / (many.tenants - few.tenants).max(1) as u64;
    let apart = per_tenant.saturating_sub(SIGNING_KEYS);
    let ratio = many.cpu_per_change.as_secs_f64() / few.cpu_per_change.as_secs_f64();
    let aims = [
        (
            format!(
                "a change is served by every node, p99 at most 250 ms at {} tenants",
                many.tenants
            ),
            format!("{:.0} ms", many.percentile(0.99)),
            many.percentile(0.99) <= 250.0,
        ),
        (
            format!(
                "CPU of a change at {} tenants at most 1.5 × that at {}",
                many.tenants, few.tenants
            ),
            format!("{ratio:.2} ×"),
            ratio <= 1.5,
        ),
        (
            format!(
                "a node's memory under 2 KiB a tenant, signing keys ({SIGNING_KEYS} bytes) apart"
            ),
            format!("{apart} bytes"),
            apart < 2048,
        ),
    ];
    out.push_str("\n| aim | measured | |\n| --- | ---: | --- |\n");
    for (aim, measured, met) in aims {
        let met = if met { "met" } else { "**missed**" };
        let _ = writeln!(out, "| {aim} | {measured} | {met} |");
    }
    out.push_str(
        "\nA change is a tenant suspended or resumed: the time runs from the operator's request, transaction included, \
         until the last node, asked over and over, answers so.\n",
    );
    out
}
