//! What `make conformance` judges by, without the suite that it runs: that one is fetched by whoever wants to run it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::process::{clear_environment, run, succeed};
use e2e::tools;

const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn a_comparison_tells_what_only_fails_through_us() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/report_tests.py");
    let mut python = Command::new(tools::python_tool("python"));
    clear_environment(&mut python);
    succeed(python.arg("-B").arg(tests), WITHIN);
}

#[test]
fn without_a_suite_it_says_so() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/conformance");
    let mut conformance = Command::new(script);
    clear_environment(&mut conformance);
    let said = run(&mut conformance, WITHIN);
    assert_eq!(said.status.code(), Some(2));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.starts_with("conformance: S3_TESTS is not set"),
        "{said}"
    );
}
