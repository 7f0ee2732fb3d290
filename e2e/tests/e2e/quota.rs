//! A quota is never overshot: three data planes, writers through all of them at the edge, and what the engine itself holds
//! in the end, with data planes killed meanwhile and without.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::process::succeed;
use e2e::stack::POOL;
use e2e::{Client, Engine, Placement, Stack, until};
use serde_json::Value;

const QUOTA: u64 = 50_000_000;
/// As many as are made while the quota lasts.
const KILLS: u32 = 9;
const WITHIN: Duration = Duration::from_secs(300);

fn stack() -> Stack {
    let builder = Stack::builder().engine(Engine::SeaweedFs);
    builder.placement(Placement::Pooled).dataplanes(3).start()
}

fn limited(stack: &Stack, name: &str, words: &[&str]) -> Client {
    let tenant = stack.busy_tenant(name);
    let mut command = vec!["tenant", "set", tenant.tenant_id.as_str()];
    command.extend(words);
    stack.ask(&command);
    tenant.python("quota.py", &["make"]);
    tenant
}

fn answer(command: &mut Command) -> Value {
    let said = succeed(command, WITHIN);
    serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error} in {said}"))
}

/// Writes through every data plane until all is full.
fn fill(stack: &Stack, tenant: &Client, seed: &str, most: &str) -> Value {
    let endpoints: Vec<String> = (1..=3).map(|number| stack.endpoint(number)).collect();
    let mut words = vec!["fill", seed, most];
    words.extend(endpoints.iter().map(String::as_str));
    answer(&mut tenant.python_command("quota.py", &words))
}

/// What the engine holds of the tenant's: bytes of objects, and of parts of open uploads.
fn kept(stack: &Stack, tenant: &Client) -> (u64, u64) {
    let prefix = format!("t/{}/", tenant.tenant_id);
    let operator = stack.engine_operator();
    let kept = answer(&mut operator.python_command("quota.py", &["kept", POOL, &prefix]));
    let figure = |name: &str| kept[name].as_u64().expect("a figure");
    (figure("bytes") + figure("parts"), figure("objects"))
}

fn used(stack: &Stack, tenant: &Client, name: &str) -> u64 {
    let shown = stack.ask(&["tenant", "show", &tenant.tenant_id]);
    let used = shown[name].as_u64();
    used.unwrap_or_else(|| panic!("no {name} in {shown}"))
}

#[test]
fn writers_at_the_edge_use_the_quota_and_no_byte_more() {
    let stack = stack();
    let quota = QUOTA.to_string();
    let tenant = limited(&stack, "edge", &["--quota-bytes", &quota]);
    let told = fill(&stack, &tenant, "edge", "2000000");
    let (bytes, objects) = kept(&stack, &tenant);
    println!("told {told}; the engine holds {bytes} bytes in {objects} objects of {QUOTA}");
    assert!(bytes <= QUOTA, "overshot by {}", bytes - QUOTA);
    assert!(bytes >= QUOTA / 10 * 9, "only {bytes} could be used");
    // What is shown is what is enforced, and what is there.
    until("all is booked", Duration::from_secs(5), || {
        (used(&stack, &tenant, "stored_bytes") == bytes).then_some(())
    });
    let again = answer(&mut tenant.python_command("quota.py", &["again", "4000000"]));
    println!("after a deletion: {again}");
    let (bytes, _) = kept(&stack, &tenant);
    assert!(bytes <= QUOTA, "overshot by {}", bytes - QUOTA);

    let objects = limited(&stack, "objects", &["--quota-objects", "100"]);
    fill(&stack, &objects, "objects", "1000");
    let (_, count) = kept(&stack, &objects);
    println!("{count} of 100 objects");
    assert!((90..=100).contains(&count), "{count} of 100 objects");

    let reader = limited(&stack, "reader", &["--quota-egress-bytes", "2000000"]);
    let read = answer(&mut reader.python_command("quota.py", &["egress"]));
    let bytes = read["bytes"].as_u64().expect("a figure");
    println!("{bytes} of 2000000 bytes read");
    assert!((1_800_000..=2_000_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_quota_is_not_overshot_when_data_planes_are_killed() {
    let stack = stack();
    let quota = QUOTA.to_string();
    let tenant = limited(&stack, "killed", &["--quota-bytes", &quota]);
    let over = AtomicBool::new(false);
    let (told, kills) = thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut kills = 0;
            let mut next = 1;
            // The supervisor waits longer each time.
            while !over.load(Ordering::Relaxed) && kills < KILLS {
                pause(Duration::from_secs(2), &over);
                kills += u32::from(stack.kill_dataplane(next));
                next = next % 3 + 1;
            }
            kills
        });
        let told = fill(&stack, &tenant, "killed", "700000");
        over.store(true, Ordering::Relaxed);
        (told, killer.join().expect("the killer ends"))
    });
    let (bytes, objects) = kept(&stack, &tenant);
    println!(
        "{kills} kills; told {told}; the engine holds {bytes} bytes in {objects} objects of {QUOTA}"
    );
    assert!(kills >= 3, "{kills} kills");
    assert!(bytes <= QUOTA, "overshot by {}", bytes - QUOTA);
    // Never less is shown than is there.
    until("all is booked", Duration::from_secs(10), || {
        let used = used(&stack, &tenant, "stored_bytes");
        (used >= bytes && used <= QUOTA).then_some(())
    });
}

/// Until it is over, or the time is.
fn pause(time: Duration, over: &AtomicBool) {
    let begun = Instant::now();
    while begun.elapsed() < time && !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
}
