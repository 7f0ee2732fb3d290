//! What is booked against what clients know that was answered, while nodes and the control plane are killed with -9.
//! Each answered request is counted once; one that the client saw break off may be.

use std::io::Write as _;
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};

use e2e::{Process, until};
use serde_json::Value;

use crate::house::House;

const BOOKED_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn what_was_answered_is_counted_once_whoever_is_killed() {
    run(20, 24);
}

/// `CHAOS_KILLS=1000 cargo test -p e2e ledger -- --ignored`: a thousand unless said.
#[test]
#[ignore = "takes twenty minutes"]
fn what_was_answered_is_counted_once_over_many_kills() {
    let kills = std::env::var("CHAOS_KILLS").ok();
    run(
        kills.map_or(1000, |text| text.parse().expect("CHAOS_KILLS is a number")),
        400,
    );
}

fn run(kills: usize, keys: usize) {
    let house = House::build(2);
    let mut controlplane = Some(house.controlplane());
    let mut nodes: Vec<Option<Process>> = (0..2)
        .map(|node| Some(house.dataplane(node, Some(&house.join_token()))))
        .collect();
    let tenant = house.tenant(&house.s3(0));
    tenant.aws(&["s3", "mb", "s3://ledger"]);
    let made = (0..keys).map(|_| house.ask(&["key", "create", "--tenant", &tenant.tenant_id]));
    let made = Value::Array(made.collect());
    let file = tenant.file("keys.json");
    std::fs::write(&file, made.to_string()).expect("a file can be written");
    let endpoints = [house.s3(0), house.s3(1)];
    let words = [
        &file.to_string_lossy(),
        "ledger",
        "0.02",
        &endpoints[0],
        &endpoints[1],
    ];
    let mut client = tenant.python_command("ledger.py", &words);
    let client = client.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = client.spawn().expect("python runs");
    let stdin = client.stdin.take().expect("it is piped");

    let begun = Instant::now();
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(random(500)));
        match random(5) {
            0 => {
                controlplane.take().into_iter().for_each(Process::kill);
                controlplane = Some(house.controlplane());
            }
            other => {
                let node = usize::from(other % 2 == 0);
                nodes[node].take().into_iter().for_each(Process::kill);
                nodes[node] = Some(house.dataplane(node, None));
            }
        }
    }
    println!("{kills} kills in {:.0} s", begun.elapsed().as_secs_f64());
    let ledgers = end(client, stdin);
    until("everything is booked as answered", BOOKED_WITHIN, || {
        let booked = booked(&house, &tenant.tenant_id);
        let open = ledgers
            .iter()
            .any(|ledger| figure(ledger, "requests") > figure(of(&booked, ledger), "requests"));
        (!open).then_some(())
    });
    // What is left of a batch that was on its way would be booked a second time by now.
    std::thread::sleep(Duration::from_secs(3));
    compare(&ledgers, &booked(&house, &tenant.tenant_id));
}

fn end(client: std::process::Child, mut stdin: ChildStdin) -> Vec<Value> {
    stdin.flush().expect("the client runs");
    drop(stdin);
    let output = client.wait_with_output().expect("the client ends");
    assert!(output.status.success(), "the client failed");
    let said = String::from_utf8(output.stdout).expect("it says JSON");
    let lines = said.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("it says JSON")
}

fn booked(house: &House, tenant: &str) -> Value {
    house.ask(&["usage", "show", tenant, "--group", "key", "--by", "day"])
}

/// The row of a ledger's key; null where nothing is booked. (A run over midnight has two rows: their sums are in none.)
fn of<'a>(booked: &'a Value, ledger: &Value) -> &'a Value {
    let rows = booked.as_array().expect("a list of rows");
    let of_key = rows
        .iter()
        .find(|row| row["access_key_id"] == ledger["access_key_id"]);
    of_key.unwrap_or(&Value::Null)
}

fn figure(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or(0)
}

fn compare(ledgers: &[Value], booked: &Value) {
    let (mut answered, mut broken, mut counted, mut refused) = (0, 0, 0, 0);
    for ledger in ledgers {
        let row = of(booked, ledger);
        let unsure: Vec<(u64, u64)> = ledger["broken"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|pair| (pair[0].as_u64().unwrap_or(0), pair[1].as_u64().unwrap_or(0)))
            .collect();
        let more = |name: &str| figure(row, name).checked_sub(figure(ledger, name));
        let further = (more("requests"), more("bytes_in"), more("bytes_out"));
        let explained = match further {
            (Some(requests), Some(bytes_in), Some(bytes_out)) => {
                explains(&unsure, requests, bytes_in, bytes_out)
            }
            _ => false,
        };
        assert!(explained, "booked {row} where the client knows {ledger}");
        answered += figure(ledger, "requests");
        refused += figure(ledger, "refused");
        broken += unsure.len() as u64;
        counted += further.0.unwrap_or(0);
    }
    assert!(answered > 100, "only {answered} requests were answered");
    println!(
        "{answered} requests answered, 0 lost and 0 counted twice; {broken} broke off, {counted} of them counted; \
         {refused} refused"
    );
}

/// Whether some of what broke off makes up for what is booked beyond what is known.
fn explains(unsure: &[(u64, u64)], requests: u64, bytes_in: u64, bytes_out: u64) -> bool {
    (0..1u32 << unsure.len().min(20)).any(|chosen| {
        let of_it = unsure.iter().enumerate();
        let chosen = of_it.filter(|(at, _)| chosen >> at & 1 == 1);
        let (mut count, mut sent, mut most) = (0, 0, 0);
        for (_, (body, answer)) in chosen {
            count += 1;
            sent += body;
            most += answer;
        }
        // What was received of a body that broke off is not known; an answered write had all of it.
        count == requests && sent == bytes_in && bytes_out <= most
    })
}

/// Below `most`.
fn random(most: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() % most
}

#[test]
fn a_lost_or_doubled_request_would_be_seen() {
    let unsure = [(10, 5), (30, 5)];
    assert!(explains(&unsure, 0, 0, 0));
    assert!(explains(&unsure, 1, 30, 3));
    assert!(explains(&unsure, 2, 40, 10));
    assert!(!explains(&unsure, 1, 20, 0), "another request's body");
    assert!(!explains(&unsure, 1, 40, 0));
    assert!(!explains(&unsure, 3, 40, 0));
    assert!(!explains(&unsure, 1, 10, 6));
}
