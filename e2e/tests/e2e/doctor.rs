//! `vaultaire doctor` on a real installation that is broken by hand, one part after the other.

use std::fs;
use std::time::Duration;

use e2e::{Stack, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const NOTICED_WITHIN: Duration = Duration::from_secs(90);

struct Report {
    succeeded: bool,
    checks: Vec<Value>,
    text: String,
}

impl Report {
    fn of(stack: &Stack) -> Self {
        let run = stack.operator(&["doctor", "--json"]).output().unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        let said: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text} {:?}", run.stderr));
        Self {
            succeeded: run.status.success(),
            checks: said["checks"].as_array().unwrap().clone(),
            text,
        }
    }

    fn failures(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|c| c["status"] == "failure");
        failed.map(|c| c["name"].as_str().unwrap()).collect()
    }

    fn fails(&self, name: &str) -> bool {
        assert_eq!(self.succeeded, self.failures().is_empty(), "{}", self.text);
        self.failures().contains(&name)
    }
}

/// Stopped for as long as this lives.
struct Paused(Pid);

impl Paused {
    fn new(pid: u32) -> Self {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        Self(pid)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

#[test]
fn the_doctor_finds_what_is_broken_and_is_content_when_it_is_mended() {
    let mut stack = Stack::start(1);
    stack.probed();
    let whole = Report::of(&stack);
    assert_eq!(whole.failures(), Vec::<&str>::new(), "{}", whole.text);
    for name in ["master.key", "admin.token", "database.password"] {
        let secret = fs::read_to_string(stack.data_dir().join("controlplane").join(name)).unwrap();
        assert!(!whole.text.contains(secret.trim()), "{name} is shown");
    }

    let paused = Paused::new(stack.dataplane_pid(1));
    until("the node is missed", NOTICED_WITHIN, || {
        Report::of(&stack).fails("nodes.connected").then_some(())
    });
    drop(paused);
    until("the node is back", NOTICED_WITHIN, || {
        (!Report::of(&stack).fails("nodes.connected")).then_some(())
    });

    let paused = Paused::new(stack.pid_of("weed"));
    let report = Report::of(&stack);
    assert!(report.fails("engines.reachable"), "{}", report.text);
    drop(paused);
    until("the engine answers again", NOTICED_WITHIN, || {
        (!Report::of(&stack).fails("engines.reachable")).then_some(())
    });

    let key = stack.data_dir().join("controlplane/master.key");
    let right = fs::read_to_string(&key).unwrap();
    fs::write(&key, "00".repeat(32)).unwrap();
    let report = Report::of(&stack);
    assert!(report.fails("masterkey.opens"), "{}", report.text);
    fs::write(&key, "00".repeat(16)).unwrap();
    let report = Report::of(&stack);
    assert!(report.fails("masterkey.readable"), "{}", report.text);
    fs::write(&key, right).unwrap();
    let report = Report::of(&stack);
    assert!(!report.fails("masterkey.opens"), "{}", report.text);

    // Nothing of it runs any more: what lies in the directory can still be judged.
    stack.stop();
    let report = Report::of(&stack);
    for name in ["database.reachable", "controlplane.answers"] {
        assert!(report.fails(name), "{name}: {}", report.text);
    }
}
