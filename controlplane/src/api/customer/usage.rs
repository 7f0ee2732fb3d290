//! `/usage`: sums by hour or day, for each bucket, access key or class.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::client::Client;
use super::input::Asked;
use super::operation::Operation;
use crate::api_tokens::TokenScope;
use crate::usage::{self, By, Group, Span};
use crate::{ControlPlane, Error};

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation::new(
        Method::GET,
        "/usage",
        TokenScope::Read,
        get(show),
        |d| {
            d.says(
                "Usage",
                "getUsage",
                "Show what was used",
                "The last 30 days unless said, in whole hours (UTC), 396 days at most. Hours in which nothing happened have \
                 no row, but each bucket has one for every day or hour in which it held something.",
            )
            .asks::<UsageQuery>()
            .answers::<UsageReport>(200, "The sums.", json!({
                "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "by": "day", "group": "bucket",
                "rows": [{
                    "time": "2026-03-01T00:00:00Z", "bucket_id": "0123456789abcdef0123456789abcdef", "bucket": "photos",
                    "requests": 12, "bytes_in": 1000, "bytes_out": 500, "stored_delta": 1000, "objects_delta": 1,
                    "stored_bytes": 1000, "byte_hours": 12_000,
                }],
            }))
        },
    )]
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageQuery {
    /// From the hour that holds this time.
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    /// Before this time.
    #[serde(default)]
    to: Option<DateTime<Utc>>,
    /// Sums for each hour or each day.
    #[serde(default)]
    #[param(inline)]
    by: UsageBy,
    /// Rows for each bucket, access key or class of requests.
    #[serde(default)]
    #[param(inline)]
    group: UsageGroup,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UsageBy {
    Hour,
    #[default]
    Day,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UsageGroup {
    #[default]
    Bucket,
    Key,
    Class,
}

#[derive(Serialize, ToSchema)]
struct UsageReport {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    by: UsageBy,
    group: UsageGroup,
    rows: Vec<UsageRow>,
}

#[derive(Serialize, ToSchema)]
struct UsageRow {
    /// When the hour or the day began.
    time: DateTime<Utc>,
    /// Where grouped by bucket; zero for requests that concern none.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_id: Option<String>,
    /// Its present name; none for a bucket that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    /// Where grouped by access key; empty for strangers.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
    /// Where grouped by class: `a`, `b`, `free`, or `inventory` for what was put right.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    requests: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// By how much what is stored grew, or shrank.
    stored_delta: i64,
    objects_delta: i64,
    /// What the bucket held at the end of the day or hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    /// The sum over hours of what it held at the end of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    byte_hours: Option<u64>,
}

impl From<usage::Row> for UsageRow {
    fn from(row: usage::Row) -> Self {
        Self {
            time: row.time,
            bucket_id: row.bucket_id,
            bucket: row.bucket,
            access_key_id: row.access_key_id,
            class: row.class,
            requests: row.requests,
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
            stored_delta: row.stored_delta,
            objects_delta: row.objects_delta,
            stored_bytes: row.stored_bytes,
            byte_hours: row.byte_hours,
        }
    }
}

async fn show(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(asked): Asked<UsageQuery>,
) -> Result<Json<UsageReport>, Error> {
    let span = Span::new(asked.from, asked.to, cp.clock().now())?;
    let by = match asked.by {
        UsageBy::Hour => By::Hour,
        UsageBy::Day => By::Day,
    };
    let group = match asked.group {
        UsageGroup::Bucket => Group::Bucket,
        UsageGroup::Key => Group::Key,
        UsageGroup::Class => Group::Class,
    };
    let mut tx = client.begin(&cp).await?;
    let report = usage::report(&mut tx, client.caller.tenant_id, span, by, group).await?;
    Ok(Json(UsageReport {
        from: report.from,
        to: report.to,
        by: asked.by,
        group: asked.group,
        rows: report.rows.into_iter().map(UsageRow::from).collect(),
    }))
}
