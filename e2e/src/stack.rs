//! One `vaultaire up` on a data directory of its own, as a newcomer starts it, and the operator's commands for it.
//! It waits for its turn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::engine::{Engine, Running};
use crate::process::{Process, children, clear_environment, run, succeed};
use crate::turn::Turn;
use crate::{ports, tools, until};

/// Under which a host names a bucket; no name server knows it.
pub const DOMAIN: &str = "s3.test";
/// The engine bucket of a pooled stack.
pub const POOL: &str = "vaultaire-pool";
const READY_WITHIN: Duration = Duration::from_secs(120);
const PROBED_WITHIN: Duration = Duration::from_secs(60);
const OPERATOR_WITHIN: Duration = Duration::from_secs(60);

/// Where a stack listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub http: u16,
    /// The first data plane's; the others are ten ports on.
    pub s3: u16,
    pub dataplanes: u16,
}

impl Addresses {
    pub fn free(dataplanes: u16) -> Self {
        let s3: Vec<u16> = (0..dataplanes).flat_map(|n| [n * 10, n * 10 + 1]).collect();
        Self {
            http: ports::free(&[0, 1]),
            s3: ports::free(&s3),
            dataplanes,
        }
    }
}

/// What the buckets of a stack are on its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// An engine's bucket for each.
    Dedicated,
    /// All in one.
    Pooled,
}

/// What a stack is to be. Without an engine it has the one that `vaultaire up` brings along.
#[must_use]
pub struct Builder {
    dataplanes: u16,
    engine: Option<Engine>,
    placement: Placement,
    environment: Vec<(String, String)>,
}

impl Builder {
    /// What `vaultaire up` is told by its environment besides.
    pub fn environment(self, told: &[(&str, &str)]) -> Self {
        let told = told.iter();
        let environment = told.map(|(name, value)| (name.to_string(), value.to_string()));
        let environment = environment.collect();
        Self {
            environment,
            ..self
        }
    }

    pub fn dataplanes(self, dataplanes: u16) -> Self {
        Self { dataplanes, ..self }
    }

    pub fn engine(self, engine: Engine) -> Self {
        let engine = Some(engine);
        Self { engine, ..self }
    }

    /// Needs an engine of its own: the one that is brought along is dedicated.
    pub fn placement(self, placement: Placement) -> Self {
        Self { placement, ..self }
    }

    /// A place for it, in which nothing runs yet but the engine, if it has one of its own.
    #[track_caller]
    pub fn prepare(self) -> Stack {
        assert!(
            self.engine.is_some() || self.placement == Placement::Dedicated,
            "only an engine of its own can be pooled"
        );
        let turn = Turn::wait();
        let folder = folder();
        Stack {
            up: None,
            engine: self.engine.map(|engine| engine.start(folder.path())),
            kind: self.engine,
            placement: self.placement,
            environment: self.environment,
            addresses: Addresses::free(self.dataplanes),
            folder,
            started_in: Duration::ZERO,
            _turn: turn,
        }
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Stack {
        let mut stack = self.prepare();
        stack.up();
        stack
    }
}

pub struct Stack {
    // Dropped in this order: the process before its engine, both before their files, and the turn last.
    up: Option<Process>,
    engine: Option<Running>,
    kind: Option<Engine>,
    placement: Placement,
    environment: Vec<(String, String)>,
    pub addresses: Addresses,
    folder: TempDir,
    /// How long the last start took.
    pub started_in: Duration,
    _turn: Turn,
}

impl Stack {
    pub fn builder() -> Builder {
        Builder {
            dataplanes: 1,
            engine: None,
            placement: Placement::Dedicated,
            environment: Vec::new(),
        }
    }

    /// Starts one, with so many data planes, and waits until it is ready.
    #[track_caller]
    pub fn start(dataplanes: u16) -> Self {
        Self::builder().dataplanes(dataplanes).start()
    }

    /// A place for one, in which nothing runs yet.
    pub fn prepare(dataplanes: u16) -> Self {
        Self::builder().dataplanes(dataplanes).prepare()
    }

    /// `vaultaire up`, as it is typed.
    pub fn up_command(&self) -> Command {
        let Addresses {
            http,
            s3,
            dataplanes,
        } = self.addresses;
        let mut command = Command::new(tools::vaultaire());
        clear_environment(&mut command);
        command.env("VAULTAIRE_TOOLS", tools::folder());
        command.args(["up", "--data-dir"]).arg(self.data_dir());
        command.args(["--http", &format!("127.0.0.1:{http}")]);
        command.args(["--s3", &format!("127.0.0.1:{s3}")]);
        command.args(["--dataplanes", &dataplanes.to_string()]);
        command.env("VAULTAIRE_S3_DOMAINS", DOMAIN);
        if let Some(engine) = &self.engine {
            command.envs(engine.environment());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if self.placement == Placement::Pooled {
            command.env("VAULTAIRE_ENGINE_PLACEMENT", "pooled");
            command.env("VAULTAIRE_ENGINE_POOL_BUCKET", POOL);
        }
        command
    }

    /// Starts it (again) on its data directory, and waits for its word that it is ready. Takes other ports when these
    /// were taken meanwhile.
    #[track_caller]
    pub fn up(&mut self) {
        for _ in 0..5 {
            let begun = Instant::now();
            let mut up = Process::start("up", self.folder.path(), &self.up_command());
            match ready(&mut up, "vaultaire: ready", READY_WITHIN) {
                Ok(()) => {
                    self.started_in = begun.elapsed();
                    self.up = Some(up);
                    return;
                }
                Err(said) if said.contains("taken") || said.contains("can listen") => {
                    self.addresses = Addresses::free(self.addresses.dataplanes);
                }
                Err(said) => panic!("`vaultaire up` did not get ready:\n{said}"),
            }
        }
        panic!("`vaultaire up` found its ports taken five times");
    }

    /// Ctrl-C's kinder brother. Gives the exit's success and everything that was said.
    pub fn stop(&mut self) -> (bool, String) {
        let mut up = self.up.take().expect("it runs");
        let status = up.stop();
        (status.success(), up.said())
    }

    /// `kill -9` of the supervisor. Gives the children that it had.
    pub fn kill(&mut self) -> Vec<(u32, String)> {
        let up = self.up.take().expect("it runs");
        let orphans = children(up.pid());
        up.kill();
        orphans
    }

    /// What the control plane found that the engine can do, as it says it, once it has found out.
    #[track_caller]
    pub fn probed(&self) -> String {
        let log = self.log("controlplane");
        until("the engine is probed", PROBED_WITHIN, || {
            let text = std::fs::read_to_string(&log).ok()?;
            let line = text.lines().find(|line| line.contains("engine probed"))?;
            let probed: Value = serde_json::from_str(line).ok()?;
            probed["found"].as_str().map(str::to_owned)
        })
    }

    /// Asks the stack's own engine, past the data planes.
    #[track_caller]
    pub fn engine_operator(&self) -> Client {
        let engine = self.engine.as_ref().expect("it has an engine of its own");
        engine.operator(self.folder.path())
    }

    /// What the stack lacks that stories may have to do without, in the words of `e2e/clients/s3.py`.
    pub fn lacks(&self) -> Vec<&'static str> {
        let mut lacks = self.kind.unwrap_or(Engine::SeaweedFs).lacks().to_vec();
        if self.placement == Placement::Pooled {
            lacks.push("own-buckets");
        }
        lacks
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// For whatever else a test writes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn web(&self) -> String {
        format!("http://127.0.0.1:{}", self.addresses.http)
    }

    /// Data planes count from 1.
    pub fn endpoint(&self, dataplane: u16) -> String {
        format!(
            "http://127.0.0.1:{}",
            self.addresses.s3 + (dataplane - 1) * 10
        )
    }

    /// Process id of one of the supervisor's children, by a part of its command line.
    #[track_caller]
    pub fn pid_of(&self, part: &str) -> u32 {
        let up = self.up.as_ref().expect("it runs");
        let found = children(up.pid());
        let of_it = found.iter().find(|(_, line)| line.contains(part));
        of_it
            .unwrap_or_else(|| panic!("no {part} among {found:?}"))
            .0
    }

    pub fn dataplane_pid(&self, number: u16) -> u32 {
        self.pid_of(&self.dataplane_line(number))
    }

    /// `kill -9`, if it runs now; the supervisor starts it again. Whether it ran.
    pub fn kill_dataplane(&self, number: u16) -> bool {
        let up = self.up.as_ref().expect("it runs");
        let part = self.dataplane_line(number);
        let found = children(up.pid());
        let pid = found.iter().find(|(_, line)| line.contains(&part));
        let pid = pid.and_then(|(pid, _)| i32::try_from(*pid).ok());
        pid.is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok())
    }

    fn dataplane_line(&self, number: u16) -> String {
        let port = self.addresses.s3 + (number - 1) * 10;
        format!("dataplane --s3 127.0.0.1:{port}")
    }

    /// An operator's command.
    pub fn operator(&self, words: &[&str]) -> Command {
        let mut command = Command::new(tools::vaultaire());
        clear_environment(&mut command);
        command.args(words).arg("--data-dir").arg(self.data_dir());
        command
    }

    /// What it answers with `--json`.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Value {
        let said = succeed(self.operator(words).arg("--json"), OPERATOR_WITHIN);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said}"))
    }

    /// A tenant with its first access key, as a client of data plane 1.
    #[track_caller]
    pub fn tenant(&self, name: &str) -> Client {
        let email = format!("{name}@example.com");
        let created = self.ask(&["tenant", "create", "--name", name, "--email", &email]);
        assert_eq!(created["endpoint"], self.endpoint(1).as_str());
        Client::new(self.folder.path(), &created, &self.endpoint(1))
    }

    /// One whose requests are not counted, for clients that send more than the plan's rate.
    #[track_caller]
    pub fn busy_tenant(&self, name: &str) -> Client {
        let client = self.tenant(name);
        let id = &client.tenant_id;
        self.ask(&["tenant", "set", id, "--rate", "100000", "--burst", "100000"]);
        client
    }

    #[track_caller]
    pub fn refuses(&self, words: &[&str]) -> String {
        let output = run(&mut self.operator(words), OPERATOR_WITHIN);
        assert!(!output.status.success(), "{words:?} should have failed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Where mail lies that is not sent.
    pub fn mail(&self) -> PathBuf {
        self.data_dir().join("mail")
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.data_dir().join("logs").join(format!("{name}.log"))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            if let Some(up) = &self.up {
                eprintln!("--- vaultaire up\n{}", up.said());
            }
            for name in ["controlplane", "dataplane-1", "engine"] {
                let text = std::fs::read_to_string(self.log(name)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = &lines[lines.len().saturating_sub(10)..];
                let last: Vec<String> =
                    last.iter().map(|l| l.chars().take(400).collect()).collect();
                eprintln!("--- end of {name}.log\n{}", last.join("\n"));
            }
        }
    }
}

/// A folder that other users may pass through: as root, the database runs as one of them.
pub fn folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::Permissions::from_mode(0o755);
    let made = tempfile::Builder::new()
        .prefix("vaultaire-e2e.")
        .permissions(open)
        .tempdir();
    made.expect("a folder can be made")
}

/// Waits until a process has said `word`. What it said instead, when it ended or took too long.
pub fn ready(process: &mut Process, word: &str, within: Duration) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if process.said().lines().any(|line| line.starts_with(word)) {
            return Ok(());
        }
        if process.ended().is_some() {
            return Err(process.said());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{}\n(not ready in time)", process.said()))
}
