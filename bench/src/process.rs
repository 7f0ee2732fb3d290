//! What processes cost, as `/proc` tells: CPU time and memory, of a process with all its descendants.
//! It measures any process, and changes nothing but the mark of the highest memory.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Linux counts CPU time for user space in hundredths of a second, whatever its own tick.
const TICK: Duration = Duration::from_millis(10);

/// CPU time, by where it was spent.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    pub user: Duration,
    pub kernel: Duration,
}

impl Cpu {
    pub fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }

    pub fn whole(self) -> Duration {
        self.user + self.kernel
    }
}

/// What the process and its descendants have taken so far.
pub fn cpu(pid: u32) -> anyhow::Result<Cpu> {
    let mut ticks = [0, 0];
    for pid in with_descendants(pid) {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let fields: Vec<&str> = after_name(&stat).split_whitespace().collect();
        for (ticks, at) in ticks.iter_mut().zip([11, 12]) {
            let field = fields.get(at).context("/proc/PID/stat is too short")?;
            *ticks += field.parse::<u32>()?;
        }
    }
    let [user, kernel] = ticks.map(|ticks| TICK * ticks);
    Ok(Cpu { user, kernel })
}

/// A memory line of `/proc/PID/status`, such as `VmHWM`, in bytes.
pub fn memory(pid: u32, line: &str) -> u64 {
    let of = |pid: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    with_descendants(pid).into_iter().filter_map(of).sum()
}

/// Begins anew with `VmHWM`.
pub fn forget_peak(pid: u32) -> anyhow::Result<()> {
    for pid in with_descendants(pid) {
        fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    }
    Ok(())
}

pub fn with_descendants(pid: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let parent = after_name(&stat)
            .split_whitespace()
            .nth(1)
            .and_then(|p| p.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (child, parent)));
    }
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        let parent = all[at];
        all.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(c, _)| *c),
        );
        at += 1;
    }
    all
}

/// The descendant with this word in its command line.
pub fn descendant(pid: u32, word: &str) -> anyhow::Result<u32> {
    with_descendants(pid)
        .into_iter()
        .find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|w| w == word.as_bytes())
        })
        .with_context(|| format!("no process {word} was found"))
}

/// A process's name stands in brackets and may hold anything.
fn after_name(stat: &str) -> &str {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest)
}
