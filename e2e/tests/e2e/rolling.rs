//! Two nodes behind one address are restarted one after the other, and no client notices: not the one in the middle of
//! a large upload, not the one that uploads in parts, not the one that reads all the time.
//! At the size of a large object: `make large`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use e2e::balancer::Balancer;
use e2e::process::succeed;
use e2e::{Process, http, until};

use crate::house::{House, READY_WITHIN};

const WITHIN: Duration = Duration::from_secs(1800);
const BEGUN: u64 = 2_000_000;

#[test]
fn uploads_survive_a_rolling_restart() {
    survive(100_000_000, 5);
}

#[test]
#[ignore = "make large"]
fn five_gigabytes_survive_a_rolling_restart() {
    survive(5_000_000_000, 60);
}

/// `seconds`: how long an upload takes its time, so that it is under way when its node is told to end.
fn survive(size: u64, seconds: u64) {
    let house = House::build(2);
    let _controlplane = house.controlplane();
    let mut nodes: Vec<Process> = (0..2)
        .map(|node| house.dataplane(node, Some(&house.join_token())))
        .collect();
    let behind = |node| {
        let s3 = house.s3(node).replace("http://", "");
        (s3, house.health_url(node))
    };
    let balancer = Balancer::start(vec![behind(0), behind(1)]);
    let tenant = house.tenant(&balancer.url);
    tenant.aws(&["s3", "mb", "s3://rolling"]);
    let small = tenant.file("small");
    std::fs::write(&small, "small").expect("a file can be written");
    tenant.aws(&[
        "s3",
        "cp",
        &small.display().to_string(),
        "s3://rolling/small",
    ]);
    let url = tenant.aws(&["s3", "presign", "s3://rolling/small"]);
    let (size, seconds) = (size.to_string(), seconds.to_string());
    let upload = |way: &str, key: &str| {
        let words = [way, "rolling", key, size.as_str(), seconds.as_str()];
        succeed(&mut tenant.python_command("stream.py", &words), WITHIN)
    };

    let over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !over.load(Ordering::Relaxed) {
                let answer = http::get(url.trim()).expect("a node answers");
                assert_eq!((answer.status, answer.body.as_str()), (200, "small"));
                reads += 1;
            }
            reads
        });
        let parts = scope.spawn(|| upload("parts", "parts"));
        let mut whole = Vec::new();
        for (node, key) in [(0, "one"), (1, "two")] {
            balancer.prefer(node);
            let before = balancer.sent(node);
            whole.push((key, scope.spawn(move || upload("put", key))));
            until("the upload is under way", READY_WITHIN, || {
                (balancer.sent(node) > before + BEGUN).then_some(())
            });
            let status = nodes[node].stop_within(WITHIN);
            assert!(status.success(), "node {node} ended with {status}");
            nodes[node] = house.dataplane(node, None);
        }
        whole.push(("parts", parts));
        let sent: Vec<(&str, String)> = whole
            .into_iter()
            .map(|(key, upload)| (key, upload.join().expect("an upload survives")))
            .collect();
        over.store(true, Ordering::Relaxed);
        println!(
            "{} reads, all answered",
            reader.join().expect("nobody was cut")
        );
        sent
    });
    for (key, sent) in sent {
        let read = tenant.python("stream.py", &["get", "rolling", key, &size]);
        assert_eq!(digest(&sent), digest(&read), "{key}");
        println!("{key}: {}", sent.trim());
    }
}

fn digest(said: &str) -> &str {
    said.split(' ').next().unwrap_or_default()
}
