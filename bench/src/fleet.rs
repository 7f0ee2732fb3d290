//! Configuration on its way to a fleet: what a cold snapshot takes, how soon a change is served by every node, and what
//! each costs, with few tenants and with many. When a change is served is found by asking the nodes.

mod figures;
mod plane;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use self::figures::Figures;
use self::plane::{Node, Plane, Tenant, answer, connect, ready};
use crate::process;
use crate::stack;
use crate::target::{Hashes, Target, now};
use crate::workload::Asked;

pub use self::figures::section;

const NODES: usize = 3;
const KEYS: usize = 3;
const CHANGES: usize = 200;

/// Measures with each of these numbers of tenants in turn, in the database of `TEST_DATABASE_URL`.
pub async fn run(program: &Path, sizes: &[usize]) -> anyhow::Result<Vec<Figures>> {
    let url = std::env::var("TEST_DATABASE_URL").context("run this by scripts/bench")?;
    let folder = tempfile::Builder::new()
        .prefix("vaultaire-fleet.")
        .tempdir()?;
    let (_engine, engine) = stack::synthetic(folder.path()).await?;
    let plane = Plane::start(program, folder.path(), &url, &engine).await?;
    let (mut made, mut tenants, mut all) = (0, Vec::new(), Vec::new());
    for size in sizes {
        say(&format!("making {size} tenants"));
        let mut new = plane.make_tenants(size - made).await?;
        new.truncate(CHANGES);
        tenants.extend(new);
        made = *size;
        let folder = folder.path().join(format!("{size}"));
        fs::create_dir(&folder)?;
        let figures = measure(&plane, &folder, made, &tenants).await?;
        plane.forget_nodes().await?;
        say(&figures.told());
        all.push(figures);
    }
    Ok(all)
}

async fn measure(
    plane: &Plane,
    folder: &Path,
    tenants: usize,
    sample: &[Tenant],
) -> anyhow::Result<Figures> {
    process::forget_peak(plane.running.pid)?;
    let plane_before = process::memory(plane.running.pid, "VmRSS");
    let sent = plane.sent_bytes().await?;
    let begun = Instant::now();
    let mut nodes = Vec::new();
    for n in 0..NODES {
        nodes.push(plane.node(&folder.join(format!("node-{n}"))).await?);
    }
    for node in &nodes {
        ready(node).await?;
    }
    let cold = begun.elapsed();
    let snapshot_bytes = plane.sent_bytes().await? - sent;
    let plane_peak = process::memory(plane.running.pid, "VmHWM");
    // What was freed goes back to the system after a while.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut memory: Vec<u64> = nodes
        .iter()
        .map(|node| process::memory(node.running.pid, "VmRSS"))
        .collect();
    memory.sort_unstable();
    let (cpu, node_cpu) = (process::cpu(plane.running.pid)?.whole(), cpu_of(&nodes)?);
    let idle = Instant::now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let per_second =
        |after: Duration, before| (after - before).div_f64(idle.elapsed().as_secs_f64());
    let rest = per_second(process::cpu(plane.running.pid)?.whole(), cpu);
    let (cpu, began) = (process::cpu(plane.running.pid)?.whole(), Instant::now());
    let mut changes = Vec::new();
    for n in 0..CHANGES {
        // Tenants of every age, each in turn suspended and resumed.
        let tenant = sample
            .get((n / 2 * 7919) % sample.len())
            .context("no tenants")?;
        changes.push(change(plane, &nodes, tenant, n % 2 == 0).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let spent = process::cpu(plane.running.pid)?.whole() - cpu;
    let spent = spent.saturating_sub(rest.mul_f64(began.elapsed().as_secs_f64()));
    changes.sort_unstable();
    let node_cpu_per_change = (cpu_of(&nodes)? - node_cpu) / (CHANGES * NODES) as u32;
    Ok(Figures {
        tenants,
        cold,
        snapshot_bytes,
        plane_peak,
        plane_before,
        node_memory: memory.get(NODES / 2).copied().unwrap_or(0),
        changes,
        cpu_per_change: spent / CHANGES as u32,
        node_cpu_per_change,
    })
}

fn cpu_of(nodes: &[Node]) -> anyhow::Result<Duration> {
    nodes
        .iter()
        .map(|node| Ok(process::cpu(node.running.pid)?.whole()))
        .sum()
}

/// Suspends or resumes a tenant, and asks every node until each answers so.
async fn change(
    plane: &Plane,
    nodes: &[Node],
    tenant: &Tenant,
    suspend: bool,
) -> anyhow::Result<Duration> {
    let word = if suspend { "suspend" } else { "resume" };
    let mut asked = Vec::new();
    for node in nodes {
        asked.push((connect(node.s3).await?, request(node, tenant)?));
    }
    let begun = Instant::now();
    let path = format!("/tenants/{}/{word}", tenant.id);
    let changing = plane.admin(Method::POST, &path);
    let serving = async {
        let waits = asked.iter_mut().map(async |(connection, request)| {
            loop {
                let status = answer(connection, request.clone()).await?.0;
                if (status == StatusCode::FORBIDDEN) == suspend {
                    return anyhow::Ok(begun.elapsed());
                }
                ensure!(
                    begun.elapsed() < Duration::from_secs(30),
                    "not served: {status}"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let mut last = Duration::ZERO;
        for wait in futures(waits).await {
            last = last.max(wait?);
        }
        anyhow::Ok(last)
    };
    let (changed, served) = tokio::join!(changing, serving);
    changed?;
    served
}

/// All of them at once.
async fn futures<T>(waits: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waits: Vec<_> = waits.map(|wait| (Box::pin(wait), None)).collect();
    std::future::poll_fn(|context| {
        for (wait, done) in &mut waits {
            if done.is_none()
                && let std::task::Poll::Ready(value) = wait.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        match waits.iter().all(|(_, done)| done.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    waits.into_iter().filter_map(|(_, done)| done).collect()
}

fn request(node: &Node, tenant: &Tenant) -> anyhow::Result<Request<Full<Bytes>>> {
    let target = Target {
        address: node.s3,
        credentials: tenant.credentials.clone(),
        pid: node.running.pid,
    };
    let asked = Asked {
        method: Method::HEAD,
        key: String::new(),
        query: Vec::new(),
        body: Bytes::new(),
        hashed: true,
        answer: None,
    };
    Ok(target.sign(&asked, &mut Hashes::default(), now())?.request)
}

fn say(text: &str) {
    println!("bench: {text}");
}
