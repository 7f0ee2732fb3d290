//! `/audit-log`: who changed what, when and from where, and the same as a file.
//! Entries are written by the control plane in the transaction of the change; nothing here can alter one.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use controlplane::accounts::Role;
use controlplane::audit::{self, Entry, Filter};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::App;
use crate::csv::cell;
use crate::failure::{Failure, page};
use crate::fields::encode;
use crate::figures::Moment;
use crate::pages::{Here, Shell};
use crate::session::Member;

/// Entries on one page.
const PAGE: u32 = 50;
/// Entries in one file.
const FILE: u32 = 10_000;
/// What the filter offers: the beginning of actions, and words for them.
const KINDS: [(&str, &str); 8] = [
    ("", "Everything"),
    ("access_key.", "Access keys"),
    ("bucket.", "Buckets"),
    ("session.", "Sessions"),
    ("api_token.", "API tokens"),
    ("member.", "Members"),
    ("billing.", "Billing"),
    ("tenant.", "Account"),
];

#[derive(Template)]
#[template(path = "pages/audit_log.html")]
struct AuditPage<'a> {
    shell: Shell<'a>,
    rows: Vec<Row>,
    kinds: &'a [(&'a str, &'a str)],
    kind: &'a str,
    actor: &'a str,
    is_first: bool,
    next: Option<String>,
    file: String,
}

struct Row {
    at: Moment,
    actor: String,
    action: String,
    target: String,
    address: String,
    details: String,
}

#[derive(Deserialize, Default)]
pub struct AuditQuery {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    actor: String,
    before: Option<i64>,
}

impl AuditQuery {
    fn filter(&self, limit: u32) -> Filter {
        let known = KINDS.iter().any(|(kind, _)| *kind == self.kind);
        Filter {
            action_prefix: if known {
                self.kind.clone()
            } else {
                String::new()
            },
            actor: self.actor.trim().to_owned(),
            before: self.before,
            limit,
        }
    }
}

/// What others did is the business of those who answer for the account.
fn may_look(member: &Member) -> Result<(), Failure> {
    match member.session.role {
        Role::Owner | Role::Admin => Ok(()),
        _ => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "The audit log is for owners and admins of the team.",
        )),
    }
}

async fn entries(app: &App, member: &Member, filter: &Filter) -> Result<Vec<Entry>, Failure> {
    may_look(member)?;
    let mut tx = member.begin(app).await?;
    let entries = audit::page(&mut tx, filter).await?;
    tx.commit().await?;
    Ok(entries)
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
    member: Member,
) -> Result<Response, Failure> {
    // One more than is shown tells whether there is another page.
    let mut found = entries(&app, &member, &query.filter(PAGE + 1)).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let filter = format!(
        "kind={}&actor={}",
        encode(&query.kind),
        encode(query.actor.trim())
    );
    let last = found.last().map(|entry| entry.id).filter(|_| more);
    page(&AuditPage {
        shell: Shell::new(&member.session, Here::AuditLog),
        rows: found.into_iter().map(Row::from).collect(),
        kinds: &KINDS,
        kind: &query.kind,
        actor: query.actor.trim(),
        is_first: query.before.is_none(),
        next: last.map(|id| format!("/audit-log?{filter}&before={id}")),
        file: format!("/audit-log.csv?{filter}"),
    })
}

impl From<Entry> for Row {
    fn from(entry: Entry) -> Self {
        Self {
            at: Moment(entry.at),
            details: details(&entry.details),
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            address: entry.address.unwrap_or_default(),
        }
    }
}

/// `name: backup; permission: read; buckets: a, b`: what an entry says beyond its target, in one line. What is nothing,
/// empty or `false` is left out.
pub fn details(details: &Value) -> String {
    let mut parts = Vec::new();
    read_out(details, "", &mut parts);
    parts.join("; ")
}

fn read_out(value: &Value, name: &str, parts: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                read_out(value, name, parts);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let words = items.iter().map(|item| match item.as_str() {
                Some(text) => text.to_owned(),
                None => item.to_string(),
            });
            parts.push(format!(
                "{}: {}",
                spaced(name),
                words.collect::<Vec<_>>().join(", ")
            ));
        }
        Value::String(text) if !text.is_empty() => {
            let moment = text.parse::<DateTime<Utc>>().map(|at| Moment(at).minute());
            let text = moment.as_ref().unwrap_or(text);
            parts.push(format!("{}: {text}", spaced(name)));
        }
        Value::Number(number) => parts.push(format!("{}: {number}", spaced(name))),
        Value::Bool(true) => parts.push(spaced(name)),
        _ => {}
    }
}

fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

pub async fn file(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let found = entries(&app, &member, &query.filter(FILE)).await?;
    let mut text = "id,at,actor,action,target,address,request_id,details\r\n".to_owned();
    for entry in found {
        let at = Moment(entry.at).machine();
        let details = entry.details.to_string();
        let cells = [
            &entry.id.to_string(),
            &at,
            &entry.actor,
            &entry.action,
            &entry.target,
            entry.address.as_deref().unwrap_or_default(),
            entry.request_id.as_deref().unwrap_or_default(),
            &details,
        ];
        text.push_str(&cells.map(cell).join(","));
        text.push_str("\r\n");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"audit-log.csv\"",
        ),
    ];
    Ok((headers, text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn details_are_read_out() {
        let scope = json!({ "actions": [], "permission": "read", "buckets": ["a", "b"] });
        let given = json!({ "name": "ci", "rules": 2, "expires_at": null, "scope": scope, "public_read": true });
        let read = details(&given);
        assert_eq!(
            read,
            "name: ci; public read; rules: 2; buckets: a, b; permission: read"
        );
        let until = json!({ "expires_at": "2026-03-09T14:05:07.5Z" });
        assert_eq!(
            details(&until).replace('\u{a0}', " "),
            "expires at: 9 Mar 2026, 14:05 UTC"
        );
        assert_eq!(details(&json!({})), "");
    }
}
