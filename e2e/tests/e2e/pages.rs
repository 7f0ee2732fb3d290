//! Every page that there is, as every kind of reader meets it: in the light and in the dark, on a desk and on a phone, by
//! axe-core's rules, with the keyboard alone, and weighed. `web/routes.md` says which pages there are.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use e2e::{Stack, http, tools};
use serde_json::{Value, json};

use crate::browser::{PASSWORD, sign_up};
use crate::chromium::Chromium;
use crate::dashboard::{drop_files, make_bucket};
use crate::keyboard;
use crate::logins::{app, code, mailed};

const OWNER: &str = "mary@engines.example";
const COLLEAGUE: &str = "emmy@engines.example";
/// Bytes of a page with all that it loads, as they travel.
const HEAVIEST: u64 = 100_000;
/// Milliseconds to the first paint, of the page in the middle. It is reported; the bound is for what is broken.
const SLOWEST: f64 = 5_000.0;

/// What answers a GET and is no page.
const NO_PAGES: [&str; 8] = [
    "/admin/audit.csv",
    // It leads to the first of the operators' pages.
    "/admin",
    "/static/{name}",
    "/audit-log.csv",
    "/usage.csv",
    "/billing/usage.csv",
    "/billing/invoices/{invoice_id}",
    "/buckets/{bucket}/download",
];
/// Pages of what does not come to be here: a refusal (`usage.rs` looks at it), a passkey (`passkeys.rs`).
const ELSEWHERE: [&str; 3] = [
    "/refusals/{request_id}",
    "/account/passkeys/{passkey_id}",
    "/account/passkeys/{passkey_id}/remove",
];
/// Pages that take more than a session: a second step that is on, or a log-in that waits for it.
const SECOND_STEP: [&str; 2] = [
    "/account/second-step/off",
    "/account/second-step/recovery-codes",
];
const HALF_A_LOG_IN: [&str; 2] = ["/login/code", "/admin/login/code"];
const SIZES: [(u32, u32, &str); 2] = [(390, 844, "phone"), (1280, 900, "desk")];

/// Whose a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anybody,
    Member,
    Operator,
}

/// A line of the list.
pub struct Route {
    path: String,
    who: Who,
}

pub fn routes() -> Vec<Route> {
    let list = fs::read_to_string(tools::routes()).expect("the list of routes can be read");
    let lines = list.lines().filter_map(|line| line.strip_prefix("| `"));
    lines
        .map(|line| {
            let (path, rest) = line.split_once("` | ").expect("a path and who sees it");
            Route {
                path: path.to_owned(),
                who: match rest.split(' ').next() {
                    Some("anybody") => Who::Anybody,
                    Some("an") => Who::Operator,
                    _ => Who::Member,
                },
            }
        })
        .collect()
}

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
    browser.click("#submit").await;
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
async fn log_out(browser: &Chromium) {
    browser.click("#log-out").await;
    browser.find("#password").await;
}

/// The routes that answer a GET with a page. What takes forms alone is none.
pub async fn pages(
    stack: &Stack,
    browser: &Chromium,
    furniture: &Furniture,
    who: Who,
) -> Vec<(String, String)> {
    let name = match who {
        Who::Anybody => "",
        Who::Member => "vaultaire_session",
        Who::Operator => "vaultaire_operator",
    };
    let cookie = match name {
        "" => String::new(),
        name => format!("Cookie: {name}={}\r\n", browser.cookie(name).await),
    };
    let mut pages = Vec::new();
    for route in routes() {
        let path = route.path.as_str();
        let apart = SECOND_STEP.contains(&path) || HALF_A_LOG_IN.contains(&path);
        let apart = apart || ELSEWHERE.contains(&path) || NO_PAGES.contains(&path);
        if route.who != who || apart {
            continue;
        }
        let address = furniture.address(&route.path);
        let url = format!("{}{address}", stack.web());
        let answer = http::ask("GET", &url, &cookie).expect("it answers");
        // Some links are used up; that page is looked at as well.
        match answer.status {
            405 => continue,
            200 | 400 => {}
            status => {
                panic!("{address} answers {status}: is there something to show in `furnish`?")
            }
        }
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/html"), "{address} is {kind}");
        pages.push((route.path, address));
    }
    pages
}

#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    /// First paints, in milliseconds.
    paints: Vec<f64>,
    heaviest: (u64, String),
}

#[tokio::test]
async fn every_page_is_light_and_can_be_used_by_everybody() {
    let stack = Stack::start(1);
    let browser = Chromium::start(stack.folder(), true).await;
    let mut found = Findings::default();
    let furniture = furnish(&stack, &browser).await;
    let mut own = pages(&stack, &browser, &furniture, Who::Member).await;
    own.push(("not-found".to_owned(), "/nowhere".to_owned()));
    assert!(own.len() >= 20, "{}", own.len());
    look(&stack, &browser, &own, &mut found).await;

    let totp = {
        browser
            .goto(&format!("{}/account/second-step", stack.web()))
            .await;
        let totp = app(&browser.text("#totp-secret").await);
        browser.fill("#code", &code(&totp, 0)).await;
        browser.fill("#password", PASSWORD).await;
        browser.click("#submit").await;
        browser.find("#recovery-codes").await;
        found
            .wrong
            .extend(violations(&browser, "recovery codes").await);
        totp
    };
    let with_code = SECOND_STEP.map(|path| (path.to_owned(), path.to_owned()));
    look(&stack, &browser, &with_code, &mut found).await;

    log_out(&browser).await;
    let public = pages(&stack, &browser, &furniture, Who::Anybody).await;
    assert!(public.len() >= 8, "{}", public.len());
    look(&stack, &browser, &public, &mut found).await;
    log_in(&stack, &browser).await;
    browser.find("#code").await;
    let half = [(HALF_A_LOG_IN[0].to_owned(), HALF_A_LOG_IN[0].to_owned())];
    look(&stack, &browser, &half, &mut found).await;
    browser.fill("#code", &code(&totp, 30)).await;
    browser.click("#submit").await;
    browser.find("#log-out").await;

    sign_in_operator(&stack, &browser).await;
    let operators = pages(&stack, &browser, &furniture, Who::Operator).await;
    assert!(operators.len() >= 2, "{}", operators.len());
    look(&stack, &browser, &operators, &mut found).await;

    assert!(found.wrong.is_empty(), "{}", found.wrong.join("\n"));
    found.paints.sort_by(f64::total_cmp);
    let middle = found.paints[found.paints.len() / 2];
    println!(
        "first paint after {middle:.0} ms, at most {:.0}; heaviest: {} with {} bytes",
        found.paints.last().expect("there are pages"),
        found.heaviest.1,
        found.heaviest.0
    );
    assert!(middle < SLOWEST, "{middle}");
}

async fn look(stack: &Stack, browser: &Chromium, pages: &[(String, String)], found: &mut Findings) {
    for theme in ["dark", "light"] {
        let cookie = format!("document.cookie = 'vaultaire_theme={theme}; path=/'");
        browser.run(&cookie, vec![]).await;
        for (width, height, screen) in SIZES {
            browser.resize(width, height).await;
            for (route, address) in pages {
                browser.goto(&format!("{}{address}", stack.web())).await;
                browser.find("h1").await;
                browser.find(&format!("[data-theme={theme}]")).await;
                let what = format!("{address} ({theme}, {screen})");
                let before = found.wrong.len();
                found.wrong.extend(violations(browser, &what).await);
                match (theme, screen) {
                    ("light", "desk") => {
                        browser.picture(&name(route)).await;
                        weigh(browser, address, found).await;
                        found.wrong.extend(keyboard::walk(browser, &what).await);
                    }
                    ("dark", "phone") => {
                        let kept = ["/dashboard", "/buckets/{bucket}", "/access-keys", "/"];
                        if kept.contains(&route.as_str()) {
                            browser.picture(&format!("{}-phone", name(route))).await;
                        }
                        found.wrong.extend(keyboard::walk(browser, &what).await);
                    }
                    _ => {}
                }
                for said in &found.wrong[before..] {
                    println!("{said}");
                }
            }
        }
    }
    browser.resize(1280, 900).await;
}

/// The picture's: `/buckets/{bucket}/settings` is `bucket-settings`.
fn name(route: &str) -> String {
    let name = match route {
        "/" => "landing",
        "/buckets/{bucket}" => "objects",
        "/members/{member_id}" => "member",
        other => other,
    };
    let parts = name
        .split('/')
        .filter(|part| !part.is_empty() && !part.starts_with('{'));
    let name: Vec<&str> = parts.collect();
    name.join("-")
        .replace("buckets-settings", "bucket-settings")
        .replace("buckets-object", "object")
}

async fn weigh(browser: &Chromium, address: &str, found: &mut Findings) {
    let script = "const sum = (entries) => entries.reduce((all, entry) => all + entry.encodedBodySize, 0);
        const files = performance.getEntriesByType('resource').filter((e) => e.name.startsWith(`${location.origin}/static/`));
        const paint = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
        const until = async () => { for (let n = 0; n < 100 && paint() === undefined; n += 1) await new Promise((r) => setTimeout(r, 50)); };
        return until().then(() => ({ files: files.length, paint: paint() ?? null,
            bytes: sum(files) + sum(performance.getEntriesByType('navigation')) }));";
    let said = browser.run(script, vec![]).await;
    let bytes = said["bytes"].as_u64().expect("a size");
    // The sheet, a script, and a face at least.
    assert!(
        said["files"].as_u64() >= Some(3) && bytes > 10_000,
        "{said}"
    );
    if bytes > HEAVIEST {
        found.wrong.push(format!("{address}: {bytes} bytes"));
    }
    if bytes > found.heaviest.0 {
        found.heaviest = (bytes, address.to_owned());
    }
    let paint = said["paint"].as_f64();
    found
        .paints
        .push(paint.unwrap_or_else(|| panic!("{address} was never painted")));
}

/// What axe-core finds, and whether the page is wider than its window.
pub async fn violations(browser: &Chromium, what: &str) -> Vec<String> {
    let axe = fs::read_to_string(tools::axe()).expect("axe-core is installed");
    browser.run(&axe, vec![]).await;
    let script = "return axe.run(document, arguments[0]).then((all) => ({ passes: all.passes.length,
        wrong: all.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')) }))";
    let tags = [
        "wcag2a",
        "wcag2aa",
        "wcag21a",
        "wcag21aa",
        "wcag22aa",
        "best-practice",
    ];
    let found = browser.run(script, vec![json!({ "runOnly": tags })]).await;
    assert!(
        found["passes"].as_u64() > Some(10),
        "axe-core has looked: {found}"
    );
    let mut wrong: Vec<String> = serde_json::from_value(found["wrong"].clone()).expect("a list");
    let wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    if browser.run(wide, vec![]).await == Value::Bool(true) {
        wrong.push("it scrolls sideways".to_owned());
    }
    wrong
        .into_iter()
        .map(|said| format!("{what}: {said}"))
        .collect()
}
