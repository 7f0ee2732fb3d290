//! `/admin/engines`: what tenants' objects are kept on. A secret comes in with a form and is in no page.

mod acts;
mod list;
mod new;
mod rotate;
mod show;

use axum::routing::{get, post};
use controlplane::engines::{Health, View};
use wire::EngineCapabilities;

use super::Route;
use crate::Access::Operator;
use crate::figures::{Size, count};

pub(super) fn routes() -> Vec<Route> {
    vec![
        (
            "/admin/engines",
            Operator,
            get(list::show).post(new::submit),
        ),
        ("/admin/engines/new", Operator, get(new::show)),
        ("/admin/engines/{engine_id}", Operator, get(show::show)),
        (
            "/admin/engines/{engine_id}/probe",
            Operator,
            post(acts::probe),
        ),
        (
            "/admin/engines/{engine_id}/capacity",
            Operator,
            post(acts::capacity),
        ),
        (
            "/admin/engines/{engine_id}/tenant",
            Operator,
            post(acts::tenant),
        ),
        (
            "/admin/engines/{engine_id}/disable",
            Operator,
            post(acts::disable),
        ),
        (
            "/admin/engines/{engine_id}/enable",
            Operator,
            post(acts::enable),
        ),
        (
            "/admin/engines/{engine_id}/remove",
            Operator,
            post(acts::remove),
        ),
        (
            "/admin/engines/{engine_id}/default",
            Operator,
            get(acts::ask_default).post(acts::make_default),
        ),
        (
            "/admin/engines/{engine_id}/rotate",
            Operator,
            get(rotate::show).post(rotate::submit),
        ),
        (
            "/admin/engines/{engine_id}/rotate/finish",
            Operator,
            post(rotate::finish),
        ),
        (
            "/admin/engines/{engine_id}/rotate/back",
            Operator,
            post(rotate::go_back),
        ),
    ]
}

/// What a probe looks for, in people's words, and whether it was found.
fn abilities(able: &EngineCapabilities) -> [(&'static str, bool); 16] {
    [
        ("Exact keys", able.exact_keys),
        ("Listings in byte order", able.byte_order),
        ("Checksums (CRC32, CRC32C, SHA-1, SHA-256)", able.checksums),
        ("Checksums of CRC64NVME", able.keeps_crc64nvme()),
        (
            "Newer checksums (SHA-512, MD5, XXHash)",
            able.newer_checksums,
        ),
        ("Trailing checksums", able.trailers),
        ("Conditional writes", able.conditional_writes),
        ("Versioning", able.versioning),
        ("Object lock", able.object_lock),
        ("Object tags", able.object_tagging),
        ("Bucket tags", able.bucket_tagging),
        ("Lifecycle rules", able.lifecycle),
        ("Bucket encryption", able.bucket_encryption),
        ("Encryption at rest (SSE-S3)", able.sse_s3),
        ("Customers’ own keys (SSE-C)", able.sse_c),
        ("Object attributes", able.object_attributes),
    ]
}

/// As people read it, and the colour of its badge.
fn health(health: Option<&Health>) -> (&'static str, &'static str) {
    match health {
        None => ("not looked at yet", ""),
        Some(health) if health.reachable => ("healthy", "good"),
        Some(_) => ("unreachable", "bad"),
    }
}

/// What is left of its capacity: `1.2 TB of 2 TB`.
fn free(view: &View) -> String {
    match (view.free_bytes, view.capacity_bytes) {
        (Some(free), Some(all)) => format!("{} of {}", Size::of(free), Size::of(all)),
        _ => "not known".to_owned(),
    }
}

/// `1 bucket`, `2 buckets`
fn of(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", count(number)),
    }
}

/// Host and port of its endpoint.
fn host(endpoint: &str) -> &str {
    let (_, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    rest.split('/').next().unwrap_or(rest)
}
