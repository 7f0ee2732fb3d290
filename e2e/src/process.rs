//! Processes that a test starts: the lasting ones end with it, also when it panics or is killed itself; the short ones
//! have a time within which they must be done. What they said is shown when something goes wrong.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// A process that lasts. Dropping it ends it.
pub struct Process {
    pub name: String,
    child: Child,
    /// Both its outputs.
    pub output: PathBuf,
}

impl Process {
    /// Starts `command`; what it says goes to `<folder>/<name>.out`. The kernel ends it should the test itself be killed
    /// (it is tied to the thread that calls this: call it from the test's own).
    pub fn start(name: &str, folder: &Path, command: &Command) -> Self {
        let output = folder.join(format!("{name}.out"));
        let file = File::create(&output).expect("the test's folder can be written");
        let mut guarded = Command::new("setpriv");
        guarded
            .args(["--pdeathsig", "TERM", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file);
        if let Some(place) = command.get_current_dir() {
            guarded.current_dir(place);
        }
        clear_environment(&mut guarded);
        for (name, value) in command.get_envs() {
            guarded.env(name, value.unwrap_or_default());
        }
        let child = guarded.spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self {
            name: name.to_owned(),
            child,
            output,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    pub fn send(&self, signal: Signal) {
        // One that is gone already needs no signal.
        let _ = kill(pid(self.child.id()), signal);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.send(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// SIGTERM, and SIGKILL when that does not help.
    pub fn stop(&mut self) -> ExitStatus {
        self.stop_within(PATIENCE)
    }

    /// The same with another patience.
    pub fn stop_within(&mut self, patience: Duration) -> ExitStatus {
        self.send(Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(PAUSE);
        }
        self.send(Signal::SIGKILL);
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("a pid is an i32"))
}

/// Nothing of the tester's own settings may reach a program under test.
pub fn clear_environment(command: &mut Command) {
    command.env_clear();
    command.env("LANG", "C.UTF-8");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
}

/// Runs a command to its end and gives back what it said.
///
/// # Panics
/// When it is not done `within` that time.
#[track_caller]
pub fn run(command: &mut Command, within: Duration) -> Output {
    let shown = format!("{command:?}");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = |name: &str| File::create(folder.path().join(name)).expect("a file can be made");
    let child = command
        .stdin(Stdio::null())
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break Some(status);
        }
        if begun.elapsed() > within {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(PAUSE);
    };
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap_or_default();
    let (stdout, stderr) = (read("out"), read("err"));
    let status = status.unwrap_or_else(|| {
        panic!(
            "{shown} was not done within {} s\n{}{}",
            within.as_secs(),
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        )
    });
    Output {
        status,
        stdout,
        stderr,
    }
}

/// As [`run`], for a command that must succeed. Gives its standard output.
#[track_caller]
pub fn succeed(command: &mut Command, within: Duration) -> String {
    let output = run(command, within);
    let (out, err) = texts(&output);
    assert!(
        output.status.success(),
        "{command:?} failed ({})\n{out}{err}",
        output.status
    );
    out
}

/// As [`run`], for a command that must fail. Gives both its outputs.
#[track_caller]
pub fn fail(command: &mut Command, within: Duration) -> String {
    let output = run(command, within);
    let (out, err) = texts(&output);
    assert!(
        !output.status.success(),
        "{command:?} should have failed\n{out}{err}"
    );
    out + &err
}

fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Every process whose parent is `parent`, with its command line.
pub fn children(parent: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").expect("/proc can be read");
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            // `pid (comm) state ppid …`, and comm may hold anything.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let after = stat.rsplit_once(") ")?.1;
            let its_parent: u32 = after.split(' ').nth(1)?.parse().ok()?;
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (its_parent == parent).then_some((pid, line))
        })
        .collect()
}

/// A figure of `/proc/<pid>/status`, in KiB: `VmHWM`, `VmRSS`.
pub fn memory(pid: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(figure));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or_else(|| panic!("no {figure} in {status}"))
}

/// Makes `VmHWM` begin anew. Source: <https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html>
pub fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the peak can be reset");
}

/// Every process that works in `folder` or names it in its command line.
pub fn within(folder: &Path) -> Vec<(u32, String)> {
    let name = folder.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").expect("/proc can be read");
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let place = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (place.starts_with(folder) || line.contains(&name)).then_some((pid, line))
        })
        .collect()
}
