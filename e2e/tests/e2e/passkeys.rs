//! Passkeys in a browser with a virtual authenticator: made, used alone, used after the password, removed.
//! The page is opened by name, as it says itself: browsers have no passkeys for `127.0.0.1`.

use e2e::Stack;

use crate::browser::{PASSWORD, sign_up};
use crate::chromium::Chromium;
use crate::pages::violations;

const EMAIL: &str = "lise@engines.example";

#[tokio::test]
async fn a_passkey_opens_the_log_in_alone_and_after_the_password() {
    let stack = Stack::start(1);
    let browser = Chromium::start(stack.folder(), true).await;
    browser.goto(&format!("{}/signup", stack.web())).await;
    sign_up(&browser, EMAIL).await;
    browser.goto(&format!("{}/account", stack.web())).await;
    browser.click("#passkeys-elsewhere").await;
    let host = format!("http://localhost:{}", stack.addresses.http);
    log_in(&browser).await;
    let device = browser.add_authenticator().await;

    browser.click("#add-passkey").await;
    browser.fill("#name", "Laptop").await;
    browser.fill("#password", PASSWORD).await;
    // Somebody else's finger makes nothing.
    device.knows_owner(false).await;
    browser.click("#submit").await;
    browser.says("#passkey-error", "No passkey was given").await;
    browser.picture("make-passkey").await;
    assert_eq!(violations(&browser, "it").await, Vec::<String>::new());
    device.knows_owner(true).await;
    browser.click("#go-on").await;
    let codes = browser.text("#recovery-codes").await;
    assert_eq!(codes.split_whitespace().count(), 10, "{codes}");
    browser.goto(&format!("{host}/account")).await;
    browser.says("#passkeys", "Laptop").await;
    browser.picture("passkeys").await;
    assert_eq!(violations(&browser, "it").await, Vec::<String>::new());

    browser.leave_by("#log-out").await;
    browser.picture("log-in").await;
    assert_eq!(violations(&browser, "it").await, Vec::<String>::new());
    device.knows_owner(false).await;
    browser.click("#use-passkey").await;
    browser.says("#passkey-error", "No passkey was given").await;
    browser.picture("use-passkey").await;
    assert_eq!(violations(&browser, "it").await, Vec::<String>::new());
    device.knows_owner(true).await;
    browser.click("#go-on").await;
    browser.find("#create-first-key").await;

    browser.leave_by("#log-out").await;
    log_in(&browser).await;
    assert_eq!(
        browser.path().await,
        "/login/code",
        "the password alone opens nothing"
    );
    browser.picture("second-step").await;
    assert_eq!(violations(&browser, "it").await, Vec::<String>::new());
    browser.click("#use-passkey").await;
    browser.find("#create-first-key").await;

    browser.goto(&format!("{host}/account")).await;
    let passkey = browser.find("[data-rename]").await;
    let passkey = passkey.attr("href").await.ok().flatten();
    let passkey = passkey.expect("its address");
    browser.goto(&format!("{host}{passkey}")).await;
    browser.find("#name").await;
    assert_eq!(violations(&browser, "its name").await, Vec::<String>::new());
    browser.goto(&format!("{host}/account")).await;
    browser.click("[data-remove]").await;
    browser.find("#password").await;
    assert_eq!(violations(&browser, "its end").await, Vec::<String>::new());
    browser.fill("#password", PASSWORD).await;
    browser.click("#submit").await;
    browser.says("#notice", "The passkey is removed").await;
    browser.leave_by("#log-out").await;
    browser.click("#use-passkey").await;
    browser
        .says("[role=alert]", "That passkey was not accepted")
        .await;
    log_in(&browser).await;
    browser.find("#create-first-key").await;
}

#[tokio::test]
async fn without_scripts_the_page_says_what_is_missing() {
    let stack = Stack::start(1);
    let browser = Chromium::start(stack.folder(), false).await;
    let host = format!("http://localhost:{}", stack.addresses.http);
    browser.goto(&format!("{host}/login")).await;
    browser.click("#use-passkey").await;
    browser
        .says(
            "main",
            "Passkeys are the one thing here that needs JavaScript",
        )
        .await;
    assert!(!browser.is_shown("#go-on").await);
    browser.click("main a[href='/login']").await;
    browser.find("#password").await;
}

async fn log_in(browser: &Chromium) {
    browser.fill("#email", EMAIL).await;
    browser.fill("#password", PASSWORD).await;
    browser.leave_by("#submit").await;
}
