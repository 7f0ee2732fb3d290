//! The same stories over other engines and in the other placement, so that nothing leans on one engine's habits.

use std::fs;

use e2e::stack::POOL;
use e2e::{Client, Engine, Placement, Stack};

use crate::{clients, isolation};

#[test]
fn over_moto_clients_work_and_nobody_sees_another() {
    let stack = Stack::builder().engine(Engine::Moto).start();
    let probed = stack.probed();
    for found in ["exact_keys: true", "byte_order: true", "checksums: false"] {
        assert!(probed.contains(found), "{found}: {probed}");
    }
    clients::all_work_and_the_logs_are_clean(&stack);
    isolation::each_has_its_own(&stack);
    let of_engine = buckets(&stack);
    assert!(of_engine.len() > 1, "one for each: {of_engine:?}");
    assert!(!of_engine.iter().any(|name| name == POOL), "{of_engine:?}");
}

#[test]
fn in_one_pool_clients_work_and_nobody_sees_another() {
    let pooled = Stack::builder()
        .engine(Engine::SeaweedFs)
        .placement(Placement::Pooled);
    let stack = pooled.start();
    stack.probed();
    clients::all_work_and_the_logs_are_clean(&stack);
    isolation::each_has_its_own(&stack);
    assert_eq!(buckets(&stack), [POOL], "the tenants' buckets are in it");
}

/// Names of the engine's own buckets, which tenants' buckets are in.
fn buckets(stack: &Stack) -> Vec<String> {
    let listed = stack.engine_operator().aws(&["s3", "ls"]);
    let names = listed
        .lines()
        .filter_map(|line| line.split(' ').next_back());
    names.map(str::to_owned).collect()
}

/// An engine that does little of S3 is found out, and serves what it can.
#[test]
fn a_weak_engine_is_known_as_one_and_stores_objects() {
    let stack = Stack::builder().engine(Engine::Rclone).start();
    let probed = stack.probed();
    for lacking in ["exact_keys", "checksums", "trailers", "conditional_writes"] {
        assert!(probed.contains(&format!("{lacking}: false")), "{probed}");
    }
    let aws = stack.tenant("aws");
    aws.aws(&["s3", "mb", "s3://plain"]);
    fs::write(aws.file("one"), "one").unwrap();
    let one = aws.file("one").display().to_string();
    for key in ["one", "folder/two é"] {
        let at = format!("s3://plain/{key}");
        aws.aws(&["s3", "cp", &one, &at]);
        assert_eq!(aws.aws(&["s3", "cp", &at, "-"]), "one");
    }
    assert_eq!(names(&aws), ["folder/two é", "one"]);
    aws.aws(&["s3", "rm", "s3://plain/one"]);
    let gone = aws.aws_fails(&["s3", "cp", "s3://plain/one", "-"]);
    assert!(gone.contains("404"), "{gone}");
    assert_eq!(names(&aws), ["folder/two é"]);
}

/// Of every object in the bucket `plain`, each of three bytes.
fn names(aws: &Client) -> Vec<String> {
    let listed = aws.aws(&["s3", "ls", "--recursive", "s3://plain"]);
    let named = listed.lines().filter_map(|line| line.split_once(" 3 "));
    named.map(|(_, name)| name.to_owned()).collect()
}
