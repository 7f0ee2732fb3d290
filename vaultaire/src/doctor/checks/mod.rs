//! Every check by its name, each a pure function of the facts.
//! Names stay: scripts and docs/operate/doctor.md know them.

mod database;
mod engines;
mod fleet;
mod machine;
mod outside;
mod settings;
#[cfg(test)]
mod tests;

use chrono::TimeDelta;

use super::facts::Facts;
use super::{Check, Status};

struct Outcome {
    status: Status,
    found: String,
    mend: Option<String>,
}

type Judge = fn(&Facts) -> Outcome;

const CHECKS: &[(&str, Judge)] = &[
    ("settings.names", settings::names),
    ("settings.values", settings::values),
    ("settings.secret_files", settings::secret_files),
    ("masterkey.readable", settings::master_key),
    ("masterkey.opens", settings::master_key_opens),
    ("masterkey.rotation", settings::master_key_rotation),
    ("database.reachable", database::reachable),
    ("database.version", database::version),
    ("database.role", database::role),
    ("database.isolation", database::isolation),
    ("database.schema", database::schema),
    ("database.connections", database::connections),
    ("database.clock", database::clock),
    ("controlplane.answers", fleet::answers),
    ("controlplane.ready", fleet::ready),
    ("controlplane.version", fleet::plane_version),
    ("controlplane.clock", fleet::plane_clock),
    ("nodes.connected", fleet::connected),
    ("nodes.window", fleet::window),
    ("nodes.revision", fleet::revision),
    ("nodes.refusing", fleet::refusing),
    ("nodes.version", fleet::node_versions),
    ("nodes.clock", fleet::node_clocks),
    ("engines.reachable", engines::reachable),
    ("engines.capabilities", engines::capabilities),
    ("engines.space", engines::space),
    ("engines.rotation", engines::rotation),
    ("engines.clock", engines::clocks),
    ("jobs.running", fleet::jobs),
    ("mail.configured", outside::mail_configured),
    ("mail.sent", outside::mail_sent),
    ("webhooks.delivered", outside::webhooks),
    ("stripe.mode", outside::stripe_mode),
    ("stripe.reachable", outside::stripe_reachable),
    ("stripe.events", outside::stripe_events),
    ("public.certificates", outside::certificates),
    ("public.health", outside::health),
    ("machine.disk", machine::disk),
    ("machine.open_files", machine::open_files),
];

/// Each check once, in the same order always.
pub fn examine(facts: &Facts) -> Vec<Check> {
    let checks = CHECKS.iter().map(|(name, judge)| {
        let Outcome {
            status,
            found,
            mend,
        } = judge(facts);
        Check {
            name,
            status,
            found,
            mend,
        }
    });
    checks.collect()
}

fn ok(found: impl Into<String>) -> Outcome {
    Outcome {
        status: Status::Ok,
        found: found.into(),
        mend: None,
    }
}

fn skipped(why: &str) -> Outcome {
    Outcome {
        status: Status::Skipped,
        found: why.to_owned(),
        mend: None,
    }
}

fn warning(found: impl Into<String>, mend: impl Into<String>) -> Outcome {
    Outcome {
        status: Status::Warning,
        found: found.into(),
        mend: Some(mend.into()),
    }
}

fn failure(found: impl Into<String>, mend: impl Into<String>) -> Outcome {
    Outcome {
        status: Status::Failure,
        ..warning(found, mend)
    }
}

/// All of them in one line.
fn joined(found: impl IntoIterator<Item = String>) -> String {
    found.into_iter().collect::<Vec<_>>().join("; ")
}

/// Signatures are good for fifteen minutes, and a node's token for one.
const SKEW_WARNS: TimeDelta = TimeDelta::seconds(5);
const SKEW_FAILS: TimeDelta = TimeDelta::seconds(60);
const SET_THE_CLOCK: &str = "keep the time of every machine by NTP: timedatectl set-ntp true";

/// Of each clock by how much it is ahead of this machine's.
fn skew<'a>(clocks: impl IntoIterator<Item = (&'a str, TimeDelta)>) -> Outcome {
    let mut worst = TimeDelta::zero();
    let mut off = Vec::new();
    let mut count = 0;
    for (whose, ahead) in clocks {
        count += 1;
        worst = worst.max(ahead.abs());
        if ahead.abs() >= SKEW_WARNS {
            let seconds = ahead.num_seconds().abs();
            let way = match ahead > TimeDelta::zero() {
                true => "ahead of",
                false => "behind",
            };
            off.push(format!("{whose}: {seconds} s {way} this machine's"));
        }
    }
    match worst {
        _ if count == 0 => skipped("no clock could be asked"),
        worst if worst >= SKEW_FAILS => failure(joined(off), SET_THE_CLOCK),
        worst if worst >= SKEW_WARNS => warning(joined(off), SET_THE_CLOCK),
        _ => ok(format!("within {} s", SKEW_WARNS.num_seconds())),
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10)
}
