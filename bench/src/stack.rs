//! Starts what is compared: engines, and the proxies in front of them, each on free ports of loopback.
//! Everything lives in one temporary folder and ends with the run.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::process;
use crate::target::{Credentials, REGION, Target};

/// Where the programs are.
pub struct Programs {
    pub vaultaire: PathBuf,
    pub nginx: PathBuf,
    pub rclone: PathBuf,
    pub s3s_proxy: PathBuf,
}

/// A process that is asked to end when this is dropped, and waited for.
pub struct Running {
    child: Child,
    pub pid: u32,
}

impl Running {
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let program = command.as_std().get_args().nth(3).map(ToOwned::to_owned);
        let program = program.unwrap_or_default();
        command.stdin(Stdio::null()).stderr(File::create(log)?);
        let child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let pid = child.id().context("it has ended already")?;
        Ok(Running { child, pid })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid as i32), Signal::SIGTERM);
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.start_kill();
    }
}

/// A program that ends with this process, whatever ends this.
pub fn bound(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// A free port with the next one free too: health is there.
fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free ports")
}

pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, free_port()?).into())
}

pub async fn answers(address: SocketAddr) -> anyhow::Result<()> {
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("nothing listens on {address} after 30 s")
}

pub struct Vaultaire {
    pub running: Running,
    pub target: Target,
    /// The embedded engine, when `up` was not given one.
    pub engine: Option<Target>,
    pub data: PathBuf,
}

/// `vaultaire up` with one data plane, and a tenant whose limits are out of the way.
pub async fn vaultaire(
    programs: &Programs,
    folder: &Path,
    engine: Option<&Target>,
) -> anyhow::Result<Vaultaire> {
    let data = folder.join("vaultaire");
    let (http, s3) = (free_address()?, free_address()?);
    let mut command = bound(&programs.vaultaire);
    command.arg("up").arg("--data-dir").arg(&data);
    command.args(["--http", &http.to_string(), "--s3", &s3.to_string()]);
    command.stdout(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VAULTAIRE_ENGINE_")) {
        command.env_remove(name);
    }
    if let Some(engine) = engine {
        let credentials = &engine.credentials;
        command
            .env(
                "VAULTAIRE_ENGINE_ENDPOINT",
                format!("http://{}", engine.address),
            )
            .env("VAULTAIRE_ENGINE_ACCESS_KEY_ID", &credentials.access_key_id)
            .env(
                "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY",
                &credentials.secret_access_key,
            );
    }
    let mut running = Running::start(command, &folder.join("up.log"))?;
    let out = running.child.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(out).lines();
    let mut embedded = None;
    loop {
        let line = lines.next_line().await?.with_context(|| {
            let log = fs::read_to_string(folder.join("up.log")).unwrap_or_default();
            format!("`vaultaire up` ended: {log}")
        })?;
        if let Some(rest) = line.trim().strip_prefix("Engine (SeaweedFS) on ") {
            let address = rest.split(": ").next().unwrap_or(rest);
            embedded = Some(address.parse::<SocketAddr>().context(line)?);
        } else if line == "vaultaire: ready" {
            break;
        }
    }
    // What it says later is not read, and must not stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

    let engine = match embedded {
        None => None,
        Some(address) => {
            let file = fs::read_to_string(data.join("controlplane/engine.json"))?;
            Some(Target {
                address,
                credentials: credentials(&file)?,
                pid: process::descendant(running.pid, "server")?,
            })
        }
    };
    let target = Target {
        address: s3,
        credentials: tenant(programs, &data, "bench", 1_000_000).await?,
        pid: process::descendant(running.pid, "dataplane")?,
    };
    Ok(Vaultaire {
        running,
        target,
        engine,
        data,
    })
}

fn credentials(json: &str) -> anyhow::Result<Credentials> {
    let parsed: serde_json::Value = serde_json::from_str(json)?;
    let text = |name: &str| {
        parsed[name]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("no {name}"))
    };
    Ok(Credentials {
        access_key_id: text("access_key_id")?,
        secret_access_key: text("secret_access_key")?,
    })
}

/// A tenant with such a rate, and a burst as large.
pub async fn tenant(
    programs: &Programs,
    data: &Path,
    name: &str,
    rate: u32,
) -> anyhow::Result<Credentials> {
    let run = async |arguments: &[&str]| -> anyhow::Result<String> {
        let mut command = Command::new(&programs.vaultaire);
        command.args(arguments).arg("--data-dir").arg(data);
        let output = command.output().await?;
        ensure!(
            output.status.success(),
            "vaultaire {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    };
    let created = run(&[
        "tenant",
        "create",
        "--name",
        name,
        "--email",
        &format!("{name}@example.com"),
        // The plan that people pay for: a trial's quota would be full within seconds.
        "--plan",
        "business",
        "--json",
    ])
    .await?;
    let parsed: serde_json::Value = serde_json::from_str(&created)?;
    let id = parsed["tenant_id"].as_str().context("no tenant_id")?;
    let rate = rate.to_string();
    run(&["tenant", "set", id, "--rate", &rate, "--burst", &rate]).await?;
    credentials(&created)
}

/// The engine that costs nothing.
pub async fn synthetic(folder: &Path) -> anyhow::Result<(Running, Target)> {
    let address = free_address()?;
    let mut command = bound(&std::env::current_exe()?);
    command.args(["synthetic", &address.to_string()]);
    let running = Running::start(command, &folder.join("synthetic.log"))?;
    answers(address).await?;
    let target = Target {
        address,
        credentials: Credentials {
            access_key_id: "SYNTHETIC".to_owned(),
            secret_access_key: "nobody-verifies-it".to_owned(),
        },
        pid: running.pid,
    };
    Ok((running, target))
}

pub struct Nginx {
    _running: Running,
    /// As Vaultaire works: an access log, a bounded buffer.
    pub logging: Target,
    /// The least that forwarding can cost.
    pub silent: Target,
}

pub async fn nginx(programs: &Programs, folder: &Path, engine: &Target) -> anyhow::Result<Nginx> {
    let (logging, silent) = (free_address()?, free_address()?);
    let configuration = include_str!("nginx.conf")
        .replace("ENGINE", &engine.address.to_string())
        .replace("LOGGING", &logging.to_string())
        .replace("SILENT", &silent.to_string())
        .replace("FOLDER", &folder.display().to_string());
    let path = folder.join("nginx.conf");
    fs::write(&path, configuration)?;
    let mut command = bound(&programs.nginx);
    command.arg("-c").arg(&path).arg("-e");
    command.arg(folder.join("nginx-error.log"));
    let running = Running::start(command, &folder.join("nginx.log"))?;
    answers(logging).await?;
    let at = |address| Target {
        address,
        credentials: engine.credentials.clone(),
        pid: running.pid,
    };
    Ok(Nginx {
        logging: at(logging),
        silent: at(silent),
        _running: running,
    })
}

pub async fn rclone(
    programs: &Programs,
    folder: &Path,
    engine: &Target,
) -> anyhow::Result<(Running, Target)> {
    let address = free_address()?;
    let Credentials {
        access_key_id,
        secret_access_key,
    } = &engine.credentials;
    let configuration = folder.join("rclone.conf");
    fs::write(
        &configuration,
        format!(
            "[engine]\ntype = s3\nprovider = SeaweedFS\nendpoint = http://{}\n\
             access_key_id = {access_key_id}\nsecret_access_key = {secret_access_key}\n",
            engine.address
        ),
    )?;
    let mut command = bound(&programs.rclone);
    command.args(["serve", "s3", "engine:", "--addr", &address.to_string()]);
    command.args([
        "--auth-key",
        &format!("{access_key_id},{secret_access_key}"),
    ]);
    command.arg("--config").arg(&configuration);
    command.arg("--cache-dir").arg(folder.join("rclone-cache"));
    let running = Running::start(command, &folder.join("rclone.log"))?;
    answers(address).await?;
    let target = Target {
        address,
        credentials: engine.credentials.clone(),
        pid: running.pid,
    };
    Ok((running, target))
}

/// s3s with aws-sdk-s3, as its authors put them together.
pub async fn s3s_proxy(
    programs: &Programs,
    folder: &Path,
    engine: &Target,
) -> anyhow::Result<(Running, Target)> {
    let address = free_address()?;
    let mut command = bound(&programs.s3s_proxy);
    command.args(["--host", &address.ip().to_string()]);
    command.args(["--port", &address.port().to_string()]);
    command.args(["--endpoint-url", &format!("http://{}", engine.address)]);
    let credentials = &engine.credentials;
    command
        .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key)
        .env("AWS_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let running = Running::start(command, &folder.join("s3s-proxy.log"))?;
    answers(address).await?;
    let target = Target {
        address,
        credentials: credentials.clone(),
        pid: running.pid,
    };
    Ok((running, target))
}
