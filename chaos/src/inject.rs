//! How each fault is brought about, and how it ends. What cannot be done on this machine is said, not skipped in silence.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::house::House;
use crate::plan::{CONTROL_PLANES, Fault, Harm, Part, Way};
use crate::proxy::Mode;
use crate::s3::{Connection, Key, Request};
use crate::verdict::Verdict;

/// In which a node must notice that its disk is full.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);
const OPERATOR_WITHIN: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(50);

/// libfaketime for programs with threads, where it is installed.
pub fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.into_iter().find(|library| library.exists())
}

/// Why this cannot be done here.
pub fn impossible(fault: &Fault, house: &House) -> Option<&'static str> {
    match fault {
        Fault::FullDisk(_) if !house.has_disks() => {
            Some("a small disk can only be mounted by root")
        }
        Fault::Skew(..) if faketime().is_none() => {
            Some("libfaketime is missing: scripts/install-tools chaos")
        }
        _ => None,
    }
}

/// Who writes to see whether a node refuses, and where.
pub struct Witness {
    pub tenant: String,
    pub key: Key,
    pub bucket: String,
}

pub fn begin(fault: &Fault, house: &mut House, witness: &Witness, verdict: &Verdict) {
    match *fault {
        Fault::Kill(part) => house.kill(part),
        Fault::Pause(part) => house.send(part, Signal::SIGSTOP),
        Fault::Harm(way, harm) => house.set(way, Mode::Harm(harm)),
        Fault::Engine(answer) => house.set(Way::Engine, Mode::Answer(answer)),
        Fault::FullDisk(node) => {
            fill(house, node);
            refuses(house, node, witness, verdict);
        }
        Fault::Skew(part, seconds) => {
            house.kill(part);
            let library = faketime().unwrap_or_default();
            let environment = [
                ("LD_PRELOAD", library.display().to_string()),
                ("FAKETIME", format!("{seconds:+}")),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
                ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ];
            house.start(part, &environment);
        }
        Fault::EmptyDisk(node) => {
            let said = house.stop(Part::Node(node));
            if said.contains("is sent after the next start") {
                // With its disk, what it had not told anybody is gone: that is not what is tried here.
                house.start(Part::Node(node), &[]);
                eprintln!("chaos: node {node} owes usage and keeps its disk");
            } else {
                empty(house, node);
            }
        }
    }
}

pub fn end(fault: &Fault, house: &mut House, verdict: &Verdict) {
    match *fault {
        Fault::Kill(part) => house.start(part, &[]),
        Fault::Pause(part) => house.send(part, Signal::SIGCONT),
        Fault::Harm(way, _) => house.set(way, Mode::Pass),
        Fault::Engine(_) => house.set(Way::Engine, Mode::Pass),
        Fault::FullDisk(node) => {
            let _ = std::fs::remove_file(filler(house, node));
        }
        Fault::Skew(part, _) => {
            house.kill(part);
            house.start(part, &[]);
        }
        Fault::EmptyDisk(node) => {
            if is_empty(house, node) {
                replace(house, node, verdict);
            }
        }
    }
}

/// After all is well again: what is still dead, and lies idle until a request happens upon it, is no part of the next fault.
pub fn bury(fault: &Fault, house: &House) {
    if let Fault::Harm(way @ (Way::Client(_) | Way::Engine), Harm::HalfOpen) = *fault {
        house.set(way, Mode::Harm(Harm::Cut));
        thread::sleep(PAUSE * 6);
        house.set(way, Mode::Pass);
        thread::sleep(PAUSE * 6);
    }
}

fn filler(house: &House, node: usize) -> PathBuf {
    house.disk(node).join("filler")
}

fn fill(house: &House, node: usize) {
    let mut file = File::create(filler(house, node)).expect("a file can be made");
    let mut piece = vec![b'x'; 1 << 20];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

/// A full disk must be said, and not by a connection that breaks off.
fn refuses(house: &mut House, node: usize, witness: &Witness, verdict: &Verdict) {
    let begun = Instant::now();
    let mut connection = Connection::new(&house.node_address(node));
    let request = Request {
        method: "PUT",
        bucket: &witness.bucket,
        key: "written to a full disk",
        body: b"?",
        ..Request::default()
    };
    loop {
        house.supervise();
        let answer = connection.ask(&witness.key, &request, Duration::from_secs(8));
        if answer.is_ok_and(|answer| answer.status == 503) {
            println!("   refused after {:.1} s", begun.elapsed().as_secs_f64());
            return;
        }
        if begun.elapsed() > NOTICED_WITHIN {
            return verdict.breach(format!("node {node} goes on with a full disk"));
        }
        thread::sleep(PAUSE);
    }
}

fn is_empty(house: &House, node: usize) -> bool {
    let mut entries = std::fs::read_dir(house.disk(node)).into_iter().flatten();
    entries.next().is_none()
}

fn empty(house: &House, node: usize) {
    for entry in std::fs::read_dir(house.disk(node))
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let removed = match path.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        removed.expect("what is on a node's disk can be removed");
    }
}

/// As an operator would: the old node is gone for good, and a new one is let in at its address.
fn replace(house: &mut House, node: usize, verdict: &Verdict) {
    let operator = house.operator();
    let address = house.node_address(node);
    let begun = Instant::now();
    let mut turn = 0;
    loop {
        let controlplane = turn % CONTROL_PLANES;
        turn += 1;
        let done = operator.nodes_at(controlplane, &address).and_then(|old| {
            for id in old {
                let path = format!("nodes/{id}");
                operator.ask(controlplane, "DELETE", &path, &Value::Null)?;
            }
            operator.join_token(controlplane)
        });
        match done {
            Ok(token) => {
                house.invite(node, &token);
                return house.start(Part::Node(node), &[]);
            }
            Err(error) if begun.elapsed() > OPERATOR_WITHIN => {
                return verdict.breach(format!("node {node} could not be replaced: {error}"));
            }
            Err(_) => thread::sleep(PAUSE * 4),
        }
        house.supervise();
    }
}
