//! The run itself: which candidate is asked what, in which order.
//! Candidates take turns in short rounds, so that what else the machine does falls on all of them alike.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::load::{self, Sample};
use crate::process;
use crate::stack::{self, Programs};
use crate::target::{BUCKET, Hashes, Signed, Target, now};
use crate::workload::{Asked, Bodies, Operation, Until, WORKLOADS, Workload, preparation};

/// As many as the aim for memory speaks of.
pub const MANY: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Engine {
    SeaweedFs,
    Synthetic,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Who {
    Direct,
    Nginx,
    NginxSilent,
    Rclone,
    S3sProxy,
    Vaultaire,
}

/// Peaks in bytes of a proxy's processes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub before: u64,
    /// The highest under all the workloads.
    pub working: u64,
    /// The highest with [`MANY`] connections that ask once a second.
    pub many: u64,
}

#[derive(Default)]
pub struct Results {
    /// The rounds of each cell; the index is that of [`WORKLOADS`].
    pub cells: BTreeMap<(Engine, usize, Who), Vec<Sample>>,
    pub memory: BTreeMap<(Engine, Who), Memory>,
    pub took: Duration,
}

struct Candidate {
    who: Who,
    target: Target,
}

pub async fn all(programs: &Programs) -> anyhow::Result<Results> {
    let begun = Instant::now();
    let bodies = Bodies::new();
    let mut results = Results::default();
    let folder = scratch()?;
    for engine in [Engine::Synthetic, Engine::SeaweedFs] {
        let folder = folder.path().join(format!("{engine:?}"));
        std::fs::create_dir(&folder)?;
        side_by_side(programs, &folder, engine, &bodies, &mut results)
            .await
            .with_context(|| format!("in front of {engine:?}"))?;
    }
    results.took = begun.elapsed();
    Ok(results)
}

/// Loads one data plane with one workload, in front of the engine that costs nothing, for as long as a profiler wants.
pub async fn profile(programs: &Programs, seconds: u64, workload: &str) -> anyhow::Result<()> {
    let named = named(workload)?;
    let bodies = Bodies::new();
    let mut hashes = Hashes::default();
    let folder = scratch()?;
    let (engine, direct) = stack::synthetic(folder.path()).await?;
    let vaultaire = stack::vaultaire(programs, folder.path(), Some(&direct)).await?;
    prepare(&vaultaire.target, &bodies, &mut hashes).await?;
    say(&format!(
        "the data plane is process {}",
        vaultaire.target.pid
    ));
    let requests = named.operation.requests(&bodies);
    let requests = Rc::new(sign(&vaultaire.target, &requests, &mut hashes)?);
    let workload = Workload {
        until: Until::Elapsed(Duration::from_secs(seconds)),
        ..named
    };
    let sample = load::measure(&vaultaire.target, requests, &workload).await?;
    say(&format!("{sample:?}"));
    drop((vaultaire.running, engine));
    Ok(())
}

/// Builds of Vaultaire beside each other and nginx, in front of the engine that costs nothing: what a change is worth.
/// Each round prints CPU time of a request and answers a second, as ratios to nginx's.
pub async fn compare(builds: &[Programs], rounds: usize, workload: &str) -> anyhow::Result<()> {
    let workload = named(workload)?;
    let bodies = Bodies::new();
    let mut hashes = Hashes::default();
    let folder = scratch()?;
    let (engine, direct) = stack::synthetic(folder.path()).await?;
    prepare(&direct, &bodies, &mut hashes).await?;
    let mut running = Vec::new();
    let nginx = match builds.first() {
        Some(first) => stack::nginx(first, folder.path(), &direct).await?,
        None => return Ok(()),
    };
    let mut targets = vec![nginx.logging.clone()];
    for (at, programs) in builds.iter().enumerate() {
        let folder = folder.path().join(at.to_string());
        std::fs::create_dir(&folder)?;
        let vaultaire = stack::vaultaire(programs, &folder, Some(&direct)).await?;
        prepare(&vaultaire.target, &bodies, &mut hashes).await?;
        targets.push(vaultaire.target);
        running.push(vaultaire.running);
    }
    let asked = workload.operation.requests(&bodies);
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); targets.len()];
    for round in 0..=rounds {
        for turn in 0..targets.len() {
            let at = (turn + round) % targets.len();
            let requests = Rc::new(sign(&targets[at], &asked, &mut hashes)?);
            let sample = load::measure(&targets[at], requests, &workload).await?;
            if round > 0 {
                samples[at].push(sample);
            }
        }
    }
    for (at, of_one) in samples.iter().enumerate() {
        let ratio = |of: fn(&Sample) -> f64| {
            let ratios = of_one.iter().zip(&samples[0]).map(|(a, b)| of(a) / of(b));
            let mut ratios: Vec<f64> = ratios.collect();
            ratios.sort_by(f64::total_cmp);
            ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
        };
        say(&format!(
            "{}: CPU {:.3} × nginx's, answers/s {:.3} × (CPU µs {:.1?}, of these in the kernel {:.1?})",
            if at == 0 {
                "nginx".to_owned()
            } else {
                builds[at - 1].vaultaire.display().to_string()
            },
            ratio(|s| s.cpu_micros),
            ratio(|s| s.requests_per_second),
            all_of(of_one, |s| s.cpu_micros),
            all_of(of_one, |s| s.kernel_micros),
        ));
    }
    // In this order: what forwards ends before what it forwards to.
    drop((nginx, running, engine));
    Ok(())
}

fn named(workload: &str) -> anyhow::Result<Workload> {
    let named = WORKLOADS.iter().find(|known| known.name == workload);
    Ok(*named.with_context(|| format!("{workload:?} is no workload"))?)
}

/// nginx's workers, and Postgres, run as other users when this runs as root, and must get in.
pub fn scratch() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("vaultaire-bench-")
        .tempdir()?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode)?;
    Ok(folder)
}

async fn side_by_side(
    programs: &Programs,
    folder: &Path,
    engine: Engine,
    bodies: &Bodies,
    results: &mut Results,
) -> anyhow::Result<()> {
    say(&format!("{engine:?}: starting …"));
    let synthetic = match engine {
        Engine::Synthetic => Some(stack::synthetic(folder).await?),
        Engine::SeaweedFs => None,
    };
    let given = synthetic.as_ref().map(|(_, target)| target);
    let vaultaire = stack::vaultaire(programs, folder, given).await?;
    let direct = vaultaire.engine.as_ref().or(given).context("no engine")?;
    let nginx = stack::nginx(programs, folder, direct).await?;
    let peers = match engine {
        Engine::Synthetic => Vec::new(),
        Engine::SeaweedFs => vec![
            (Who::Rclone, stack::rclone(programs, folder, direct).await?),
            (
                Who::S3sProxy,
                stack::s3s_proxy(programs, folder, direct).await?,
            ),
        ],
    };
    let mut candidates = vec![
        (Who::Direct, direct),
        (Who::Nginx, &nginx.logging),
        (Who::NginxSilent, &nginx.silent),
        (Who::Vaultaire, &vaultaire.target),
    ];
    candidates.extend(peers.iter().map(|(who, (_, target))| (*who, target)));
    let candidates: Vec<Candidate> = candidates
        .into_iter()
        .map(|(who, target)| Candidate {
            who,
            target: target.clone(),
        })
        .collect();

    let mut hashes = Hashes::default();
    for store in [direct, &vaultaire.target] {
        prepare(store, bodies, &mut hashes).await?;
    }
    let before: Vec<u64> = candidates
        .iter()
        .map(peak_from_here)
        .collect::<Result<_, _>>()?;
    for (at, workload) in WORKLOADS.iter().enumerate() {
        rounds(
            engine,
            (at, workload),
            &candidates,
            bodies,
            &mut hashes,
            results,
        )
        .await?;
    }
    for (candidate, before) in candidates.iter().zip(before) {
        if matches!(candidate.who, Who::Nginx | Who::Vaultaire) {
            let working = process::memory(candidate.target.pid, "VmHWM");
            let many = many(&candidate.target, bodies, &mut hashes).await?;
            let memory = Memory {
                before,
                working,
                many,
            };
            results.memory.insert((engine, candidate.who), memory);
        }
    }
    // In this order: what forwards ends before what it forwards to.
    drop((peers, nginx, vaultaire.running, synthetic));
    Ok(())
}

async fn rounds(
    engine: Engine,
    (at, workload): (usize, &Workload),
    candidates: &[Candidate],
    bodies: &Bodies,
    hashes: &mut Hashes,
    results: &mut Results,
) -> anyhow::Result<()> {
    let candidates: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.who != Who::NginxSilent || workload.tells_buffering())
        .collect();
    // The first round is nobody's: a process that has just begun, or has done something else, takes longer at first.
    for round in 0..=workload.rounds {
        for turn in 0..candidates.len() {
            let candidate = candidates[(turn + round) % candidates.len()];
            let asked = workload.operation.requests(bodies);
            let requests = Rc::new(sign(&candidate.target, &asked, hashes)?);
            let sample = load::measure(&candidate.target, requests, workload)
                .await
                .with_context(|| format!("{:?}, {}", candidate.who, workload.name))?;
            let cell = (engine, at, candidate.who);
            if round > 0 {
                results.cells.entry(cell).or_default().push(sample);
            }
        }
    }
    for candidate in candidates {
        if let Some(cell) = results.cells.get(&(engine, at, candidate.who)) {
            say(&format!(
                "{engine:?}, {}, {:?}: requests/s {:.0?}, p50 {:?}, CPU µs {:.0?}",
                workload.name,
                candidate.who,
                all_of(cell, |s| s.requests_per_second),
                all_of(cell, |s| s.p50),
                all_of(cell, |s| s.cpu_micros),
            ));
        }
    }
    Ok(())
}

fn sign(target: &Target, asked: &[Asked], hashes: &mut Hashes) -> anyhow::Result<Vec<Signed>> {
    let now = now();
    asked
        .iter()
        .map(|asked| target.sign(asked, hashes, now))
        .collect()
}

/// The bucket and the objects that are read.
pub async fn prepare(target: &Target, bodies: &Bodies, hashes: &mut Hashes) -> anyhow::Result<()> {
    let bucket = Asked {
        method: http::Method::PUT,
        key: String::new(),
        query: Vec::new(),
        body: bytes::Bytes::new(),
        hashed: true,
        answer: None,
    };
    load::each(target, &sign(target, &[bucket], hashes)?)
        .await
        .with_context(|| format!("the bucket {BUCKET}"))?;
    let objects = sign(target, &preparation(bodies), hashes)?;
    load::each(target, &objects).await.context("the objects")
}

fn peak_from_here(candidate: &Candidate) -> anyhow::Result<u64> {
    process::forget_peak(candidate.target.pid)?;
    Ok(process::memory(candidate.target.pid, "VmRSS"))
}

async fn many(target: &Target, bodies: &Bodies, hashes: &mut Hashes) -> anyhow::Result<u64> {
    process::forget_peak(target.pid)?;
    let requests = sign(target, &Operation::Get.requests(bodies), hashes)?;
    load::idle(target, Rc::new(requests), MANY, 5).await?;
    Ok(process::memory(target.pid, "VmHWM"))
}

fn all_of<T>(cell: &[Sample], of: impl Fn(&Sample) -> T) -> Vec<T> {
    cell.iter().map(of).collect()
}

fn say(line: &str) {
    println!("bench: {line}");
}
