//! The page: tables of medians, ratios to nginx within the same rounds, and whether each aim is met.
//! It replaces what stands between its two marks in `docs/BENCHMARKS.md`, and nothing else.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use crate::load::Sample;
use crate::neighbours;
use crate::run::{Engine, MANY, Results, Who};
use crate::target::now;
use crate::workload::{LARGE, Operation, WORKLOADS};

const MIB: f64 = 1024.0 * 1024.0;
const ENGINES: [Engine; 2] = [Engine::Synthetic, Engine::SeaweedFs];
const EVERYONE: [Who; 6] = [
    Who::Direct,
    Who::Nginx,
    Who::NginxSilent,
    Who::Rclone,
    Who::S3sProxy,
    Who::Vaultaire,
];

/// Puts a section in place of what stands between the marks of this name in `BENCHMARKS.md`.
pub fn write(docs: &Path, name: &str, section: &str) -> anyhow::Result<()> {
    let page = docs.join("BENCHMARKS.md");
    let text = std::fs::read_to_string(&page)
        .with_context(|| format!("{} cannot be read", page.display()))?;
    let (begin, end) = (
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    );
    let (before, rest) = text
        .split_once(&begin)
        .with_context(|| format!("the page has no {name}:begin"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("the page has no {name}:end"))?;
    std::fs::write(&page, format!("{before}{begin}{section}{end}{after}"))?;
    println!("bench: wrote {}", page.display());
    Ok(())
}

/// What the steady tenant noticed of the other.
pub fn neighbours(results: &neighbours::Results) -> String {
    let mut out = format!(
        "{}, {}; of the other tenant {} requests were admitted and {} refused.\n\n\
         | the other tenant | p50 | p99 | rounds' p99 |\n| --- | ---: | ---: | --- |\n",
        now().format("%Y-%m-%d"),
        machine(),
        results.admitted,
        results.refused,
    );
    for (name, samples) in [
        ("silent", &results.alone),
        ("at ten times its limit", &results.beside),
    ] {
        let rounds: Vec<String> = samples
            .iter()
            .map(|sample| shown(sample.p99.as_secs_f64()))
            .collect();
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} |",
            shown(median(samples, |s| s.p50.as_secs_f64())),
            shown(median(samples, |s| s.p99.as_secs_f64())),
            rounds.join(", ")
        );
    }
    let p99 = |samples: &[Sample]| median(samples, |s| s.p99.as_secs_f64());
    let moved = p99(&results.beside) / p99(&results.alone) - 1.0;
    let met = if moved < 0.1 { "met" } else { "**missed**" };
    let _ = writeln!(
        out,
        "\nThe p99 moved by {:.0} %; the aim is less than 10 %: {met}.",
        moved * 100.0
    );
    out
}

pub fn section(results: &Results) -> String {
    let mut out = format!(
        "{}, {}; {} s in all.\n\n{}",
        now().format("%Y-%m-%d"),
        machine(),
        results.took.as_secs(),
        aims(results)
    );
    for engine in ENGINES {
        let _ = write!(out, "\n### {}\n\n{}", title(engine), table(results, engine));
    }
    out.push_str("\n### Memory\n\n");
    out.push_str(&memory(results));
    out
}

fn title(engine: Engine) -> &'static str {
    match engine {
        Engine::Synthetic => "In front of an engine that costs nothing",
        Engine::SeaweedFs => "In front of SeaweedFS",
    }
}

pub fn name(who: Who) -> &'static str {
    match who {
        Who::Direct => "the engine itself",
        Who::Nginx => "nginx",
        Who::NginxSilent => "nginx, no log, no buffering",
        Who::Rclone => "rclone serve s3",
        Who::S3sProxy => "s3s-proxy",
        Who::Vaultaire => "Vaultaire",
    }
}

fn table(results: &Results, engine: Engine) -> String {
    let mut out = String::from(
        "| workload | | answered | p50 | p99 | CPU a request | CPU ÷ nginx | answered ÷ nginx |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (at, workload) in WORKLOADS.iter().enumerate() {
        let mut first = workload.name;
        for who in EVERYONE {
            let Some(cell) = results.cells.get(&(engine, at, who)) else {
                continue;
            };
            let rate = median(cell, |s| s.requests_per_second);
            let answered = if workload.operation.is_large() {
                format!("{:.0} MiB/s", rate * LARGE as f64 / MIB)
            } else {
                format!("{rate:.0}/s")
            };
            let ratio = |of: fn(&Sample) -> f64| match results.to_nginx(engine, at, who, of) {
                Some(ratio) if who != Who::Direct => format!("{ratio:.2}"),
                _ => String::new(),
            };
            let _ = writeln!(
                out,
                "| {first} | {} | {answered} | {} | {} | {:.0} µs | {} | {} |",
                name(who),
                shown(median(cell, |s| s.p50.as_secs_f64())),
                shown(median(cell, |s| s.p99.as_secs_f64())),
                median(cell, |s| s.cpu_micros),
                ratio(|s| s.cpu_micros),
                ratio(|s| s.requests_per_second),
            );
            first = "";
        }
    }
    out
}

fn shown(seconds: f64) -> String {
    let millis = seconds * 1e3;
    match millis {
        m if m < 10.0 => format!("{m:.2} ms"),
        m => format!("{m:.0} ms"),
    }
}

/// The middle one of all rounds.
pub fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    middle(samples.iter().map(of).collect())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Results {
    /// The middle of the rounds' ratios: each is to nginx seconds before or after.
    fn to_nginx(
        &self,
        engine: Engine,
        at: usize,
        who: Who,
        of: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        self.against_nginx(engine, at, who, |ours, nginx| of(ours) / of(nginx))
    }

    fn against_nginx(
        &self,
        engine: Engine,
        at: usize,
        who: Who,
        compare: impl Fn(&Sample, &Sample) -> f64,
    ) -> Option<f64> {
        let ours = self.cells.get(&(engine, at, who))?;
        let nginx = self.cells.get(&(engine, at, Who::Nginx))?;
        let pairs = ours.iter().zip(nginx);
        Some(middle(pairs.map(|(a, b)| compare(a, b)).collect()))
    }
}

fn aims(results: &Results) -> String {
    let mut out = String::from("| aim | in front of | measured | |\n| --- | --- | ---: | --- |\n");
    let mut line = |aim: &str, engine: Engine, measured: String, met: bool| {
        let met = if met { "met" } else { "**missed**" };
        let before = if engine == Engine::Synthetic {
            "nothing"
        } else {
            "SeaweedFS"
        };
        let _ = writeln!(out, "| {aim} | {before} | {measured} | {met} |");
    };
    let ours = Who::Vaultaire;
    for engine in ENGINES {
        let at = |operation, connections| {
            WORKLOADS
                .iter()
                .position(|w| w.operation == operation && w.connections == connections)
                .unwrap_or(0)
        };
        let get = at(Operation::Get, 16);
        if let Some(ratio) = results.to_nginx(engine, get, ours, |s| s.cpu_micros) {
            let aim = "CPU of a small GET at most 1.5 × nginx's";
            line(aim, engine, format!("{ratio:.2} ×"), ratio <= 1.5);
        }
        let alone = at(Operation::Get, 1);
        let added = |a: &Sample, b: &Sample| (a.p50.as_secs_f64() - b.p50.as_secs_f64()) * 1e3;
        if let Some(added) = results.against_nginx(engine, alone, ours, added) {
            let aim = "added p50 of a small GET under 0.2 ms over nginx, one at a time";
            line(aim, engine, format!("{added:.2} ms"), added < 0.2);
        }
        for (operation, name) in [
            (Operation::GetLarge, "GET"),
            (Operation::PutLarge, "PUT"),
            (Operation::PutLargeHashed, "PUT, hash signed,"),
        ] {
            if let Some(ratio) =
                results.to_nginx(engine, at(operation, 2), ours, |s| s.requests_per_second)
            {
                let aim = format!("{name} of 64 MiB at least 0.95 × nginx's throughput");
                line(&aim, engine, format!("{ratio:.2} ×"), ratio >= 0.95);
            }
        }
        if let Some(memory) = results.memory.get(&(engine, ours)) {
            let most = 64.0 + MANY as f64 * 0.25;
            let peak = memory.many.max(memory.working) as f64 / MIB;
            let aim = format!("memory under 64 MiB and 256 KiB a connection, {MANY} connections");
            line(
                &aim,
                engine,
                format!("{peak:.0} MiB of {most:.0}"),
                peak < most,
            );
        }
    }
    out
}

fn memory(results: &Results) -> String {
    let mut out = format!(
        "| | in front of | at rest | peak under all of the above | peak with {MANY} connections that ask once a second |\n\
         | --- | --- | ---: | ---: | ---: |\n"
    );
    for ((engine, who), memory) in &results.memory {
        let _ = writeln!(
            out,
            "| {} | {engine:?} | {:.0} MiB | {:.0} MiB | {:.0} MiB |",
            name(*who),
            memory.before as f64 / MIB,
            memory.working as f64 / MIB,
            memory.many as f64 / MIB
        );
    }
    out
}

/// The first two numbers: what follows says more of the packager than of the kernel.
fn version(release: &str) -> String {
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_once(':')
                    .map(|(_, v)| v.trim().to_owned())
            })
            .unwrap_or_else(|| "?".to_owned())
    };
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let kib: f64 = field(&read("/proc/meminfo"), "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0.0);
    format!(
        "{} × {}, {:.0} GiB, Linux {}",
        cpus,
        field(&read("/proc/cpuinfo"), "model name"),
        kib / MIB,
        version(read("/proc/sys/kernel/osrelease").trim())
    )
}
