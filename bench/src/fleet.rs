//! Configuration on its way to a fleet: what a cold snapshot takes, how soon a change is served by every node, and what
//! each costs, with few tenants and with many. When a change is served is found by asking the nodes.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::process::Command;

use crate::process;
use crate::stack::{self, Running};
use crate::target::{Credentials, Hashes, Target, now};
use crate::workload::Asked;

const NODES: usize = 3;
const KEYS: usize = 3;
/// Bytes of signing keys of one tenant in a node's memory: 16 days.
const SIGNING_KEYS: u64 = KEYS as u64 * 16 * 32;
const CHANGES: usize = 200;
const ADMIN_TOKEN: &str = "the-benchmarks-admin-token";

/// What was measured with so many tenants.
pub struct Figures {
    pub tenants: usize,
    /// Until every node, all starting at once with nothing, was ready.
    cold: Duration,
    /// Sent to all nodes for that.
    snapshot_bytes: u64,
    /// Of the control plane, over what it had before.
    plane_peak: u64,
    plane_before: u64,
    /// Of one node at rest, the middle of all.
    node_memory: u64,
    /// From the request for a change until the last node serves it, sorted.
    changes: Vec<Duration>,
    cpu_per_change: Duration,
    /// Of one node.
    node_cpu_per_change: Duration,
}

/// A tenant as the program told of it when it was made.
struct Tenant {
    id: String,
    credentials: Credentials,
}

struct Node {
    running: Running,
    s3: SocketAddr,
    health: SocketAddr,
}

/// One control plane and what it needs to be asked.
struct Plane {
    program: PathBuf,
    environment: Vec<(String, String)>,
    running: Running,
    http: SocketAddr,
    health: SocketAddr,
}

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

type Connection = SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> anyhow::Result<Connection> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn answer(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let request = Request::get(path)
        .header("host", address.to_string())
        .body(Full::default())?;
    answer(&mut connect(address).await?, request).await
}

async fn ready(node: &Node) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        if let Ok((StatusCode::OK, _)) = get(node.health, "/readyz").await {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(900),
            "a node does not get ready"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Plane {
    async fn start(
        program: &Path,
        folder: &Path,
        database: &str,
        engine: &Target,
    ) -> anyhow::Result<Self> {
        let http = stack::free_address()?;
        let environment = [
            ("DATABASE_URL", database.to_owned()),
            ("VAULTAIRE_MASTER_KEY", "07".repeat(32)),
            ("VAULTAIRE_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
            (
                "VAULTAIRE_ENGINE_ENDPOINT",
                format!("http://{}", engine.address),
            ),
            (
                "VAULTAIRE_ENGINE_ACCESS_KEY_ID",
                engine.credentials.access_key_id.clone(),
            ),
            (
                "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY",
                engine.credentials.secret_access_key.clone(),
            ),
            ("VAULTAIRE_LOG", "warn".to_owned()),
        ];
        let environment: Vec<_> = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let mut command = stack::bound(program);
        command.args(["controlplane", "--http", &http.to_string()]);
        command.envs(environment.clone()).stdout(Stdio::null());
        let running = Running::start(command, &folder.join("controlplane.log"))?;
        stack::answers(http).await?;
        Ok(Self {
            program: program.to_owned(),
            environment,
            running,
            http,
            health: SocketAddr::new(http.ip(), http.port() + 1),
        })
    }

    async fn make_tenants(&self, count: usize) -> anyhow::Result<Vec<Tenant>> {
        let mut command = Command::new(&self.program);
        command.args(["make-tenants", &count.to_string(), &KEYS.to_string()]);
        command.envs(self.environment.clone());
        let output = command.output().await?;
        ensure!(
            output.status.success(),
            "make-tenants: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let tenants = text.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [id, access_key_id, secret_access_key] = words[..] else {
                bail!("make-tenants says `{line}`");
            };
            Ok(Tenant {
                id: id.to_owned(),
                credentials: Credentials {
                    access_key_id: access_key_id.to_owned(),
                    secret_access_key: secret_access_key.to_owned(),
                },
            })
        });
        tenants.collect()
    }

    async fn admin(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/admin{path}"))
            .header("host", self.http.to_string())
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .header("content-type", "application/json")
            .body(Full::from("{}"))?;
        let (status, body) = answer(&mut connect(self.http).await?, request).await?;
        ensure!(
            status.is_success(),
            "{path}: {status}: {}",
            String::from_utf8_lossy(&body)
        );
        if body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Those that ended keep their part of all limits for days, and there would be none for the next.
    async fn forget_nodes(&self) -> anyhow::Result<()> {
        let listed = self.admin(Method::GET, "/nodes").await?;
        for node in listed["nodes"].as_array().context("no list of nodes")? {
            let path = format!("/nodes/{}", node["node_id"].as_str().context("no id")?);
            let begun = Instant::now();
            // Until the control plane has seen that its stream is gone.
            while let Err(refused) = self.admin(Method::DELETE, &path).await {
                if begun.elapsed() > Duration::from_secs(30) {
                    return Err(refused);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    async fn node(&self, folder: &Path) -> anyhow::Result<Node> {
        let token = self.admin(Method::POST, "/join-tokens").await?;
        let token = token["join_token"].as_str().context("no join token")?;
        let s3 = stack::free_address()?;
        let mut command = stack::bound(&self.program);
        command.args(["dataplane", "--s3", &s3.to_string(), "--data-dir"]);
        command.arg(folder);
        command
            .env("VAULTAIRE_CONTROL_URL", format!("http://{}", self.http))
            .env("VAULTAIRE_JOIN_TOKEN", token)
            .env("VAULTAIRE_LOG", "warn")
            .stdout(Stdio::null());
        let log = folder.with_extension("log");
        Ok(Node {
            running: Running::start(command, &log)?,
            s3,
            health: SocketAddr::new(s3.ip(), s3.port() + 1),
        })
    }

    async fn sent_bytes(&self) -> anyhow::Result<u64> {
        let (_, body) = get(self.health, "/metrics").await?;
        let text = String::from_utf8_lossy(&body);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("vaultaire_push_sent_bytes_total "));
        Ok(line
            .context("no vaultaire_push_sent_bytes_total")?
            .parse()?)
    }
}

const MIB: f64 = 1024.0 * 1024.0;

impl Figures {
    fn percentile(&self, share: f64) -> f64 {
        let at = ((self.changes.len() - 1) as f64 * share).ceil() as usize;
        self.changes.get(at).map_or(f64::NAN, Duration::as_secs_f64) * 1e3
    }

    fn told(&self) -> String {
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

fn say(text: &str) {
    println!("bench: {text}");
}
