//! The master key is exchanged by commands while clients write and read and keys are made: nothing fails, and afterwards
//! everything starts without the old one.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::process::{fail, succeed};
use e2e::{Client, Stack, until};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn the_master_key_is_exchanged_and_no_request_fails() {
    let mut stack = Stack::start(2);
    let file = stack.data_dir().join("controlplane/master.key");
    let before = fs::read_to_string(&file).expect("it is there");
    let tenant = stack.busy_tenant("busy");
    tenant.aws(&["s3", "mb", "s3://ledger"]);
    let key = stack.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
    let keys = tenant.file("keys.json");
    fs::write(&keys, Value::Array(vec![key; 4]).to_string()).expect("it can be written");
    let (one, two) = (stack.endpoint(1), stack.endpoint(2));
    let keys = keys.display().to_string();
    let mut writers = tenant.python_command("ledger.py", &[&keys, "ledger", "0.01", &one, &two]);
    let writers = writers.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut writers = writers.spawn().expect("it starts");

    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // New keys, of which each is used at once.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let key = stack.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
                let client = Client::new(stack.folder(), &key, &one);
                client.aws(&["s3api", "head-bucket", "--bucket", "ledger"]);
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
        let more = || {
            let before = made.load(Ordering::Relaxed);
            until("keys are made", WITHIN, || {
                (made.load(Ordering::Relaxed) > before + 1).then_some(())
            });
        };
        more();
        let refused = stack.refuses(&["master-key", "finish"]);
        assert!(refused.contains("no other version"), "{refused}");
        let added = stack.ask(&["master-key", "add"]);
        assert_eq!(added["version"], 2, "{added}");
        let status = stack.ask(&["master-key", "status"]);
        assert_eq!(
            (&status["version"], &status["unfinished"]),
            (&json!(1), &json!([]))
        );
        more();
        let rotated = stack.ask(&["master-key", "rotate"]);
        assert_eq!(rotated["version"], 2, "{rotated}");
        assert_eq!(rotated["fingerprint"], added["fingerprint"]);
        until("nothing is sealed under the old one", WITHIN, || {
            let status = stack.ask(&["master-key", "status"]);
            (status["can_finish"] == true).then_some(())
        });
        let finished = stack.ask(&["master-key", "finish"]);
        assert_eq!(finished["dropped"], json!([1]), "{finished}");
        let both = fs::read_to_string(&file).expect("it is there");
        assert!(
            both.starts_with(before.trim()),
            "the old one is still there"
        );
        fs::write(&file, both.lines().last().expect("the new one")).expect("it can be written");
        more();
        stop.store(true, Ordering::Relaxed);
    });
    drop(writers.stdin.take());
    let output = writers.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).expect("it is text");
    let ledgers = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
    let (mut requests, mut refused, mut broken) = (0, 0, 0);
    for ledger in ledgers {
        requests += ledger["requests"].as_u64().unwrap_or(0);
        refused += ledger["refused"].as_u64().unwrap_or(0);
        broken += ledger["broken"].as_array().map_or(0, Vec::len);
    }
    println!("{requests} requests answered");
    assert!(requests > 100, "{said}");
    assert_eq!((refused, broken), (0, 0), "{said}");

    // With the old one alone nothing starts; with the new one alone everything does, and a backup needs no other.
    stack.stop();
    let new = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, &before).expect("it can be written");
    let refused = fail(&mut stack.up_command(), WITHIN);
    assert!(refused.contains("vaultaire:"), "{refused}");
    fs::write(&file, new).expect("it can be written");
    stack.up();
    tenant.aws(&["s3", "ls", "s3://ledger"]);
    tenant.aws(&["s3", "mb", "s3://afterwards"]);
    let backup = stack.folder().join("backup");
    let backup = backup.to_str().expect("it is Unicode");
    let said = succeed(stack.operator(&["backup", backup]).arg("--json"), WITHIN);
    let report: Value = serde_json::from_str(&said).expect("it is JSON");
    let needed = report["backup"]["head"]["master_keys"].to_string();
    assert!(
        needed.contains("\"version\":2") && !needed.contains("\"version\":1"),
        "{needed}"
    );
}
