//! What clients do is on the dashboard within seconds: how much is stored, what was asked, which key was used, and why
//! a request was refused.

use std::fs;
use std::time::Duration;

use e2e::{Client, Stack, http, until};

use crate::browser::{create_key, sign_up};
use crate::chromium::Chromium;
use crate::pages::violations;

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_clients_do_is_seen_within_seconds() {
    let stack = Stack::start(1);
    let folder = stack.folder().to_owned();
    let browser = Chromium::start(&folder, true).await;
    browser.goto(&format!("{}/signup", stack.web())).await;
    sign_up(&browser, "katherine@engines.example").await;
    // What there is not yet is explained.
    browser.find("#no-activity").await;
    browser.picture("overview-empty").await;
    browser.click("#create-first-key").await;
    let key = create_key(&stack, &browser, "orbits").await;

    browser.goto(&format!("{}/dashboard", stack.web())).await;
    browser.run("window.opened = true", vec![]).await;
    use_it(&key);
    // The page that is open says so by itself; the test does not wait for its next round.
    live(&browser, "#used", "1.5 MB").await;
    live(&browser, "#live-charts", "Requests an hour").await;
    let opened = browser.run("return window.opened", vec![]).await;
    assert_eq!(opened, true, "the page was not loaded anew");

    pages(&stack, &browser, &key).await;
    let refusal = refusal(&stack, &browser, &key).await;
    let all = [
        ("/dashboard", "overview"),
        ("/dashboard?range=month", "overview-month"),
        ("/usage", "usage-by-day"),
        ("/usage?by=bucket", "usage-by-bucket"),
        ("/usage?by=key", "usage-by-key"),
        ("/usage?by=class", "usage-by-class"),
        ("/usage?from=tomorrow", "usage-wrong"),
        ("/refusals", "limits"),
        ("/refusals?id=unknown", "refusal-unknown"),
        (refusal.as_str(), "refusal"),
        ("/access-keys", "access-keys-used"),
        ("/buckets", "buckets-used"),
    ];
    as_every_reader(&stack, &browser, &all).await;
}

/// These pages in the light and in the dark, on a phone and on a desk: no rule of axe-core's is broken.
async fn as_every_reader(stack: &Stack, browser: &Chromium, pages: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for theme in ["dark", "light"] {
        browser.resize(1280, 900).await;
        browser.goto(&format!("{}/dashboard", stack.web())).await;
        let button = format!("button[name=theme][value={theme}]");
        browser.click(&button).await;
        browser.find(&format!("[data-theme={theme}]")).await;
        for (width, height, screen) in [(390, 844, "phone"), (1280, 900, "desk")] {
            browser.resize(width, height).await;
            for (path, name) in pages {
                browser.goto(&format!("{}{path}", stack.web())).await;
                browser.find("h1").await;
                browser.picture(&format!("{name}-{screen}-{theme}")).await;
                let what = format!("{path} ({theme}, {screen})");
                wrong.extend(violations(browser, &what).await);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Stores 1.5 MB in two objects, reads one of them three times, and deletes a third.
fn use_it(key: &Client) {
    key.aws(&["s3", "mb", "s3://orbits"]);
    let file = key.file("trajectory");
    let path = file.display().to_string();
    for (name, bytes) in [("a", 1_000_000), ("b", 500_000), ("gone", 7)] {
        fs::write(&file, vec![b'x'; bytes]).expect("a file can be written");
        key.aws(&["s3", "cp", &path, &format!("s3://orbits/{name}")]);
    }
    for _ in 0..3 {
        key.aws(&["s3", "cp", "s3://orbits/b", &path]);
    }
    key.aws(&["s3", "rm", "s3://orbits/gone"]);
}

/// Waits until the page as it is open says this.
async fn live(browser: &Chromium, css: &str, part: &str) {
    let begun = std::time::Instant::now();
    loop {
        browser
            .run(
                "document.dispatchEvent(new Event('visibilitychange'))",
                vec![],
            )
            .await;
        let text = browser.text(css).await;
        if text.contains(part) {
            return;
        }
        assert!(
            begun.elapsed() < WITHIN,
            "{css} says {text:?}, not {part:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn pages(stack: &Stack, browser: &Chromium, key: &Client) {
    let usage = format!("{}/usage", stack.web());
    browser.opens_to_say(&usage, "#stored-now", "1.5 MB").await;
    browser.opens_to_say(&usage, "#bytes-out", "1.5 MB").await;
    browser.click("a[href*='by=bucket']").await;
    browser.says("#usage", "orbits").await;
    browser.click("#usage td.name a").await;
    browser.find("#month-before").await;
    let file = "return fetch(document.getElementById('csv').href).then((answer) => answer.text())";
    let text = browser.run(file, vec![]).await;
    let lines = text.as_str().expect("text").trim_end().lines().count();
    assert!(lines >= 2, "{text}");
    browser.goto(&format!("{}/usage?by=key", stack.web())).await;
    browser.says("#usage", &key.access_key_id).await;
    browser.goto(&format!("{}/buckets", stack.web())).await;
    browser.says("#buckets", "1.5 MB").await;
    browser.goto(&format!("{}/access-keys", stack.web())).await;
    let node = stack.endpoint(1);
    let node = node.trim_start_matches("http://");
    browser.says("#access-keys", &format!("at {node}")).await;
    let row = browser.text("#access-keys").await;
    assert!(row.contains("ago") || row.contains("just now"), "{row}");
}

/// Sends a link whose signature is not right, and asks the dashboard about it. Gives the page's path.
async fn refusal(stack: &Stack, browser: &Chromium, key: &Client) -> String {
    let link = key.presign("s3://orbits/a");
    let (link, signature) = link.split_once("X-Amz-Signature=").expect("it is signed");
    let wrong: String = signature
        .chars()
        .map(|digit| if digit == '0' { '1' } else { '0' })
        .collect();
    let link = format!("{link}X-Amz-Signature={wrong}");
    let answer = until("an answer", WITHIN, || http::get(&link));
    assert_eq!(answer.status, 403, "{}", answer.body);
    let (_, id) = answer.body.split_once("<RequestId>").expect("its id");
    let id = id.split_once('<').expect("its end").0;
    let page = format!("/refusals/{id}");
    let begun = std::time::Instant::now();
    loop {
        browser.goto(&format!("{}/refusals", stack.web())).await;
        browser.fill("#id", id).await;
        browser.leave_by("#look-up").await;
        if browser.path().await == page {
            break;
        }
        assert!(begun.elapsed() < WITHIN, "{id} is not known");
    }
    browser
        .says("#explanation", "The signature does not match")
        .await;
    browser.says("main", "orbits").await;
    browser.goto(&format!("{}/refusals", stack.web())).await;
    browser.says("#refusals", "SignatureDoesNotMatch").await;
    page
}
