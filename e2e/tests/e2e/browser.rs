//! A customer's first day in a browser: from the price to an uploaded object, to the refusal of the key, and back in.
//! Once as everybody does it, and once without JavaScript.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::hammer::Hammer;
use e2e::process::succeed;
use e2e::{Client, Stack, logs, tools};

use crate::chromium::Chromium;
use crate::pages::violations;

pub const PASSWORD: &str = "correct horse battery staple";

#[tokio::test]
async fn from_the_price_to_an_object_and_back_in() {
    let stack = Stack::start(1);
    let folder = stack.folder().to_owned();
    for javascript in [true, false] {
        let browser = Chromium::start(&folder, javascript).await;
        first_day(&stack, &browser, javascript).await;
    }
}

async fn first_day(stack: &Stack, browser: &Chromium, javascript: bool) {
    let email = match javascript {
        true => "ada@engines.example",
        false => "grace@engines.example",
    };
    browser.goto(&stack.web()).await;
    let price = browser.text("main").await;
    assert!(price.contains("$1,499"), "{price}");
    browser.click("main a[href='/signup']").await;
    sign_up(browser, email).await;
    assert_eq!(browser.text("h1").await, "Analytical Engines");

    browser.click("#create-first-key").await;
    let key = create_key(stack, browser, "first key").await;
    let copy = "button[data-copy=secret-access-key]";
    assert_eq!(
        browser.is_shown(copy).await,
        javascript,
        "copying needs JavaScript, nothing else does"
    );
    if javascript {
        browser.picture("access-key-created").await;
        let wrong = violations(browser, "a new key").await;
        assert!(wrong.is_empty(), "{wrong:?}");
        snippets(stack.folder(), browser).await;
    }
    fs::write(key.file("up"), "from the browser's key").unwrap();
    key.aws(&["s3", "mb", "s3://uploads"]);
    key.aws(&[
        "s3",
        "cp",
        &key.file("up").display().to_string(),
        "s3://uploads/hello.txt",
    ]);
    assert_eq!(
        key.aws(&["s3", "cp", "s3://uploads/hello.txt", "-"]),
        "from the browser's key"
    );

    browser.goto(&format!("{}/dashboard", stack.web())).await;
    assert!(
        browser.text("main").await.contains("uploads"),
        "the bucket is on the dashboard"
    );
    revoke(stack, browser, &key, javascript).await;

    let session = browser.cookie("vaultaire_session").await;
    leave_and_come_back(stack, browser, email).await;
    let secrets = [
        ("the password", PASSWORD),
        ("a session's token", &session),
        ("a secret key", &key.secret_access_key),
        ("an object's key", "hello.txt"),
    ];
    for plane in ["controlplane", "dataplane-1"] {
        logs::lines(&stack.log(plane));
        logs::holds_none_of(&stack.log(plane), &secrets);
    }
}

pub async fn sign_up(browser: &Chromium, email: &str) {
    // A mistake is said beside its field, and what was typed is still there.
    browser.fill("#company", "Analytical Engines").await;
    browser.fill("#email", email).await;
    browser.fill("#password", "short").await;
    browser.click("#submit").await;
    assert!(browser.is_shown("#password-error").await);
    assert_eq!(browser.path().await, "/signup");
    browser.fill("#password", PASSWORD).await;
    browser.click("#submit").await;
    // On one's own machine the page shows what the mail holds, and the link asks for a click.
    browser.leave_by("#mail-link").await;
    assert_eq!(browser.path().await, "/signup/confirm");
    browser.click("#submit").await;
    browser.find("#create-first-key").await;
    assert_eq!(browser.path().await, "/dashboard");
}

pub async fn create_key(stack: &Stack, browser: &Chromium, name: &str) -> Client {
    browser.fill("#name", name).await;
    browser.click("#create-key").await;
    let id = browser.text("#access-key-id").await;
    let secret = browser.text("#secret-access-key").await;
    assert_eq!((id.len(), secret.len()), (20, 40), "{id}");
    assert_eq!(browser.text("#endpoint").await, stack.endpoint(1));
    let created = serde_json::json!({
        "tenant_id": "-",
        "access_key_id": id,
        "secret_access_key": secret,
    });
    Client::new(stack.folder(), &created, &stack.endpoint(1))
}

/// What the page offers to paste works as it stands, each with its own program.
async fn snippets(folder: &Path, browser: &Chromium) {
    let home = folder.join("pasted");
    fs::create_dir(&home).unwrap();
    for name in ["aws", "rclone", "boto3", "s3cmd"] {
        let text = browser.content(&format!("#snippet-{name}")).await;
        fs::write(home.join(name), text).unwrap();
    }
    let python = tools::python_tool("python");
    let programs = python.parent().expect("it is in a folder").display();
    let paste = |line: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-euc", line]).current_dir(&home).env_clear();
        shell.env("HOME", &home).env("LANG", "C.UTF-8");
        shell.env("PATH", format!("{programs}:/usr/bin:/bin"));
        succeed(&mut shell, Duration::from_secs(60))
    };
    let said = paste("source ./aws");
    assert!(said.ends_with(" my-first-bucket\n"), "{said}");
    paste("rclone --config rclone rmdir vaultaire:my-first-bucket");
    assert_eq!(paste("python boto3"), "b'hello'\n");
    let said = paste("s3cmd -c s3cmd ls s3://my-first-bucket");
    assert!(said.ends_with("s3://my-first-bucket/hello.txt\n"), "{said}");
    assert_eq!(
        paste("rclone --config rclone cat vaultaire:my-first-bucket/hello.txt"),
        "hello"
    );
}

async fn revoke(stack: &Stack, browser: &Chromium, key: &Client, javascript: bool) {
    browser.goto(&format!("{}/access-keys", stack.web())).await;
    // A trial's rate is 100 requests a second.
    let pause = Duration::from_millis(12);
    let hammer = Hammer::start(key.presign("s3://uploads/hello.txt"), pause);
    browser
        .click(&format!("a[data-revoke={}]", key.access_key_id))
        .await;
    browser.find("#confirm-revoke").await;
    let begun = Instant::now();
    browser.click("#confirm-revoke").await;
    let receipt = browser.text("#revocation-receipt").await;
    assert!(
        receipt.contains("Refused on 1 of 1 node after"),
        "{receipt}"
    );
    if javascript {
        browser.picture("access-key-revoked").await;
        let wrong = violations(browser, "a receipt").await;
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    let after = hammer.refused_at().saturating_duration_since(begun);
    println!(
        "refused {} ms after the click (JavaScript: {javascript})",
        after.as_millis()
    );
    assert!(after < Duration::from_secs(1), "{after:?}");
    let said = key.aws_fails(&["s3", "ls"]);
    assert!(said.contains("InvalidAccessKeyId"), "{said}");
    browser.goto(&format!("{}/access-keys", stack.web())).await;
    assert!(
        !browser.has("a[data-revoke]").await,
        "there is nothing left to revoke"
    );
}

async fn leave_and_come_back(stack: &Stack, browser: &Chromium, email: &str) {
    browser.click("#log-out").await;
    browser.find("#password").await;
    browser.goto(&format!("{}/access-keys", stack.web())).await;
    assert_eq!(browser.path().await, "/login", "logged out is logged out");
    for (password, well) in [("wrong horse", false), (PASSWORD, true)] {
        browser.fill("#email", email).await;
        browser.fill("#password", password).await;
        browser.click("#submit").await;
        match well {
            false => assert!(browser.is_shown("[role=alert]").await),
            // Where they wanted to go before.
            true => drop(browser.find("#access-keys").await),
        }
    }
}
