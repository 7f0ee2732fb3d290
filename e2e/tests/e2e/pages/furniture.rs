//! What there has to be before every page has something to show: accounts, mails, objects, and who logs in.

use std::sync::atomic::{AtomicU32, Ordering};

use e2e::Stack;

use crate::browser::{PASSWORD, sign_up};
use crate::chromium::Chromium;
use crate::dashboard::{drop_files, make_bucket};
use crate::logins::{app, code, mailed};

const OWNER: &str = "mary@engines.example";
const COLLEAGUE: &str = "emmy@engines.example";

/// What stands for the names in paths, and behind some of them.
pub struct Furniture {
    names: Vec<(&'static str, String)>,
    queries: Vec<(&'static str, String)>,
}

impl Furniture {
    pub fn address(&self, route: &str) -> String {
        let query = self.queries.iter().find(|(path, _)| *path == route);
        let mut path = route.to_owned();
        for (name, value) in &self.names {
            path = path.replace(name, value);
        }
        assert!(
            !path.contains('{'),
            "a new kind of page: say in `furnish` what {route} is opened with"
        );
        path + query.map_or("", |(_, query)| query)
    }
}

/// An account with something of everything in it; the owner is logged in at the end.
pub async fn furnish(stack: &Stack, browser: &Chromium) -> Furniture {
    let goto = async |path: &str| browser.goto(&format!("{}{path}", stack.web())).await;
    goto("/signup").await;
    sign_up(browser, OWNER).await;
    make_bucket(stack, browser, "press-kit").await;
    drop_files(browser).await;
    goto("/access-keys").await;
    browser.fill("#name", "nightly backup").await;
    browser.click("#create-key").await;
    let key = browser.text("#access-key-id").await;

    for email in [COLLEAGUE, "kurt@engines.example"] {
        goto("/members").await;
        browser.fill("#email", email).await;
        browser.click("#invite").await;
        browser.find("#notice").await;
    }
    let invitation = mailed(&stack.mail(), "invitation", COLLEAGUE);
    log_out(browser).await;
    browser.goto(&invitation).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("#submit").await;
    log_out(browser).await;

    // Mails whose links nobody follows.
    goto("/signup").await;
    for (field, text) in [
        ("#company", "Difference Engines"),
        ("#email", "ada@engines.example"),
        ("#password", PASSWORD),
    ] {
        browser.fill(field, text).await;
    }
    browser.click("#submit").await;
    // Else its answer would take the place of the next page.
    browser.find("#no-mail").await;
    goto("/password/forgot").await;
    browser.fill("#email", OWNER).await;
    browser.click("#submit").await;
    browser.find("#no-mail").await;
    let query = |kind: &str, to: &str| {
        let link = mailed(&stack.mail(), kind, to);
        let (_, query) = link.split_once('?').expect("a token");
        format!("?{query}")
    };
    let queries = vec![
        ("/buckets/{bucket}/object", "?key=logo.png".to_owned()),
        (
            "/signup/confirm",
            query("confirm_sign_up", "ada@engines.example"),
        ),
        ("/password/reset", query("reset_password", OWNER)),
        ("/invitation", query("invitation", "kurt@engines.example")),
        ("/email/confirm", "?token=used".to_owned()),
        ("/email/undo", "?token=used".to_owned()),
        ("/admin/setup", "?token=used".to_owned()),
    ];

    log_in(stack, browser).await;
    browser.find("#log-out").await;
    goto("/members").await;
    let attribute = async |css: &str, name: &str| {
        let found = browser.find(css).await.attr(name).await;
        found.ok().flatten().expect("it has an id")
    };
    let member = attribute("[data-member]", "data-member").await;
    let invitation = attribute("[data-take-back]", "data-take-back").await;
    Furniture {
        names: vec![
            ("{bucket}", "press-kit".to_owned()),
            ("{access_key_id}", key),
            ("{member_id}", member),
            ("{invitation_id}", invitation),
            ("{session_id}", "0".repeat(32)),
            ("{api_token_id}", "0".repeat(32)),
            ("{operator_id}", operator(stack)),
            ("{tenant_id}", tenant(stack)),
            ("{engine_id}", "main".to_owned()),
            ("{node_id}", node(stack)),
            ("{notice_id}", notice(stack)),
            ("{plan_id}", "business".to_owned()),
            ("{kind}", "mail".to_owned()),
            ("{job_id}", "0".repeat(32)),
        ],
        queries,
    }
}

/// The owner's.
fn tenant(stack: &Stack) -> String {
    let found = stack.ask(&["tenant", "list", "--search", OWNER]);
    let id = found[0]["tenant_id"].as_str().expect("an id");
    id.to_owned()
}

pub fn node(stack: &Stack) -> String {
    let found = stack.ask(&["node", "list"]);
    let id = found[0]["node_id"].as_str().expect("an id");
    id.to_owned()
}

/// One that nobody is shown yet.
fn notice(stack: &Stack) -> String {
    let tenants = stack.ask(&["tenant", "list"]);
    let tenants = tenants.as_array().map_or(0, Vec::len).to_string();
    let mut words = vec!["notice", "create", "--confirm", &tenants];
    for (name, value) in [
        ("--title", "Maintenance on Sunday"),
        ("--text", "Up to ten minutes."),
        ("--from", "2099-01-01T00:00:00Z"),
        ("--until", "2099-01-02T00:00:00Z"),
    ] {
        words.extend([name, value]);
    }
    let made = stack.ask(&words);
    let id = made["notice_id"].as_str().expect("an id");
    id.to_owned()
}

/// One who was made and has not set anything up.
fn operator(stack: &Stack) -> String {
    let email = "olga@vaultaire.example";
    let made = stack.ask(&["operator", "create", "--email", email]);
    let id = made["operator_id"].as_str().expect("an id");
    id.to_owned()
}

pub async fn log_in(stack: &Stack, browser: &Chromium) {
    browser.goto(&format!("{}/login", stack.web())).await;
    browser.fill("#email", OWNER).await;
    browser.fill("#password", PASSWORD).await;
    browser.leave_by("#submit").await;
}

/// A new operator of the installation, logged in beside whoever else the browser is. Its app.
pub async fn sign_in_operator(stack: &Stack, browser: &Chromium) -> totp_rs::Totp {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let email = format!("operator-{number}@vaultaire.example");
    let made = stack.ask(&["operator", "create", "--email", &email]);
    let link = made["setup_url"].as_str().expect("a link");
    browser.goto(link).await;
    let totp = app(&browser.text("#totp-secret").await);
    browser.fill("#password", PASSWORD).await;
    browser.fill("#code", &code(&totp, 0)).await;
    browser.click("#submit").await;
    browser.find("#recovery-codes").await;
    browser.click("#saved").await;
    browser.find("#log-out").await;
    totp
}

/// Waits until one is out: the page that comes then must not overtake the next.
pub async fn log_out(browser: &Chromium) {
    browser.click("#log-out").await;
    browser.find("#password").await;
}
