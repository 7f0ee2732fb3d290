//! One supervised process: started, started again with growing pauses when it ends by itself, and stopped when asked.
//! It knows nothing of what the process is; its output goes to its log file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::progress::say;
use super::run_as::RunAs;

/// What to run, and how to end it.
pub struct Program {
    /// Shown to people: `postgres`, `dataplane-1`.
    pub name: String,
    pub program: PathBuf,
    /// Every user of the machine can read these: no secret.
    pub arguments: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    pub folder: PathBuf,
    pub log: PathBuf,
    pub run_as: RunAs,
    /// Sent to stop it; SIGKILL follows when it is not gone after `patience`.
    pub stop: Signal,
    pub patience: Duration,
    /// Whether SIGKILL after that is nothing to tell people of.
    pub may_be_killed: bool,
    /// Sent by the kernel when the supervisor is gone.
    pub orphaned: Signal,
    /// Pause before the first new start; doubles with each.
    pub pause: Duration,
}

const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that ran this long was well: the pauses begin anew.
const WELL: Duration = Duration::from_secs(30);
/// A longer log is put aside at the next start.
const LONGEST_LOG: u64 = 64 << 20;

/// The pause that follows `pause`.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

impl Program {
    fn start(&self) -> anyhow::Result<tokio::process::Child> {
        let log = open_log(&self.log)?;
        let mut words = self.run_as.prefix(self.orphaned).into_iter();
        let first = words.next().context("no program")?;
        tokio::process::Command::new(first)
            .args(words)
            .arg(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C goes to the supervisor alone, which then stops everything in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.name))
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    if path.metadata().is_ok_and(|found| found.len() > LONGEST_LOG) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    opened.with_context(|| format!("{} cannot be written", path.display()))
}

#[derive(Debug, Clone, Default)]
pub struct State {
    /// While it runs.
    pub pid: Option<u32>,
    /// How often it ended by itself.
    pub ends: u32,
    /// How it ended last.
    pub last_end: Option<String>,
}

/// A [`Program`] under supervision. Dropping it kills the process.
pub struct Child {
    pub name: String,
    log: PathBuf,
    stop: CancellationToken,
    hurry: CancellationToken,
    was_ready: Arc<AtomicBool>,
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

impl Child {
    pub fn start(program: Program) -> anyhow::Result<Self> {
        let process = program.start()?;
        let (tell, state) = watch::channel(State {
            pid: process.id(),
            ..State::default()
        });
        let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
        let (name, log) = (program.name.clone(), program.log.clone());
        let was_ready = Arc::new(AtomicBool::new(false));
        let supervision = Supervision {
            program,
            tell,
            stop: stop.clone(),
            hurry: hurry.clone(),
            was_ready: was_ready.clone(),
        };
        let task = tokio::spawn(supervision.run(process));
        Ok(Self {
            name,
            log,
            stop,
            hurry,
            was_ready,
            state,
            task,
        })
    }

    /// Waits until `probe` says yes. Fails when the process ends more than `forgiven` times before, or after `within`.
    pub async fn ready(
        &mut self,
        forgiven: u32,
        within: Duration,
        probe: impl AsyncFn(u32) -> bool,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            let state = self.state.borrow_and_update().clone();
            if state.ends > forgiven {
                let how = state.last_end.unwrap_or_default();
                bail!(
                    "{} ended while starting ({how}){}",
                    self.name,
                    self.last_words()
                );
            }
            if let Some(pid) = state.pid {
                tokio::select! {
                    yes = probe(pid) => if yes {
                        self.was_ready.store(true, Ordering::Relaxed);
                        return Ok(());
                    },
                    _ = self.state.changed() => continue,
                }
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!(
            "{} did not answer within {} s{}",
            self.name,
            within.as_secs(),
            self.last_words()
        )
    }

    /// `: <last line of the log> (log: PATH)`.
    fn last_words(&self) -> String {
        let line = tail(&self.log).unwrap_or_default();
        let line = line
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it said nothing")
            .trim()
            .to_owned();
        format!(": {line} (its log: {})", self.log.display())
    }

    /// Returns when the process is gone. A cancelled `hurry` kills it at once.
    pub async fn stop(self, hurry: &CancellationToken) {
        self.stop.cancel();
        let mut task = self.task;
        tokio::select! {
            _ = &mut task => return,
            () = hurry.cancelled() => self.hurry.cancel(),
        }
        let _ = task.await;
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Supervision {
    program: Program,
    tell: watch::Sender<State>,
    stop: CancellationToken,
    hurry: CancellationToken,
    /// Until then its end is the affair of [`Child::ready`] alone.
    was_ready: Arc<AtomicBool>,
}

impl Supervision {
    async fn run(self, mut process: tokio::process::Child) {
        let mut pause = self.program.pause;
        loop {
            let begun = Instant::now();
            tokio::select! {
                ended = process.wait() => self.ended(&ended),
                () = self.stop.cancelled() => return self.end(process).await,
            }
            if begun.elapsed() >= WELL {
                pause = self.program.pause;
            }
            process = loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.stop.cancelled() => return,
                }
                pause = longer(pause);
                match self.program.start() {
                    Ok(process) => break process,
                    Err(error) => say(&format!("vaultaire: {error:#}")),
                }
            };
            self.tell.send_modify(|state| state.pid = process.id());
        }
    }

    fn ended(&self, status: &std::io::Result<ExitStatus>) {
        let how = status
            .as_ref()
            .map_or_else(ToString::to_string, ToString::to_string);
        if self.was_ready.load(Ordering::Relaxed) {
            let Program { name, log, .. } = &self.program;
            say(&format!(
                "vaultaire: {name} ended ({how}); starting it again (its log: {})",
                log.display()
            ));
        }
        self.tell.send_modify(|state| {
            state.pid = None;
            state.ends += 1;
            state.last_end = Some(how);
        });
    }

    async fn end(&self, mut process: tokio::process::Child) {
        if let Some(pid) = process.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), self.program.stop);
        }
        let in_time = tokio::select! {
            _ = process.wait() => true,
            () = tokio::time::sleep(self.program.patience) => false,
            () = self.hurry.cancelled() => false,
        };
        if !in_time {
            if !self.program.may_be_killed {
                say(&format!(
                    "vaultaire: {} does not end; killing it",
                    self.program.name
                ));
            }
            let _ = process.kill().await;
        }
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
