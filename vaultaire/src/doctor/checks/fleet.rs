//! The control plane that answers, the nodes that follow it, and its jobs.

use chrono::{DateTime, Days, TimeDelta, Utc};
use controlplane::diagnosis::{Database, Node};

use super::super::facts::Facts;
use super::{Outcome, failure, joined, ok, skew, skipped, warning};

const OURS: &str = env!("CARGO_PKG_VERSION");
/// Signing keys are made for the day, and eight days further.
const WINDOW: Days = Days::new(9);
const NODES: &str = "see the node's log, and that it reaches VAULTAIRE_CONTROL_URL: docs/operate/monitor.md (gone for good: vaultaire node remove NODE)";
/// What is due for longer than this, nobody does.
const LATE: TimeDelta = TimeDelta::minutes(10);

pub fn answers(facts: &Facts) -> Outcome {
    match &facts.plane {
        None => skipped("no control plane is named here"),
        Some(Ok(plane)) => ok(format!("it answers, version {}", plane.version)),
        Some(Err(why)) => failure(
            why.clone(),
            "start it (`vaultaire up`, or `vaultaire controlplane`), and check VAULTAIRE_URL and VAULTAIRE_ADMIN_TOKEN: docs/operate/install.md",
        ),
    }
}

pub fn ready(facts: &Facts) -> Outcome {
    match &facts.ready {
        None => skipped("its own port for health is not reached from here"),
        Some(Ok(())) => ok("/readyz answers 200"),
        Some(Err(why)) => failure(
            why.clone(),
            "see the control plane's log: docs/operate/monitor.md",
        ),
    }
}

pub fn plane_version(facts: &Facts) -> Outcome {
    match &facts.plane {
        Some(Ok(plane)) if plane.version == OURS => ok(OURS),
        Some(Ok(plane)) => warning(
            format!(
                "the control plane is {}, and this program {OURS}",
                plane.version
            ),
            "use the same release everywhere: docs/operate/upgrade.md",
        ),
        _ => skipped("no control plane answered"),
    }
}

pub fn plane_clock(facts: &Facts) -> Outcome {
    match &facts.plane {
        Some(Ok(plane)) => skew([("the control plane's clock", plane.now - facts.now)]),
        _ => skipped("no control plane answered"),
    }
}

fn with(facts: &Facts, judge: impl FnOnce(&[Node], &Database) -> Outcome) -> Outcome {
    let Some(Ok(database)) = &facts.database else {
        return skipped("the database could not be asked");
    };
    match database.nodes.as_deref() {
        None => skipped("there is no list of nodes yet"),
        Some([]) => skipped("no node has joined"),
        Some(nodes) => judge(nodes, database),
    }
}

pub fn connected(facts: &Facts) -> Outcome {
    with(facts, |nodes, _| {
        let gone = nodes.iter().filter(|node| !node.connected);
        let gone = joined(gone.map(|node| {
            let seen = node.last_seen.map_or_else(
                || "never seen".to_owned(),
                |at| format!("last seen {}", at.format("%Y-%m-%d %H:%M:%S UTC")),
            );
            format!("{} is not connected, {seen}", node.s3_address)
        }));
        match gone.is_empty() {
            true => ok(format!("all {} of them", nodes.len())),
            false => failure(gone, NODES),
        }
    })
}

/// Until when it can serve with no control plane.
fn serves_until(node: &Node) -> Option<DateTime<Utc>> {
    let end = node.keys_day?.checked_add_days(WINDOW)?;
    Some(end.and_hms_opt(0, 0, 0)?.and_utc())
}

pub fn window(facts: &Facts) -> Outcome {
    with(facts, |nodes, database| {
        let now = database.server.now;
        let mut least = TimeDelta::MAX;
        let mut short = Vec::new();
        for node in nodes {
            let Some(until) = serves_until(node) else {
                continue;
            };
            let left = until - now;
            least = least.min(left);
            if left < TimeDelta::days(5) {
                let (address, hours) = (&node.s3_address, left.num_hours().max(0));
                short.push(format!("{address} has signing keys for {hours} hours more"));
            }
        }
        match least {
            TimeDelta::MAX => skipped("no node has signing keys yet"),
            _ if short.is_empty() => ok(format!(
                "signing keys reach {} days or further",
                least.num_days()
            )),
            least if least < TimeDelta::days(2) => failure(joined(short), NODES),
            _ => warning(joined(short), NODES),
        }
    })
}

pub fn revision(facts: &Facts) -> Outcome {
    with(facts, |nodes, database| {
        let Some(head) = database.head else {
            return skipped("there is no revision yet");
        };
        let behind = nodes
            .iter()
            .filter(|node| node.connected && node.revision < head);
        let behind = joined(
            behind.map(|node| format!("{} has {} of {head}", node.s3_address, node.revision)),
        );
        match behind.is_empty() {
            true => ok(format!("connected nodes have revision {head}")),
            false => failure(
                format!("behind for three seconds and more: {behind}"),
                NODES,
            ),
        }
    })
}

pub fn refusing(facts: &Facts) -> Outcome {
    with(facts, |nodes, _| {
        let refusing = nodes
            .iter()
            .filter_map(|node| Some((node, node.nacked_revision?)));
        let refusing = joined(refusing.map(|(node, revision)| {
            let why = node.nack_reason.as_deref().unwrap_or("it does not say why");
            format!("{} refuses revision {revision}: {why}", node.s3_address)
        }));
        match refusing.is_empty() {
            true => ok("no node refuses what it is sent"),
            false => failure(
                refusing,
                "after restoring a database: vaultaire node accept --all; else docs/operate/upgrade.md",
            ),
        }
    })
}

pub fn node_versions(facts: &Facts) -> Outcome {
    with(facts, |nodes, _| {
        let other = nodes.iter().filter(|node| node.connected);
        let other = other.filter(|node| !node.version.is_empty() && node.version != OURS);
        let other = joined(other.map(|node| format!("{} is {}", node.s3_address, node.version)));
        match other.is_empty() {
            true => ok(OURS),
            false => warning(
                format!("{other}, and this program {OURS}"),
                "use the same release everywhere: docs/operate/upgrade.md",
            ),
        }
    })
}

pub fn node_clocks(facts: &Facts) -> Outcome {
    let clocks = facts.node_clocks.iter();
    skew(clocks.map(|(address, ahead)| (address.as_str(), *ahead)))
}

pub fn jobs(facts: &Facts) -> Outcome {
    let Some(Ok(database)) = &facts.database else {
        return skipped("the database could not be asked");
    };
    let Some(queues) = &database.queues else {
        return skipped("there is no list of jobs yet");
    };
    let late = [
        ("mail", queues.mail_due_since),
        ("usage for Stripe", queues.meter_event_due_since),
        ("customers' webhooks", queues.webhook_due_since),
    ];
    let late = late.into_iter().filter_map(|(what, since)| {
        let late = database.server.now - since?;
        (late > LATE).then(|| format!("{what}: due for {} minutes", late.num_minutes()))
    });
    let broken = match queues.deletions_broken_off {
        0 => None,
        count => Some(format!(
            "{count} deletions of buckets stand still for an hour or more"
        )),
    };
    let late = joined(late.chain(broken));
    match late.is_empty() {
        true => ok("nothing is overdue"),
        false => failure(
            late,
            "a control plane must run to do it, and its log says why it fails: docs/operate/monitor.md",
        ),
    }
}
