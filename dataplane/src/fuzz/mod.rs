//! What must hold whatever a client, an engine or a control plane sends. A target reads any bytes at all and panics where
//! it does not hold; the crate `fuzz` drives the targets by coverage, `cargo test` runs them over the seeds in
//! `fuzz/corpus/`.

mod body;
mod documents;
mod form;
mod head;
mod push;

use std::net::IpAddr;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use wire::{
    AccessKey, AccessKeyStatus, Bucket, BucketStatus, Engine, EngineCapabilities, Limits,
    Placement, Scope, Settings, SigningKeys, Snapshot, TenantDocument, TenantStatus,
};

use crate::request::S3Request;
use crate::tenants::Tenants;

pub type Target = fn(&[u8]);

/// By name; each has a folder of seeds of the same name.
pub const TARGETS: &[(&str, Target)] = &[
    ("authorization", head::authorization),
    ("chunks", body::chunks),
    ("copy_source", head::copy_source),
    ("form", form::body),
    ("headers", head::headers),
    ("policy", form::policy),
    ("push", push::messages),
    ("tenants", push::changes),
    ("uri", head::uri),
    ("xml", documents::xml),
];

const ACCESS_KEY_ID: &str = "VLTAAAAAAAAAAAAAAAAA";
const DOMAIN: &str = "s3.test";
const REGION: &str = "us-east-1";
/// Of a dedicated bucket, and of a pooled one.
const PREFIXES: [&str; 2] = ["", "t/0123/4567/"];

/// 2026-03-04T05:06:07Z.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_600_767, 0).unwrap_or_default()
}

/// Today's.
fn signing_key() -> [u8; 32] {
    static DERIVED: OnceLock<[u8; 32]> = OnceLock::new();
    let derive = || sigv4::derive_signing_key("secret", "20260304", REGION, "s3");
    *DERIVED.get_or_init(derive)
}

fn signing_keys() -> SigningKeys {
    SigningKeys::new(now().date_naive(), vec![signing_key()])
}

fn settings() -> Settings {
    Settings {
        revision: 1,
        region: REGION.into(),
        engines: vec![Engine {
            id: "e".into(),
            endpoint: "http://127.0.0.1:1".into(),
            region: REGION.into(),
            access_key_id: "E".into(),
            signing_keys: signing_keys(),
            capabilities: EngineCapabilities {
                exact_keys: true,
                ..EngineCapabilities::default()
            },
        }],
        token_keys: vec!["BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=".into()],
        dashboard_origin: None,
    }
}

fn bucket(name: &str, prefix: &str) -> Bucket {
    Bucket {
        id: "0".repeat(32),
        name: name.into(),
        created_at: now(),
        status: BucketStatus::Active,
        placement: Placement {
            engine: "e".into(),
            bucket: "vt-0".into(),
            prefix: prefix.into(),
        },
        public_read: false,
        cors: Vec::new(),
    }
}

fn tenant(id: &str, access_key_ids: &[&str], buckets: Vec<Bucket>) -> TenantDocument {
    let access_key = |id: &&str| AccessKey {
        access_key_id: (*id).into(),
        status: AccessKeyStatus::Active,
        expires_at: None,
        scope: Scope::default(),
        signing_keys: signing_keys(),
    };
    TenantDocument {
        tenant_id: id.into(),
        revision: 1,
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
        access_keys: access_key_ids.iter().map(access_key).collect(),
        buckets,
    }
}

/// A node's knowledge: these tenants, at revision 1.
fn known(documents: Vec<TenantDocument>) -> Tenants {
    let tenants = Tenants::default();
    let snapshot = Snapshot {
        revision: 1,
        settings: settings(),
        tenants: documents,
    };
    assert_eq!(tenants.apply_snapshot(snapshot), Ok(()));
    tenants
}

/// A request as the HTTP library would hand it on; `None` for what that refuses itself.
fn request(
    method: &str,
    target: &[u8],
    headers: &[(&[u8], &[u8])],
) -> Option<Result<S3Request, crate::error::S3Error>> {
    let mut head = http::Request::builder()
        .method(method)
        .uri(http::Uri::try_from(target).ok()?)
        .body(())
        .ok()?
        .into_parts()
        .0;
    for (name, value) in headers {
        head.headers.append(
            HeaderName::from_bytes(name).ok()?,
            HeaderValue::from_bytes(value).ok()?,
        );
    }
    let domains = [DOMAIN.to_owned()];
    let peer = IpAddr::from([127, 0, 0, 1]);
    Some(S3Request::parse(String::new(), head, peer, &domains))
}

/// Lines of `name: value`, without those that have no colon.
fn header_lines(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    text.split(|b| *b == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            let (name, value) = line.split_at(colon);
            Some((name, value.get(1..)?.trim_ascii()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_seed_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let seeds: Vec<_> = std::fs::read_dir(corpus.join(name))
                .unwrap_or_else(|error| panic!("the seeds of {name}: {error}"))
                .collect();
            assert!(seeds.len() > 1, "{name} has seeds");
            target(b"");
            for seed in seeds {
                let seed = seed.unwrap().path();
                println!("{}", seed.display());
                let input = std::fs::read(&seed).unwrap();
                for end in [input.len(), input.len() / 2] {
                    target(&input[..end]);
                }
            }
        }
        let folders: BTreeSet<String> = std::fs::read_dir(&corpus)
            .unwrap()
            .map(|folder| folder.unwrap().file_name().into_string().unwrap())
            .collect();
        let names = TARGETS.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(folders, names.collect(), "seeds of no target, or none");
    }
}
