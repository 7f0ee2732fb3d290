//! `/admin/jobs`: what waits to be done, what failed and why, and another try; of many only for who types how many.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use controlplane::ids::TenantId;
use controlplane::jobs::{self, Filter, Job, Kind, State as JobState};
use controlplane::{Error, tenants};
use serde::Deserialize;

use super::Route;
use super::forms::FormPage;
use super::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::{Pairs, encode};
use crate::figures::{Moment, ago, count};
use crate::forgery::Button;
use crate::pages::forms::{Field, Words};
use crate::{Access, App};

/// On one page; the rest comes when these are done.
const SHOWN: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/admin/jobs", Access::Operator, get(show)),
        ("/admin/jobs/retry", Access::Operator, post(retry_all)),
        (
            "/admin/jobs/{kind}/{job_id}/retry",
            Access::Operator,
            post(retry),
        ),
    ]
}

#[derive(Template)]
#[template(path = "admin/jobs.html")]
struct JobsPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    errors: FormErrors,
    kinds: Vec<Tab>,
    states: Vec<Tab>,
    kind: &'static str,
    state: &'static str,
    rows: Vec<Row>,
    /// That the table does not show.
    more: usize,
    /// That are tried again by the button below.
    again: usize,
}

/// A link that filters, and how many it leads to.
struct Tab {
    words: &'static str,
    href: String,
    count: String,
    here: bool,
}

struct Row {
    kind: &'static str,
    kind_words: &'static str,
    id: String,
    path: String,
    state: &'static str,
    tone: &'static str,
    what: String,
    tenant: Option<(String, String)>,
    age: String,
    created: Moment,
    attempts: i32,
    error: Option<String>,
    next: Option<Moment>,
    may_retry: bool,
}

#[derive(Deserialize, Default)]
pub struct JobsQuery {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    notice: String,
}

impl JobsQuery {
    fn filter(&self) -> Filter {
        // What is no kind or state filters nothing.
        Filter {
            kind: self.kind.parse().ok(),
            state: self.state.parse().ok(),
        }
    }
}

fn address(filter: &Filter) -> String {
    let kind = filter.kind.map_or("", Kind::as_str);
    let state = filter.state.map_or("", JobState::as_str);
    format!("/admin/jobs?kind={kind}&state={state}")
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<JobsQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let notice = match query.notice.as_str() {
        "tried" => "Tried again. What still waits is in the list, with the reason.",
        _ => "",
    };
    let errors = FormErrors::default();
    render(&app, &operator, &query.filter(), notice, errors).await
}

pub async fn retry(
    State(app): State<App>,
    Path((kind, job_id)): Path<(String, String)>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let kind: Kind = kind.parse().map_err(|_| Error::NotFound("job"))?;
    let filter = Filter {
        kind: Some(kind),
        state: None,
    };
    let tx = operator.begin(&app).await?;
    match jobs::retry(&app.cp, tx, kind, &job_id).await {
        Ok(_) => Ok(tried(&filter)),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &[])?;
            let shown = render(&app, &operator, &filter, "", errors).await?;
            Ok((status, shown).into_response())
        }
    }
}

fn tried(filter: &Filter) -> Response {
    let to = format!("{}&notice=tried", address(filter));
    Redirect::to(&to).into_response()
}

/// The first time it asks, naming how many; it is done for who types that number.
pub async fn retry_all(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let query = JobsQuery {
        kind: fields.get("kind").to_owned(),
        state: fields.get("state").to_owned(),
        notice: String::new(),
    };
    let filter = query.filter();
    if fields.get("step") != "confirm" {
        return ask(&app, &operator, &filter, FormErrors::default()).await;
    }
    // What is no number confirms none.
    let confirmed = fields.get("confirm").trim().parse().unwrap_or(u64::MAX);
    let tx = operator.begin(&app).await?;
    match jobs::retry_all(&app.cp, tx, &filter, Some(confirmed)).await {
        Ok(_) => Ok(tried(&filter)),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &[])?;
            let errors = FormErrors::on("confirm", errors.general().unwrap_or_default());
            let shown = ask(&app, &operator, &filter, errors).await?;
            Ok((status, shown).into_response())
        }
    }
}

async fn ask(
    app: &App,
    operator: &Operator,
    filter: &Filter,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let mut tx = operator.begin(app).await?;
    let found = jobs::list(&mut tx, &app.cp, filter).await?;
    drop(tx);
    let again = found.iter().filter(|job| jobs::would_try(job, now)).count();
    let jobs = if again == 1 { "job" } else { "jobs" };
    let question = format!("Try {again} {jobs} again");
    FormPage {
        frame: Frame::new(operator, Area::Jobs),
        above: (&address(filter), "Jobs"),
        words: Words {
            title: &question,
            lead: "At once, whatever their next try is. They may be of many tenants: webhooks and mails go out to all of them.",
            action: "/admin/jobs/retry",
            submit: &question,
        },
        danger: false,
        hidden: vec![
            ("kind", filter.kind.map_or("", Kind::as_str)),
            ("state", filter.state.map_or("", JobState::as_str)),
            ("step", "confirm"),
        ],
        fields: vec![number("How many jobs are these?")],
        errors,
    }
    .show()
}

/// Of what an act reaches, typed by who is sure of it.
pub fn number(label: &'static str) -> Field {
    Field {
        kind: "text",
        name: "confirm",
        label,
        value: String::new(),
        autocomplete: "off",
        maxlength: "9",
        hint: "Type the number above.",
    }
}

async fn render(
    app: &App,
    operator: &Operator,
    filter: &Filter,
    notice: &'static str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let mut tx = operator.begin(app).await?;
    let all = jobs::list(&mut tx, &app.cp, &Filter::default()).await?;
    let ids: Vec<TenantId> = all.iter().filter_map(|job| job.tenant_id).collect();
    let names = tenants::names(&mut tx, &ids).await?;
    drop(tx);
    let (kinds, states) = (kinds(&all, filter), states(&all, filter));
    let fits = |job: &Job| is_of(job, filter.kind, filter.state);
    let found: Vec<Job> = all.into_iter().filter(fits).collect();
    let again = found.iter().filter(|job| jobs::would_try(job, now)).count();
    page(&JobsPage {
        frame: Frame::new(operator, Area::Jobs),
        notice,
        errors,
        kinds,
        states,
        kind: filter.kind.map_or("", Kind::as_str),
        state: filter.state.map_or("", JobState::as_str),
        more: found.len().saturating_sub(SHOWN),
        again,
        rows: found
            .into_iter()
            .take(SHOWN)
            .map(|job| row(job, &names, now))
            .collect(),
    })
}

fn is_of(job: &Job, kind: Option<Kind>, state: Option<JobState>) -> bool {
    kind.is_none_or(|kind| kind == job.kind) && state.is_none_or(|state| state == job.state)
}

fn tab(all: &[Job], words: &'static str, filter: Filter, here: bool) -> Tab {
    let fit = all
        .iter()
        .filter(|job| is_of(job, filter.kind, filter.state));
    Tab {
        words,
        count: count(fit.count() as u64),
        href: address(&filter),
        here,
    }
}

fn kinds(all: &[Job], filter: &Filter) -> Vec<Tab> {
    let kinds = [None].into_iter().chain(Kind::ALL.map(Some));
    let tab = |kind: Option<Kind>| {
        let to = Filter {
            kind,
            state: filter.state,
        };
        let words = kind.map_or("Everything", kind_words);
        tab(all, words, to, kind == filter.kind)
    };
    kinds.map(tab).collect()
}

fn states(all: &[Job], filter: &Filter) -> Vec<Tab> {
    let states = [None].into_iter().chain(JobState::ALL.map(Some));
    let tab = |state: Option<JobState>| {
        let to = Filter {
            kind: filter.kind,
            state,
        };
        let words = state.map_or("Any state", JobState::as_str);
        tab(all, words, to, state == filter.state)
    };
    states.map(tab).collect()
}

fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Mail => "Mails",
        Kind::StripeEvent => "Stripe events",
        Kind::Webhook => "Webhooks",
        Kind::MeterEvent => "Meter events",
        Kind::Removal => "Removals",
    }
}

fn row(job: Job, names: &HashMap<TenantId, String>, now: DateTime<Utc>) -> Row {
    let tenant = job.tenant_id.map(|id| {
        let name = names.get(&id).cloned();
        (id.to_string(), name.unwrap_or_else(|| id.to_string()))
    });
    Row {
        may_retry: jobs::would_try(&job, now),
        path: encode(&job.id),
        kind: job.kind.as_str(),
        kind_words: match job.kind {
            Kind::Mail => "Mail",
            Kind::StripeEvent => "Stripe event",
            Kind::Webhook => "Webhook",
            Kind::MeterEvent => "Meter event",
            Kind::Removal => "Removal",
        },
        tone: match job.state {
            JobState::Queued => "",
            JobState::Running => "accent",
            JobState::Retrying => "warn",
            JobState::Failed => "bad",
        },
        state: job.state.as_str(),
        what: job.what,
        tenant,
        age: ago(job.created_at, now),
        created: Moment(job.created_at),
        attempts: job.attempts,
        error: job.last_error,
        next: job.next_at.map(Moment),
        id: job.id,
    }
}
