//! `POST /buckets/{bucket}/sign`: presigned requests for the script that uploads, one step of an upload at a time.
//! It signs nothing that the member's role does not allow, and the node checks that once more.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::Duration;
use http::StatusCode;
use serde::Serialize;

use crate::App;
use crate::failure::Failure;
use crate::fields::Pairs;
use crate::forgery::MemberForm;
use crate::pages::buckets::{find, may_write, signer};

/// For one step. A part that takes longer has begun in time all the same.
const LIFE: Duration = Duration::hours(1);
/// S3's limit.
const LAST_PART: u32 = 10_000;
/// At once.
const MAX_PARTS: u32 = 100;

#[derive(Serialize)]
struct Signed {
    /// One, or one for each part in order.
    urls: Vec<String>,
}

pub async fn submit(
    State(app): State<App>,
    Path(bucket): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let bucket = find(&app, &member, &bucket).await?;
    let signer = signer(&app, &member).await?;
    let (key, upload) = (fields.get("key"), fields.get("upload_id"));
    let now = app.cp.clock().now();
    let sign = |method, query: &[(&str, &str)]| {
        signer.presign(now, method, &bucket.name, Some(key), query, LIFE)
    };
    let refused = Failure::from(StatusCode::UNPROCESSABLE_ENTITY);
    if key.is_empty() {
        return Err(refused);
    }
    let urls = match fields.get("step") {
        "put" => vec![sign("PUT", &[])],
        "create" => vec![sign("POST", &[("uploads", "")])],
        "parts" => {
            let number = |name| fields.get(name).parse::<u32>().ok();
            let (Some(first), Some(count)) = (number("first"), number("count")) else {
                return Err(refused);
            };
            let last = first.saturating_add(count.saturating_sub(1));
            if first == 0 || count == 0 || count > MAX_PARTS || last > LAST_PART {
                return Err(refused);
            }
            let numbers = (first..=last).map(|number| number.to_string());
            numbers
                .map(|number| sign("PUT", &[("partNumber", &number), ("uploadId", upload)]))
                .collect()
        }
        "complete" => vec![sign("POST", &[("uploadId", upload)])],
        "abort" => vec![sign("DELETE", &[("uploadId", upload)])],
        _ => return Err(refused),
    };
    Ok(Json(Signed { urls }).into_response())
}
