//! Lighthouse on every page that a person sees first or daily, through `make lighthouse`, which writes the table.
//! It takes minutes, and Node: `make test` looks at the same pages by its own means (`pages/`).

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::process::{clear_environment, succeed};
use e2e::{Stack, tools};
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::pages::{Who, furnish, pages, sign_in_operator};

const WITHIN: Duration = Duration::from_secs(40 * 60);
const LEAST: u64 = 95;

#[tokio::test]
#[ignore = "make lighthouse"]
async fn every_page_has_ninety_five_of_a_hundred() {
    let stack = Stack::start(1);
    let folder = stack.folder();
    let browser = Chromium::start(folder, true).await;
    let furniture = furnish(&stack, &browser).await;
    sign_in_operator(&stack, &browser).await;
    let mut asked = Vec::new();
    // Members' and operators' pages first: the cookie that is sent along counts only until the browser has some of its own.
    for (who, name) in [
        (Who::Member, "vaultaire_session"),
        (Who::Operator, "vaultaire_operator"),
        (Who::Anybody, ""),
    ] {
        let cookie = match name {
            "" => String::new(),
            name => format!("{name}={}", browser.cookie(name).await),
        };
        for (route, address) in pages(&stack, &browser, &furniture, who).await {
            let url = format!("{}{address}", stack.web());
            // Used links answer 400, which Lighthouse takes for a page that is broken.
            if !address.contains("?token=used") {
                asked.push(json!({ "name": route, "url": url, "cookie": cookie }));
            }
        }
    }
    assert!(asked.len() >= 25, "{}", asked.len());
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted: Vec<&str> = only.split_whitespace().collect();
    asked.retain(|page| wanted.is_empty() || wanted.iter().any(|one| page["name"] == *one));
    let (list, results) = (folder.join("pages.json"), folder.join("results.json"));
    fs::write(&list, Value::from(asked.clone()).to_string()).unwrap();
    let mut node = Command::new("node");
    clear_environment(&mut node);
    node.env("HOME", folder)
        .env("CI", "1")
        .env("CHROME_PATH", "/usr/bin/chromium");
    node.arg(tools::lighthouse()).args([&list, &results]);
    succeed(&mut node, WITHIN);
    let results = fs::read_to_string(&results).unwrap();
    let results: Vec<Value> = serde_json::from_str(&results).unwrap();
    assert_eq!(results.len(), asked.len());
    for (page, asked) in results.iter().zip(&asked) {
        let url = asked["url"].as_str().unwrap_or_default();
        let path = url.trim_start_matches(&stack.web());
        let path = path.split('?').next().unwrap_or_default();
        assert_eq!(page["address"], path, "it was sent elsewhere");
    }
    match wanted.is_empty() {
        true => fs::write(tools::docs().join("LIGHTHOUSE.md"), table(&results)).unwrap(),
        false => println!("{}", table(&results)),
    }
    let poor: Vec<String> = results
        .iter()
        .filter(|page| is_poor(page))
        .map(Value::to_string)
        .collect();
    assert!(poor.is_empty(), "{}", poor.join("\n"));
}

fn is_poor(page: &Value) -> bool {
    ["performance", "accessibility"]
        .iter()
        .any(|category| page[*category].as_u64() < Some(LEAST))
}

fn table(results: &[Value]) -> String {
    let mut table = "# Lighthouse\n\nWritten by `make lighthouse`: Lighthouse 12.8.2 as it measures unasked, a phone in the middle range on slow 4G \
        (simulated), over a development build on one machine. Times in milliseconds; bytes as they travelled.\n\n\
        | page | performance | accessibility | first paint | largest paint | blocked | bytes |\n\
        | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for page in results {
        let figure = |name: &str| page[name].as_u64().unwrap_or_default();
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} | {} | {} |",
            page["name"].as_str().unwrap_or_default(),
            figure("performance"),
            figure("accessibility"),
            figure("paint"),
            figure("largest"),
            figure("blocked"),
            figure("bytes"),
        );
    }
    table
}
