//! `vaultaire up` as a process, with a stand-in for the engine: what it refuses, and that nothing outlives it.
//! The whole product is started in the crate `e2e`.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A place with a `weed` that never gets ready, and a database that is not asked for before the engine is.
struct Place {
    root: TempDir,
    http: TcpListener,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let weed = root.path().join("weed");
        fs::write(
            &weed,
            "#!/bin/sh\necho $$ > pid.new && mv pid.new pid\nexec sleep 1000\n",
        )
        .unwrap();
        fs::set_permissions(&weed, fs::Permissions::from_mode(0o755)).unwrap();
        // Held until `up` is started: two neighbouring ports, and two more for S3.
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { root, http }
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn command(&self, http: u16, s3: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vaultaire"));
        command
            .args([
                "up",
                "--http",
                &format!("127.0.0.1:{http}"),
                "--s3",
                &format!("127.0.0.1:{s3}"),
                "--data-dir",
            ])
            .arg(self.data())
            .env("VAULTAIRE_TOOLS", self.root.path())
            .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
            .env_remove("VAULTAIRE_ENGINE_ENDPOINT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Waits until the stand-in runs.
    fn weed(&self) -> u32 {
        let file = self.data().join("engine/pid");
        let text = until("the engine starts", || fs::read_to_string(&file).ok());
        text.trim().parse().unwrap()
    }
}

/// Two free ports with a free neighbour each.
fn ports() -> (u16, u16) {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut found = (33_000..60_000)
        .step_by(7)
        .skip(std::process::id() as usize % 1000)
        .filter(|&port| free(port) && free(port + 1));
    (found.next().unwrap(), found.next().unwrap())
}

fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if let Some(found) = check() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("in vain: {what}");
}

fn gone(pid: u32) -> bool {
    // A dead one that nobody has waited for yet is gone too.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.contains("State:") || status.contains("State:\tZ")
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Exit code and what was said on standard error.
fn refusal(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn nothing_outlives_a_supervisor_that_is_killed() {
    let place = Place::new();
    let (http, s3) = ports();
    let mut up = place.command(http, s3).spawn().unwrap();
    let weed = place.weed();
    assert!(!gone(weed));
    send(&up, Signal::SIGKILL);
    up.wait().unwrap();
    until("the engine is gone", || gone(weed).then_some(()));

    // And the place can be used again.
    fs::remove_file(place.data().join("engine/pid")).unwrap();
    let mut up = place.command(http, s3).spawn().unwrap();
    let weed = place.weed();

    let (code, said) = refusal(place.command(http, s3));
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!(
            "vaultaire: Another `vaultaire up` (process {}) runs",
            up.id()
        )),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    send(&up, Signal::SIGTERM);
    let status = up.wait().unwrap();
    let mut said = String::new();
    up.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(
        status.success() && said.contains("Stopping.") && !said.contains("ready\n"),
        "{said}"
    );
    assert!(gone(weed));
}

#[test]
fn a_taken_port_or_a_missing_engine_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let taken = place.http.local_addr().unwrap().port();
    let (_, s3) = ports();
    let (code, said) = refusal(place.command(taken, s3));
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!("vaultaire: Port {taken} on 127.0.0.1 is taken")),
        "{said}"
    );
    assert!(!place.data().exists());

    fs::remove_file(place.root.path().join("weed")).unwrap();
    let (http, s3) = ports();
    let mut command = place.command(http, s3);
    command.current_dir(place.root.path());
    let (code, said) = refusal(command);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("`weed` was not found") && said.lines().count() == 1,
        "{said}"
    );
    assert!(!place.data().exists());
}

#[test]
fn an_engine_that_cannot_start_ends_the_start_with_its_last_words() {
    let place = Place::new();
    fs::write(
        place.root.path().join("weed"),
        "#!/bin/sh\necho the disk is full >&2\nexit 3\n",
    )
    .unwrap();
    let (http, s3) = ports();
    let (code, said) = refusal(place.command(http, s3));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("engine ended while starting (exit status: 3): the disk is full"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}
