//! A log-in's life in a browser: signed up by mail, out, a password forgotten, in again, and then with a second step.
//! Mails are read where an installation without a mail server puts them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use e2e::{Stack, wait};
use totp_rs::{Builder, Secret, Totp};

use crate::chromium::Chromium;

const PASSWORD: &str = "correct horse battery staple";
const NEW: &str = "a horse of another colour";
const EMAIL: &str = "ada@engines.example";

#[tokio::test]
async fn from_the_mail_to_the_second_step() {
    let stack = Stack::start(1);
    let browser = Chromium::start(stack.folder(), true).await;
    let goto = async |path: &str| browser.goto(&format!("{}{path}", stack.web())).await;

    goto("/signup").await;
    browser.fill("#company", "Analytical Engines").await;
    browser.fill("#email", EMAIL).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("#submit").await;
    let said = browser.text("#no-mail").await;
    let folder = stack.mail();
    assert!(said.contains(&folder.display().to_string()), "{said}");
    browser
        .goto(&mailed(&folder, "confirm_sign_up", EMAIL))
        .await;
    browser.click("#submit").await;
    browser.find("#create-first-key").await;

    browser.click("#log-out").await;
    browser.click("a[href='/password/forgot']").await;
    browser.fill("#email", EMAIL).await;
    browser.click("#submit").await;
    browser.find("#no-mail").await;
    browser
        .goto(&mailed(&folder, "reset_password", EMAIL))
        .await;
    browser.fill("#password", NEW).await;
    browser.click("#submit").await;
    browser
        .says("main", "every session of your log-in was ended")
        .await;
    log_in(&browser).await;
    browser.find("#create-first-key").await;

    goto("/account").await;
    browser.click("#set-up-second-step").await;
    let totp = app(&browser.text("#totp-secret").await);
    browser.fill("#code", &code(&totp, 0)).await;
    browser.fill("#password", NEW).await;
    browser.click("#submit").await;
    let codes = browser.text("#recovery-codes").await;
    assert_eq!(codes.split_whitespace().count(), 10, "{codes}");

    browser.click("#log-out").await;
    log_in(&browser).await;
    // Ten wrong ones are too many; one is told.
    browser.fill("#code", "000000").await;
    browser.click("#submit").await;
    assert!(browser.is_shown("#code-error").await);
    // The last code is used up; the next one is taken half a minute early.
    browser.fill("#code", &code(&totp, 30)).await;
    browser.click("#submit").await;
    browser.find("#create-first-key").await;
    goto("/members").await;
    assert!(browser.text("#members").await.contains("On"));
}

async fn log_in(browser: &Chromium) {
    browser.fill("#email", EMAIL).await;
    browser.fill("#password", NEW).await;
    browser.leave_by("#submit").await;
}

/// The link in the one mail of that kind to that address, once it is there.
pub fn mailed(folder: &Path, kind: &str, to: &str) -> String {
    let mark = format!("-{kind}-");
    wait::until("the mail", Duration::from_secs(20), || {
        let entries = std::fs::read_dir(folder).ok()?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let text = files
            .filter(|file| file.extension().is_some_and(|end| end == "eml"))
            .filter(|file| file.to_string_lossy().contains(&mark))
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .find(|text| text.contains(&format!("\r\nTo: {to}\r\n")))?;
        let link = text
            .split_whitespace()
            .find(|word| word.starts_with("http"));
        link.map(str::to_owned)
    })
}

pub fn app(secret: &str) -> Totp {
    let secret = Secret::try_from_base32(secret.replace(' ', "")).expect("base32");
    Builder::new().with_secret(secret).build().expect("TOTP")
}

#[allow(clippy::disallowed_methods)] // the server's clock is the machine's
pub fn code(totp: &Totp, later: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    totp.generate(now.expect("after 1970").as_secs() + later)
        .to_string()
}
