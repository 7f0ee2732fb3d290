//! The stand-in for Stripe by the judgement of those who know Stripe: its own client packages. They walk through what
//! Vaultaire may ask, verify the signatures, and see refused what Stripe refuses.

use std::process::Command;
use std::time::Duration;

use e2e::process::{clear_environment, succeed};
use e2e::stripe::Mode;
use e2e::{Stripe, stack, tools};

const WITHIN: Duration = Duration::from_secs(120);

/// Runs one of the judges in Python on a stand-in of its own.
#[track_caller]
fn judged_by(script: &str) {
    let folder = stack::folder();
    let stripe = Stripe::start(folder.path(), Mode::Test);
    let mut python = Command::new(tools::stripe_python());
    clear_environment(&mut python);
    python.arg("-B").arg(tools::stripe_script(script));
    python.env("STRIPE_API_BASE", &stripe.url);
    println!("{}", succeed(&mut python, WITHIN));
}

#[test]
fn stripes_package_walks_from_a_customer_to_a_refund() {
    judged_by("judge/walk.py");
}

#[test]
fn what_stripe_does_not_know_is_refused() {
    judged_by("judge/refusals.py");
}

#[test]
fn months_end_and_cards_fail_as_at_stripe() {
    judged_by("judge/months.py");
}

#[test]
fn stripes_package_verifies_the_webhooks() {
    judged_by("judge/webhooks.py");
}

#[test]
fn objects_that_stripe_does_not_have_do_not_pass() {
    judged_by("judge/shape.py");
}

/// Only where there is a Node.js that Stripe's package runs on: `scripts/install-tools` says.
#[test]
fn stripes_npm_package_agrees() {
    let Some(package) = tools::stripe_npm() else {
        println!("left out: there is no Node.js 20");
        return;
    };
    let folder = stack::folder();
    let stripe = Stripe::start(folder.path(), Mode::Test);
    let mut node = Command::new("node");
    clear_environment(&mut node);
    node.arg(tools::stripe_script("judge/judge.mjs"));
    node.env("STRIPE_API_BASE", &stripe.url);
    node.env("STRIPE_NPM", package);
    println!("{}", succeed(&mut node, WITHIN));
}
