//! Three nodes that follow one control plane: what a receipt says of one that stands still, what a node knows that could
//! be stolen from it, and that nodes come and go while nobody is there to follow.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use e2e::balancer::Balancer;
use e2e::process::run;
use e2e::{Client, Process, Stack, http, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::house::{House, READY_WITHIN};

fn fleet(house: &House, nodes: usize) -> Vec<Process> {
    (0..nodes)
        .map(|node| house.dataplane(node, Some(&house.join_token())))
        .collect()
}

fn new_key(house: &House, tenant: &Client) -> Client {
    let key = house.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
    Client::new(house.folder.path(), &key, &tenant.endpoint)
}

#[test]
fn a_receipt_counts_the_nodes_that_refuse_the_key_and_names_the_one_that_says_nothing() {
    let house = House::build(3);
    let _controlplane = house.controlplane();
    let nodes = fleet(&house, 3);
    let tenant = house.tenant(&house.s3(0));
    let (first, second) = (new_key(&house, &tenant), new_key(&house, &tenant));
    let receipt = house.ask(&["key", "revoke", &first.access_key_id]);
    assert_eq!(count(&receipt, "nodes"), 3, "{receipt}");
    assert_eq!(count(&receipt, "pending"), 0, "{receipt}");

    nodes[2].send(Signal::SIGSTOP);
    let begun = Instant::now();
    let receipt = house.ask(&["key", "revoke", &second.access_key_id]);
    println!(
        "with one node standing still, after {} ms: {receipt}",
        begun.elapsed().as_millis()
    );
    assert_eq!(count(&receipt, "nodes"), 2, "{receipt}");
    assert_eq!(count(&receipt, "pending"), 1, "{receipt}");
    let address = house.s3(2).replace("http://", "");
    assert_eq!(receipt["pending"][0]["s3_address"], address.as_str());
    assert_eq!(receipt["pending"][0]["connected"], true);
    let said = house.say(&["key", "revoke", &second.access_key_id]);
    assert!(said.contains("refused on 2 of 3 data planes"), "{said}");
    assert!(
        said.contains(&format!("Not yet acknowledged by {address}")),
        "{said}"
    );
    for node in 0..2 {
        let refused = second.at(&house.s3(node)).aws_fails(&["s3", "ls"]);
        assert!(refused.contains("InvalidAccessKeyId"), "{refused}");
    }

    nodes[2].send(Signal::SIGCONT);
    until("the third node acknowledges", READY_WITHIN, || {
        let receipt = house.ask(&["key", "revoke", &second.access_key_id]);
        (count(&receipt, "nodes") == 3).then_some(())
    });
    let refused = second.at(&house.s3(2)).aws_fails(&["s3", "ls"]);
    assert!(refused.contains("InvalidAccessKeyId"), "{refused}");
}

/// Each hears what the other changes, and the nodes of the one that is killed go over to the other.
#[test]
fn one_of_two_control_planes_is_killed_and_every_change_goes_on_reaching_every_node() {
    let house = House::with_controlplanes(2, 3);
    let mut planes: Vec<_> = (0..2)
        .map(|number| Some(house.controlplane_number(number)))
        .collect();
    let _nodes = fleet(&house, 3);
    let tenant = house.tenant(&house.s3(0));
    tenant.aws(&["s3", "mb", "s3://bucket"]);
    let changed_by = |controlplane: usize| {
        let create = ["key", "create", "--tenant", &tenant.tenant_id];
        let key = house.ask_number(controlplane, &create);
        let key = Client::new(house.folder.path(), &key, &tenant.endpoint);
        for node in 0..3 {
            until("the new key opens everywhere", READY_WITHIN, || {
                let there = key.at(&house.s3(node));
                let mut list = there.aws_command(&["s3", "ls", "s3://bucket"]);
                run(&mut list, READY_WITHIN).status.success().then_some(())
            });
        }
        let revoke = ["key", "revoke", &key.access_key_id];
        until("every node refuses it", READY_WITHIN, || {
            let receipt = house.ask_number(controlplane, &revoke);
            (count(&receipt, "nodes") == 3 && count(&receipt, "pending") == 0).then_some(())
        });
        for node in 0..3 {
            let refused = key.at(&house.s3(node)).aws_fails(&["s3", "ls"]);
            assert!(refused.contains("InvalidAccessKeyId"), "{refused}");
        }
    };
    changed_by(0);
    changed_by(1);
    for (killed, other) in [(0, 1), (1, 0)] {
        planes[killed].take().expect("it runs").kill();
        changed_by(other);
        planes[killed] = Some(house.controlplane_number(killed));
        changed_by(killed);
    }
}

/// Whoever starts fewer data planes has a smaller fleet, at once, whose limits are whole; unless one still owes usage.
#[test]
fn up_with_fewer_data_planes_removes_those_that_are_not_started() {
    let mut stack = Stack::start(3);
    let client = stack.tenant("shrinking");
    client.aws(&["s3", "mb", "s3://kept"]);
    let nodes = |stack: &Stack| {
        let nodes = stack.ask(&["node", "list"]);
        nodes.as_array().map_or(0, Vec::len)
    };
    let start = |stack: &mut Stack, dataplanes: u16| {
        let (well, said) = stack.stop();
        assert!(well, "{said}");
        stack.addresses.dataplanes = dataplanes;
        stack.up();
        nodes(stack)
    };
    assert_eq!(nodes(&stack), 3);
    assert_eq!(start(&mut stack, 1), 1);
    assert_eq!(start(&mut stack, 2), 2, "it joins as a new one");
    client
        .at(&stack.endpoint(2))
        .aws(&["s3", "ls", "s3://kept"]);

    // Killed with usage that nobody has booked: with its control plane standing still, nobody can.
    let controlplane = i32::try_from(stack.pid_of("controlplane --http")).expect("a process id");
    kill(Pid::from_raw(controlplane), Signal::SIGSTOP).expect("it runs");
    client
        .at(&stack.endpoint(2))
        .aws(&["s3", "ls", "s3://kept"]);
    stack.kill();
    stack.addresses.dataplanes = 1;
    stack.up();
    assert_eq!(nodes(&stack), 2, "it owes usage");
    assert_eq!(start(&mut stack, 2), 2);
    assert_eq!(start(&mut stack, 1), 1, "it has run once more");
}

fn count(receipt: &Value, name: &str) -> usize {
    receipt[name].as_array().map_or(0, Vec::len)
}

#[test]
fn a_stolen_node_gives_away_no_secret() {
    let house = House::build(2);
    let controlplane = house.controlplane();
    let nodes = fleet(&house, 2);
    let tenant = house.tenant(&house.s3(0));
    let second = new_key(&house, &tenant);
    tenant.aws(&["s3", "mb", "s3://bucket"]);
    tenant.python("outage.py", &["before"]);
    for node in 0..2 {
        let there = second.at(&house.s3(node));
        assert_eq!(
            there.aws(&["s3", "cp", "s3://going-on/old", "-"]),
            "from before"
        );
    }

    let mut secrets = house.secrets();
    secrets.push((
        "the first key's secret",
        tenant.secret_access_key.clone().into_bytes(),
    ));
    secrets.push((
        "the second key's secret",
        second.secret_access_key.clone().into_bytes(),
    ));
    let known = second.access_key_id.as_bytes();
    for (number, node) in nodes.iter().enumerate() {
        let words: Vec<&[u8]> = secrets
            .iter()
            .map(|(_, secret)| secret.as_slice())
            .collect();
        let folder = house.folder.path().join(format!("node-{number}"));
        let found = in_memory(node.pid(), &[&words[..], &[known]].concat());
        let (access_key_id, found) = found.split_last().expect("it was looked for");
        assert!(*access_key_id, "the search does not find what is there");
        for (what, of) in [
            ("memory", found),
            ("data directory", &in_files(&folder, &words)),
        ] {
            for ((name, _), found) in secrets.iter().zip(of) {
                assert!(!found, "{name} is in the {what} of node {number}");
            }
        }
        // The search finds what is there: the node's id.
        assert_eq!(in_files(&folder, &[b"node_id"]), [true]);
    }
    // The twin of it all: the control plane's own memory holds its token.
    let token: &[u8] = &secrets[2].1;
    assert_eq!(in_memory(controlplane.pid(), &[token]), [true]);
}

/// Which of the words are in the memory that the process can read.
fn in_memory(pid: u32, words: &[&[u8]]) -> Vec<bool> {
    const PIECE: usize = 4 << 20;
    const OVERLAP: u64 = 256;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("a map of its memory");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem"))
        .expect("this test must be allowed to read the memory of its children");
    let mut found = vec![false; words.len()];
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    for line in maps.lines() {
        let mut words_of_it = line.split_whitespace();
        let (Some(range), Some(rights)) = (words_of_it.next(), words_of_it.next()) else {
            continue;
        };
        // The kernel's own pages cannot be read so.
        if !rights.starts_with('r') || line.contains("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, to) = (address(from), address(to));
        while at < to {
            let length = usize::try_from(to - at).map_or(PIECE, |left| left.min(PIECE));
            let count = match memory.read_at(&mut piece[..length], at) {
                Ok(0) => break,
                // Behind the end of a mapped file there is nothing.
                Err(_) if line.contains('/') => break,
                other => other.unwrap_or_else(|error| panic!("{line}: {error}")),
            };
            read += count;
            look(&piece[..count], words, &mut found);
            at += count as u64;
            if at < to {
                at -= OVERLAP.min(count as u64 - 1);
            }
        }
    }
    println!("searched {} MiB of process {pid}", read >> 20);
    found
}

/// Which of the words are in the files of a folder, and of the folders in it.
fn in_files(folder: &Path, words: &[&[u8]]) -> Vec<bool> {
    let mut found = vec![false; words.len()];
    let mut files = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the node's folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // A segment of the journal goes when it is booked.
            let bytes = std::fs::read(&path).unwrap_or_default();
            look(&bytes, words, &mut found);
            files += 1;
        }
    }
    assert!(files > 1, "the node keeps an identity and a configuration");
    found
}

fn look(bytes: &[u8], words: &[&[u8]], found: &mut [bool]) {
    for (word, found) in words.iter().zip(found) {
        *found = *found || contains(bytes, word);
    }
}

/// By the first byte first: these are gigabytes.
fn contains(mut bytes: &[u8], word: &[u8]) -> bool {
    let first = word[0];
    while let Some(at) = bytes.iter().position(|byte| *byte == first) {
        bytes = &bytes[at..];
        if bytes.starts_with(word) {
            return true;
        }
        bytes = &bytes[1..];
    }
    false
}

/// `VAULTAIRE_OUTAGE_SECONDS=3600` for an hour of it.
#[test]
fn nodes_come_and_go_without_control_plane_and_database_and_no_request_fails() {
    let seconds = std::env::var("VAULTAIRE_OUTAGE_SECONDS").unwrap_or_default();
    let length = Duration::from_secs(seconds.parse().unwrap_or(20));
    let mut house = House::build(3);
    let controlplane = house.controlplane();
    let mut nodes: Vec<Option<Process>> = fleet(&house, 3).into_iter().map(Some).collect();
    let behind = |node| {
        (
            house.s3(node).replace("http://", ""),
            house.health_url(node),
        )
    };
    let balancer = Balancer::start((0..3).map(behind).collect());
    let tenant = house.tenant(&balancer.url);
    tenant.python("outage.py", &["before"]);
    let old = tenant.aws(&["s3", "presign", "s3://going-on/old"]);
    controlplane.kill();
    house.postgres.kill();

    let mut clients = ["one", "two"].map(|name| traffic(&tenant, name));
    let begun = Instant::now();
    let mut turn = 0;
    while begun.elapsed() < length {
        let node = turn % 3;
        balancer.prefer((node + 1) % 3);
        let mut process = nodes[node].take().expect("it runs");
        // Each node is killed and told to end in turn.
        if turn % 2 == 0 {
            process.kill();
        } else {
            let status = process.stop();
            assert!(status.success(), "node {node} ended with {status}");
        }
        nodes[node] = Some(house.dataplane(node, None));
        assert_eq!(house.node_health(node)["connected"], false);
        let answer = http::get(old.trim().replace(&balancer.url, &house.s3(node)).as_str());
        // Signed for the balancer's host, it is refused here by its signature, and by nothing else.
        let answer = answer.expect("the node answers at once");
        assert!(
            answer.body.contains("SignatureDoesNotMatch"),
            "{}",
            answer.body
        );
        for (name, client) in &mut clients {
            if let Some(status) = client.try_wait().expect("a child") {
                panic!("client {name} ended with {status}: {}", said(&tenant, name));
            }
        }
        turn += 1;
    }
    for (name, mut client) in clients {
        drop(client.stdin.take());
        let status = client.wait().expect("a child");
        let said = said(&tenant, name);
        assert!(status.success(), "client {name}: {said}");
        println!(
            "{turn} restarts: {}",
            said.lines().last().unwrap_or_default()
        );
    }
    let refused = tenant.aws_fails(&["s3api", "create-bucket", "--bucket", "new"]);
    assert!(refused.contains("ServiceUnavailable"), "{refused}");
}

/// A client that goes on until its input ends. What it says is in a file of its name.
fn traffic(tenant: &Client, name: &'static str) -> (&'static str, Child) {
    let mut command = tenant.python_command("outage.py", &["on", name]);
    let output = std::fs::File::create(tenant.file(name)).expect("a file");
    command
        .stdin(Stdio::piped())
        .stdout(output.try_clone().expect("a file can be shared"))
        .stderr(output);
    (name, command.spawn().expect("Python starts"))
}

fn said(tenant: &Client, name: &str) -> String {
    std::fs::read_to_string(tenant.file(name)).unwrap_or_default()
}
