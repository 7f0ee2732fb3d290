//! One tenant's limits over three nodes: however its clients spread over them, together they get what was set, and no more.
//! Upper bounds are strict; lower bounds hold as far as the clients of a busy machine asked for enough.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::load::{Asked, Load, admitted, most_within, offered};
use e2e::{Client, Process, Stack, http, until};

use crate::house::{House, READY_WITHIN};

const RATE: usize = 50;
const BURST: usize = 50;
const SECOND: Duration = Duration::from_secs(1);

struct Fleet {
    stack: Stack,
    tenant: Client,
    /// Presigned URLs of one small object, one at each node.
    urls: Vec<String>,
}

fn upload(tenant: &Client, bytes: usize) {
    tenant.aws(&["s3", "mb", "s3://limits"]);
    let file = tenant.file("object");
    std::fs::write(&file, vec![b'x'; bytes]).expect("a file can be written");
    tenant.aws(&[
        "s3",
        "cp",
        &file.display().to_string(),
        "s3://limits/object",
    ]);
}

impl Fleet {
    fn start(bytes: usize) -> Self {
        let stack = Stack::start(3);
        let tenant = stack.busy_tenant("limits");
        upload(&tenant, bytes);
        let urls = (1..=3)
            .map(|node| {
                tenant
                    .at(&stack.endpoint(node))
                    .presign("s3://limits/object")
            })
            .collect();
        Self {
            stack,
            tenant,
            urls,
        }
    }

    fn set(&self, words: &[&str]) {
        let mut all = vec!["tenant", "set", self.tenant.tenant_id.as_str()];
        all.extend(words);
        self.stack.ask(&all);
    }

    fn limit(&self) {
        let (rate, burst) = (RATE.to_string(), BURST.to_string());
        self.set(&["--rate", &rate, "--burst", &burst]);
    }

    /// So many requests a second at each node, for so long.
    fn ask(&self, rates: [f64; 3], time: Duration) -> Vec<Vec<Asked>> {
        let loads: Vec<Option<Load>> = self
            .urls
            .iter()
            .zip(rates)
            .map(|(url, rate)| (rate > 0.0).then(|| Load::start(url, rate)))
            .collect();
        std::thread::sleep(time);
        loads
            .into_iter()
            .map(|load| load.map(Load::stop).unwrap_or_default())
            .collect()
    }
}

fn bounded(all: &[Asked]) {
    let most = most_within(all, SECOND);
    println!("at most {most} in a second");
    assert!(most <= RATE + BURST, "{most} in one second");
}

/// What was admitted of all in ten seconds that began when shares had had two to move.
fn measured(begun: Instant, all: &[Asked]) {
    let (from, to) = (begun + 2 * SECOND, begun + 12 * SECOND);
    let got = admitted(all, from, to);
    let asked = offered(all, from, to);
    println!(
        "admitted {got} of {asked} in 10 s, of a limit of {}",
        10 * RATE
    );
    assert!(got * 100 <= 102 * 10 * RATE, "{got} admitted");
    let least = 10 * RATE * 95 / 100;
    assert!(
        asked < 20 * RATE || got >= least,
        "{got} admitted of {asked}"
    );
}

#[test]
fn skewed_clients_get_the_limit_together_and_no_more() {
    let fleet = Fleet::start(5);
    fleet.limit();
    let limit = RATE as f64;
    for rates in [
        [4.0 * limit, 0.0, 0.0],
        [6.4 * limit, 1.2 * limit, 0.4 * limit],
    ] {
        let begun = Instant::now();
        let all = fleet.ask(rates, 12 * SECOND).concat();
        println!("{rates:?} requests a second");
        measured(begun, &all);
        bounded(&all);
    }
}

#[test]
fn shares_move_to_where_the_demand_is_within_two_seconds() {
    let fleet = Fleet::start(5);
    fleet.limit();
    let limit = 4.0 * RATE as f64;
    let mut all = fleet.ask([limit, 0.0, 0.0], 4 * SECOND).concat();
    let jumped = Instant::now();
    let third = fleet.ask([0.0, 0.0, limit], 7 * SECOND).concat();
    let (from, to) = (jumped + 2 * SECOND, jumped + 7 * SECOND);
    let (got, asked) = (admitted(&third, from, to), offered(&third, from, to));
    println!("node 3 admitted {got} of {asked} in 5 s, two seconds after the jump");
    assert!(
        asked < 10 * RATE || got * 10 >= 9 * 5 * RATE,
        "{got} admitted of {asked}"
    );
    all.extend(third);
    bounded(&all);
}

#[test]
fn with_the_control_plane_gone_nodes_keep_what_they_have_and_the_sum_is_kept() {
    let mut house = House::build(3);
    let controlplane = house.controlplane();
    let nodes: Vec<Process> = (0..3)
        .map(|node| house.dataplane(node, Some(&house.join_token())))
        .collect();
    let tenant = house.tenant(&house.s3(0));
    upload(&tenant, 5);
    let urls: Vec<String> = (0..3)
        .map(|node| tenant.at(&house.s3(node)).presign("s3://limits/object"))
        .collect();
    let (rate, burst) = (RATE.to_string(), BURST.to_string());
    let id = &tenant.tenant_id;
    house.ask(&["tenant", "set", id, "--rate", &rate, "--burst", &burst]);
    until("the floors are even", READY_WITHIN, || {
        let floor = |node| house.node_health(node)["floor"].as_f64();
        (0..3)
            .all(|node| floor(node).is_some_and(|floor| (floor - 1.0 / 3.0).abs() < 0.01))
            .then_some(())
    });
    // The first node has most of it when the control plane goes.
    let load = Load::start(&urls[0], 4.0 * RATE as f64);
    std::thread::sleep(3 * SECOND);
    controlplane.kill();
    house.postgres.kill();
    let mut all = load.stop();
    let begun = Instant::now();
    let everywhere = |time: Duration| {
        let loads: Vec<Load> = urls
            .iter()
            .map(|url| Load::start(url, 2.0 * RATE as f64))
            .collect();
        std::thread::sleep(time);
        loads.into_iter().flat_map(Load::stop).collect::<Vec<_>>()
    };
    let alone = everywhere(5 * SECOND);
    let got = admitted(&alone, begun, begun + 5 * SECOND);
    println!("admitted {got} in 5 s with the control plane gone");
    assert!(got <= 5 * RATE + BURST, "{got}");
    assert!(got >= 4 * RATE, "{got}");
    all.extend(alone);
    bounded(&all);
    // Nobody remembers shares above the floor; those below it are on disk.
    for node in nodes {
        node.kill();
    }
    let _nodes: Vec<Process> = (0..3).map(|node| house.dataplane(node, None)).collect();
    let begun = Instant::now();
    let again = everywhere(5 * SECOND);
    let got = admitted(&again, begun, begun + 5 * SECOND);
    println!("admitted {got} in 5 s after a restart, alone");
    assert!(got > 0 && got <= 5 * RATE + BURST, "{got}");
}

/// A request whose answer has begun and is not read.
struct UnderWay(#[allow(dead_code, reason = "open as long as it lives")] TcpStream);

fn hold(url: &str) -> Result<UnderWay, u16> {
    let rest = url.strip_prefix("http://").expect("it is plain HTTP");
    let (host, path) = rest.split_once('/').expect("it has a path");
    let mut stream = TcpStream::connect(host).expect("a node listens");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a node reads");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("a node answers");
    match std::str::from_utf8(&start).ok().and_then(|s| s.get(9..12)) {
        Some("200") => Ok(UnderWay(stream)),
        other => Err(other.and_then(|status| status.parse().ok()).unwrap_or(0)),
    }
}

#[test]
fn requests_at_once_are_counted_over_all_nodes() {
    const MOST: usize = 9;
    // More than the buffers between node and client hold.
    let fleet = Fleet::start(64 << 20);
    fleet.set(&["--concurrency", &MOST.to_string()]);
    let fill = |url: &str, most: usize| {
        let mut under_way = Vec::new();
        until("the share moves", READY_WITHIN, || {
            match hold(url) {
                Ok(held) => under_way.push(held),
                Err(status) => assert_eq!(status, 503),
            }
            (under_way.len() >= most).then_some(())
        });
        under_way
    };
    let begun = Instant::now();
    let first = fill(&fleet.urls[0], MOST - 2);
    println!("{} at node 1 after {:?}", first.len(), begun.elapsed());
    let mut others = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < 3 * SECOND {
        others.extend(hold(&fleet.urls[1]));
        others.extend(hold(&fleet.urls[2]));
        std::thread::sleep(SECOND / 10);
        assert!(first.len() + others.len() <= MOST, "{}", others.len());
    }
    println!("{} more at the other nodes", others.len());
    drop((first, others));
    assert_eq!(fill(&fleet.urls[2], MOST - 2).len(), MOST - 2);
}

#[test]
fn streams_are_paced_to_the_limit_together() {
    const LIMIT: usize = 2_000_000;
    let fleet = Fleet::start(60_000_000);
    fleet.set(&["--bandwidth", &LIMIT.to_string()]);
    // Streams of a single long answer each: what was read in ten seconds counts.
    let begun = Instant::now();
    let readers: Vec<_> = [0, 0, 1]
        .into_iter()
        .map(|node| {
            let url = fleet.urls[node].clone();
            std::thread::spawn(move || read_for(&url, begun + 3 * SECOND, begun + 13 * SECOND))
        })
        .collect();
    let got: Vec<Got> = readers
        .into_iter()
        .map(|reader| reader.join().expect("a stream is not cut"))
        .collect();
    println!("{got:?} bytes of a limit of {LIMIT} a second");
    // What a full bucket holds, and no more, was sent at once at first; what is read late lay in buffers.
    let all: usize = got.iter().map(|got| got.all).sum();
    let time = got.iter().map(|got| got.until - begun).max();
    let most = LIMIT as f64 * (time.expect("there are streams").as_secs_f64() + 1.0);
    assert!(all as f64 <= most * 1.02, "{all} of {most}");
    let later: usize = got.iter().map(|got| got.later).sum();
    assert!(later >= 10 * LIMIT * 95 / 100, "{later}");
}

#[derive(Debug)]
struct Got {
    all: usize,
    /// Of those, between the two moments.
    later: usize,
    until: Instant,
}

/// How many bytes of the answer came until `to`, and between these two moments.
fn read_for(url: &str, from: Instant, to: Instant) -> Got {
    let mut stream = hold(url).expect("it is admitted").0;
    stream
        .set_read_timeout(Some(5 * SECOND))
        .expect("a socket takes a timeout");
    let mut buffer = vec![0; 16 * 1024];
    let (mut all, mut later) = (0, 0);
    loop {
        let read = stream.read(&mut buffer).expect("the stream goes on");
        assert!(read > 0, "the stream ended");
        let until = Instant::now();
        all += read;
        if until >= to {
            return Got { all, later, until };
        }
        if until >= from {
            later += read;
        }
    }
}

#[test]
fn a_refusal_is_explained_under_its_request_id() {
    let fleet = Fleet::start(5);
    let created = fleet.stack.ask(&[
        "key",
        "create",
        "--tenant",
        &fleet.tenant.tenant_id,
        "--prefix",
        "other/",
    ]);
    let narrow = Client::new(fleet.stack.folder(), &created, &fleet.stack.endpoint(1));
    let refused = http::get(&narrow.presign("s3://limits/object")).expect("a node answers");
    assert_eq!(refused.status, 403, "{}", refused.body);
    let found = explained(&fleet, refused.header("x-amz-request-id"));
    assert_eq!(found["rule"], "scope.prefix");
    assert_eq!(found["access_key_id"], narrow.access_key_id.as_str());
    assert_eq!(found["bucket"], "limits");
    assert_eq!(found["operation"], "GetObject");

    fleet.set(&["--rate", "1", "--burst", "1"]);
    let slow = until("the rate is exceeded", READY_WITHIN, || {
        http::get(&fleet.urls[0]).filter(|answer| answer.status == 503)
    });
    assert!(slow.header("retry-after").is_some());
    let found = explained(&fleet, slow.header("x-amz-request-id"));
    assert_eq!(
        (&found["rule"], &found["code"]),
        (&"rate_limit".into(), &"SlowDown".into())
    );
    assert!(
        found["limit"].as_i64().is_some_and(|limit| limit <= 1000),
        "{found}"
    );
    assert!(found["clears_at"].is_string());
    let said = fleet
        .stack
        .refuses(&["refusal", "show", "0000000000000000"]);
    assert!(said.contains("not found"), "{said}");
    let listed = fleet
        .stack
        .ask(&["refusal", "list", &fleet.tenant.tenant_id]);
    assert!(
        listed.as_array().is_some_and(|all| all.len() >= 2),
        "{listed}"
    );
}

fn explained(fleet: &Fleet, request_id: Option<&str>) -> serde_json::Value {
    let id = request_id.expect("every answer has an id");
    let list = ["refusal", "list", &fleet.tenant.tenant_id];
    until("the refusal is there", READY_WITHIN, || {
        let all = fleet.stack.ask(&list);
        let known = all.as_array()?.iter().any(|one| one["request_id"] == id);
        known.then_some(())
    });
    let found = fleet.stack.ask(&["refusal", "show", id]);
    println!("{}", found["explanation"]);
    found
}
