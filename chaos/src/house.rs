//! The stack: Postgres, an engine, two control planes and three nodes, each a process of its own as in production, and a
//! proxy in every connection. What ends by itself is started again, as a supervisor would, and that is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::engine::Running;
use e2e::postgres::Postgres;
use e2e::process::{children, run};
use e2e::{Engine, Process, http, ports, tools};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tempfile::TempDir;

use crate::operator::{ADMIN_TOKEN, Operator};
use crate::plan::{CONTROL_PLANES, NODES, Part, Way};
use crate::proxy::{Mode, Proxies, Proxy};

const MASTER_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Of each node, where it can have one of its own.
const DISK: &str = "size=24m,mode=700";
/// What ended by itself is started again after this long.
const PAUSE: Duration = Duration::from_millis(500);

/// One plane: a process that is started again and again.
struct Plane {
    name: String,
    command: Command,
    process: Option<Process>,
    /// Whether it should run now.
    wanted: bool,
    ended_at: Option<Instant>,
    starts: usize,
}

pub struct House {
    nodes: Vec<Plane>,
    controlplanes: Vec<Plane>,
    pub postgres: Postgres,
    engine: Running,
    proxies: Ways,
    s3: Vec<u16>,
    http: Vec<u16>,
    disks: Vec<PathBuf>,
    has_disks: bool,
    /// When nodes were started.
    pub starts: Vec<Instant>,
    /// What ended by itself, and what it said last.
    pub ended: Vec<String>,
    pub folder: TempDir,
}

/// The proxies. The thread that they run on goes last.
struct Ways {
    client: Vec<Proxy>,
    /// By node, then by control plane.
    push: Vec<Vec<Proxy>>,
    database: Vec<Proxy>,
    engine: Proxy,
    _thread: Proxies,
}

impl House {
    /// Starts all but the nodes, which need someone to let them in.
    pub fn build() -> Self {
        let folder = e2e::stack::folder();
        let postgres = Postgres::start(folder.path().join("postgres"));
        let engine = Engine::SeaweedFs.start(folder.path());
        let http: Vec<u16> = (0..CONTROL_PLANES).map(|_| ports::free(&[0, 1])).collect();
        let s3: Vec<u16> = (0..NODES).map(|_| ports::free(&[0, 1])).collect();
        let proxies = proxies(&postgres, &engine, &http, &s3);
        let disks: Vec<PathBuf> = (0..NODES)
            .map(|node| folder.path().join(format!("node-{node}")))
            .collect();
        for disk in &disks {
            std::fs::create_dir(disk).expect("a folder can be made");
        }
        let mut house = Self {
            nodes: Vec::new(),
            controlplanes: Vec::new(),
            postgres,
            engine,
            proxies,
            s3,
            http,
            has_disks: disks.iter().all(|disk| mount(disk)),
            disks,
            starts: Vec::new(),
            ended: Vec::new(),
            folder,
        };
        house.controlplanes = (0..CONTROL_PLANES)
            .map(|number| Plane::new(format!("controlplane-{number}"), house.controlplane(number)))
            .collect();
        house.nodes = (0..NODES)
            .map(|node| Plane::new(format!("node-{node}"), house.node(node)))
            .collect();
        for number in 0..CONTROL_PLANES {
            house.start(Part::ControlPlane(number), &[]);
        }
        house
    }

    fn controlplane(&self, number: usize) -> Command {
        let mut command = Command::new(tools::vaultaire());
        let address = format!("127.0.0.1:{}", self.http[number]);
        let database = self.postgres.url_at(self.proxies.database[number].port);
        command
            .args(["controlplane", "--http", &address])
            .env("DATABASE_URL", database)
            .env("VAULTAIRE_MASTER_KEY", MASTER_KEY)
            .env("VAULTAIRE_ADMIN_TOKEN", ADMIN_TOKEN)
            .env(
                "VAULTAIRE_S3_ENDPOINT",
                format!("http://127.0.0.1:{}", self.s3[0]),
            )
            .envs(self.engine.environment())
            .env(
                "VAULTAIRE_ENGINE_ENDPOINT",
                format!("http://{}", self.proxies.engine.address()),
            );
        command
    }

    fn node(&self, node: usize) -> Command {
        let mut command = Command::new(tools::vaultaire());
        let controlplanes: Vec<String> = self.proxies.push[node]
            .iter()
            .map(|proxy| format!("http://{}", proxy.address()))
            .collect();
        command
            .args(["dataplane", "--s3", &self.node_address(node), "--data-dir"])
            .arg(&self.disks[node])
            .env("VAULTAIRE_CONTROL_URL", controlplanes.join(","));
        command
    }

    /// Where the node itself listens.
    pub fn node_address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.s3[node])
    }

    /// Where clients reach it.
    pub fn client_address(&self, node: usize) -> String {
        self.proxies.client[node].address()
    }

    pub fn operator(&self) -> Operator {
        let web = self
            .http
            .iter()
            .map(|port| format!("http://127.0.0.1:{port}"));
        Operator {
            controlplanes: web.collect(),
        }
    }

    /// `/readyz` of a plane; its status and text.
    pub fn readiness(&self, part: Part) -> Option<(u16, String)> {
        let port = match part {
            Part::Node(node) => self.s3[node],
            Part::ControlPlane(number) => self.http[number],
            Part::Postgres | Part::Engine => return None,
        };
        let answer = http::get(&format!("http://127.0.0.1:{}/readyz", port + 1))?;
        Some((answer.status, answer.body))
    }

    pub fn set(&self, way: Way, mode: Mode) {
        let proxies = &self.proxies;
        match way {
            Way::Client(node) => proxies.client[node].set(mode),
            Way::Push(node) => proxies.push[node].iter().for_each(|proxy| proxy.set(mode)),
            Way::Database(number) => proxies.database[number].set(mode),
            Way::Engine => proxies.engine.set(mode),
        }
    }

    fn plane(&mut self, part: Part) -> Option<&mut Plane> {
        match part {
            Part::Node(node) => self.nodes.get_mut(node),
            Part::ControlPlane(number) => self.controlplanes.get_mut(number),
            Part::Postgres | Part::Engine => None,
        }
    }

    /// With these in its environment besides, this once. Does not wait until it is ready.
    pub fn start(&mut self, part: Part, environment: &[(&str, String)]) {
        match part {
            Part::Postgres => self.postgres.again(),
            Part::Engine => self.engine.again(),
            Part::Node(_) | Part::ControlPlane(_) => {
                let folder = self.folder.path().to_owned();
                if let Some(plane) = self.plane(part) {
                    plane.start(&folder, environment);
                }
            }
        }
        if matches!(part, Part::Node(_)) {
            self.starts.push(Instant::now());
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self, part: Part) {
        match part {
            Part::Postgres => {
                let server = self.postgres.pid();
                let backends = server.map(children).unwrap_or_default();
                self.postgres.kill();
                // They would notice by and by, and until then the server does not start again.
                backends
                    .iter()
                    .for_each(|(pid, _)| signal(*pid, Signal::SIGKILL));
            }
            Part::Engine => self.engine.kill(),
            Part::Node(_) | Part::ControlPlane(_) => {
                if let Some(plane) = self.plane(part) {
                    plane.wanted = false;
                    plane.process.take().into_iter().for_each(Process::kill);
                }
            }
        }
    }

    /// SIGTERM, and waits. What it said.
    pub fn stop(&mut self, part: Part) -> String {
        let Some(plane) = self.plane(part) else {
            return String::new();
        };
        plane.wanted = false;
        let mut process = plane.process.take().into_iter();
        process.next().map_or_else(String::new, |mut process| {
            process.stop();
            process.said()
        })
    }

    pub fn send(&mut self, part: Part, what: Signal) {
        let pid = match part {
            Part::Postgres => self.postgres.pid(),
            Part::Engine => self.engine.pid(),
            Part::Node(_) | Part::ControlPlane(_) => self
                .plane(part)
                .and_then(|plane| plane.process.as_ref())
                .map(Process::pid),
        };
        let Some(pid) = pid else { return };
        signal(pid, what);
        if part == Part::Postgres {
            children(pid).iter().for_each(|(pid, _)| signal(*pid, what));
        }
    }

    /// Starts again what has ended by itself.
    pub fn supervise(&mut self) {
        let folder = self.folder.path().to_owned();
        for (number, plane) in self
            .nodes
            .iter_mut()
            .chain(&mut self.controlplanes)
            .enumerate()
        {
            let Some(last) = plane.look() else { continue };
            eprintln!("chaos: {} ended by itself: {last}", plane.name);
            self.ended.push(format!("{}: {last}", plane.name));
            if number < NODES {
                self.starts.push(Instant::now());
            }
        }
        for plane in self.nodes.iter_mut().chain(&mut self.controlplanes) {
            let due = plane.ended_at.is_some_and(|at| at.elapsed() >= PAUSE);
            if plane.wanted && due {
                plane.start(&folder, &[]);
            }
        }
    }

    /// Whether a node's disk can be made full.
    pub fn has_disks(&self) -> bool {
        self.has_disks
    }

    pub fn disk(&self, node: usize) -> &Path {
        &self.disks[node]
    }

    /// A node is let in with this at its next start.
    pub fn invite(&mut self, node: usize, join_token: &str) {
        let command = &mut self.nodes[node].command;
        command.env("VAULTAIRE_JOIN_TOKEN", join_token);
    }

    /// Lines of any plane that say that it panicked.
    pub fn panics(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten();
        let texts = files.flatten().filter_map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            let text = std::fs::read(file.path()).ok()?;
            name.ends_with(".out")
                .then(|| (name, String::from_utf8_lossy(&text).into_owned()))
        });
        texts
            .flat_map(|(name, text)| {
                let panicked = text.lines().filter(|line| line.contains("panicked at"));
                let lines: Vec<String> = panicked
                    .map(|line| format!("{name}: {}", line.chars().take(300).collect::<String>()))
                    .collect();
                lines
            })
            .collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Nothing here is worth an orderly end.
        for part in (0..NODES)
            .map(Part::Node)
            .chain((0..CONTROL_PLANES).map(Part::ControlPlane))
        {
            self.send(part, Signal::SIGCONT);
            self.kill(part);
        }
        self.send(Part::Postgres, Signal::SIGCONT);
        self.send(Part::Engine, Signal::SIGCONT);
        if self.has_disks {
            for disk in &self.disks {
                let _ = run(
                    Command::new("umount").arg("-l").arg(disk),
                    Duration::from_secs(10),
                );
            }
        }
    }
}

impl Plane {
    fn new(name: String, command: Command) -> Self {
        Self {
            name,
            command,
            process: None,
            wanted: false,
            ended_at: None,
            starts: 0,
        }
    }

    fn start(&mut self, folder: &Path, environment: &[(&str, String)]) {
        let mut command = Command::new(self.command.get_program());
        command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        self.starts += 1;
        let name = format!("{}.{}", self.name, self.starts);
        self.process = Some(Process::start(&name, folder, &command));
        (self.wanted, self.ended_at) = (true, None);
    }

    /// What it said last, if it should run and does not any more.
    fn look(&mut self) -> Option<String> {
        let process = self.process.as_mut()?;
        process.ended()?;
        let said = process.said();
        self.process = None;
        self.ended_at = Some(Instant::now());
        let last: String = said
            .lines()
            .last()
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect();
        self.wanted.then_some(last)
    }
}

fn signal(pid: u32, what: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // One that is gone needs no signal.
        let _ = kill(Pid::from_raw(pid), what);
    }
}

/// A small disk of its own, in memory. Where that is not allowed the folder is an ordinary one.
fn mount(folder: &Path) -> bool {
    if !Uid::effective().is_root() {
        return false;
    }
    let mut command = Command::new("mount");
    command
        .args(["-t", "tmpfs", "-o", DISK, "vaultaire-chaos"])
        .arg(folder);
    run(&mut command, Duration::from_secs(10)).status.success()
}

fn proxies(postgres: &Postgres, engine: &Running, http: &[u16], s3: &[u16]) -> Ways {
    let thread = Proxies::start().expect("a thread can be started");
    let before = |port| thread.before(port).expect("a port is free");
    let engine = engine
        .endpoint
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    Ways {
        client: s3.iter().copied().map(before).collect(),
        push: s3
            .iter()
            .map(|_| http.iter().copied().map(before).collect())
            .collect(),
        database: http.iter().map(|_| before(postgres.port())).collect(),
        engine: before(engine.expect("an endpoint ends with a port")),
        _thread: thread,
    }
}
