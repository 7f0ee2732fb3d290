//! The database is lost, and had back from a backup that was made while everything ran. Nodes that were ahead of it go on,
//! and so do the keys that customers have.

use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::Stack;
use e2e::process::{fail, succeed};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(120);

fn command(stack: &Stack, words: &[&str]) -> Command {
    let mut command = stack.operator(words);
    command.env("VAULTAIRE_TOOLS", e2e::tools::folder());
    command
}

#[test]
fn a_database_that_is_lost_is_had_back_with_two_commands() {
    let mut stack = Stack::start(2);
    let client = stack.tenant("kept");
    fs::write(client.file("note"), "as of the backup").expect("it can be written");
    client.aws(&["s3", "mb", "s3://kept"]);
    client.aws(&["s3", "cp", "note", "s3://kept/note"]);
    let file = stack.folder().join("backup");
    let file = file.to_str().expect("it is Unicode");

    let said = succeed(command(&stack, &["backup", file]).arg("--json"), WITHIN);
    let report: Value = serde_json::from_str(&said).expect("it is JSON");
    assert_eq!(report["backup"]["rows"]["tenants"], 1, "{report}");
    let key =
        fs::read_to_string(stack.data_dir().join("controlplane/master.key")).expect("it is there");
    let text = fs::read_to_string(file).expect("it is text");
    assert!(!text.contains(key.trim()), "the master key is not in it");
    let refused = fail(&mut command(&stack, &["backup", file]), WITHIN);
    assert!(refused.contains("is there already"), "{refused}");

    // The nodes get ahead of it.
    let later = stack.tenant("later");
    later.aws(&["s3", "mb", "s3://later"]);
    client.aws(&["s3", "mb", "s3://since"]);
    let refused = fail(&mut command(&stack, &["restore", file]), WITHIN);
    assert!(refused.contains("Another `vaultaire up`"), "{refused}");
    stack.stop();
    let refused = fail(&mut command(&stack, &["restore", file]), WITHIN);
    assert!(refused.contains("not empty"), "{refused}");

    fs::remove_dir_all(stack.data_dir().join("postgres")).expect("the database is lost");
    succeed(&mut command(&stack, &["restore", file]), WITHIN);
    stack.up();
    for node in [1, 2] {
        let there = client.at(&stack.endpoint(node));
        let listed = there.aws(&["s3", "ls"]);
        assert!(
            listed.contains("kept") && !listed.contains("since"),
            "{listed}"
        );
        assert_eq!(
            there.aws(&["s3", "cp", "s3://kept/note", "-"]),
            "as of the backup"
        );
        fs::write(there.file("note"), "since").expect("it can be written");
        there.aws(&["s3", "cp", "note", &format!("s3://kept/{node}")]);
        later.at(&stack.endpoint(node)).aws_fails(&["s3", "ls"]);
    }
    let nodes = stack.ask(&["node", "list"]);
    for node in nodes.as_array().expect("it is a list") {
        assert!(
            node["connected"] == true && node["refused_reason"].is_null(),
            "{node}"
        );
    }
    stack.ask(&["audit", "verify"]);
    // A backup of what was restored, from a data directory that nothing runs on.
    stack.stop();
    let second = format!("{file}.2");
    succeed(&mut command(&stack, &["backup", &second]), WITHIN);
    assert!(
        fs::read_to_string(second)
            .expect("it is text")
            .contains("database.restore")
    );
}
