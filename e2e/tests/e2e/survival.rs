//! What a data directory survives: `kill -9` of the supervisor, and damage, which is refused in one sentence with nothing
//! left running. (What is refused before anything starts is tested beside `vaultaire up` itself.)

use std::fs;
use std::path::Path;
use std::time::Duration;

use e2e::process::{run, within};
use e2e::{Stack, until};

#[test]
fn data_survives_a_kill_and_damage_is_refused() {
    let mut stack = Stack::start(1);
    println!("first start: {:.1} s", stack.started_in.as_secs_f64());
    let client = stack.tenant("survivor");
    client.aws(&["s3", "mb", "s3://kept"]);
    client.aws(&["s3api", "put-object", "--bucket", "kept", "--key", "k"]);
    let kept = |stack: &Stack| {
        let there = client.at(&stack.endpoint(1));
        let listed = there.aws(&["s3", "ls", "s3://kept"]);
        assert!(listed.ends_with(" 0 k\n"), "{listed}");
    };

    let orphans = stack.kill();
    assert_eq!(
        orphans.len(),
        4,
        "Postgres, the engine and two planes: {orphans:?}"
    );
    nothing_is_left(&stack.data_dir());
    stack.up();
    println!(
        "start after kill -9: {:.1} s",
        stack.started_in.as_secs_f64()
    );
    kept(&stack);
    let (well, said) = stack.stop();
    assert!(well && said.contains("Stopping."), "{said}");
    nothing_is_left(&stack.data_dir());

    for (file, sentence) in [
        ("postgres/PG_VERSION", "is damaged"),
        (
            "postgres/global/pg_control",
            "postgres ended while starting",
        ),
        ("controlplane/master.key", "is missing"),
        ("nodes/1/node.json", "dataplane-1 ended while starting"),
        ("VERSION", "is no data directory of Vaultaire"),
    ] {
        damaged(&stack, file, sentence);
    }
    stack.up();
    println!("a further start: {:.1} s", stack.started_in.as_secs_f64());
    kept(&stack);
}

/// Without this file it says so, and with it back all is well.
fn damaged(stack: &Stack, file: &str, sentence: &str) {
    let path = stack.data_dir().join(file);
    let whole = fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let owner = fs::metadata(&path).expect("it is there");
    match file {
        "nodes/1/node.json" => fs::write(&path, "{").expect("it can be written"),
        _ => fs::remove_file(&path).expect("it can be removed"),
    }
    let output = run(&mut stack.up_command(), Duration::from_secs(120));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{file}: {}", said.trim());
    assert_eq!(output.status.code(), Some(1), "{file}: {said}");
    assert!(
        said.starts_with("vaultaire: ") && said.contains(sentence),
        "{file}: {said}"
    );
    assert_eq!(said.lines().count(), 1, "{file}: {said}");
    nothing_is_left(&stack.data_dir());

    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    fs::write(&path, whole).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(owner.mode())).expect("it is ours");
    chown(&path, Some(owner.uid()), Some(owner.gid())).expect("it was theirs");
}

fn nothing_is_left(data_dir: &Path) {
    until("no process is left", Duration::from_secs(20), || {
        within(data_dir).is_empty().then_some(())
    });
}
