//! `/refusals`: why S3 requests were refused, newest first, or one by its request id.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::client::Client;
use super::input::{Asked, Segment};
use super::operation::Operation;
use super::paging::{Page, Paging, newest_first};
use crate::api_tokens::TokenScope::Read;
use crate::{ControlPlane, Error, refusals};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/refusals", Read, get(list), |d| {
            d.says(
                "Refusals",
                "listRefusals",
                "List refused S3 requests",
                "The last thousand of seven days, the newest first.",
            )
            .asks::<Paging>()
            .answers_page::<Refusal>(
                "Refusals.",
                json!({ "data": [example()], "next_cursor": null }),
            )
        }),
        Operation::new(
            Method::GET,
            "/refusals/{request_id}",
            Read,
            get(show),
            |d| {
                d.says(
                    "Refusals",
                    "getRefusal",
                    "Explain a refused S3 request",
                    "By the `x-amz-request-id` that the S3 client was told.",
                )
                .answers::<Refusal>(200, "The refusal.", example())
            },
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct Refusal {
    request_id: String,
    at: DateTime<Utc>,
    operation: String,
    #[schema(required)]
    bucket: Option<String>,
    #[schema(required)]
    access_key_id: Option<String>,
    /// The HTTP status.
    status: u16,
    /// S3's error code.
    code: String,
    /// `rate_limit`, `quota_stored_bytes`, `scope_bucket`, `key_revoked`, …
    rule: String,
    /// What the rule counted on that node: thousandths of requests a second, requests at once, or bytes.
    #[schema(required)]
    counter: Option<i64>,
    /// What it allowed there, in the same unit.
    #[schema(required)]
    limit: Option<i64>,
    /// Of the configuration by which it was decided.
    revision: i64,
    /// When the request would have passed, where that was known.
    #[schema(required)]
    clears_at: Option<DateTime<Utc>>,
    /// How many more were refused by the same rule in that second, of which nothing else was kept.
    more: i64,
    /// All of it in a sentence or two.
    explanation: String,
}

impl From<refusals::Refusal> for Refusal {
    fn from(refusal: refusals::Refusal) -> Self {
        Self {
            request_id: refusal.request_id,
            at: refusal.at,
            operation: refusal.operation,
            bucket: refusal.bucket,
            access_key_id: refusal.access_key_id,
            status: refusal.status,
            code: refusal.code,
            rule: refusal.rule.as_str().to_owned(),
            counter: refusal.counter,
            limit: refusal.limit,
            revision: refusal.revision,
            clears_at: refusal.clears_at,
            more: refusal.more,
            explanation: refusal.explanation,
        }
    }
}

fn example() -> Value {
    json!({
        "request_id": "0123456789abcdef0123456789abcdef", "at": "2026-03-01T12:00:00Z", "operation": "PutObject",
        "bucket": "photos", "access_key_id": "VLT0000000000EXAMPLE", "status": 403, "code": "AccessDenied",
        "rule": "scope_bucket", "counter": null, "limit": null, "revision": 12, "clears_at": null, "more": 0,
        "explanation": "The access key is limited to other buckets.",
    })
}

async fn list(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Refusal>>, Error> {
    let mut tx = client.begin(&cp).await?;
    let rows = refusals::list(&mut tx, client.caller.tenant_id).await?;
    let place = |row: &refusals::Refusal| newest_first(row.at, &row.request_id);
    Ok(Json(Page::of(rows, &paging, place)?))
}

async fn show(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(request_id): Segment,
) -> Result<Json<Refusal>, Error> {
    let mut tx = client.begin(&cp).await?;
    let refusal = refusals::by_request(&mut tx, &request_id).await?;
    Ok(Json(refusal.into()))
}
