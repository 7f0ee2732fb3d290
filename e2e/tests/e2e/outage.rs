//! The planes as production runs them, each by itself: what goes on when the control plane and its database are gone.

use std::process::Command;
use std::time::{Duration, Instant};

use e2e::engine::{self, Engine};
use e2e::postgres::Postgres;
use e2e::process::{clear_environment, succeed};
use e2e::stack::{Turn, folder};
use e2e::{Client, Process, http, ports, tools, until};
use serde_json::Value;
use tempfile::TempDir;

const ADMIN_TOKEN: &str = "admin-token-of-this-test-alone-0000000000";
const MASTER_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Everything but the planes themselves. Dropped in this order.
struct House {
    postgres: Postgres,
    engine: Engine,
    http: u16,
    s3: u16,
    folder: TempDir,
    _turn: Turn,
}

impl House {
    fn build() -> Self {
        let turn = Turn::wait();
        let folder = folder();
        Self {
            postgres: Postgres::start(folder.path().join("postgres")),
            engine: Engine::start(folder.path()),
            http: ports::free(&[0, 1]),
            s3: ports::free(&[0, 1]),
            folder,
            _turn: turn,
        }
    }

    fn web(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    fn s3(&self) -> String {
        format!("http://127.0.0.1:{}", self.s3)
    }

    fn controlplane(&self) -> Process {
        let mut command = Command::new(tools::vaultaire());
        command
            .args([
                "controlplane",
                "--http",
                &format!("127.0.0.1:{}", self.http),
            ])
            .env("DATABASE_URL", self.postgres.url())
            .env("VAULTAIRE_MASTER_KEY", MASTER_KEY)
            .env("VAULTAIRE_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("VAULTAIRE_S3_ENDPOINT", self.s3())
            .env("VAULTAIRE_ENGINE_ENDPOINT", self.engine.endpoint())
            .env("VAULTAIRE_ENGINE_ACCESS_KEY_ID", engine::ACCESS_KEY_ID)
            .env(
                "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY",
                engine::SECRET_ACCESS_KEY,
            );
        self.start("controlplane", &command, self.http)
    }

    /// It is told where the control plane is, and nothing of the database or the engine.
    fn dataplane(&self, join_token: Option<&str>) -> Process {
        let mut command = Command::new(tools::vaultaire());
        command
            .args([
                "dataplane",
                "--s3",
                &format!("127.0.0.1:{}", self.s3),
                "--data-dir",
            ])
            .arg(self.folder.path().join("node"))
            .env("VAULTAIRE_CONTROL_URL", self.web());
        if let Some(token) = join_token {
            command.env("VAULTAIRE_JOIN_TOKEN", token);
        }
        self.start("dataplane", &command, self.s3)
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

    fn join_token(&self) -> String {
        let headers = format!("Authorization: Bearer {ADMIN_TOKEN}\r\n");
        let url = format!("{}/api/v1/admin/join-tokens", self.web());
        let answer = http::ask("POST", &url, &headers).expect("the control plane answers");
        let body: Value = serde_json::from_str(&answer.body).expect("it answers with JSON");
        body["join_token"]
            .as_str()
            .expect("it gives a token")
            .to_owned()
    }

    fn ask(&self, words: &[&str]) -> Value {
        let mut command = Command::new(tools::vaultaire());
        clear_environment(&mut command);
        command
            .env("VAULTAIRE_URL", self.web())
            .env("VAULTAIRE_ADMIN_TOKEN", ADMIN_TOKEN);
        let said = succeed(command.args(words).arg("--json"), READY_WITHIN);
        serde_json::from_str(&said).expect("it answers with JSON")
    }

    fn node_health(&self) -> Value {
        let answer = http::get(&health(self.s3)).expect("the data plane runs");
        serde_json::from_str(&answer.body).expect("it answers with JSON")
    }
}

fn health(plane: u16) -> String {
    format!("http://127.0.0.1:{}/readyz", plane + 1)
}

#[test]
fn objects_are_served_with_the_control_plane_and_the_database_gone() {
    let mut house = House::build();
    let controlplane = house.controlplane();
    let dataplane = house.dataplane(Some(&house.join_token()));
    let created = house.ask(&[
        "tenant",
        "create",
        "--name",
        "T",
        "--email",
        "t@example.com",
    ]);
    let tenant = Client::new(house.folder.path(), &created, &house.s3());
    house.ask(&[
        "tenant",
        "set",
        &tenant.tenant_id,
        "--rate",
        "10000",
        "--burst",
        "10000",
    ]);
    let second = house.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
    let second = Client::new(house.folder.path(), &second, &house.s3());
    tenant.python("outage.py", &["before"]);
    assert_eq!(
        second.aws(&["s3", "cp", "s3://going-on/old", "-"]),
        "from before"
    );
    let receipt = house.ask(&["key", "revoke", &second.access_key_id]);
    assert_eq!(
        receipt["nodes"].as_array().map(Vec::len),
        Some(1),
        "{receipt}"
    );
    refused(&second);

    controlplane.kill();
    house.postgres.kill();
    println!("gone: {}", tenant.python("outage.py", &["during"]).trim());
    until("the node notices", READY_WITHIN, || {
        (house.node_health()["connected"] == false).then_some(())
    });
    refused(&second);

    dataplane.kill();
    let begun = Instant::now();
    let _dataplane = house.dataplane(None);
    println!(
        "the data plane serves again, alone, after {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(house.node_health()["connected"], false);
    println!(
        "restarted: {}",
        tenant.python("outage.py", &["during"]).trim()
    );
    refused(&second);

    house.postgres.again();
    let _controlplane = house.controlplane();
    let begun = Instant::now();
    until("the node is connected again", READY_WITHIN, || {
        (house.node_health()["connected"] == true).then_some(())
    });
    println!(
        "connected again after {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    tenant.python("outage.py", &["after"]);
    refused(&second);
    let created = house.ask(&[
        "tenant",
        "create",
        "--name",
        "N",
        "--email",
        "n@example.com",
    ]);
    let new = Client::new(house.folder.path(), &created, &house.s3());
    assert_eq!(new.aws(&["s3", "ls"]), "");
}

fn refused(key: &Client) {
    let said = key.aws_fails(&["s3", "ls"]);
    assert!(said.contains("InvalidAccessKeyId"), "{said}");
}
