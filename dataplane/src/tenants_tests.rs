//! The rules by which pushes are applied and refused; and small documents for the tests of other modules.

use chrono::{DateTime, NaiveDate, Utc};
use wire::{
    AccessKey, AccessKeyStatus, Bucket, BucketStatus, EngineCapabilities, Limits, Placement, Scope,
    SigningKeys, Snapshot, TenantStatus,
};

use super::*;

pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

pub fn id(n: u32) -> String {
    format!("{n:032x}")
}

/// With signing keys for these days, which follow each other.
pub fn key(access_key_id: &str, days: &[NaiveDate]) -> AccessKey {
    let derived = days.iter().map(|date| {
        let date = date.format("%Y%m%d").to_string();
        sigv4::derive_signing_key(SECRET, &date, "us-east-1", "s3")
    });
    let first_day = days.first().copied().unwrap_or_default();
    let signing_keys = SigningKeys::new(first_day, derived.collect());
    AccessKey {
        access_key_id: access_key_id.into(),
        status: AccessKeyStatus::Active,
        expires_at: None,
        scope: Scope::default(),
        signing_keys,
    }
}

pub fn document(n: u32, revision: Revision, keys: Vec<AccessKey>) -> TenantDocument {
    TenantDocument {
        tenant_id: id(n),
        revision,
        status: TenantStatus::Active,
        limits: Limits {
            requests_per_second: 100,
            burst: 200,
            concurrent_requests: None,
            bytes_per_second: None,
            quota_bytes: None,
            quota_objects: None,
            quota_egress_bytes: None,
        },
        max_staleness_seconds: None,
        access_keys: keys,
        buckets: vec![Bucket {
            id: id(n + 1000),
            name: "photos".into(),
            created_at: DateTime::<Utc>::UNIX_EPOCH,
            status: BucketStatus::Active,
            placement: Placement {
                engine: "e".into(),
                bucket: format!("vt-{}", id(n + 1000)),
                prefix: String::new(),
            },
            public_read: false,
            cors: Vec::new(),
        }],
    }
}

pub fn settings(revision: Revision) -> Settings {
    Settings {
        revision,
        region: "us-east-1".into(),
        engines: vec![Engine {
            id: "e".into(),
            endpoint: "http://127.0.0.1:1".into(),
            region: "us-east-1".into(),
            access_key_id: "E".into(),
            signing_keys: SigningKeys::default(),
            capabilities: EngineCapabilities::default(),
        }],
        token_keys: vec![STANDARD.encode([9u8; 32])],
        dashboard_origin: None,
    }
}

fn snapshot(revision: Revision, tenants: Vec<TenantDocument>) -> Snapshot {
    Snapshot {
        revision,
        settings: settings(1),
        tenants,
    }
}

fn many(n: u32, revision: Revision) -> Vec<TenantDocument> {
    (0..n)
        .map(|i| document(i, revision, vec![key(&format!("KEY{i}"), &[])]))
        .collect()
}

fn found(tenants: &Tenants, key: &str) -> Option<String> {
    match tenants.lookup(key) {
        Lookup::Found(tenant) => Some(tenant.id().to_owned()),
        _ => None,
    }
}

#[test]
fn nothing_is_known_until_the_first_snapshot() {
    let tenants = Tenants::default();
    assert!(matches!(tenants.lookup("KEY0"), Lookup::Pending));
    tenants.apply_snapshot(snapshot(1, vec![])).unwrap();
    assert!(matches!(tenants.lookup("KEY0"), Lookup::Unknown));
}

#[test]
fn a_change_replaces_one_tenant_whole() {
    let tenants = Tenants::default();
    tenants.apply_snapshot(snapshot(2, many(2, 2))).unwrap();
    tenants
        .apply_tenant(document(0, 3, vec![key("NEW", &[])]))
        .unwrap();
    assert_eq!(found(&tenants, "NEW"), Some(id(0)));
    assert_eq!(found(&tenants, "KEY0"), None);
    assert_eq!(found(&tenants, "KEY1"), Some(id(1)));
    assert_eq!(tenants.revision(), 3);
}

#[test]
fn a_deleted_tenant_is_forgotten() {
    let tenants = Tenants::default();
    tenants.apply_snapshot(snapshot(2, many(2, 2))).unwrap();
    let mut gone = document(0, 3, vec![]);
    gone.status = TenantStatus::Deleted;
    tenants.apply_tenant(gone).unwrap();
    assert_eq!(found(&tenants, "KEY0"), None);
    assert_eq!(tenants.len(), 1);
}

#[test]
fn nobody_takes_another_tenants_key() {
    let tenants = Tenants::default();
    tenants.apply_snapshot(snapshot(2, many(2, 2))).unwrap();
    assert!(
        tenants
            .apply_tenant(document(1, 3, vec![key("KEY0", &[])]))
            .is_err()
    );
    assert_eq!(found(&tenants, "KEY0"), Some(id(0)));
    assert_eq!(tenants.revision(), 2);
}

#[test]
fn a_key_that_moves_is_its_new_tenants_in_whatever_order_they_come() {
    let moved = || {
        [
            document(0, 3, vec![]),
            document(1, 3, vec![key("KEY0", &[])]),
        ]
    };
    let mut turned = moved();
    turned.reverse();
    for documents in [moved(), turned] {
        let tenants = Tenants::default();
        tenants.apply_snapshot(snapshot(2, many(2, 2))).unwrap();
        tenants
            .apply_snapshot(snapshot(3, documents.into()))
            .unwrap();
        assert_eq!(found(&tenants, "KEY0"), Some(id(1)));
        assert_eq!(found(&tenants, "KEY1"), None);
    }
}

#[test]
fn old_empty_and_shrunken_snapshots_are_refused() {
    let tenants = Tenants::default();
    tenants.apply_snapshot(snapshot(5, many(20, 5))).unwrap();
    assert!(tenants.apply_snapshot(snapshot(4, many(20, 4))).is_err());
    assert!(tenants.apply_snapshot(snapshot(6, vec![])).is_err());
    assert!(tenants.apply_snapshot(snapshot(6, many(9, 6))).is_err());
    assert_eq!(tenants.len(), 20);
    tenants.apply_snapshot(snapshot(6, many(10, 6))).unwrap();
    assert_eq!(tenants.len(), 10);
    assert_eq!(found(&tenants, "KEY15"), None);
}

#[test]
fn a_snapshot_without_token_keys_is_refused() {
    let tenants = Tenants::default();
    let mut bad = snapshot(1, vec![]);
    bad.settings.token_keys.clear();
    assert!(tenants.apply_snapshot(bad).is_err());
    assert!(!tenants.is_ready());
}
