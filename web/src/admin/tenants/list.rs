//! `/admin/tenants`: all of them, by name, address or id, by status and plan, a page at a time.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use controlplane::operators::{self, Search};
use controlplane::plans;
use controlplane::tenants::Tenant;
use serde::Deserialize;
use wire::TenantStatus;

use crate::App;
use crate::admin::frame::{Area, Frame, Operator};
use crate::failure::{Failure, page};
use crate::fields::{encode, term};
use crate::figures::Moment;

const PAGE: u32 = 50;
const STATUSES: [(&str, &str); 5] = [
    ("", "Not deleted"),
    ("active", "Active"),
    ("read_only", "Read-only"),
    ("suspended", "Suspended"),
    ("deleted", "Deleted"),
];

#[derive(Template)]
#[template(path = "admin/tenants.html")]
struct TenantsPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    search: String,
    status: &'a str,
    plan: &'a str,
    statuses: [(&'static str, &'static str); 5],
    plans: Vec<String>,
    rows: Vec<Row>,
    is_first: bool,
    next: Option<String>,
}

struct Row {
    id: String,
    /// What a form of several hands back: which it is, and which change was the last that was seen.
    chosen: String,
    name: String,
    email: String,
    status: &'static str,
    tone: &'static str,
    plan: String,
    since: Moment,
}

#[derive(Deserialize, Default)]
pub struct TenantsQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    plan: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<TenantsQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let known = STATUSES.iter().any(|(status, _)| *status == query.status);
    let status = if known { query.status.as_str() } else { "" };
    let search = Search {
        text: term(&query.search),
        status: status.to_owned(),
        plan: term(&query.plan),
        // What is no tenant is no place in the list.
        after: query.after.parse().ok(),
        limit: PAGE + 1,
    };
    let mut tx = operator.begin(&app).await?;
    let mut found = operators::search(&mut tx, &search).await?;
    let plans = plans::list(&mut tx).await?;
    drop(tx);
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found.last().map(|tenant| tenant.id).filter(|_| more);
    let next = last.map(|id| {
        let (text, plan) = (encode(&search.text), encode(&search.plan));
        format!("/admin/tenants?search={text}&status={status}&plan={plan}&after={id}")
    });
    page(&TenantsPage {
        frame: Frame::new(&operator, Area::Tenants),
        notice: match query.notice.as_str() {
            "suspended" => "They are suspended: every request of theirs is refused.",
            "resumed" => "They are resumed.",
            _ => "",
        },
        is_first: search.after.is_none(),
        search: search.text,
        status,
        plan: &query.plan,
        statuses: STATUSES,
        plans: plans.into_iter().map(|offer| offer.plan.id).collect(),
        rows: found.into_iter().map(row).collect(),
        next,
    })
}

fn row(tenant: Tenant) -> Row {
    let (status, tone) = status(tenant.status);
    Row {
        id: tenant.id.to_string(),
        chosen: format!("{}:{}", tenant.id, tenant.revision),
        name: tenant.name,
        email: tenant.email,
        status,
        tone,
        plan: tenant.plan.name,
        since: Moment(tenant.created_at),
    }
}

/// As people read it, and the colour of its badge.
pub fn status(status: TenantStatus) -> (&'static str, &'static str) {
    match status {
        TenantStatus::Active => ("active", "good"),
        TenantStatus::ReadOnly => ("read-only", "warn"),
        TenantStatus::Suspended => ("suspended", "bad"),
        TenantStatus::Deleted => ("deleted", ""),
        TenantStatus::Unknown => ("unknown", "bad"),
    }
}
