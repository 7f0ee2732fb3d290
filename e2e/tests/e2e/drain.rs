//! A node is taken out of service by hand: no client notices, its part goes to the other, and when it is stopped nobody
//! waits for it. And what else the operator asks from a shell about the business.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use e2e::balancer::Balancer;
use e2e::{Client, Process, http, until};
use serde_json::{Value, json};

use crate::house::{House, READY_WITHIN};

fn of_node(house: &House, id: &str) -> Value {
    house.ask(&["node", "show", id])
}

#[test]
fn a_drained_node_hands_over_and_leaves_and_no_client_notices() {
    let house = House::build(2);
    let _controlplane = house.controlplane();
    // The token that a shell gets.
    let token = house.ask(&["node", "join-token"]);
    let token = token["join_token"].as_str().expect("a token");
    let mut first = house.dataplane(0, Some(token));
    let _second: Process = house.dataplane(1, Some(&house.join_token()));
    let behind = |node| {
        let s3 = house.s3(node).replace("http://", "");
        (s3, house.health_url(node))
    };
    let balancer = Balancer::start(vec![behind(0), behind(1)]);
    let tenant = house.tenant(&balancer.url);
    let quota = [
        "tenant",
        "set",
        &tenant.tenant_id,
        "--quota-bytes",
        "1000000",
    ];
    house.ask(&quota);
    tenant.aws(&["s3", "mb", "s3://drained"]);
    let small = tenant.file("small");
    std::fs::write(&small, "small").expect("a file can be written");
    let small = small.display().to_string();
    tenant.aws(&["s3", "cp", &small, "s3://drained/small"]);
    let url = tenant.aws(&["s3", "presign", "s3://drained/small"]);

    let address = house.s3(0).replace("http://", "");
    let nodes = house.ask(&["node", "list"]);
    let nodes = nodes.as_array().expect("a list").clone();
    let id = |address: &str| {
        let node = nodes.iter().find(|node| node["s3_address"] == address);
        node.expect("it joined")["node_id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let (one, two) = (id(&address), id(&house.s3(1).replace("http://", "")));
    assert_eq!(of_node(&house, &one)["state"], "ready");
    assert!(
        of_node(&house, &one)["version"]
            .as_str()
            .is_some_and(|version| !version.is_empty())
    );
    assert!(
        of_node(&house, &one)["clock_skew_ms"]
            .as_i64()
            .is_some_and(|skew| skew.abs() < 1000)
    );

    let over = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !over.load(Ordering::Relaxed) {
                let answer = http::get(url.trim()).expect("a node answers");
                assert_eq!((answer.status, answer.body.as_str()), (200, "small"));
                reads += 1;
            }
            reads
        });
        let receipt = house.ask(&["node", "drain", &one]);
        println!("the receipt: {receipt}");
        assert_eq!(receipt["told"], json!(true), "{receipt}");
        assert_eq!(receipt["ready"], json!(1), "{receipt}");
        let health = house.node_health(0);
        assert_eq!(
            (&health["ready"], &health["draining"]),
            (&json!(false), &json!(true))
        );
        let answer = http::get(&house.health_url(0)).expect("it runs");
        assert_eq!(answer.status, 503);
        // What comes to it nevertheless is served.
        let direct = tenant.at(&house.s3(0));
        direct.aws(&["s3", "cp", &small, "s3://drained/direct"]);
        // The last one that is ready is not drained.
        let refused = house.refuses(&["node", "drain", &two]);
        assert!(refused.contains("No other node is ready"), "{refused}");
        let began = Instant::now();
        until("its part of limits is the other's", READY_WITHIN, || {
            (of_node(&house, &one)["floor"] == 0).then_some(())
        });
        println!("its part was gone after {:?}", began.elapsed());
        direct.aws(&["s3", "cp", &small, "s3://drained/late"]);

        let status = first.stop_within(READY_WITHIN);
        assert!(status.success(), "{status}: {}", first.said());
        let left = of_node(&house, &one);
        assert_eq!(
            (&left["state"], &left["leases"], &left["floor"]),
            (&json!("left"), &json!([]), &json!(0)),
            "{left}"
        );
        // Nobody waits for it: a receipt names the other alone.
        let key = house.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
        let akid = key["access_key_id"].as_str().expect("an id");
        let receipt = house.ask(&["key", "revoke", akid]);
        assert_eq!(receipt["pending"], json!([]), "{receipt}");
        assert_eq!(
            receipt["nodes"].as_array().map(Vec::len),
            Some(1),
            "{receipt}"
        );
        over.store(true, Ordering::Relaxed);
        reader.join().expect("nobody was cut")
    });
    println!("{reads} reads, all answered");
    assert!(reads > 10, "{reads}");
    // All that it stored is booked.
    let shown = house.ask(&["tenant", "show", &tenant.tenant_id]);
    assert_eq!(
        (&shown["stored_bytes"], &shown["objects"]),
        (&json!(15), &json!(3)),
        "{shown}"
    );

    // It may come back, with what it has on its disk.
    house.ask(&["node", "drain", &one, "--undo"]);
    let _again = house.dataplane(0, None);
    until("it has its part again", READY_WITHIN, || {
        let node = of_node(&house, &one);
        (node["state"] == "ready" && node["floor"] == 500_000_000).then_some(())
    });
    let direct = tenant.at(&house.s3(0));
    direct.aws(&["s3", "cp", &small, "s3://drained/again"]);
}

#[test]
fn the_business_is_asked_from_a_shell() {
    let house = House::build(1);
    let _controlplane = house.controlplane();
    let _node = house.dataplane(0, Some(&house.join_token()));
    let tenant = house.tenant(&house.s3(0));
    let id = tenant.tenant_id.as_str();
    tenant.aws(&["s3", "mb", "s3://business"]);
    house.ask(&["tenant", "set", id, "--plan", "business"]);
    let until_when = "2099-12-31";
    house.refuses(&["billing", "mark-paid", id, "--until", until_when]);
    let paid = ["billing", "mark-paid", id, "--until", "2030-06-30"];
    house.ask(&paid);
    let revenue = house.ask(&["revenue", "--months", "3"]);
    assert_eq!(revenue["currencies"][0]["mrr_cents"], 149_900, "{revenue}");
    assert_eq!(
        revenue["currencies"][0]["months"].as_array().map(Vec::len),
        Some(3)
    );
    let said = house.say(&["revenue"]);
    assert!(
        said.contains("149900") && said.contains("Past due"),
        "{said}"
    );

    until("what it did is booked", READY_WITHIN, || {
        let top = house.ask(&["usage", "top", "--by", "requests"]);
        (top[0]["requests"].as_i64() >= Some(1)).then_some(())
    });
    assert!(house.say(&["usage", "top", "--days"]).contains("REQUESTS"));
    // By a key that may not: a refusal that is counted.
    let narrow = ["key", "create", "--tenant", id, "--bucket", "other"];
    let narrow = Client::new(house.folder.path(), &house.ask(&narrow), &house.s3(0));
    until("the key opens", READY_WITHIN, || {
        narrow
            .aws_fails(&["s3", "ls", "s3://business"])
            .contains("AccessDenied")
            .then_some(())
    });
    until("the refusal is told", READY_WITHIN, || {
        let top = house.ask(&["refusal", "top", "--rule", "scope.bucket"]);
        (top[0]["tenant_id"] == id).then_some(())
    });

    assert!(house.ask(&["job", "list"]).is_array());
    let said = house.refuses(&["job", "retry", "--all", "--confirm", "7"]);
    assert!(said.contains("confirm the number"), "{said}");
    let plan = house.ask(&["plan", "show", "business"]);
    assert_eq!(plan["versions"][0]["tenants"], 1, "{plan}");
    house.ask(&[
        "plan",
        "create",
        "old",
        "--name",
        "Old",
        "--price-cents",
        "100",
        "--storage-bytes",
        "1",
    ]);
    house.ask(&["plan", "retire", "old"]);
    let refused = house.refuses(&["tenant", "set", id, "--plan", "old"]);
    assert!(refused.contains("retired"), "{refused}");
    house.ask(&["plan", "retire", "old", "--undo"]);

    let words = [
        "notice",
        "create",
        "--title",
        "Hello",
        "--text",
        "All is well.",
        "--until",
        "2099-01-01T00:00:00Z",
    ];
    let refused = house.refuses(&words);
    assert!(refused.contains("A year is the longest"), "{refused}");
    let other = house.ask(&[
        "tenant",
        "create",
        "--name",
        "U",
        "--email",
        "u@example.com",
    ]);
    assert!(other["tenant_id"].is_string());
    let soon = tomorrow();
    let words = [
        "notice",
        "create",
        "--title",
        "Hello",
        "--text",
        "All is well.",
        "--until",
        &soon,
    ];
    let refused = house.refuses(&words);
    assert!(refused.contains("confirm the number 2"), "{refused}");
    let words = [&words[..], &["--confirm", "2"]].concat();
    let made = house.ask(&words);
    let notice = made["notice_id"].as_str().expect("an id");
    let listed = house.ask(&["notice", "list"]);
    assert_eq!(listed[0]["notice_id"], notice);
    let refused = house.refuses(&["notice", "end", notice]);
    assert!(refused.contains("confirm the number 2"), "{refused}");
    let ended = house.ask(&["notice", "end", notice, "--confirm", "2"]);
    assert!(ended["ended_at"].is_string(), "{ended}");
}

fn tomorrow() -> String {
    let mut date = std::process::Command::new("date");
    let date = date.args(["-u", "-d", "+1 day", "+%Y-%m-%dT%H:%M:%SZ"]);
    let said = e2e::process::succeed(date, READY_WITHIN);
    said.trim().to_owned()
}
