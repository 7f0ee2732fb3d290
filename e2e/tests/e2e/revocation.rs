//! How soon a revoked key is refused everywhere, and that a tenant's limit is its own: two data planes, hammered.

use std::time::{Duration, Instant};

use e2e::hammer::Hammer;
use e2e::http::{self, Answer};
use e2e::{Client, Stack};

#[test]
fn a_revoked_key_is_refused_within_a_second_and_limits_hold() {
    let stack = Stack::start(2);
    revoked(&stack);
    limited(&stack);
}

fn with_an_object(tenant: &Client) {
    tenant.aws(&["s3", "mb", "s3://bucket"]);
    tenant.aws(&["s3api", "put-object", "--bucket", "bucket", "--key", "k"]);
}

fn revoked(stack: &Stack) {
    let tenant = stack.busy_tenant("revoked");
    with_an_object(&tenant);
    let second = stack.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
    let second = Client::new(stack.folder(), &second, &stack.endpoint(1));

    let hammers = [1, 2].map(|dataplane| {
        let there = second.at(&stack.endpoint(dataplane));
        Hammer::start(there.presign("s3://bucket/k"), Duration::ZERO)
    });
    let begun = Instant::now();
    let receipt = stack.ask(&["key", "revoke", &second.access_key_id]);
    let command = begun.elapsed();
    for (number, hammer) in (1..).zip(hammers) {
        let after = hammer.refused_at().saturating_duration_since(begun);
        println!(
            "data plane {number} refused {} ms after `key revoke` was typed",
            after.as_millis()
        );
        assert!(after < Duration::from_secs(1), "{after:?}");
    }
    println!(
        "`key revoke` itself took {} ms; its receipt: {receipt}",
        command.as_millis()
    );
    assert_eq!(
        receipt["nodes"].as_array().map(Vec::len),
        Some(2),
        "{receipt}"
    );
    assert_eq!(
        receipt["pending"].as_array().map(Vec::len),
        Some(0),
        "{receipt}"
    );
    for dataplane in [1, 2] {
        let there = tenant.at(&stack.endpoint(dataplane));
        let listed = there.aws(&["s3", "ls", "s3://bucket"]);
        assert!(
            listed.ends_with(" k\n"),
            "the tenant's other key goes on: {listed}"
        );
    }
}

fn limited(stack: &Stack) {
    let (greedy, other) = (stack.tenant("greedy"), stack.tenant("other"));
    with_an_object(&greedy);
    with_an_object(&other);
    let head = greedy.python("presign.py", &["head_object", "bucket", "k"]);
    let (get, others) = (
        greedy.presign("s3://bucket/k"),
        other.presign("s3://bucket/k"),
    );
    // By now the burst is whole again: the clients above took longer to start than the few requests cost. Half of it is
    // this node's, and more as soon as the control plane hears where the demand is.

    let begun = Instant::now();
    let (answers, meanwhile) = std::thread::scope(|scope| {
        let meanwhile = scope.spawn(|| requests("GET", &others, 20, 2));
        let answers = requests("HEAD", head.trim(), 50, 8);
        (
            answers,
            meanwhile.join().expect("the other tenant is answered"),
        )
    });
    let took = begun.elapsed();
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let slowed = answers.len() - served;
    println!(
        "400 HEADs in {} ms: {served} served, {slowed} told to slow down",
        took.as_millis()
    );
    let earned = usize::try_from(took.as_millis() / 10).expect("not that long");
    assert!(
        served >= 95 && served <= 200 + earned + 1,
        "{served} in {took:?}"
    );
    assert!(slowed > 0, "a burst of 400 went through");
    for answer in &answers {
        let wait = answer.header("retry-after");
        match answer.status {
            200 => assert_eq!(wait, None),
            503 => assert!(wait.is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|s| s > 0))),
            other => panic!("answered {other}"),
        }
    }
    assert!(
        meanwhile.iter().all(|answer| answer.status == 200),
        "the other tenant noticed"
    );

    let slowed = (0..1000).map(|_| http::get(&get).expect("it answers"));
    let slowed = slowed.into_iter().find(|answer| answer.status == 503);
    let slowed = slowed.expect("1000 requests in a row were served");
    assert!(
        slowed.body.contains("<Code>SlowDown</Code>"),
        "{}",
        slowed.body
    );
    let seconds = slowed.header("retry-after").and_then(|s| s.parse().ok());
    std::thread::sleep(Duration::from_secs(
        seconds.expect("it says when to come back"),
    ));
    assert_eq!(
        http::get(&get).expect("it answers").status,
        200,
        "after what Retry-After said"
    );
}

/// The answers to `each` requests of `at_once` clients.
fn requests(method: &str, url: &str, each: usize, at_once: usize) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let one = || {
            let ask = |_| http::ask(method, url, "").expect("a data plane answers");
            (0..each).map(ask).collect::<Vec<_>>()
        };
        let clients: Vec<_> = (0..at_once).map(|_| scope.spawn(one)).collect();
        let answers = clients
            .into_iter()
            .flat_map(|client| client.join().expect("it is answered"));
        answers.collect()
    })
}
