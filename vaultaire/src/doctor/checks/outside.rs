//! What the installation has to do with the world: mail, webhooks, Stripe, certificates, and what must not be public.

use std::net::IpAddr;

use chrono::TimeDelta;
use controlplane::diagnosis::Queues;

use super::super::facts::Facts;
use super::{Outcome, failure, joined, ok, skipped, warning};

fn queues(facts: &Facts) -> Option<&Queues> {
    facts.database.as_ref()?.as_ref().ok()?.queues.as_ref()
}

pub fn mail_configured(facts: &Facts) -> Outcome {
    match (&facts.mail_server, &facts.plane) {
        (Some(Err(why)), _) => failure(
            why.clone(),
            "check VAULTAIRE_SMTP_URL: docs/operate/mail.md",
        ),
        (Some(Ok(())), _) => ok("the server for mail takes connections"),
        (None, Some(Ok(plane))) if plane.sends_mail => ok("the control plane sends mail"),
        (None, Some(Ok(_))) => warning(
            "mail is not sent, but lies in a folder: nobody can sign up or reset a password unless you hand it on",
            "set VAULTAIRE_SMTP_URL and VAULTAIRE_MAIL_FROM: docs/operate/mail.md",
        ),
        (None, _) => skipped("no control plane answered, and no server for mail is set here"),
    }
}

pub fn mail_sent(facts: &Facts) -> Outcome {
    match queues(facts) {
        None => skipped("the outbox could not be read"),
        Some(found) if found.mails_failing > 0 => failure(
            format!(
                "{} of {} mails that wait were tried in vain",
                found.mails_failing, found.mails
            ),
            "the control plane's log says what the server answers: docs/operate/mail.md",
        ),
        Some(found) => ok(format!("{} wait, none was tried in vain", found.mails)),
    }
}

pub fn webhooks(facts: &Facts) -> Outcome {
    match queues(facts) {
        None => skipped("the queue could not be read"),
        Some(found) if found.webhooks_failing > 0 => warning(
            format!(
                "{} messages to customers' webhooks were tried in vain",
                found.webhooks_failing
            ),
            "the control plane's log says which tenant's and why; tell the customer: docs/operate/monitor.md",
        ),
        Some(_) => ok("none was tried in vain"),
    }
}

/// Customers and subscriptions of one mode are unknown in the other.
pub fn stripe_mode(facts: &Facts) -> Outcome {
    let plane = facts.plane.as_ref().and_then(|plane| plane.as_ref().ok());
    let running = plane.and_then(|plane| plane.stripe_live);
    let here = facts.stripe.as_ref().map(|stripe| stripe.live);
    let Some(live) = running.or(here) else {
        return skipped("billing is by hand, as far as can be seen from here");
    };
    let mode = |live| match live {
        true => "live",
        false => "test",
    };
    if let (Some(running), Some(here)) = (running, here)
        && running != here
    {
        return failure(
            format!(
                "the control plane uses a {} key, and this shell names a {} one",
                mode(running),
                mode(here)
            ),
            "set STRIPE_SECRET_KEY to the same key everywhere, and restart: docs/OPERATIONS.md",
        );
    }
    let others = queues(facts).map_or(0, |found| match live {
        true => found.stripe_test_customers,
        false => found.stripe_live_customers,
    });
    let other = mode(!live);
    match (live, others) {
        (_, 0) => ok(format!("a {} key", mode(live))),
        (false, others) => failure(
            format!(
                "the key is a test key, and {others} tenants are customers in live mode: they are not billed"
            ),
            "set STRIPE_SECRET_KEY to the live key, with its STRIPE_WEBHOOK_SECRET, and restart: docs/OPERATIONS.md",
        ),
        (true, others) => warning(
            format!(
                "a live key; {others} tenants are also customers in {other} mode, from trying it out"
            ),
            "vaultaire billing reconcile",
        ),
    }
}

pub fn stripe_reachable(facts: &Facts) -> Outcome {
    match facts.stripe.as_ref().map(|stripe| &stripe.reached) {
        None => skipped("no key of Stripe's is set here"),
        Some(Ok(())) => ok("it answers, and takes the key"),
        Some(Err(why)) => failure(
            why.clone(),
            "check STRIPE_SECRET_KEY and STRIPE_API_BASE, and that this machine reaches it: docs/OPERATIONS.md",
        ),
    }
}

pub fn stripe_events(facts: &Facts) -> Outcome {
    match queues(facts) {
        None => skipped("the events could not be read"),
        Some(found) if found.stripe_events_failing + found.meter_events_failing > 0 => failure(
            format!(
                "{} events of Stripe's and {} reports of usage were tried in vain",
                found.stripe_events_failing, found.meter_events_failing
            ),
            "vaultaire billing events   (why), then: vaultaire billing retry",
        ),
        Some(_) => ok("none was tried in vain"),
    }
}

pub fn certificates(facts: &Facts) -> Outcome {
    let mut least = TimeDelta::MAX;
    let mut wrong = Vec::new();
    for (whose, until) in &facts.certificates {
        let left = match until {
            Ok(until) => *until - facts.now,
            Err(why) => {
                wrong.push(format!("{whose}: {why}"));
                TimeDelta::zero()
            }
        };
        least = least.min(left);
        if until.is_ok() && left < TimeDelta::days(21) {
            wrong.push(match left > TimeDelta::zero() {
                true => format!("{whose}: ends in {} days", left.num_days()),
                false => format!("{whose}: ended {} days ago", -left.num_days()),
            });
        }
    }
    let mend = "renew it, and have what ends TLS read it: docs/operate/mail.md";
    match least {
        TimeDelta::MAX => skipped("no public address is https, and no certificate is set here"),
        _ if wrong.is_empty() => ok(format!(
            "good for {} days or longer, {} looked at",
            least.num_days(),
            facts.certificates.len()
        )),
        least if least < TimeDelta::days(7) => failure(joined(wrong), mend),
        _ => warning(joined(wrong), mend),
    }
}

pub fn health(facts: &Facts) -> Outcome {
    let mend = "keep health and metrics from the public: docs/operate/monitor.md";
    let open = facts.public.iter().filter(|(_, answers)| *answers);
    let open = joined(open.map(|(url, _)| format!("metrics answer at {url}")));
    if !open.is_empty() {
        return failure(open, mend);
    }
    if let Some(address) = facts.health_address
        && !is_inside(address.ip())
    {
        return failure(
            format!("VAULTAIRE_HEALTH_ADDRESS is {address}, a public address"),
            mend,
        );
    }
    match facts.public.len() {
        0 => skipped("no address is public"),
        count => ok(format!(
            "nothing of it answers at the {count} public addresses"
        )),
    }
}

/// An address without a meaning of its own (0.0.0.0) is as inside as the network that the machine is in.
fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unspecified(),
    }
}
