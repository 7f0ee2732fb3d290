//! What the control plane pushes: applied whole, or refused and then without a trace.

use std::collections::BTreeSet;

use wire::{Snapshot, TenantDocument, TenantStatus, ToNode};

use super::{bucket, known, settings, tenant};
use crate::tenants::{Lookup, Tenants};

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const KEYS: [&str; 8] = ["K0", "K1", "K2", "K3", "K4", "K5", "K6", "K7"];
const BUCKETS: [&str; 4] = ["w", "x", "y", "z"];

fn node() -> Tenants {
    let public = || {
        let mut bucket = bucket("w", "");
        bucket.public_read = true;
        bucket
    };
    known(vec![
        tenant("a", &["K0", "K1"], vec![public(), bucket("x", "")]),
        tenant("b", &["K2"], vec![bucket("y", "")]),
    ])
}

/// One message of the stream a line, as text.
pub fn messages(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let tenants = node();
    for line in text.lines() {
        crate::intake::revision_of(line);
        if let Ok(message) = serde_json::from_str::<ToNode>(line) {
            let written = serde_json::to_string(&message).unwrap_or_default();
            let again = serde_json::from_str::<ToNode>(&written).ok();
            assert_eq!(again.as_ref(), Some(&message));
            let rewinds = matches!(message, ToNode::SnapshotEnd { .. });
            let before = tenants.revision();
            check(&tenants, |tenants| tenants.apply(message).is_ok());
            assert!(rewinds || tenants.revision() >= before);
        }
    }
}

/// Four bytes make a tenant document: kind and id, revision, access keys, buckets. Some go into a snapshot together.
pub fn changes(input: &[u8]) {
    let tenants = node();
    let mut waiting: Vec<TenantDocument> = Vec::new();
    for change in input.as_chunks::<4>().0 {
        let [kind, revision, keys, buckets] = *change;
        let document = document(kind, revision, keys, buckets);
        match kind >> 6 {
            0 | 1 => check(&tenants, |tenants| tenants.apply_tenant(document).is_ok()),
            2 => waiting.push(document),
            _ => {
                waiting.push(document);
                let snapshot = Snapshot {
                    revision: revision.into(),
                    settings: settings(),
                    tenants: std::mem::take(&mut waiting),
                };
                check(&tenants, |tenants| tenants.apply_snapshot(snapshot).is_ok());
            }
        }
    }
}

fn document(kind: u8, revision: u8, keys: u8, buckets: u8) -> TenantDocument {
    let chosen = |names: &[&'static str], bits: u8| -> Vec<&'static str> {
        let bit = |(i, _): &(usize, &&str)| bits >> i & 1 > 0;
        names.iter().enumerate().filter(bit).map(|p| *p.1).collect()
    };
    let public = chosen(&BUCKETS, buckets >> 4);
    let buckets = chosen(&BUCKETS, buckets).into_iter().map(|name| {
        let mut bucket = bucket(name, "");
        bucket.public_read = public.contains(&name);
        bucket
    });
    let id = IDS.get(usize::from(kind & 3)).copied().unwrap_or_default();
    let mut document = tenant(id, &chosen(&KEYS, keys), buckets.collect());
    document.revision = revision.into();
    if kind >> 2 & 3 == 3 {
        document.status = TenantStatus::Deleted;
    }
    document
}

/// What is refused leaves no trace, and what is not leaves ways in that agree with the documents.
fn check(tenants: &Tenants, apply: impl FnOnce(&Tenants) -> bool) {
    let before = seen(tenants);
    let applied = apply(tenants);
    let after = seen(tenants);
    if !applied {
        assert_eq!(before, after, "a refused push left a trace");
    }
    agrees(tenants, &after.0, &before.1);
}

/// Everything that a request can see: the documents, and the ways in.
fn seen(tenants: &Tenants) -> (Snapshot, BTreeSet<String>) {
    let Some(mut snapshot) = tenants.snapshot() else {
        panic!("a node that had settings has none");
    };
    snapshot
        .tenants
        .sort_by(|a, b| a.tenant_id.cmp(&b.tenant_id));
    let keys = snapshot.tenants.iter().flat_map(|t| &t.access_keys);
    let keys = keys.map(|key| key.access_key_id.clone()).collect();
    (snapshot, keys)
}

/// Each way in leads to the one tenant whose document says so, and to nobody where none does.
fn agrees(tenants: &Tenants, snapshot: &Snapshot, earlier: &BTreeSet<String>) {
    let mut keys = BTreeSet::new();
    for document in &snapshot.tenants {
        for key in &document.access_keys {
            keys.insert(key.access_key_id.as_str());
            match tenants.lookup(&key.access_key_id) {
                Lookup::Found(owner) => assert_eq!(owner.id(), document.tenant_id),
                _ => panic!("{} is lost", key.access_key_id),
            }
        }
    }
    for gone in earlier.iter().filter(|key| !keys.contains(key.as_str())) {
        let unknown = matches!(tenants.lookup(gone), Lookup::Unknown);
        assert!(unknown, "{gone} still opens a door");
    }
    let names = snapshot.tenants.iter().flat_map(|t| &t.buckets);
    for name in names.map(|bucket| bucket.name.as_str()) {
        let public = |t: &&TenantDocument| {
            let known = tenants.tenant(&t.tenant_id);
            known.is_some_and(|t| t.bucket(name).is_some_and(|bucket| bucket.public_read))
        };
        let owners: Vec<_> = snapshot.tenants.iter().filter(public).collect();
        let expected = match owners[..] {
            [only] => Some(only.tenant_id.as_str()),
            _ => None,
        };
        let owner = tenants.public_owner(name);
        assert_eq!(owner.as_ref().map(|t| t.id()), expected, "{name}");
    }
}
