//! Engines of the harness's own, other than the one that `vaultaire up` brings along: for planes that are started by hand
//! as in production, and so that nothing leans on one engine's habits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::client::Client;
use crate::process::{Process, clear_environment};
use crate::{http, ports, tools, until};

pub const ACCESS_KEY_ID: &str = "ENGINEKEY00000000000";
pub const SECRET_ACCESS_KEY: &str = "engine-secret-for-this-test-alone-000000";
/// Another key of the same account, which SeaweedFS takes too.
pub const OTHER_ACCESS_KEY_ID: &str = "ENGINEKEY11111111111";
pub const OTHER_SECRET_ACCESS_KEY: &str = "another-secret-of-the-engine-000000000000";

const READY_WITHIN: Duration = Duration::from_secs(60);
const WEED_PARTS: [&str; 4] = ["master", "volume", "filer", "s3"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    SeaweedFs,
    /// moto's server: S3 in memory, in Python. It checks no signature.
    Moto,
    /// `rclone serve s3` over a folder: S3's core, and little of the rest.
    Rclone,
}

impl Engine {
    /// What it lacks of S3 that the stories of `e2e/clients` otherwise ask for, in their words (`s3.py`).
    pub fn lacks(self) -> &'static [&'static str] {
        match self {
            // It folds `a//b` to `a/b`.
            Engine::SeaweedFs => &["exact-keys", "newer-checksums"],
            // It neither verifies nor keeps what it is told for a checksum, ignores `x-amz-copy-source-if-match` and
            // `max-uploads`, answers 500 to a part of no upload, and 404 to a key with a line feed. The common prefixes of
            // its ListObjects do not count for `max-keys`, and are not encoded where it says that they are. Its answer to
            // GetObjectRetention is empty, and it reads without the key what was written with a customer's.
            Engine::Moto => &[
                "checksums",
                "newer-checksums",
                "copy-conditions",
                "upload-pages",
                "part-refusals",
                "v1-prefixes",
                "line-feeds",
                "retention-reads",
                "customers-keys",
            ],
            Engine::Rclone => &["exact-keys", "checksums", "newer-checksums"],
        }
    }

    /// Starts one with its files in `folder`.
    #[track_caller]
    pub fn start(self, folder: &Path) -> Running {
        let place = folder.join("engine");
        std::fs::create_dir_all(&place).expect("a folder can be made");
        match self {
            Engine::SeaweedFs => seaweedfs(&place),
            Engine::Moto => moto(&place),
            Engine::Rclone => rclone(&place),
        }
    }
}

/// An engine that runs. Dropping it ends it.
pub struct Running {
    pub endpoint: String,
    /// How it was started, so that it can be again: on the same files and ports.
    command: Command,
    folder: PathBuf,
    process: Option<Process>,
    /// What it leaves behind elsewhere.
    litter: Vec<PathBuf>,
}

impl Running {
    /// What `vaultaire` is told of it, but for the placement.
    pub fn environment(&self) -> [(&'static str, &str); 3] {
        [
            ("VAULTAIRE_ENGINE_ENDPOINT", &self.endpoint),
            ("VAULTAIRE_ENGINE_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("VAULTAIRE_ENGINE_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ]
    }
}

impl Running {
    /// Its operator, who sees what tenants do not. `folder` is for the client's home.
    #[track_caller]
    pub fn operator(&self, folder: &Path) -> Client {
        let keys = serde_json::json!({
            "tenant_id": "",
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
        });
        Client::new(folder, &keys, &self.endpoint)
    }
}

impl Running {
    /// `None` after [`kill`](Self::kill).
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again, and does not wait until it answers.
    pub fn again(&mut self) {
        self.process = Some(Process::start("engine-again", &self.folder, &self.command));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SeaweedFS would wait for half a minute; nothing here is worth that.
        self.kill();
        for file in &self.litter {
            let _ = std::fs::remove_file(file);
        }
    }
}

#[track_caller]
fn seaweedfs(folder: &Path) -> Running {
    std::fs::create_dir_all(folder.join("data")).expect("a folder can be made");
    let identities = serde_json::json!({"identities": [{
        "name": "vaultaire",
        "credentials": [
            {"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY},
            {"accessKey": OTHER_ACCESS_KEY_ID, "secretKey": OTHER_SECRET_ACCESS_KEY},
        ],
        "actions": ["Admin"],
    }]});
    std::fs::write(folder.join("s3.json"), identities.to_string()).expect("it can be written");
    let base = ports::free(&[0, 1, 2, 3, 4, 5, 6, 7]);
    let mut weed = Command::new(tools::weed());
    clear_environment(&mut weed);
    weed.current_dir(folder).env("HOME", folder).args([
        "-logtostderr=true",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-dir=data",
        "-master.telemetry=false",
        "-master.volumePreallocate=false",
        "-master.electionTimeout=1s",
        "-volume.max=1000",
        "-volume.preStopSeconds=0",
        "-filer",
        "-filer.localSocket=filer.sock",
        "-s3",
        "-s3.localSocket=s3.sock",
        "-s3.config=s3.json",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-metricsPort=0",
    ]);
    for (part, port) in WEED_PARTS.iter().zip((base..).step_by(2)) {
        weed.arg(format!("-{part}.port={port}"));
        weed.arg(format!("-{part}.port.grpc={}", port + 1));
    }
    let engine = Running {
        endpoint: format!("http://127.0.0.1:{}", base + 6),
        process: Some(Process::start("weed", folder, &weed)),
        command: weed,
        folder: folder.to_owned(),
        // Its sockets, wherever it is told to have its files.
        litter: WEED_PARTS
            .iter()
            .zip((base + 1..).step_by(2))
            .map(|(part, port)| format!("/tmp/seaweedfs-{part}-grpc-{port}.sock").into())
            .collect(),
    };
    until("the engine is ready", READY_WITHIN, || {
        let status = http::get(&format!("http://127.0.0.1:{base}/dir/status"))?;
        let status: Value = serde_json::from_str(&status.body).ok()?;
        http::get(&engine.endpoint)?;
        (status["Topology"]["Free"].as_f64()? > 0.0).then_some(())
    });
    engine
}

#[track_caller]
fn moto(folder: &Path) -> Running {
    let port = ports::free(&[0]);
    let mut server = Command::new(tools::python_tool("python"));
    server.arg(tools::python_tool("moto_server"));
    server.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    answering("moto", folder, server, port)
}

#[track_caller]
fn rclone(folder: &Path) -> Running {
    let port = ports::free(&[0]);
    let buckets = folder.join("buckets");
    std::fs::create_dir_all(&buckets).expect("a folder can be made");
    let mut server = Command::new(tools::python_tool("rclone"));
    server
        .args(["serve", "s3", "--addr", &format!("127.0.0.1:{port}")])
        .args([
            "--auth-key",
            &format!("{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}"),
        ])
        .arg(buckets)
        .env("RCLONE_CONFIG", folder.join("rclone.conf"))
        .env("HOME", folder);
    answering("rclone", folder, server, port)
}

/// An engine of one process and one port.
#[track_caller]
fn answering(name: &str, folder: &Path, command: Command, port: u16) -> Running {
    let engine = Running {
        endpoint: format!("http://127.0.0.1:{port}"),
        process: Some(Process::start(name, folder, &command)),
        command,
        folder: folder.to_owned(),
        litter: Vec::new(),
    };
    until("the engine is ready", READY_WITHIN, || {
        http::get(&engine.endpoint)
    });
    engine
}
