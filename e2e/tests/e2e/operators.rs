//! The operators' area in a browser: from the link that a command prints to a customer's dashboard, seen as the customer sees it.

use e2e::engine::{ACCESS_KEY_ID, OTHER_ACCESS_KEY_ID, OTHER_SECRET_ACCESS_KEY, SECRET_ACCESS_KEY};
use e2e::{Engine, Stack};

use crate::chromium::Chromium;
use crate::pages::{node, sign_in_operator, violations};

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
    browser.leave_by("#filter").await;
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

#[tokio::test]
async fn the_business_is_seen_and_run_from_its_pages() {
    let stack = Stack::start(1);
    for name in ["looms", "cards"] {
        stack.tenant(name);
    }
    let browser = Chromium::start(stack.folder(), true).await;
    let goto = async |path: &str| browser.goto(&format!("{}{path}", stack.web())).await;
    sign_in_operator(&stack, &browser).await;

    // A notice, by the number of those who see it.
    goto("/admin/notices").await;
    browser.fill("#title", "Maintenance on Sunday").await;
    browser.fill("#text", "Up to ten minutes.").await;
    let until = "document.getElementById('until').value = '2099-01-01T06:00'";
    browser.run(until, vec![]).await;
    browser.click("#write-notice").await;
    browser.says("#until-error", "A year is the longest").await;
    let until = "document.getElementById('until').value =
        new Date(Date.now() + 86400000).toISOString().slice(0, 16)";
    browser.run(until, vec![]).await;
    browser.click("#write-notice").await;
    browser.says("#question", "Tell 2 tenants").await;
    let mut wrong = violations(&browser, "a notice to be confirmed").await;
    browser.picture("admin-notice-confirm").await;
    browser.fill("#confirm", "3").await;
    browser.click("#submit").await;
    browser.says("#confirm-error", "Type 2").await;
    browser.fill("#confirm", "2").await;
    browser.click("#submit").await;
    browser.says("#notice", "It is written").await;

    // The only node is not drained by mistake, and goes on serving where it is.
    let node = format!("/admin/fleet/{}", node(&stack));
    goto(&node).await;
    browser.click("#drain").await;
    browser.says("#refused", "No other node is ready").await;
    browser.says("#state", "ready").await;
    browser.click("[name=force]").await;
    browser.click("#drain").await;
    browser.says("#receipt", "The node is draining").await;
    browser.picture("admin-node-drained").await;
    browser.click("#undrain").await;
    browser.says("#state", "ready").await;

    // A plan that is typed as people write sizes and prices.
    goto("/admin/plans").await;
    for (field, text) in [
        ("#plan-id", "archive"),
        ("#name", "Archive"),
        ("#price", "99.50"),
        ("#storage_bytes", "1.5 TB"),
        ("#storage_price_micros", "0.04"),
    ] {
        browser.fill(field, text).await;
    }
    browser.click("#create-plan").await;
    browser.says("#state", "by hand").await;
    let plan = stack.ask(&["plan", "show", "archive"]);
    assert_eq!(plan["storage_bytes"], 1_500_000_000_000_i64, "{plan}");
    assert_eq!(plan["storage_price_micros"], 4_000_000, "{plan}");

    for (width, theme) in [(1280, "light"), (390, "dark")] {
        let cookie = format!("document.cookie = 'vaultaire_theme={theme}; path=/'");
        browser.run(&cookie, vec![]).await;
        browser.resize(width, 900).await;
        for (name, path) in [
            ("revenue", "/admin/revenue"),
            ("usage", "/admin/usage"),
            ("refusals", "/admin/refusals?id=unknown"),
            ("fleet", "/admin/fleet"),
            ("node", &node),
            ("jobs", "/admin/jobs"),
            ("plans", "/admin/plans"),
            ("plan", "/admin/plans/archive"),
            ("notices", "/admin/notices"),
        ] {
            goto(path).await;
            browser.find("h1").await;
            let what = format!("{path} ({theme})");
            wrong.extend(violations(&browser, &what).await);
            browser.picture(&format!("admin-{name}-{theme}")).await;
        }
    }
    let verified = stack.ask(&["audit", "verify"]);
    assert_eq!(verified["broken"].as_array().map(Vec::len), Some(0));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_engine_is_added_and_its_credentials_exchanged_from_the_pages() {
    let elsewhere = e2e::stack::folder();
    let stack = Stack::start(1);
    let moto = Engine::Moto.start(elsewhere.path());
    let browser = Chromium::start(stack.folder(), true).await;
    let goto = async |path: &str| browser.goto(&format!("{}{path}", stack.web())).await;
    sign_in_operator(&stack, &browser).await;

    goto("/admin/engines/new").await;
    for (field, value) in [
        ("#name", "second"),
        ("#endpoint", moto.endpoint.as_str()),
        ("#access_key_id", ACCESS_KEY_ID),
        ("#secret_access_key", SECRET_ACCESS_KEY),
        ("#capacity_bytes", "1000000"),
    ] {
        browser.fill(field, value).await;
    }
    browser.click("#submit").await;
    browser.says("#notice", "It was tried out").await;
    browser.says("h1", "second").await;
    let mut wrong = violations(&browser, "an engine that was added").await;
    browser.picture("admin-engine-added").await;

    browser.click("#rotate").await;
    browser.fill("#access_key_id", OTHER_ACCESS_KEY_ID).await;
    browser
        .fill("#secret_access_key", OTHER_SECRET_ACCESS_KEY)
        .await;
    browser.click("#submit").await;
    browser
        .says("#notice", "The new credentials work and are in use")
        .await;
    browser.says("main", ACCESS_KEY_ID).await;
    wrong.extend(violations(&browser, "credentials that are being exchanged").await);
    browser.picture("admin-engine-rotating").await;
    browser.click("#finish").await;
    browser
        .says("#notice", "The old credentials are forgotten")
        .await;
    let shown = stack.ask(&["engine", "show", "second"]);
    assert_eq!(shown["access_key_id"], OTHER_ACCESS_KEY_ID);
    assert!(shown["rotation"].is_null(), "{shown}");
    goto("/admin/audit").await;
    browser.says("main", "engine.rotate_finish").await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
