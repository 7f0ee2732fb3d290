//! Each check fails on what it is for, and is content with the same world whole.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use controlplane::diagnosis::{Database, Plane};
use serde_json::json;

use super::super::facts::{Disk, Facts, FileState, SecretFile, Stripe, UnknownSetting};
use super::super::{Check, Status};
use super::*;

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// As a control plane tells of one.
fn database() -> Database {
    let role = |name: &str, is_login: bool| {
        json!({ "name": name, "is_login": is_login, "superuser": false, "bypasses_rls": false,
                "can_be_taken": true, "owned_tables": if is_login { 40 } else { 0 } })
    };
    let capabilities = json!({ "conditional_writes": true, "versioning": true });
    serde_json::from_value(json!({
        "server": { "version": 150_004, "now": now(), "max_connections": 100, "reserved_connections": 3, "used_connections": 9 },
        "roles": [role("vaultaire", true), role("vaultaire_app", false), role("vaultaire_system", false)],
        "unprotected": [],
        "migrations": { "newest": 24, "pending": [], "unknown": [], "altered": [], "broken": [] },
        "master_key_opens": true,
        "master_keys": { "seals_under": 1, "values_behind": 0, "unfinished": [], "control_planes": 2, "lacking": 0 },
        "head": 7,
        "nodes": [{
            "id": "00000000-0000-0000-0000-000000000001", "s3_address": "node-1:9000",
            "version": env!("CARGO_PKG_VERSION"), "revision": 7, "keys_day": "2026-03-01",
            "nacked_revision": null, "nack_reason": null, "last_seen": now(), "connected": true,
        }],
        "engines": [{
            "id": "main", "endpoint": "http://127.0.0.1:8333", "placement": "dedicated", "pool_bucket": null,
            "disabled": false, "capabilities": capabilities, "probed_at": now(), "capacity_bytes": 100, "stored_bytes": 10,
            "rotating": false, "rotated_at": null, "reachable": true, "checked_at": now(), "last_error": null,
        }],
        "queues": {
            "mails": 1, "mails_failing": 0, "mail_due_since": now(), "stripe_events_failing": 0, "meter_events_failing": 0,
            "meter_event_due_since": null, "webhooks_failing": 0, "webhook_due_since": null, "deletions_broken_off": 0,
            "stripe_live_customers": 3, "stripe_test_customers": 0,
        },
    }))
    .unwrap()
}

fn healthy() -> Facts {
    Facts {
        now: now(),
        unknown_settings: Vec::new(),
        settings: vec![("controlplane", Ok(()))],
        secret_files: vec![SecretFile {
            path: "/etc/vaultaire/master-key".into(),
            state: FileState::There(0o600),
        }],
        master_key: Some(Ok(())),
        database: Some(Ok(database())),
        plane: Some(Ok(Plane {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: now(),
            public_url: "https://storage.example".to_owned(),
            s3_endpoint: "https://s3.storage.example".to_owned(),
            sends_mail: true,
            stripe_live: Some(true),
        })),
        ready: Some(Ok(())),
        node_clocks: vec![("node-1:9000".to_owned(), TimeDelta::zero())],
        engine_looks: vec![("main".to_owned(), Ok(3))],
        engine_clocks: vec![("main".to_owned(), TimeDelta::seconds(1))],
        mail_server: Some(Ok(())),
        stripe: Some(Stripe {
            live: true,
            reached: Ok(()),
        }),
        certificates: vec![(
            "https://storage.example".to_owned(),
            Ok(now() + TimeDelta::days(60)),
        )],
        public: vec![("https://storage.example/metrics".to_owned(), false)],
        health_address: None,
        disks: vec![Disk {
            path: "/srv".into(),
            free: 50_000_000_000,
            total: 100_000_000_000,
        }],
        open_files: Some(("this".to_owned(), 65_536)),
    }
}

fn of(facts: &Facts, name: &str) -> Check {
    let found = examine(facts).into_iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("there is no check {name}"))
}

fn database_of(facts: &mut Facts) -> &mut Database {
    facts.database.as_mut().unwrap().as_mut().unwrap()
}

fn keys_of(facts: &mut Facts) -> &mut controlplane::diagnosis::MasterKeys {
    database_of(facts).master_keys.as_mut().unwrap()
}

fn plane_of(facts: &mut Facts) -> &mut Plane {
    facts.plane.as_mut().unwrap().as_mut().unwrap()
}

fn node(facts: &mut Facts) -> &mut controlplane::diagnosis::Node {
    &mut database_of(facts).nodes.as_mut().unwrap()[0]
}

fn engine(facts: &mut Facts) -> &mut controlplane::diagnosis::Engine {
    &mut database_of(facts).engines.as_mut().unwrap()[0]
}

fn queues(facts: &mut Facts) -> &mut controlplane::diagnosis::Queues {
    database_of(facts).queues.as_mut().unwrap()
}

fn why<T>() -> Result<T, String> {
    Err("because".to_owned())
}

type Break = fn(&mut Facts);

use Status::{Failure, Warning};

/// What is broken, which check must say so, how badly, and a word of what it says.
const BROKEN: &[(&str, Status, &str, Break)] = &[
    (
        "settings.names",
        Failure,
        "did you mean VAULTAIRE_SMTP_URL",
        |f| {
            f.unknown_settings.push(UnknownSetting {
                name: "VAULTAIRE_SMTP_ULR".into(),
                meant: Some("VAULTAIRE_SMTP_URL"),
            });
        },
    ),
    (
        "settings.names",
        Warning,
        "VAULTAIRE_MOON is no setting",
        |f| {
            f.unknown_settings.push(UnknownSetting {
                name: "VAULTAIRE_MOON".into(),
                meant: None,
            });
        },
    ),
    ("settings.values", Failure, "controlplane: because", |f| {
        f.settings[0].1 = why()
    }),
    ("settings.secret_files", Failure, "gone", |f| {
        f.secret_files[0].state = FileState::Wrong("gone".into())
    }),
    ("settings.secret_files", Warning, "other users", |f| {
        f.secret_files[0].state = FileState::There(0o644)
    }),
    ("masterkey.readable", Failure, "because", |f| {
        f.master_key = Some(why())
    }),
    ("masterkey.opens", Failure, "does not open", |f| {
        database_of(f).master_key_opens = Some(false)
    }),
    (
        "masterkey.rotation",
        Failure,
        "1 of 2 control planes lack version 1",
        |f| keys_of(f).lacking = 1,
    ),
    (
        "masterkey.rotation",
        Warning,
        "3 values are sealed under another",
        |f| keys_of(f).values_behind = 3,
    ),
    ("masterkey.rotation", Warning, "is not dropped", |f| {
        keys_of(f).unfinished = vec![2]
    }),
    ("database.reachable", Failure, "because", |f| {
        f.database = Some(why())
    }),
    ("database.version", Failure, "Postgres 14", |f| {
        database_of(f).server.version = 140_011
    }),
    (
        "database.role",
        Failure,
        "vaultaire_app sees through",
        |f| database_of(f).roles[1].bypasses_rls = true,
    ),
    (
        "database.role",
        Failure,
        "vaultaire_system sees through",
        |f| database_of(f).roles[2].superuser = true,
    ),
    ("database.role", Failure, "vaultaire_app owns 3", |f| {
        database_of(f).roles[1].owned_tables = 3
    }),
    (
        "database.role",
        Failure,
        "may not act as vaultaire_app",
        |f| database_of(f).roles[1].can_be_taken = false,
    ),
    ("database.role", Warning, "is a superuser", |f| {
        database_of(f).roles[0].superuser = true
    }),
    (
        "database.isolation",
        Failure,
        "not forced on buckets",
        |f| database_of(f).unprotected.push("buckets".into()),
    ),
    ("database.schema", Failure, "newer than this program", |f| {
        database_of(f).migrations.unknown.push(99)
    }),
    ("database.schema", Failure, "another text", |f| {
        database_of(f).migrations.altered.push(2)
    }),
    ("database.schema", Failure, "did not end", |f| {
        database_of(f).migrations.broken.push(24)
    }),
    ("database.schema", Warning, "older than this program", |f| {
        database_of(f).migrations.pending.push(24)
    }),
    ("database.connections", Failure, "of 17", |f| {
        database_of(f).server.max_connections = 20
    }),
    ("database.connections", Warning, "90 of 97", |f| {
        database_of(f).server.used_connections = 90
    }),
    ("database.clock", Failure, "61 s ahead", |f| {
        database_of(f).server.now += TimeDelta::seconds(61)
    }),
    ("controlplane.answers", Failure, "because", |f| {
        f.plane = Some(why())
    }),
    ("controlplane.ready", Failure, "because", |f| {
        f.ready = Some(why())
    }),
    ("controlplane.version", Warning, "0.0.1", |f| {
        plane_of(f).version = "0.0.1".into()
    }),
    ("controlplane.clock", Warning, "10 s behind", |f| {
        plane_of(f).now -= TimeDelta::seconds(10)
    }),
    (
        "nodes.connected",
        Failure,
        "node-1:9000 is not connected",
        |f| node(f).connected = false,
    ),
    ("nodes.window", Failure, "12 hours", |f| {
        node(f).keys_day = NaiveDate::from_ymd_opt(2026, 2, 21)
    }),
    ("nodes.window", Warning, "84 hours", |f| {
        node(f).keys_day = NaiveDate::from_ymd_opt(2026, 2, 24)
    }),
    ("nodes.revision", Failure, "has 6 of 7", |f| {
        node(f).revision = 6
    }),
    (
        "nodes.refusing",
        Failure,
        "refuses revision 7: too small",
        |f| {
            (node(f).nacked_revision, node(f).nack_reason) = (Some(7), Some("too small".into()));
        },
    ),
    ("nodes.version", Warning, "0.0.1", |f| {
        node(f).version = "0.0.1".into()
    }),
    ("nodes.clock", Failure, "node-1:9000: 300 s behind", |f| {
        f.node_clocks[0].1 = TimeDelta::seconds(-300)
    }),
    ("engines.reachable", Failure, "main: because", |f| {
        f.engine_looks[0].1 = why()
    }),
    ("engines.reachable", Failure, "main: it answers 403", |f| {
        f.engine_looks.clear();
        engine(f).reachable = Some(false);
        engine(f).last_error = Some("it answers 403".into());
    }),
    ("engines.capabilities", Failure, "not known", |f| {
        engine(f).probed_at = None
    }),
    (
        "engines.capabilities",
        Warning,
        "main lacks conditional writes",
        |f| engine(f).capabilities.conditional_writes = false,
    ),
    (
        "engines.capabilities",
        Warning,
        "main lacks versioning",
        |f| engine(f).capabilities.versioning = false,
    ),
    ("engines.space", Failure, "(4 %)", |f| {
        engine(f).stored_bytes = 96
    }),
    ("engines.space", Warning, "(10 %)", |f| {
        engine(f).stored_bytes = 90
    }),
    ("engines.rotation", Warning, "main", |f| {
        engine(f).rotating = true;
        engine(f).rotated_at = Some(now() - TimeDelta::days(2));
    }),
    ("engines.clock", Warning, "main: 20 s ahead", |f| {
        f.engine_clocks[0].1 = TimeDelta::seconds(20)
    }),
    ("jobs.running", Failure, "mail: due for 11 minutes", |f| {
        queues(f).mail_due_since = Some(now() - TimeDelta::minutes(11))
    }),
    ("jobs.running", Failure, "1 deletions", |f| {
        queues(f).deletions_broken_off = 1
    }),
    ("mail.configured", Failure, "because", |f| {
        f.mail_server = Some(why())
    }),
    ("mail.configured", Warning, "lies in a folder", |f| {
        f.mail_server = None;
        plane_of(f).sends_mail = false;
    }),
    ("mail.sent", Failure, "1 of 1 mails", |f| {
        queues(f).mails_failing = 1
    }),
    ("webhooks.delivered", Warning, "2 messages", |f| {
        queues(f).webhooks_failing = 2
    }),
    ("stripe.mode", Failure, "this shell names a test one", |f| {
        f.stripe.as_mut().unwrap().live = false
    }),
    (
        "stripe.mode",
        Failure,
        "3 tenants are customers in live mode",
        |f| {
            plane_of(f).stripe_live = Some(false);
            f.stripe = None;
        },
    ),
    ("stripe.reachable", Failure, "because", |f| {
        f.stripe.as_mut().unwrap().reached = why()
    }),
    ("stripe.events", Failure, "2 reports of usage", |f| {
        queues(f).meter_events_failing = 2
    }),
    ("public.certificates", Failure, "ends in 3 days", |f| {
        f.certificates[0].1 = Ok(now() + TimeDelta::days(3))
    }),
    ("public.certificates", Failure, "ended 2 days ago", |f| {
        f.certificates[0].1 = Ok(now() - TimeDelta::days(2))
    }),
    ("public.certificates", Failure, "because", |f| {
        f.certificates[0].1 = why()
    }),
    ("public.certificates", Warning, "ends in 14 days", |f| {
        f.certificates[0].1 = Ok(now() + TimeDelta::days(14))
    }),
    ("public.health", Failure, "metrics answer at", |f| {
        f.public[0].1 = true
    }),
    ("public.health", Failure, "a public address", |f| {
        f.health_address = Some("8.8.8.8:9001".parse().unwrap())
    }),
    ("machine.disk", Failure, "/srv has 0.5 GB left", |f| {
        f.disks[0].free = 500_000_000
    }),
    ("machine.disk", Warning, "/srv has 4.0 GB left", |f| {
        f.disks[0].free = 4_000_000_000
    }),
    ("machine.open_files", Failure, "512 files", |f| {
        f.open_files = Some(("this".into(), 512))
    }),
    ("machine.open_files", Warning, "1024 files", |f| {
        f.open_files = Some(("this".into(), 1024))
    }),
];

#[test]
fn a_whole_installation_passes_every_check() {
    let facts = healthy();
    let not_ok: Vec<Check> = examine(&facts)
        .into_iter()
        .filter(|check| check.status != Status::Ok)
        .collect();
    assert!(not_ok.is_empty(), "{not_ok:#?}");
}

#[test]
fn each_check_says_what_is_wrong_and_how_to_mend_it() {
    for (name, status, word, breaks) in BROKEN {
        let mut facts = healthy();
        breaks(&mut facts);
        let check = of(&facts, name);
        assert_eq!(check.status, *status, "{check:?}");
        assert!(check.found.contains(word), "{check:?}");
        assert!(check.mend.is_some_and(|mend| !mend.is_empty()), "{name}");
    }
}

#[test]
fn every_check_has_a_case_in_which_it_is_not_content() {
    let without = CHECKS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !BROKEN.iter().any(|(broken, ..)| broken == name));
    assert_eq!(without.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// Where nothing is there to be looked at, nothing is said to be well.
#[test]
fn what_could_not_be_looked_at_is_skipped() {
    let facts = Facts {
        now: now(),
        ..Facts::default()
    };
    for check in examine(&facts) {
        let expected = match check.name {
            "settings.names" => Status::Ok,
            _ => Status::Skipped,
        };
        assert_eq!(check.status, expected, "{check:?}");
    }
}

/// Where to health listens inside is nobody's business; the pod's own address is.
#[test]
fn health_may_listen_on_a_pods_address() {
    for address in ["0.0.0.0:9001", "10.1.2.3:9001", "127.0.0.1:9001"] {
        let mut facts = healthy();
        facts.health_address = Some(address.parse().unwrap());
        assert_eq!(of(&facts, "public.health").status, Status::Ok, "{address}");
    }
}

/// A page names each check, and no other.
#[test]
fn the_page_of_the_book_knows_every_check() {
    let page = include_str!("../../../../docs/operate/doctor.md");
    let rows = page.lines().filter_map(|line| {
        let name = line.strip_prefix("| `")?.split('`').next()?;
        name.contains('.').then_some(name)
    });
    let names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(rows.collect::<Vec<_>>(), names);
}
