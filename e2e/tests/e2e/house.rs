//! The planes as production runs them, each by itself, over a Postgres and an engine that are there already.

use std::process::Command;
use std::time::Duration;

use e2e::engine::Running;
use e2e::postgres::Postgres;
use e2e::process::{clear_environment, fail, succeed};
use e2e::stack::folder;
use e2e::turn::Turn;
use e2e::{Client, Engine, Process, http, ports, tools, until};
use serde_json::Value;
use tempfile::TempDir;

const ADMIN_TOKEN: &str = "admin-token-of-this-test-alone-0000000000";
const MASTER_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub const READY_WITHIN: Duration = Duration::from_secs(60);

/// Everything but the planes themselves. Dropped in this order.
pub struct House {
    pub postgres: Postgres,
    engine: Running,
    /// Of each control plane.
    http: Vec<u16>,
    /// Of each node.
    s3: Vec<u16>,
    pub folder: TempDir,
    _turn: Turn,
}

impl House {
    pub fn build(nodes: usize) -> Self {
        Self::with_controlplanes(1, nodes)
    }

    pub fn with_controlplanes(controlplanes: usize, nodes: usize) -> Self {
        let turn = Turn::wait();
        let folder = folder();
        Self {
            postgres: Postgres::start(folder.path().join("postgres")),
            engine: Engine::SeaweedFs.start(folder.path()),
            http: (0..controlplanes).map(|_| ports::free(&[0, 1])).collect(),
            s3: (0..nodes).map(|_| ports::free(&[0, 1])).collect(),
            folder,
            _turn: turn,
        }
    }

    fn web(&self, controlplane: usize) -> String {
        format!("http://127.0.0.1:{}", self.http[controlplane])
    }

    /// Nodes count from 0.
    pub fn s3(&self, node: usize) -> String {
        format!("http://127.0.0.1:{}", self.s3[node])
    }

    pub fn controlplane(&self) -> Process {
        self.controlplane_number(0)
    }

    /// Control planes count from 0.
    pub fn controlplane_number(&self, number: usize) -> Process {
        let port = self.http[number];
        let mut command = Command::new(tools::vaultaire());
        command
            .args(["controlplane", "--http", &format!("127.0.0.1:{port}")])
            .env("DATABASE_URL", self.postgres.url())
            .env("VAULTAIRE_MASTER_KEY", MASTER_KEY)
            .env("VAULTAIRE_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("VAULTAIRE_S3_ENDPOINT", self.s3(0))
            .env("VAULTAIRE_MAIL_DIR", self.folder.path().join("mail"))
            .envs(self.engine.environment());
        self.start(&format!("controlplane-{number}"), &command, port)
    }

    /// It is told where the control planes are, and nothing of the database or the engine.
    pub fn dataplane(&self, node: usize, join_token: Option<&str>) -> Process {
        let controlplanes: Vec<_> = (0..self.http.len())
            .map(|number| self.web(number))
            .collect();
        let mut command = Command::new(tools::vaultaire());
        command
            .args([
                "dataplane",
                "--s3",
                &format!("127.0.0.1:{}", self.s3[node]),
                "--data-dir",
            ])
            .arg(self.folder.path().join(format!("node-{node}")))
            .env("VAULTAIRE_CONTROL_URL", controlplanes.join(","))
            .env("VAULTAIRE_DRAIN_DELAY_SECONDS", "1");
        if let Some(token) = join_token {
            command.env("VAULTAIRE_JOIN_TOKEN", token);
        }
        self.start(&format!("dataplane-{node}"), &command, self.s3[node])
    }

    /// Starts a plane and waits until its health port says that it is ready.
    fn start(&self, name: &str, command: &Command, port: u16) -> Process {
        let mut process = Process::start(name, self.folder.path(), command);
        until(&format!("the {name} is ready"), READY_WITHIN, || {
            assert!(
                process.ended().is_none(),
                "the {name} ended:\n{}",
                process.said()
            );
            http::get(&health(port)).filter(|answer| answer.status == 200)
        });
        process
    }

    pub fn join_token(&self) -> String {
        let headers = format!("Authorization: Bearer {ADMIN_TOKEN}\r\n");
        let url = format!("{}/api/v1/admin/join-tokens", self.web(0));
        let answer = http::ask("POST", &url, &headers).expect("the control plane answers");
        let body: Value = serde_json::from_str(&answer.body).expect("it answers with JSON");
        body["join_token"]
            .as_str()
            .expect("it gives a token")
            .to_owned()
    }

    /// A tenant whose requests are not counted, by its first key.
    pub fn tenant(&self, endpoint: &str) -> Client {
        let created = self.ask(&[
            "tenant",
            "create",
            "--name",
            "T",
            "--email",
            "t@example.com",
        ]);
        let tenant = Client::new(self.folder.path(), &created, endpoint);
        let id = &tenant.tenant_id;
        self.ask(&["tenant", "set", id, "--rate", "10000", "--burst", "10000"]);
        tenant
    }

    pub fn ask(&self, words: &[&str]) -> Value {
        self.ask_number(0, words)
    }

    /// As [`ask`](Self::ask), of one control plane.
    pub fn ask_number(&self, controlplane: usize, words: &[&str]) -> Value {
        let mut command = self.command(controlplane);
        let said = succeed(command.args(words).arg("--json"), READY_WITHIN);
        serde_json::from_str(&said).expect("it answers with JSON")
    }

    /// As [`ask`](Self::ask), in the words for people.
    pub fn say(&self, words: &[&str]) -> String {
        succeed(self.command(0).args(words), READY_WITHIN)
    }

    /// What the command says, which fails.
    pub fn refuses(&self, words: &[&str]) -> String {
        fail(self.command(0).args(words), READY_WITHIN)
    }

    fn command(&self, controlplane: usize) -> Command {
        let mut command = Command::new(tools::vaultaire());
        clear_environment(&mut command);
        command
            .env("VAULTAIRE_URL", self.web(controlplane))
            .env("VAULTAIRE_ADMIN_TOKEN", ADMIN_TOKEN);
        command
    }

    /// What nobody but the control plane may know.
    pub fn secrets(&self) -> Vec<(&'static str, Vec<u8>)> {
        let master: Vec<u8> = (0..MASTER_KEY.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(&MASTER_KEY[at..at + 2], 16).ok())
            .collect();
        let engine = self.engine.environment();
        let engine = engine
            .into_iter()
            .find(|(name, _)| *name == "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY");
        let (_, engine) = engine.expect("the engine has a secret");
        vec![
            ("the master key's text", MASTER_KEY.into()),
            ("the master key", master),
            ("the admin token", ADMIN_TOKEN.into()),
            ("the engine's secret", engine.into()),
        ]
    }

    pub fn health_url(&self, node: usize) -> String {
        health(self.s3[node])
    }

    pub fn node_health(&self, node: usize) -> Value {
        let answer = http::get(&self.health_url(node)).expect("the data plane runs");
        serde_json::from_str(&answer.body).expect("it answers with JSON")
    }
}

fn health(plane: u16) -> String {
    format!("http://127.0.0.1:{}/readyz", plane + 1)
}
