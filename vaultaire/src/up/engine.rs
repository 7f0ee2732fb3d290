//! The embedded engine: SeaweedFS (`weed server`), on free ports of loopback, with credentials of its own.
//! Nothing of it may listen elsewhere or call home: every port and every such switch is given.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::child::Program;
use super::data_dir::DataDir;
use super::progress::step;
use super::run_as::RunAs;
use super::tree::Tree;
use super::{planes, ports};
use crate::private_file;
use crate::settings::{DEFAULT_REGION, Engine, Placement};

/// `master.toml`. Each bucket is a collection of volumes; SeaweedFS would make seven for each at its first object.
/// Of its maintenance only what loses nothing is kept: it would also abort multipart uploads after a day, which S3
/// never does by itself.
const MASTER: &str = r#"# Written by `vaultaire up` at each start.
[master.volume_growth]
copy_1 = 1
[master.maintenance]
scripts = """
  lock
  fs.log.purge -daysAgo=7
  volume.deleteEmpty -quietFor=24h -apply
  unlock
"""
sleep_minutes = 17
"#;

#[derive(Serialize, Deserialize)]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
}

/// A port for each of its servers; the order is that of [`Ports::new`].
struct Ports {
    master: [u16; 2],
    volume: [u16; 2],
    filer: [u16; 2],
    s3: [u16; 2],
}

impl Ports {
    fn new() -> anyhow::Result<Self> {
        let free = ports::free(8)?;
        let pair = |at: usize| [free[at], free[at + 1]];
        Ok(Self {
            master: pair(0),
            volume: pair(2),
            filer: pair(4),
            s3: pair(6),
        })
    }
}

/// Sockets that `weed` makes under `/tmp` for a gRPC port, whatever it is told, and leaves there.
pub fn sockets(port: u16) -> [PathBuf; 4] {
    ["master", "volume", "filer", "s3"]
        .map(|part| PathBuf::from(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock")))
}

/// Writes down which sockets will be made, after it removed those of a start that was killed.
fn note_sockets(folder: &Path, ports: &[u16]) -> anyhow::Result<()> {
    let note = folder.join("grpc-ports");
    let before = std::fs::read_to_string(&note).unwrap_or_default();
    for socket in before
        .split_whitespace()
        .filter_map(|port| port.parse().ok())
        .flat_map(sockets)
    {
        let _ = std::fs::remove_file(socket);
    }
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    private_file::write(&note, ports.join("\n").as_bytes())
}

pub async fn start(tree: &mut Tree, dir: &DataDir, weed: &Path) -> anyhow::Result<Engine> {
    let credentials = credentials(dir)?;
    let ports = Ports::new()?;
    let folder = dir.make("engine")?;
    dir.make("engine/data")?;
    configure(&folder, &credentials)?;

    let grpc = [
        ports.master[1],
        ports.volume[1],
        ports.filer[1],
        ports.s3[1],
    ];
    note_sockets(&folder, &grpc)?;
    tree.sweep_at_the_end(grpc.into_iter().flat_map(sockets));
    let child = tree.start(program(dir, weed, &folder, &ports))?;
    let endpoint = format!(
        "http://{}",
        SocketAddr::from((Ipv4Addr::LOCALHOST, ports.s3[0]))
    );
    let status = format!(
        "http://{}/dir/status",
        SocketAddr::from((Ipv4Addr::LOCALHOST, ports.master[0]))
    );
    let http = planes::http()?;
    let ready = child.ready(0, Duration::from_secs(120), async |_| {
        has_room(&http, &status).await.unwrap_or(false) && http.get(&endpoint).send().await.is_ok()
    });
    step(
        &format!("Engine (SeaweedFS) on 127.0.0.1:{}", ports.s3[0]),
        ready,
    )
    .await?;
    Ok(Engine {
        endpoint,
        region: DEFAULT_REGION.to_owned(),
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
        placement: Placement::Dedicated,
        pool_bucket: None,
    })
}

/// Until its volume server has come to it, the engine answers, but stores nothing.
async fn has_room(http: &reqwest::Client, status: &str) -> anyhow::Result<bool> {
    let status: serde_json::Value = http.get(status).send().await?.json().await?;
    Ok(status["Topology"]["Free"]
        .as_f64()
        .is_some_and(|free| free > 0.0))
}

fn credentials(dir: &DataDir) -> anyhow::Result<Credentials> {
    let path = dir.join("controlplane/engine.json");
    let made = || {
        let id: String = private_file::random_token()?
            .to_uppercase()
            .chars()
            .take(20)
            .collect();
        let credentials = Credentials {
            access_key_id: id,
            secret_access_key: private_file::random_token()?,
        };
        Ok(serde_json::to_string(&credentials)?)
    };
    serde_json::from_str(&private_file::read_or_make(&path, made)?)
        .ok()
        .with_context(|| {
            format!(
                "{} is damaged: remove it, and the next start makes new engine credentials.",
                path.display()
            )
        })
}

fn configure(folder: &Path, credentials: &Credentials) -> anyhow::Result<()> {
    let identities = serde_json::json!({"identities": [{
        "name": "vaultaire",
        "credentials": [{"accessKey": credentials.access_key_id, "secretKey": credentials.secret_access_key}],
        "actions": ["Admin"],
    }]});
    private_file::write(&folder.join("s3.json"), identities.to_string().as_bytes())?;
    private_file::write(&folder.join("master.toml"), MASTER.as_bytes())?;
    // Its inner HTTP ports take no request without a token made from these; other users of the machine have none.
    let mut security = "# Written by `vaultaire up` at each start.\n".to_owned();
    for section in [
        "jwt.signing",
        "jwt.signing.read",
        "jwt.filer_signing",
        "jwt.filer_signing.read",
    ] {
        security.push_str(&format!(
            "[{section}]\nkey = \"{}\"\n",
            private_file::random_token()?
        ));
    }
    private_file::write(&folder.join("security.toml"), security.as_bytes())
}

fn program(dir: &DataDir, weed: &Path, folder: &Path, ports: &Ports) -> Program {
    Program {
        name: "engine".to_owned(),
        program: weed.to_owned(),
        arguments: arguments(ports).into_iter().map(Into::into).collect(),
        // It reads its configuration from the folder it is in and from $HOME, and more from WEED_*.
        environment: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("HOME".into(), folder.as_os_str().to_owned()),
            ("TMPDIR".into(), folder.as_os_str().to_owned()),
        ],
        folder: folder.to_owned(),
        log: dir.log("engine"),
        run_as: RunAs::Same,
        stop: Signal::SIGTERM,
        // By then nobody writes any more; its filer would wait 15 s for its own S3 part to hang up. What it has
        // acknowledged is with the operating system, so that killing it loses nothing.
        patience: Duration::from_secs(2),
        may_be_killed: true,
        orphaned: Signal::SIGKILL,
        pause: Duration::from_millis(500),
    }
}

fn arguments(ports: &Ports) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "-logtostderr=true",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-dir=data",
        "-master.telemetry=false",
        "-master.volumePreallocate=false",
        "-master.volumeSizeLimitMB=4096",
        "-master.electionTimeout=1s",
        "-volume.max=100000",
        "-volume.minFreeSpace=1",
        "-volume.preStopSeconds=0",
        "-filer",
        "-filer.localSocket=filer.sock",
        "-filer.disableDirListing=true",
        "-filer.exposeDirectoryData=false",
        "-filer.ui.deleteDir=false",
        "-s3",
        "-s3.config=s3.json",
        "-s3.localSocket=s3.sock",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-webdav=false",
        "-sftp=false",
        "-mq.broker=false",
        "-mq.agent=false",
        "-iam=false",
        "-metricsPort=0",
    ]
    .map(str::to_owned)
    .into();
    for (part, [port, grpc]) in [
        ("master", ports.master),
        ("volume", ports.volume),
        ("filer", ports.filer),
        ("s3", ports.s3),
    ] {
        arguments.push(format!("-{part}.port={port}"));
        arguments.push(format!("-{part}.port.grpc={grpc}"));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_an_argument_and_every_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials {
            access_key_id: "AK".to_owned(),
            secret_access_key: "very-secret".to_owned(),
        };
        configure(folder.path(), &credentials).unwrap();
        let ports = Ports {
            master: [1, 2],
            volume: [3, 4],
            filer: [5, 6],
            s3: [7, 8],
        };
        let line = arguments(&ports).join(" ");
        assert!(
            line.contains("-s3.port=7")
                && line.contains("-s3.port.grpc=8")
                && line.contains("-ip.bind=127.0.0.1")
        );
        let security = std::fs::read_to_string(folder.path().join("security.toml")).unwrap();
        for secret in security
            .split('"')
            .skip(1)
            .step_by(2)
            .chain(["very-secret"])
        {
            assert!(!line.contains(secret));
        }
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            assert_eq!(
                entry.unwrap().metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}
