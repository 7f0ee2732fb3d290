//! The customers' API from outside: a token made in a browser, the guide's examples as they stand, and schemathesis, which
//! asks whatever the description allows, and what it does not.

use std::process::Command;
use std::time::Duration;

use e2e::book::{self, Block, Kind};
use e2e::process::{clear_environment, succeed};
use e2e::{Stack, logs, tools};

use crate::browser::sign_up;
use crate::chromium::Chromium;

const CHECKS: [&str; 6] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
];
/// Of the requests that schemathesis makes.
const SECONDS: &str = "45";

/// A token with every scope that the owner may give.
async fn token(stack: &Stack, browser: &Chromium, name: &str) -> String {
    browser.goto(&format!("{}/api-tokens", stack.web())).await;
    // A mistake is said beside its field.
    browser.click("#create-token").await;
    assert!(browser.is_shown("#name-error").await);
    browser.fill("#name", name).await;
    for scope in ["access_keys", "buckets", "members", "api_tokens"] {
        browser.click(&format!("#scope-{scope}")).await;
    }
    browser.click("#create-token").await;
    let token = browser.text("#api-token").await;
    assert!(token.starts_with("vlt_"), "{token}");
    token
}

fn api(stack: &Stack) -> String {
    format!("{}/api/v1", stack.web())
}

#[tokio::test]
async fn the_guides_examples_work_and_a_revoked_token_does_not() {
    let stack = Stack::start(1);
    let browser = Chromium::start(stack.folder(), true).await;
    browser.goto(&format!("{}/signup", stack.web())).await;
    sign_up(&browser, "ada@engines.example").await;
    let token = token(&stack, &browser, "guide").await;
    let shell = |script: &str| {
        let mut bash = Command::new("bash");
        clear_environment(&mut bash);
        bash.current_dir(stack.folder())
            .env("API", api(&stack))
            .env("TOKEN", &token)
            .args(["-euo", "pipefail", "-c", script]);
        succeed(&mut bash, Duration::from_secs(120))
    };
    let guide = std::fs::read_to_string(tools::of_the_project("docs/API.md")).unwrap();
    let blocks = book::read(&guide).expect("its blocks say how they are tried");
    let commands = |block: &&Block| matches!(block.kind, Kind::Run { .. });
    let script: Vec<&str> = blocks
        .iter()
        .filter(commands)
        .map(|block| block.text.as_str())
        .collect();
    assert!(script.len() >= 6, "{}", script.len());
    let said = shell(&script.join("\n"));
    for word in [
        "\"company\": \"Analytical Engines\"",
        "secret_access_key",
        "idempotent-replayed: true",
        "ratelimit:",
    ] {
        let flat = said.replace("\":\"", "\": \"");
        assert!(flat.contains(word), "no {word} in {said}");
    }

    browser.goto(&format!("{}/audit-log", stack.web())).await;
    let log = browser.text("#audit-log").await;
    assert!(
        log.contains("ada@engines.example (API token guide)"),
        "{log}"
    );
    browser.goto(&format!("{}/api-tokens", stack.web())).await;
    assert!(!browser.content("#api-tokens").await.contains(&token));
    browser.click("[data-revoke-token]").await;
    browser.says("#notice", "revoked").await;
    let status = shell(
        "curl -s -o /dev/null -w '%{http_code}' -H \"Authorization: Bearer $TOKEN\" $API/whoami",
    );
    assert_eq!(status, "401");
    logs::holds_none_of(&stack.log("controlplane"), &[("an API token", &token)]);
}

#[tokio::test]
async fn schemathesis_finds_no_answer_that_is_not_described() {
    let stack = Stack::start(1);
    let browser = Chromium::start(stack.folder(), true).await;
    browser.goto(&format!("{}/signup", stack.web())).await;
    sign_up(&browser, "grace@engines.example").await;
    let token = token(&stack, &browser, "schemathesis").await;
    let bearer = format!("Authorization: Bearer {token}");
    let mut bucket = Command::new("curl");
    clear_environment(&mut bucket);
    bucket.args([
        "-sS",
        "--fail-with-body",
        "-H",
        &bearer,
        "-d",
        "{\"name\": \"photos\"}",
    ]);
    succeed(
        bucket.arg(format!("{}/buckets", api(&stack))),
        Duration::from_secs(30),
    );

    let mut schemathesis = Command::new(tools::schemathesis());
    clear_environment(&mut schemathesis);
    schemathesis
        .current_dir(stack.folder())
        .env("HOME", stack.folder())
        .arg("run")
        .arg(format!("{}/openapi.json", api(&stack)))
        .args(["--url", &api(&stack), "--header", &bearer])
        // In one list: of two the last alone would count.
        .args(["--checks", &CHECKS.join(",")])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-time",
            SECONDS,
        ])
        .args([
            "--rate-limit",
            "25/s",
            "--request-timeout",
            "30",
            "--continue-on-failure",
        ])
        // It would otherwise end itself.
        .args(["--exclude-operation-id", "revokeApiToken"])
        .args([
            "--seed",
            "1",
            "--no-color",
            "--suppress-health-check",
            "all",
            "--no-shrink",
        ]);
    let said = succeed(&mut schemathesis, Duration::from_secs(240));
    println!("{said}");
    let lines = logs::lines(&stack.log("controlplane"));
    let asked = lines
        .iter()
        .filter(|line| line["message"] == "answered")
        .count();
    assert!(asked > 300, "{asked} requests\n{said}");
}
