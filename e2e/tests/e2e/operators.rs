//! The operators' area in a browser: from the link that a command prints to a customer's dashboard, seen as the customer sees it.

use e2e::Stack;

use crate::chromium::Chromium;
use crate::pages::{sign_in_operator, violations};

#[tokio::test]
async fn from_the_link_to_a_customers_dashboard_and_out_again() {
    let stack = Stack::start(1);
    for name in ["looms", "cards", "engines"] {
        stack.tenant(name);
    }
    let browser = Chromium::start(stack.folder(), true).await;
    let goto = async |path: &str| browser.goto(&format!("{}{path}", stack.web())).await;
    goto("/admin/tenants").await;
    browser.says("h1", "Operators’ log-in").await;
    sign_in_operator(&stack, &browser).await;

    browser.says("h1", "Tenants").await;
    browser.fill("#search", "looms").await;
    browser.click("#filter").await;
    browser.click("[data-tenant]").await;
    let tenant = browser.text("#tenant-id").await;
    let mut wrong = Vec::new();
    let mut pages = vec![
        ("tenant", format!("/admin/tenants/{tenant}")),
        ("tenant-limits", format!("/admin/tenants/{tenant}/limits")),
    ];
    for (name, path) in [
        ("tenants", "/admin/tenants"),
        ("tenants-new", "/admin/tenants/new"),
        ("engines", "/admin/engines"),
        ("engines-new", "/admin/engines/new"),
        ("engine", "/admin/engines/main"),
        ("engine-default", "/admin/engines/main/default"),
        ("engine-rotate", "/admin/engines/main/rotate"),
        ("drift", "/admin/drift"),
        ("audit", "/admin/audit"),
        ("operators", "/admin/operators"),
    ] {
        pages.push((name, path.to_owned()));
    }
    for (width, theme) in [(1280, "light"), (390, "dark")] {
        let cookie = format!("document.cookie = 'vaultaire_theme={theme}; path=/'");
        browser.run(&cookie, vec![]).await;
        browser.resize(width, 900).await;
        for (name, path) in &pages {
            goto(path).await;
            browser.find("h1").await;
            let what = format!("{path} ({theme})");
            wrong.extend(violations(&browser, &what).await);
            browser.picture(&format!("admin-{name}-{theme}")).await;
        }
    }
    browser.resize(1280, 900).await;

    goto(&format!("/admin/tenants/{tenant}")).await;
    browser.click("#look").await;
    browser.says("#looking-error", "Say why").await;
    browser.fill("#looking", "ticket 7").await;
    browser.click("#look").await;
    browser.says("#looking", "ticket 7").await;
    wrong.extend(violations(&browser, "a dashboard that is looked at").await);
    browser.picture("admin-looking").await;
    browser.click("#end-looking").await;
    browser.says("#notice", "ended").await;
    browser.says("#log", "impersonation.end").await;

    // Several at once, by their number.
    goto("/admin/tenants").await;
    let tick = "document.querySelectorAll('[name=chosen]').forEach((box) => box.click())";
    browser.run(tick, vec![]).await;
    browser.click("#suspend-ticked").await;
    browser.says("#question", "Suspend 3 tenants").await;
    wrong.extend(violations(&browser, "several").await);
    browser.picture("admin-several").await;
    browser.fill("#reason", "abuse").await;
    browser.fill("#confirm", "3").await;
    browser.click("#submit").await;
    browser.says("#notice", "suspended").await;
    let found = stack.ask(&["tenant", "list", "--status", "suspended"]);
    assert_eq!(found.as_array().map(Vec::len), Some(3));
    let ids: Vec<&str> = found
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["tenant_id"].as_str())
        .collect();
    let mut words = vec!["tenant", "resume"];
    words.extend(&ids);
    let refused = stack.refuses(&words);
    assert!(refused.contains("Resume 3 tenants"), "{refused}");
    words.extend(["--confirm", "3"]);
    stack.ask(&words);
    let verified = stack.ask(&["audit", "verify"]);
    assert_eq!(verified["broken"].as_array().map(Vec::len), Some(0));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
