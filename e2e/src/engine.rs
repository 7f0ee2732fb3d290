//! A SeaweedFS of the harness's own, for planes that are started by hand as in production.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::process::{Process, clear_environment};
use crate::{http, ports, tools, until};

pub const ACCESS_KEY_ID: &str = "ENGINEKEY00000000000";
pub const SECRET_ACCESS_KEY: &str = "engine-secret-for-this-test-alone-000000";

const PARTS: [&str; 4] = ["master", "volume", "filer", "s3"];

pub struct Engine {
    /// Of its first part; each has two.
    base: u16,
    weed: Process,
}

impl Engine {
    /// Starts one with its files in `folder`.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("engine")).expect("a folder can be made");
        let identities = serde_json::json!({"identities": [{
            "name": "vaultaire",
            "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
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
            "-dir=engine",
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
        for (part, port) in PARTS.iter().zip((base..).step_by(2)) {
            weed.arg(format!("-{part}.port={port}"));
            weed.arg(format!("-{part}.port.grpc={}", port + 1));
        }
        let engine = Self {
            base,
            weed: Process::start("weed", folder, &weed),
        };
        until("the engine is ready", Duration::from_secs(60), || {
            let status = http::get(&format!("http://127.0.0.1:{base}/dir/status"))?;
            let status: Value = serde_json::from_str(&status.body).ok()?;
            http::get(&engine.endpoint())?;
            (status["Topology"]["Free"].as_f64()? > 0.0).then_some(())
        });
        engine
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.base + 6)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It would wait for half a minute; and it leaves its sockets behind, wherever it is told to have its files.
        self.weed.send(Signal::SIGKILL);
        for (part, port) in PARTS.iter().zip((self.base + 1..).step_by(2)) {
            let _ = std::fs::remove_file(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock"));
        }
    }
}
