//! `/audit-log`: who changed what, when and from where; the newest first.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::client::Client;
use super::input::{Asked, number};
use super::operation::Operation;
use super::paging::{Page, Paging, cursor};
use crate::api_tokens::TokenScope;
use crate::audit::{self, Filter};
use crate::{ControlPlane, Error};

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation::new(
        Method::GET,
        "/audit-log",
        TokenScope::Members,
        get(list),
        |d| {
            d.says(
                "Audit log",
                "listAuditLog",
                "Read the audit log",
                "The newest first. For those who may manage members, as on the page.",
            )
            .asks::<AuditQuery>()
            .answers_page::<AuditEntry>(
                "Entries.",
                json!({ "data": [example()], "next_cursor": null }),
            )
        },
    )]
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// What actions begin with, such as `bucket.`.
    #[serde(default)]
    action: String,
    /// Whose entries, as `actor` has it.
    #[serde(default)]
    actor: String,
    /// How many entries at most.
    #[serde(default = "fifty", deserialize_with = "number")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u32,
    /// `next_cursor` of the page before.
    #[serde(default)]
    #[param(min_length = 1, max_length = 1024)]
    cursor: Option<String>,
}

fn fifty() -> u32 {
    Paging::default().limit
}

#[derive(Serialize, ToSchema)]
struct AuditEntry {
    entry_id: i64,
    at: DateTime<Utc>,
    /// A member's address, with the API token that was used; `operator`; `system`; an access key's id.
    actor: String,
    /// `access_key.create`, `bucket.delete`, …
    action: String,
    /// What it was done to.
    target: String,
    #[schema(required)]
    address: Option<String>,
    #[schema(required)]
    request_id: Option<String>,
    #[schema(value_type = Object)]
    details: Value,
}

impl From<audit::Entry> for AuditEntry {
    fn from(entry: audit::Entry) -> Self {
        Self {
            entry_id: entry.id,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            address: entry.address,
            request_id: entry.request_id,
            details: entry.details,
        }
    }
}

fn example() -> Value {
    json!({
        "entry_id": 17, "at": "2026-03-01T12:00:00Z", "actor": "ann@example.com (API token deploy)",
        "action": "access_key.create", "target": "VLT0000000000EXAMPLE", "address": "203.0.113.7",
        "request_id": "0123456789abcdef0123456789abcdef", "details": { "name": "nightly backup" },
    })
}

async fn list(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(asked): Asked<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Error> {
    let paging = Paging {
        limit: asked.limit,
        cursor: asked.cursor,
    };
    let (limit, before) = (paging.limit()?, paging.after()?);
    // One more than is answered tells whether there is another page.
    let filter = Filter {
        action_prefix: asked.action,
        actor: asked.actor,
        before,
        limit: asked.limit + 1,
    };
    let mut tx = client.begin(&cp).await?;
    let mut entries = audit::page(&mut tx, &filter).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let last = entries.last().filter(|_| more).map(|entry| entry.id);
    Ok(Json(Page {
        next_cursor: last.map(|id| cursor(&id)).transpose()?,
        data: entries.into_iter().map(AuditEntry::from).collect(),
    }))
}
