//! `/admin/refusals`: who is refused the most and by which rule, and the reason of any one request by its id.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Duration, NaiveDate, Utc};
use controlplane::across::{self, Asked, Refused, RefusedOn};
use controlplane::ids::TenantId;
use controlplane::refusals::{self, Refusal};
use controlplane::{Error, tenants};
use http::StatusCode;
use serde::Deserialize;
use wire::Rule;

use super::Route;
use super::frame::{Area, Frame, Operator};
use super::usage::day;
use crate::charts::{Chart, Plot, Series, Shape, Unit};
use crate::failure::{Failure, page};
use crate::fields::term;
use crate::figures::{Moment, count};
use crate::pages::refusals::what;
use crate::{Access, App};

const LISTED: u32 = 50;
/// As many as there are kept.
const DAYS: i64 = 7;
/// Of a chart: that many rules, and all others.
const CLASSES: [&str; 2] = ["a", "b"];

pub(super) fn routes() -> Vec<Route> {
    vec![("/admin/refusals", Access::Operator, get(show))]
}

#[derive(Template)]
#[template(path = "admin/refusals.html")]
struct RefusalsPage<'a> {
    frame: Frame<'a>,
    id: &'a str,
    found: Option<Row>,
    missed: bool,
    rules: &'a [Rule],
    rule: &'a str,
    tenant: Option<String>,
    top: Vec<TopRow>,
    chart: Chart,
    days: Vec<(String, &'static str, String)>,
    rows: Vec<Row>,
}

struct TopRow {
    tenant_id: String,
    name: String,
    rule: &'static str,
    sentence: &'static str,
    count: String,
    last: Moment,
    request_id: String,
}

struct Row {
    at: Moment,
    request_id: String,
    tenant_id: String,
    tenant: String,
    what: String,
    status: u16,
    code: String,
    explanation: String,
    advice: &'static str,
}

#[derive(Deserialize, Default)]
pub struct RefusalsQuery {
    #[serde(default)]
    id: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    tenant: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<RefusalsQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let id = term(&query.id);
    let tenant: Option<TenantId> = query.tenant.parse().ok();
    let asked = Asked {
        // What is no rule filters nothing.
        rule: across::rule(&query.rule).ok(),
        tenant,
        since: None,
        limit: LISTED,
    };
    let now = app.cp.clock().now();
    let mut tx = operator.begin(&app).await?;
    let found = match id.as_str() {
        "" => None,
        id => match refusals::by_request(&mut tx, id).await {
            Ok(found) => Some(found),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let top = across::refused(&mut tx, &asked, now).await?;
    let days = across::refused_by_day(&mut tx, &asked, now).await?;
    let rows = across::refusals(&mut tx, &asked, now).await?;
    let ids: Vec<TenantId> = rows.iter().chain(&found).map(|row| row.tenant_id).collect();
    let names = tenants::names(&mut tx, &ids).await?;
    drop(tx);
    let row = |refusal| row(refusal, &names);
    let missed = !id.is_empty() && found.is_none();
    let status = match missed {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    let shown = page(&RefusalsPage {
        frame: Frame::new(&operator, Area::Refusals),
        id: &id,
        found: found.map(row),
        missed,
        rules: Rule::ALL,
        rule: asked.rule.map_or("", Rule::as_str),
        tenant: tenant.map(|tenant| tenant.to_string()),
        top: top.into_iter().map(TopRow::from).collect(),
        chart: chart(&days, now),
        days: days
            .into_iter()
            .rev()
            .map(|row| (day(row.day), row.rule.as_str(), counted(row.count)))
            .collect(),
        rows: rows.into_iter().map(row).collect(),
    })?;
    Ok((status, shown).into_response())
}

fn counted(figure: i64) -> String {
    count(figure.max(0).unsigned_abs())
}

impl From<Refused> for TopRow {
    fn from(row: Refused) -> Self {
        Self {
            tenant_id: row.tenant_id.to_string(),
            name: row.name,
            rule: row.rule.as_str(),
            sentence: refusals::sentence(row.rule),
            count: counted(row.count),
            last: Moment(row.last_at),
            request_id: row.request_id,
        }
    }
}

fn row(refusal: Refusal, names: &HashMap<TenantId, String>) -> Row {
    let id = refusal.tenant_id;
    let name = names.get(&id).cloned();
    Row {
        at: Moment(refusal.at),
        tenant_id: id.to_string(),
        tenant: name.unwrap_or_else(|| id.to_string()),
        what: what(&refusal),
        status: refusal.status,
        advice: refusals::advice(refusal.rule),
        code: refusal.code,
        explanation: refusal.explanation,
        request_id: refusal.request_id,
    }
}

/// By day, the rules that refused the most by themselves.
fn chart(days: &[RefusedOn], now: DateTime<Utc>) -> Chart {
    let first = (now - Duration::days(DAYS)).date_naive();
    let shown: Vec<NaiveDate> = first
        .iter_days()
        .take_while(|day| *day <= now.date_naive())
        .collect();
    let labels: Vec<String> = shown.iter().map(|at| day(*at)).collect();
    let mut totals: Vec<(Rule, i64)> = Vec::new();
    for row in days {
        match totals.iter_mut().find(|(rule, _)| *rule == row.rule) {
            Some((_, total)) => *total += row.count,
            None => totals.push((row.rule, row.count)),
        }
    }
    totals.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    let of = |fits: &dyn Fn(Rule) -> bool| -> Vec<u64> {
        let on = |day: &NaiveDate| {
            let rows = days.iter().filter(|row| row.day == *day && fits(row.rule));
            rows.map(|row| row.count.max(0).unsigned_abs()).sum()
        };
        shown.iter().map(on).collect()
    };
    let most: Vec<Rule> = totals
        .iter()
        .take(CLASSES.len())
        .map(|(rule, _)| *rule)
        .collect();
    let mut series: Vec<Series> = most
        .iter()
        .zip(CLASSES)
        .map(|(rule, class)| Series {
            name: rule.as_str(),
            class,
            values: of(&|other| other == *rule),
        })
        .collect();
    if totals.len() > most.len() || most.is_empty() {
        series.push(Series {
            name: "others",
            class: "c",
            values: of(&|rule| !most.contains(&rule)),
        });
    }
    let plot = Plot {
        id: "refused".to_owned(),
        title: "Refused requests",
        unit: Unit::Count,
        shape: Shape::Bars,
        labels: &labels,
        series,
        limit: None,
        running: true,
    };
    plot.draw()
}
