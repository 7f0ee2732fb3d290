//! This machine: room on its disks, and how many files may be open.

use super::super::facts::Facts;
use super::{Outcome, failure, gigabytes, joined, ok, skipped, warning};

const LOW: u64 = 5_000_000_000;
const VERY_LOW: u64 = 1_000_000_000;
/// Each request has two connections.
const ENOUGH_FILES: u64 = 8192;
const FEW_FILES: u64 = 1024;

pub fn disk(facts: &Facts) -> Outcome {
    let low = |disk: &super::super::facts::Disk| disk.free < LOW || disk.free < disk.total / 20;
    let least = facts.disks.iter().map(|disk| disk.free).min();
    let Some(least) = least else {
        return skipped("no data directory is on this machine");
    };
    let shown = facts.disks.iter().filter(|disk| low(disk));
    let shown = joined(shown.map(|disk| {
        let (path, free) = (disk.path.display(), gigabytes(disk.free));
        format!("{path} has {free} left")
    }));
    let mend = "make room, or move the data directory: a node whose journal cannot be written refuses requests (docs/operate/monitor.md)";
    match shown.is_empty() {
        true => ok(format!("{} or more left", gigabytes(least))),
        false if least < VERY_LOW => failure(shown, mend),
        false => warning(shown, mend),
    }
}

pub fn open_files(facts: &Facts) -> Outcome {
    match &facts.open_files {
        None => skipped("the limit cannot be read here"),
        Some((whose, limit)) => {
            let shown = format!("{limit} files at once, for {whose}");
            let mend =
                "raise it: LimitNOFILE=65536 in the unit, or `ulimit -n 65536` before starting";
            match *limit {
                limit if limit < FEW_FILES => failure(shown, mend),
                limit if limit < ENOUGH_FILES => warning(shown, mend),
                _ => ok(shown),
            }
        }
    }
}
