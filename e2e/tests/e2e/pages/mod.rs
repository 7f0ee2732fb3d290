//! Every page that there is, as every kind of reader meets it: in the light and in the dark, on a desk and on a phone, by
//! axe-core's rules, with the keyboard alone, and weighed. `web/routes.md` says which pages there are.

mod furniture;

use std::fs;

use e2e::{Stack, http, tools};
use serde_json::{Value, json};

use crate::browser::PASSWORD;
use crate::chromium::Chromium;
use crate::keyboard;
use crate::logins::{app, code};

use self::furniture::log_out;
pub use self::furniture::{Furniture, furnish, log_in, node, sign_in_operator};

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
