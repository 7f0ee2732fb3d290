//! `/admin/audit`: what operators did, newest first, to search and to take along as CSV.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use controlplane::operators::audit::{self, Entry, Filter};
use http::header;
use serde::Deserialize;

use super::Route;
use super::frame::{Area, Frame, Operator};
use crate::csv::cell;
use crate::failure::{Failure, page};
use crate::fields::{encode, term};
use crate::figures::Moment;
use crate::pages::audit_log::details;
use crate::{Access, App};

const PAGE: u32 = 50;
/// The newest of them.
const FILE: u32 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/admin/audit", Access::Operator, get(show)),
        ("/admin/audit.csv", Access::Operator, get(file)),
    ]
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage<'a> {
    frame: Frame<'a>,
    search: &'a str,
    action: &'a str,
    rows: Vec<Row>,
    file: String,
    is_first: bool,
    next: Option<String>,
}

struct Row {
    at: Moment,
    actor: String,
    action: String,
    target: String,
    tenant: Option<String>,
    details: String,
    address: String,
}

#[derive(Deserialize, Default)]
pub struct AuditQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    before: String,
}

impl AuditQuery {
    fn filter(&self, limit: u32) -> Filter {
        Filter {
            action_prefix: term(&self.action),
            search: term(&self.search),
            // What is no place in the log is its beginning.
            before: self.before.parse().ok(),
            limit,
        }
    }

    fn address(&self, path: &str, before: Option<i64>) -> String {
        let (search, action) = (encode(&term(&self.search)), encode(&term(&self.action)));
        let before = before.map_or(String::new(), |id| format!("&before={id}"));
        format!("{path}?search={search}&action={action}{before}")
    }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let mut found = entries(&app, &operator, &query.filter(PAGE + 1)).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found.last().map(|entry| entry.id).filter(|_| more);
    let rows = found.into_iter().map(|entry| Row {
        at: Moment(entry.at),
        actor: entry.actor,
        action: entry.action,
        target: entry.target,
        tenant: entry.tenant_id.map(|id| id.to_string()),
        details: details(&entry.details),
        address: entry.address.unwrap_or_default(),
    });
    page(&AuditPage {
        frame: Frame::new(&operator, Area::Audit),
        search: &term(&query.search),
        action: &term(&query.action),
        rows: rows.collect(),
        file: query.address("/admin/audit.csv", None),
        is_first: query.before.is_empty(),
        next: last.map(|id| query.address("/admin/audit", Some(id))),
    })
}

pub async fn file(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let found = entries(&app, &operator, &query.filter(FILE)).await?;
    let head = "id,at,actor,action,target,tenant_id,address,request_id,details\r\n";
    let mut text = head.to_owned();
    for entry in found {
        let tenant = entry.tenant_id.map(|id| id.to_string()).unwrap_or_default();
        let cells = [
            &entry.id.to_string(),
            &Moment(entry.at).machine(),
            &entry.actor,
            &entry.action,
            &entry.target,
            &tenant,
            entry.address.as_deref().unwrap_or_default(),
            entry.request_id.as_deref().unwrap_or_default(),
            &entry.details.to_string(),
        ];
        text.push_str(&cells.map(cell).join(","));
        text.push_str("\r\n");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"operators-audit.csv\"",
        ),
    ];
    Ok((headers, text).into_response())
}

async fn entries(app: &App, operator: &Operator, filter: &Filter) -> Result<Vec<Entry>, Failure> {
    let mut tx = operator.begin(app).await?;
    Ok(audit::page(&mut tx, filter).await?)
}
