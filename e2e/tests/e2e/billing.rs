//! Paying, as customers meet it: a plan bought in the browser through Stripe's pages (the stand-in's), a card that fails, and
//! the way back; and an installation on which the operator bills by hand.

use std::time::Duration;

use e2e::client::Client;
use e2e::stripe::Mode;
use e2e::{Stack, Stripe, stack, wait};
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::logins::mailed;

const WITHIN: Duration = Duration::from_secs(30);
const DAY: u64 = 86_400;

/// What the operator sees of the only tenant.
fn seen(stack: &Stack, tenant: &str) -> Value {
    stack.ask(&["billing", "show", tenant])
}

fn stands(stack: &Stack, tenant: &str, standing: &str) {
    wait::until(standing, WITHIN, || {
        (seen(stack, tenant)["standing"] == standing).then_some(())
    });
}

async fn signs_up(browser: &Chromium, stack: &Stack) {
    browser.goto(&format!("{}/signup", stack.web())).await;
    browser.fill("#company", "Analytical Engines").await;
    browser.fill("#email", "ada@engines.example").await;
    browser
        .fill("#password", "correct horse battery staple")
        .await;
    browser.click("#submit").await;
    browser.find("#no-mail").await;
    browser
        .goto(&mailed(
            &stack.mail(),
            "confirm_sign_up",
            "ada@engines.example",
        ))
        .await;
    browser.click("#submit").await;
    browser.find("#create-first-key").await;
}

#[tokio::test]
async fn a_plan_is_bought_fails_comes_back_and_is_cancelled() {
    let folder = stack::folder();
    let stripe = Stripe::start(folder.path(), Mode::Test);
    let stack = Stack::builder()
        .dataplanes(2)
        .environment(&stripe.environment())
        .start();
    stripe.tells(&stack);
    let synced = stack.ask(&["billing", "sync"]);
    assert_eq!(synced.as_array().map(Vec::len), Some(3), "{synced}");
    let browser = Chromium::start(stack.folder(), true).await;
    signs_up(&browser, &stack).await;
    let tenants = stack.ask(&["tenant", "list"]);
    let tenant = tenants[0]["tenant_id"].as_str().expect("an id").to_owned();

    let billing = format!("{}/billing", stack.web());
    browser.goto(&billing).await;
    browser.picture("billing-trial").await;
    browser.click("#buy-business").await;
    browser.fill("#card", "4242424242424242").await;
    browser.click("#pay").await;
    browser.find("#plan").await;
    stripe.settles();
    browser.goto(&billing).await;
    browser.says("#standing-word", "In good standing").await;
    browser.says("#next-amount", "$1,499").await;
    browser.says("#invoice-list", "Paid").await;
    browser.picture("billing-business").await;
    assert_eq!(seen(&stack, &tenant)["plan"], "business");

    // The next month's payment fails, and for a week nobody sees to it.
    let key = stack.ask(&["key", "create", "--tenant", &tenant]);
    let client = Client::new(stack.folder(), &key, &stack.endpoint(1));
    client.aws(&["s3", "mb", "s3://vaults"]);
    client.aws(&["s3", "cp", "/etc/hostname", "s3://vaults/a"]);
    let customer = stripe.only("customer")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    stripe.does(
        &format!("customers/{customer}/conduct"),
        &json!({ "conduct": "fails" }),
    );
    stripe.passes(Duration::from_secs(39 * DAY));
    stripe.settles();
    stands(&stack, &tenant, "read_only");
    let refused = client.aws_fails(&["s3", "cp", "/etc/hostname", "s3://vaults/b"]);
    assert!(refused.contains("AccountProblem"), "{refused}");
    assert!(
        client.aws(&["s3", "ls", "s3://vaults"]).contains(" a"),
        "reading goes on"
    );
    client
        .at(&stack.endpoint(2))
        .aws(&["s3", "rm", "s3://vaults/a"]);
    mailed(&stack.mail(), "billing_standing", "ada@engines.example");

    // The card has money again: everything is as before, on every node, within a second.
    stripe.does(
        &format!("customers/{customer}/conduct"),
        &json!({ "conduct": "pays" }),
    );
    for invoice in stripe
        .all("invoice")
        .iter()
        .filter(|each| each["status"] == "open")
    {
        let id = invoice["id"].as_str().expect("an id");
        stripe.does(&format!("invoices/{id}/collect"), &json!({}));
    }
    stripe.settles();
    stands(&stack, &tenant, "good");
    for node in [1, 2] {
        client
            .at(&stack.endpoint(node))
            .aws(&["s3", "cp", "/etc/hostname", "s3://vaults/c"]);
    }
    assert_eq!(
        stack.ask(&["billing", "reconcile"])["differences"],
        json!([])
    );

    browser.goto(&billing).await;
    browser.click("#portal").await;
    browser.click("#cancel-plan").await;
    browser.find("#resume-plan").await;
    browser.click("#return").await;
    stripe.settles();
    browser.goto(&billing).await;
    browser.says("main", "Cancelled, ends on").await;
}

#[tokio::test]
async fn where_no_stripe_is_the_operator_bills_by_hand() {
    let stack = Stack::start(1);
    let client = stack.tenant("acme");
    let tenant = client.tenant_id.as_str();
    stack.ask(&["tenant", "set", tenant, "--plan", "business"]);
    stands(&stack, tenant, "owing");
    for (until, why) in [
        ("2020-01-31", "paid or gone by"),
        ("2999-12-31", "Five years"),
        ("soon", "a day such as"),
    ] {
        let refused = stack.refuses(&["billing", "mark-paid", tenant, "--until", until]);
        assert!(refused.contains(why), "{refused}");
    }
    let since = seen(&stack, tenant)["period_to"]
        .as_str()
        .expect("a time")
        .to_owned();
    let paid = stack.ask(&["billing", "mark-paid", tenant, "--until", &since]);
    assert_eq!(paid["total_cents"], 149_900, "a month: {paid}");
    stands(&stack, tenant, "good");
    let file = stack.folder().join("invoice.pdf");
    let out = file.to_str().expect("Unicode");
    stack.ask(&["billing", "invoice", tenant, "--out", out]);
    let pdf = std::fs::read(&file).expect("it was written");
    assert!(pdf.starts_with(b"%PDF-"));
    assert!(
        stack
            .refuses(&["billing", "sync"])
            .contains("Stripe is not set up")
    );
}
