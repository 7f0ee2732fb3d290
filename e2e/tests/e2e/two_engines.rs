//! Two engines at once: a tenant's new buckets move, its old ones stay, and an engine's credentials are exchanged while
//! clients write and read.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use e2e::doorman::Doorman;
use e2e::engine::{ACCESS_KEY_ID, OTHER_ACCESS_KEY_ID, OTHER_SECRET_ACCESS_KEY, SECRET_ACCESS_KEY};
use e2e::stack::folder;
use e2e::{Client, Engine, Stack, until};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(60);

fn buckets(engine: &Client) -> usize {
    let listed = engine.aws(&["s3", "ls"]);
    let ours = listed.lines().filter(|line| line.contains(" vt-"));
    ours.count()
}

#[test]
fn a_tenant_moves_to_another_engine_and_has_objects_on_both() {
    let elsewhere = folder();
    let stack = Stack::builder().engine(Engine::SeaweedFs).start();
    stack.probed();
    let moto = Engine::Moto.start(elsewhere.path());
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, SECRET_ACCESS_KEY).unwrap();
    let secret = secret.display().to_string();

    // Nothing answers there: said, and nothing is added.
    let mut words = vec![
        "engine",
        "add",
        "--name",
        "second",
        "--access-key-id",
        ACCESS_KEY_ID,
    ];
    words.extend([
        "--secret-file",
        &secret,
        "--capacity-bytes",
        "1000000",
        "--endpoint",
    ]);
    let nobody = format!("http://127.0.0.1:{}", e2e::ports::free(&[0]));
    let refused = stack.refuses(&[&words[..], &[&nobody]].concat());
    assert!(refused.contains("Nothing answers"), "{refused}");
    let added = stack.ask(&[&words[..], &[&moto.endpoint]].concat());
    assert_eq!(added["id"], "second");
    assert_eq!(added["capabilities"]["exact_keys"], true);
    assert_eq!(added["health"]["reachable"], true);
    assert!(!added.to_string().contains(SECRET_ACCESS_KEY));

    let aws = stack.busy_tenant("moving");
    fs::write(aws.file("one"), "one").unwrap();
    let one = aws.file("one").display().to_string();
    aws.aws(&["s3", "mb", "s3://here"]);
    aws.aws(&["s3", "cp", &one, "s3://here/one"]);
    let moved = stack.ask(&["tenant", "set", &aws.tenant_id, "--engine", "second"]);
    assert_eq!(moved["engine"], "second");
    aws.aws(&["s3", "mb", "s3://there"]);
    aws.aws(&["s3", "cp", &one, "s3://there/one"]);
    for place in ["s3://here", "s3://there"] {
        assert_eq!(aws.aws(&["s3", "cp", &format!("{place}/one"), "-"]), "one");
        assert!(aws.aws(&["s3", "ls", place]).contains("one"));
    }
    let operators = (stack.engine_operator(), moto.operator(elsewhere.path()));
    assert_eq!((buckets(&operators.0), buckets(&operators.1)), (1, 1));

    // What no engine can do for another is refused in words; within an engine it works.
    let between = aws.aws_fails(&["s3", "cp", "s3://here/one", "s3://there/copy"]);
    assert!(between.contains("NotImplemented"), "{between}");
    assert!(between.contains("between storage engines"), "{between}");
    for place in ["s3://here", "s3://there"] {
        let (from, to) = (format!("{place}/one"), format!("{place}/copy"));
        aws.aws(&["s3", "cp", &from, &to]);
    }

    // What is booked there is off its free space.
    let stored = until("it is booked", WITHIN, || {
        let shown = stack.ask(&["engine", "show", "second"]);
        (shown["stored_bytes"] == 6).then_some(shown)
    });
    assert_eq!(
        (&stored["free_bytes"], &stored["buckets"]),
        (&999_994.into(), &1.into())
    );
    // Nothing drifts, and what is made past us is found.
    let drift = stack.ask(&["drift"]);
    assert_eq!(drift["findings"], serde_json::json!([]), "{drift}");
    let stray = "vt-0123456789abcdef0123456789abcdef";
    operators.1.aws(&["s3", "mb", &format!("s3://{stray}")]);
    let drift = stack.ask(&["drift", "--repair"]);
    assert_eq!(drift["findings"][0]["place"], stray);
    let delete = ["drift", "--repair", "--delete-orphans", "--confirm"];
    let refused = stack.refuses(&[&delete[..], &["2"]].concat());
    assert!(refused.contains("confirm the number 1"), "{refused}");
    let drift = stack.ask(&[&delete[..], &["1"]].concat());
    assert_eq!(drift["findings"][0]["done"], "deleted");
    assert_eq!(buckets(&operators.1), 1);
    for bucket in ["here", "there"] {
        aws.aws(&["s3", "rb", "--force", &format!("s3://{bucket}")]);
    }
    assert_eq!((buckets(&operators.0), buckets(&operators.1)), (0, 0));
}

#[test]
fn an_engines_credentials_are_exchanged_and_no_request_fails() {
    let elsewhere = folder();
    let weed = Engine::SeaweedFs.start(elsewhere.path());
    let doorman = Doorman::start(&weed.endpoint);
    let told = [
        ("VAULTAIRE_ENGINE_ENDPOINT", doorman.endpoint.as_str()),
        ("VAULTAIRE_ENGINE_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("VAULTAIRE_ENGINE_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
    ];
    let stack = Stack::builder().dataplanes(2).environment(&told).start();
    stack.probed();
    let tenant = stack.busy_tenant("busy");
    tenant.aws(&["s3", "mb", "s3://ledger"]);
    let key = stack.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
    let keys = Value::Array(vec![key; 4]);
    let file = tenant.file("keys.json");
    fs::write(&file, keys.to_string()).unwrap();
    let (one, two) = (stack.endpoint(1), stack.endpoint(2));
    let file = file.display().to_string();
    let mut writers = tenant.python_command("ledger.py", &[&file, "ledger", "0.005", &one, &two]);
    let writers = writers.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut writers = writers.spawn().unwrap();
    let asked = |key: &str, more: u64| {
        let mut sum = 0;
        until("clients write and read", WITHIN, || {
            sum += doorman.take(key);
            (sum >= more).then_some(())
        });
    };
    asked(ACCESS_KEY_ID, 100);

    // Wrong ones are not taken, and nobody notices.
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, "not-the-secret-of-this-key").unwrap();
    let secret_file = secret.display().to_string();
    let mut words = vec![
        "engine",
        "rotate",
        "main",
        "--access-key-id",
        OTHER_ACCESS_KEY_ID,
    ];
    words.extend(["--secret-file", &secret_file]);
    let refused = stack.refuses(&words);
    assert!(refused.contains("refuses the signature"), "{refused}");
    let refused = stack.refuses(&["engine", "rotate", "main", "--finish"]);
    assert!(refused.contains("No credentials"), "{refused}");
    asked(ACCESS_KEY_ID, 50);

    fs::write(&secret, OTHER_SECRET_ACCESS_KEY).unwrap();
    let rotating = stack.ask(&words);
    assert_eq!(rotating["access_key_id"], OTHER_ACCESS_KEY_ID);
    assert_eq!(rotating["rotation"]["old_access_key_id"], ACCESS_KEY_ID);
    assert_eq!(
        rotating["rotation"]["nodes"].as_array().map(Vec::len),
        Some(2)
    );
    until("every node has the new ones", WITHIN, || {
        let shown = stack.ask(&["engine", "show", "main"]);
        (shown["rotation"]["can_finish"] == true).then_some(())
    });
    let finished = stack.ask(&["engine", "rotate", "main", "--finish"]);
    assert_eq!(finished["rotation"], Value::Null);
    // From here on the engine may forget the old key: nobody asks by it.
    doorman.take(ACCESS_KEY_ID);
    asked(OTHER_ACCESS_KEY_ID, 300);
    assert_eq!(doorman.take(ACCESS_KEY_ID), 0);

    drop(writers.stdin.take());
    let output = writers.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let ledgers: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let sum = |field: &str| {
        ledgers
            .iter()
            .filter_map(|l| l[field].as_u64())
            .sum::<u64>()
    };
    let broken: usize = ledgers
        .iter()
        .filter_map(|l| Some(l["broken"].as_array()?.len()))
        .sum();
    println!("{} requests answered", sum("requests"));
    assert!(sum("requests") > 200);
    assert_eq!((sum("refused"), broken), (0, 0), "{said}");
}
