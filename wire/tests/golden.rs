//! What the planes said to each other in the release that these files were recorded in, and today's reading of it: the
//! release before and the next one are on the stream at the same time. A recording is never changed; a new message, or a
//! field that a neighbour must know of, gets a file of its own. `UPDATE_GOLDEN=1` records what has none yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use wire::*;

const TENANT: &str = "0123456789abcdef0123456789abcdef";
const BUCKET: &str = "fedcba9876543210fedcba9876543210";

fn at() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn keys() -> SigningKeys {
    let day = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
    SigningKeys::new(day, vec![[1; 32], [2; 32]])
}

fn tenant() -> TenantDocument {
    TenantDocument {
        tenant_id: TENANT.to_owned(),
        revision: 7,
        status: TenantStatus::Active,
        limits: Limits {
            requests_per_second: 100,
            burst: 200,
            concurrent_requests: Some(50),
            bytes_per_second: Some(1 << 20),
            quota_bytes: Some(1 << 40),
            quota_objects: Some(1000),
            quota_egress_bytes: Some(1 << 30),
        },
        max_staleness_seconds: Some(3600),
        access_keys: vec![AccessKey {
            access_key_id: "VLT00000000000000000".to_owned(),
            status: AccessKeyStatus::Active,
            expires_at: Some(at()),
            scope: Scope {
                buckets: vec!["photos".to_owned()],
                prefixes: vec!["2026/".to_owned()],
                permission: Permission::Write,
                actions: vec![Action::Delete],
                source_addresses: vec!["203.0.113.0/24".parse().unwrap()],
            },
            signing_keys: keys(),
        }],
        buckets: vec![Bucket {
            id: BUCKET.to_owned(),
            name: "photos".to_owned(),
            created_at: at(),
            status: BucketStatus::Active,
            placement: Placement {
                engine: "main".to_owned(),
                bucket: "pool".to_owned(),
                prefix: format!("t/{TENANT}/{BUCKET}/"),
            },
            public_read: true,
            cors: vec![CorsRule {
                id: Some("one".to_owned()),
                allowed_origins: vec!["https://example.com".to_owned()],
                allowed_methods: vec!["GET".to_owned()],
                allowed_headers: vec!["*".to_owned()],
                expose_headers: vec!["etag".to_owned()],
                max_age_seconds: Some(60),
            }],
        }],
    }
}

fn settings() -> Settings {
    Settings {
        revision: 6,
        region: "us-east-1".to_owned(),
        engines: vec![Engine {
            id: "main".to_owned(),
            endpoint: "http://127.0.0.1:8333".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "engine".to_owned(),
            signing_keys: keys(),
            capabilities: EngineCapabilities {
                exact_keys: true,
                ..EngineCapabilities::default()
            },
        }],
        token_keys: vec!["AAAA".to_owned()],
        dashboard_origin: Some("https://example.com".to_owned()),
    }
}

fn quota() -> Quota {
    Quota {
        tenant_id: TENANT.to_owned(),
        resource: Resource::EgressBytes,
        period: 202_603,
    }
}

fn shares() -> Shares {
    Shares::all(WHOLE / 2)
}

fn to_node() -> Vec<ToNode> {
    let ledger = || "0011223344556677".to_owned();
    vec![
        ToNode::SnapshotBegin(SnapshotBegin {
            revision: 7,
            epoch: TENANT.to_owned(),
            accepted: true,
            settings: settings(),
            tenants: 1,
        }),
        ToNode::SnapshotPage {
            revision: 7,
            tenants: vec![tenant()],
        },
        ToNode::SnapshotEnd { revision: 7 },
        ToNode::Refresh {
            revision: 7,
            settings: Some(settings()),
            tenants: vec![tenant()],
        },
        ToNode::Tenant(tenant()),
        ToNode::Settings(settings()),
        ToNode::Allotment(Allotment {
            number: 3,
            floor: WHOLE / 3,
            hold_seconds: 600,
            whole: true,
            draining: true,
            tenants: vec![TenantShares {
                tenant_id: TENANT.to_owned(),
                number: 3,
                shares: Some(shares()),
            }],
        }),
        ToNode::Heartbeat {
            revision: 7,
            at: at(),
        },
        ToNode::Booked {
            boot: ledger(),
            sequence: 9,
        },
        ToNode::Grants(Grants {
            ledger: ledger(),
            answers: Some(4),
            grants: vec![Grant {
                quota: quota(),
                total: 100,
            }],
        }),
        ToNode::Full(Full {
            answers: 4,
            used: 10,
            limit: 10,
            held: true,
        }),
        ToNode::Recall(Recall {
            quota: quota(),
            keeps: Some(BUCKET.to_owned()),
        }),
        ToNode::Renew { ledger: ledger() },
        ToNode::Left,
    ]
}

fn from_node() -> Vec<FromNode> {
    let ledger = || "0011223344556677".to_owned();
    vec![
        FromNode::Hello {
            protocol: 2,
            version: "0.1.0".to_owned(),
            s3_address: "127.0.0.1:9000".to_owned(),
            boot_id: ledger(),
            revision: 7,
            epoch: TENANT.to_owned(),
            whole: true,
            at: Some(at()),
        },
        FromNode::Ack { revision: 7 },
        FromNode::Nack {
            revision: 7,
            reason: "it cannot be read".to_owned(),
        },
        FromNode::Allotted(Allotted {
            number: 3,
            floor: WHOLE / 3,
            draining: true,
            tenants: vec![HeldShares {
                tenant_id: TENANT.to_owned(),
                number: 3,
                shares: shares(),
            }],
        }),
        FromNode::Demands {
            demands: vec![Demand {
                tenant_id: TENANT.to_owned(),
                requests: 1000,
                concurrency: 2,
                bandwidth: 3,
            }],
        },
        FromNode::Refusals {
            refusals: vec![Refusal {
                request_id: "R".to_owned(),
                tenant_id: TENANT.to_owned(),
                at: at(),
                operation: "PutObject".to_owned(),
                bucket: "photos".to_owned(),
                access_key_id: "VLT00000000000000000".to_owned(),
                status: 503,
                code: "SlowDown".to_owned(),
                rule: Rule::RateLimit,
                counter: Some(100_000),
                limit: Some(100_000),
                revision: 7,
                clears_at: Some(at()),
                more: 2,
            }],
        },
        FromNode::Usage {
            boot: ledger(),
            sequence: 9,
            lines: vec![UsageLine {
                hour: 492_000,
                tenant_id: TENANT.to_owned(),
                bucket_id: BUCKET.to_owned(),
                access_key_id: "VLT00000000000000000".to_owned(),
                class: RequestClass::A,
                requests: 1,
                bytes_in: 2,
                bytes_out: 3,
                stored_bytes: 4,
                stored_objects: 1,
                freed: vec![Freed { what: 5, bytes: 6 }],
                uploads: vec![UploadChange {
                    upload: 7,
                    part_bytes: 8,
                    end: UploadEnd::Completed { bytes: Some(8) },
                }],
            }],
            taken: vec![Taken {
                ledger: ledger(),
                quota: quota(),
                amount: 4,
                used: 1,
            }],
        },
        FromNode::Ledger { ledger: ledger() },
        FromNode::Ask(Ask {
            number: 4,
            ledger: ledger(),
            quota: quota(),
            need: 5,
            want: 6,
        }),
        FromNode::Leave,
    ]
}

fn folder(direction: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/v2")
        .join(direction)
}

fn recorded(direction: &str) -> Vec<(String, Value)> {
    let mut files: Vec<_> = std::fs::read_dir(folder(direction))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// Every message has a recording of its name, and every recording is still what is meant by it.
fn held<M>(direction: &str, messages: &[M])
where
    M: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    for message in messages {
        let value = serde_json::to_value(message).unwrap();
        let name = value["type"].as_str().unwrap();
        let path = folder(direction).join(format!("{name}.json"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
            std::fs::create_dir_all(folder(direction)).unwrap();
            let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
            std::fs::write(&path, text).unwrap();
        }
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: record it", path.display()));
        assert_eq!(
            &serde_json::from_str::<M>(&text).unwrap(),
            message,
            "{name}"
        );
    }
    let sent: BTreeSet<String> = messages
        .iter()
        .map(|m| {
            serde_json::to_value(m).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    for (name, value) in recorded(direction) {
        assert!(
            sent.contains(&name),
            "{name} is not sent any more: keep its reading"
        );
        let read: M = serde_json::from_value(value.clone()).unwrap();
        let again = serde_json::to_value(&read).unwrap();
        lacks_nothing(&name, &value, &again);
        let more = with_more(&value);
        assert_ne!(more, value);
        if !name_has_scope(&value) {
            let read_more: M = serde_json::from_value(more).unwrap();
            assert_eq!(read_more, read, "{name}: fields of a later release");
        }
    }
}

/// All that was recorded is said today, under the same name.
fn lacks_nothing(place: &str, recorded: &Value, today: &Value) {
    match (recorded, today) {
        (Value::Object(recorded), Value::Object(today)) => {
            for (field, value) in recorded {
                let place = format!("{place}.{field}");
                let there = today.get(field);
                lacks_nothing(&place, value, there.unwrap_or_else(|| panic!("{place}")));
            }
        }
        (Value::Array(recorded), Value::Array(today)) => {
            assert_eq!(recorded.len(), today.len(), "{place}");
            for (one, other) in recorded.iter().zip(today) {
                lacks_nothing(place, one, other);
            }
        }
        _ => assert_eq!(recorded, today, "{place}"),
    }
}

/// A later release may add a field to anything.
fn with_more(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(k, v)| (k.clone(), with_more(v)));
            let more = [("of_a_later_release".to_owned(), json!({ "x": [1] }))];
            Value::Object(fields.chain(more).collect())
        }
        Value::Array(all) => Value::Array(all.iter().map(with_more).collect()),
        other => other.clone(),
    }
}

/// There a field that is not known is no matter of indifference.
fn name_has_scope(value: &Value) -> bool {
    value.to_string().contains("\"scope\"")
}

#[test]
fn todays_messages_are_read_as_they_were_recorded() {
    held("to_node", &to_node());
    held("from_node", &from_node());
    // A new one has to be added above, and recorded.
    for message in to_node() {
        match message {
            ToNode::SnapshotBegin(_)
            | ToNode::SnapshotPage { .. }
            | ToNode::SnapshotEnd { .. }
            | ToNode::Refresh { .. }
            | ToNode::Tenant(_)
            | ToNode::Settings(_)
            | ToNode::Allotment(_)
            | ToNode::Heartbeat { .. }
            | ToNode::Booked { .. }
            | ToNode::Grants(_)
            | ToNode::Full(_)
            | ToNode::Recall(_)
            | ToNode::Renew { .. }
            | ToNode::Left => {}
            ToNode::Unknown => panic!("nobody says this"),
        }
    }
    for message in from_node() {
        match message {
            FromNode::Hello { .. }
            | FromNode::Ack { .. }
            | FromNode::Nack { .. }
            | FromNode::Allotted(_)
            | FromNode::Demands { .. }
            | FromNode::Refusals { .. }
            | FromNode::Usage { .. }
            | FromNode::Ledger { .. }
            | FromNode::Ask(_)
            | FromNode::Leave => {}
            FromNode::Unknown => panic!("nobody says this"),
        }
    }
    assert_eq!((to_node().len(), from_node().len()), (14, 10));
}

#[test]
fn messages_of_a_later_release_are_read_as_unknown() {
    let later = json!({ "type": "of_a_later_release", "revision": 8, "more": {} });
    let read: ToNode = serde_json::from_value(later.clone()).unwrap();
    assert_eq!(read, ToNode::Unknown);
    let read: FromNode = serde_json::from_value(later).unwrap();
    assert_eq!(read, FromNode::Unknown);
}

/// The words by which a document allows something. Those of a later release allow nothing; that nodes see to that is
/// tested in the crate `dataplane`.
#[test]
fn words_of_a_later_release_are_no_words_of_today() {
    let whole = serde_json::to_value(tenant()).unwrap();
    let with = |path: &str, word: Value| {
        let mut changed = whole.clone();
        *changed.pointer_mut(path).unwrap() = word;
        serde_json::from_value::<TenantDocument>(changed).unwrap()
    };
    let later = || json!("of_a_later_release");
    assert_eq!(with("/status", later()).status, TenantStatus::Unknown);
    let key = with("/access_keys/0/status", later()).access_keys.remove(0);
    assert_eq!(key.status, AccessKeyStatus::Unknown);
    let key = with("/access_keys/0/scope/permission", later())
        .access_keys
        .remove(0);
    assert_eq!(key.scope.permission, Permission::Unknown);
    let key = with("/access_keys/0/scope/actions/0", later())
        .access_keys
        .remove(0);
    assert_eq!(key.scope.actions, [Action::Unknown]);
    let bucket = with("/buckets/0/status", later()).buckets.remove(0);
    assert_eq!(bucket.status, BucketStatus::Unknown);
}

#[test]
fn a_limit_of_a_later_release_on_a_key_leaves_nothing_of_it_and_all_of_the_others() {
    let mut document = serde_json::to_value(tenant()).unwrap();
    let other = document["access_keys"][0].clone();
    document["access_keys"].as_array_mut().unwrap().push(other);
    document["access_keys"][0]["scope"]["weekdays"] = json!(["monday"]);
    let read: TenantDocument = serde_json::from_value(document).unwrap();
    assert_eq!(read.access_keys[0].scope.permission, Permission::Unknown);
    assert_eq!(read.access_keys[1], tenant().access_keys[0]);
    // A key that is limited in nothing but that.
    let only = json!({
        "access_key_id": "VLT00000000000000000", "status": "active", "scope": { "weekdays": [] }
    });
    let read: AccessKey = serde_json::from_value(only).unwrap();
    assert_eq!(read.scope.permission, Permission::Unknown);
    let nothing =
        json!({ "access_key_id": "VLT00000000000000000", "status": "active", "scope": {} });
    let read: AccessKey = serde_json::from_value(nothing).unwrap();
    assert!(read.scope.is_everything());
}

#[test]
fn neighbours_speak_the_lower_of_their_versions_and_strangers_nothing() {
    assert_eq!(negotiate(PROTOCOL_VERSION), Some(PROTOCOL_VERSION));
    assert_eq!(negotiate(PROTOCOL_VERSION + 1), Some(PROTOCOL_VERSION));
    assert_eq!(negotiate(PROTOCOL_VERSION + 2), None);
    let before = PROTOCOL_VERSION - 1;
    assert_eq!(
        negotiate(before),
        (before >= OLDEST_PROTOCOL).then_some(before)
    );
    assert_eq!(negotiate(OLDEST_PROTOCOL - 1), None);
    assert_eq!(negotiate(0), None);
}
