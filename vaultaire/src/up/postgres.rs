//! The embedded Postgres: a cluster in the data directory, on a free port of loopback, with passwords (SCRAM) only.
//! Its superuser has no password, so nobody can be it over the network; it is used in single-user mode alone.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;

use super::child::Program;
use super::data_dir::DataDir;
use super::progress::step;
use super::run_as::{self, RunAs};
use super::tools::Postgres;
use super::tree::Tree;
use super::{planes, ports};
use crate::private_file;

const HALF_MADE: &str = "postgres.new";
const NAME: &str = "vaultaire";
/// Only the application's role, only with its password, only from this machine.
const HBA: &str = "# Written by `vaultaire up`.\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// Version of the cluster in the data directory, if there is one.
pub fn major_of(dir: &DataDir) -> anyhow::Result<Option<u32>> {
    let cluster = dir.join("postgres");
    if !cluster.exists() {
        return Ok(None);
    }
    let damaged = || {
        format!(
            "The database in {} is damaged (its file PG_VERSION cannot be read): put the folder back from a backup, or choose \
             another data directory.",
            cluster.display()
        )
    };
    let text = fs::read_to_string(cluster.join("PG_VERSION"))
        .ok()
        .with_context(damaged)?;
    text.trim().parse().ok().with_context(damaged).map(Some)
}

/// Removes what an interrupted start left.
pub fn remove_half_made(dir: &DataDir) {
    let _ = fs::remove_dir_all(dir.join(HALF_MADE));
}

/// Makes the cluster if there is none, starts it, and returns the `DATABASE_URL` of the role `vaultaire`.
pub async fn start(tree: &mut Tree, dir: &DataDir, postgres: &Postgres) -> anyhow::Result<String> {
    let cluster = dir.join("postgres");
    let owner = cluster.metadata().ok().map(|found| found.uid());
    let parent = dir.path().parent().unwrap_or(dir.path());
    let run_as = run_as::for_postgres(owner, &postgres.bin.join("postgres"), parent).await?;
    if matches!(run_as, RunAs::User { .. }) {
        dir.let_through()?;
    }
    let password = planes::database_password(dir)?;
    if owner.is_none() {
        let made = make(dir, postgres, run_as, &password);
        step(
            &format!("Making a database (Postgres {})", postgres.major),
            made,
        )
        .await?;
    }
    await_predecessor(&cluster).await?;

    let port = ports::free(1)?[0];
    let child = tree.start(program(dir, postgres, run_as, port))?;
    let ready = child.ready(3, Duration::from_secs(120), async |pid| {
        is_ready(&cluster, pid)
    });
    step(
        &format!("Postgres {} on 127.0.0.1:{port}", postgres.major),
        ready,
    )
    .await?;
    Ok(url(&password, port))
}

pub fn url(password: &str, port: u16) -> String {
    format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{NAME}")
}

/// The port of the server that runs on this cluster.
pub fn running_on(cluster: &Path) -> Option<u16> {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let mut lines = text.lines().map(str::trim);
    let pid = lines.next()?;
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    // The data directory, the start, the port.
    let port = lines.nth(2)?.parse().ok()?;
    (folder == cluster).then_some(port)
}

fn program(dir: &DataDir, postgres: &Postgres, run_as: RunAs, port: u16) -> Program {
    let cluster = dir.join("postgres");
    let mut arguments = vec!["-D".into(), cluster.clone().into_os_string()];
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        "password_encryption=scram-sha-256".to_owned(),
    ] {
        arguments.push("-c".into());
        arguments.push(setting.into());
    }
    Program {
        name: "postgres".to_owned(),
        program: postgres.bin.join("postgres"),
        arguments,
        environment: environment(),
        folder: cluster,
        log: dir.log("postgres"),
        run_as,
        // https://www.postgresql.org/docs/current/server-shutdown.html: fast shutdown; and the immediate one, which
        // is over in a moment and recovers at the next start, when the supervisor is gone.
        stop: Signal::SIGINT,
        patience: Duration::from_secs(60),
        may_be_killed: false,
        orphaned: Signal::SIGQUIT,
        pause: Duration::from_millis(500),
    }
}

fn environment() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    vec![
        ("PATH".into(), path),
        ("LC_ALL".into(), "C.UTF-8".into()),
        ("TZ".into(), "UTC".into()),
    ]
}

/// The eighth line of the pid file is the server's own word (`pg_ctl` reads it too).
fn is_ready(cluster: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(cluster.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Waits for a server that an earlier `up` left dying. A pid file whose process is another program goes: Postgres
/// itself would take any process of that number for a server.
async fn await_predecessor(cluster: &Path) -> anyhow::Result<()> {
    let file = cluster.join("postmaster.pid");
    let begun = Instant::now();
    loop {
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            text => text.with_context(|| format!("{} cannot be read", file.display()))?,
        };
        let pid = text.lines().next().unwrap_or_default().trim().to_owned();
        let alive = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == cluster);
        if !alive {
            let _ = fs::remove_file(&file);
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(20) {
            bail!(
                "A Postgres server (process {pid}) runs on {}: stop it with `kill -INT {pid}`.",
                cluster.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Makes the cluster beside its place and moves it there when it is whole.
async fn make(
    dir: &DataDir,
    postgres: &Postgres,
    run_as: RunAs,
    password: &str,
) -> anyhow::Result<()> {
    remove_half_made(dir);
    let cluster = dir.join(HALF_MADE);
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&cluster)
        .with_context(|| format!("{} cannot be made", cluster.display()))?;
    run_as.own(&cluster)?;
    let place = cluster
        .to_str()
        .context("The data directory's name is no Unicode: choose another with --data-dir.")?;

    let initdb = [
        "-D",
        place,
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    ];
    let said = run(&postgres.bin.join("initdb"), &initdb, run_as, &cluster, "").await?;
    ensure!(
        said.status.success(),
        "The database could not be made; initdb said: {}",
        last_line(&said)
    );
    let hba = cluster.join("pg_hba.conf");
    fs::write(&hba, HBA).with_context(|| format!("{} cannot be written", hba.display()))?;

    // One statement a line, on standard input: the password is nobody else's to read.
    let statements = format!(
        "CREATE ROLE {NAME} LOGIN CREATEROLE NOSUPERUSER PASSWORD '{password}'\nCREATE DATABASE {NAME} OWNER {NAME}\n"
    );
    let single = [
        "--single",
        "-D",
        place,
        "-c",
        "password_encryption=scram-sha-256",
        "postgres",
    ];
    let said = run(
        &postgres.bin.join("postgres"),
        &single,
        run_as,
        &cluster,
        &statements,
    )
    .await?;
    let errors = String::from_utf8_lossy(&said.stderr);
    let failed = errors
        .lines()
        .find(|line| line.contains("ERROR:") || line.contains("FATAL:") || line.contains("PANIC:"));
    if let Some(line) = failed {
        bail!("The database could not be made; Postgres said: {line}");
    }
    ensure!(
        said.status.success(),
        "The database could not be made; Postgres said: {}",
        last_line(&said)
    );
    fs::rename(&cluster, dir.join("postgres"))
        .context("The new database cannot be moved to its place")
}

async fn run(
    program: &Path,
    arguments: &[&str],
    run_as: RunAs,
    folder: &Path,
    input: &str,
) -> anyhow::Result<Output> {
    let mut words = run_as.prefix(Signal::SIGKILL).into_iter();
    let mut process = tokio::process::Command::new(words.next().context("no program")?)
        .args(words)
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(environment())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    Ok(process.wait_with_output().await?)
}

fn last_line(said: &Output) -> String {
    let text = String::from_utf8_lossy(&said.stderr);
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("nothing")
        .trim()
        .to_owned()
}

/// The password is only of letters and digits: it stands in SQL and in a URL as it is.
pub fn new_password() -> anyhow::Result<String> {
    private_file::random_token()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_the_servers_own_word_and_its_own_pid() {
        let cluster = tempfile::tempdir().unwrap();
        let file = cluster.path().join("postmaster.pid");
        assert!(!is_ready(cluster.path(), 42));
        fs::write(&file, "42\n/data\n1\n5432\n\n127.0.0.1\n 1 2\nstarting\n").unwrap();
        assert!(!is_ready(cluster.path(), 42));
        fs::write(&file, "42\n/data\n1\n5432\n\n127.0.0.1\n 1 2\nready   \n").unwrap();
        assert!(is_ready(cluster.path(), 42));
        assert!(!is_ready(cluster.path(), 43), "an older server's file");
    }

    #[tokio::test]
    async fn a_pid_file_of_another_process_is_stale() {
        let cluster = tempfile::tempdir().unwrap();
        let file = cluster.path().join("postmaster.pid");
        // Alive, but not at work in this folder.
        fs::write(&file, format!("{}\n", std::process::id())).unwrap();
        await_predecessor(cluster.path()).await.unwrap();
        assert!(!file.exists());
    }
}
