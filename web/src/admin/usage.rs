//! `/admin/usage`: which tenants store, send and ask the most, and all of them together by day.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use chrono::{Duration, NaiveDate};
use controlplane::across::{self, Day, Most, Used};
use controlplane::usage::Span;
use serde::Deserialize;

use super::Route;
use super::frame::{Area, Frame, Operator};
use crate::charts::{Chart, Plot, Series, Shape, Unit};
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, count};
use crate::{Access, App};

const LISTED: u32 = 50;
/// What may be asked for, in days.
const SPANS: [(&str, i64); 3] = [("1", 1), ("7", 7), ("30", 30)];

pub(super) fn routes() -> Vec<Route> {
    vec![("/admin/usage", Access::Operator, get(show))]
}

#[derive(Template)]
#[template(path = "admin/usage.html")]
struct UsagePage<'a> {
    frame: Frame<'a>,
    by: Most,
    orders: [(Most, &'static str); 4],
    days: i64,
    spans: &'a [(&'a str, i64)],
    rows: Vec<Row>,
    charts: Vec<Chart>,
    by_day: Vec<DayRow>,
    as_of: Moment,
}

struct Row {
    tenant_id: String,
    name: String,
    plan: String,
    stored: Size,
    egress: Size,
    ingress: Size,
    requests: String,
    refusals: String,
}

/// The charts' figures.
struct DayRow {
    day: String,
    egress: Size,
    ingress: Size,
    requests: String,
    refusals: String,
}

impl From<&Day> for DayRow {
    fn from(row: &Day) -> Self {
        Self {
            day: day(row.day),
            egress: size(row.bytes_out),
            ingress: size(row.bytes_in),
            requests: count(figure(row.requests)),
            refusals: count(figure(row.refusals)),
        }
    }
}

#[derive(Deserialize, Default)]
pub struct UsageQuery {
    #[serde(default)]
    by: String,
    #[serde(default)]
    days: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<UsageQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let named = Most::ALL.into_iter().find(|most| most.as_str() == query.by);
    let by = named.unwrap_or_default();
    let asked = SPANS.iter().find(|(name, _)| *name == query.days);
    let days = asked.map_or(30, |(_, days)| *days);
    let now = app.cp.clock().now();
    let span = Span::new(Some(now - Duration::days(days)), None, now)?;
    let mut tx = operator.begin(&app).await?;
    let used = across::top(&mut tx, span, by, LISTED).await?;
    let by_day = across::days(&mut tx, span).await?;
    drop(tx);
    page(&UsagePage {
        frame: Frame::new(&operator, Area::Usage),
        by,
        orders: [
            (Most::Stored, "Stored"),
            (Most::Egress, "Data out"),
            (Most::Requests, "Requests"),
            (Most::Refusals, "Refusals"),
        ],
        days,
        spans: &SPANS,
        rows: used.into_iter().map(Row::from).collect(),
        charts: charts(&by_day),
        by_day: by_day.iter().rev().map(DayRow::from).collect(),
        as_of: Moment(now),
    })
}

fn size(bytes: i64) -> Size {
    Size::of(figure(bytes))
}

fn figure(figure: i64) -> u64 {
    figure.max(0).unsigned_abs()
}

impl From<Used> for Row {
    fn from(used: Used) -> Self {
        Self {
            tenant_id: used.tenant_id.to_string(),
            name: used.name,
            plan: used.plan,
            stored: size(used.stored_bytes),
            egress: size(used.bytes_out),
            ingress: size(used.bytes_in),
            requests: count(figure(used.requests)),
            refusals: count(figure(used.refusals)),
        }
    }
}

pub fn day(day: NaiveDate) -> String {
    day.format("%-d\u{a0}%b\u{a0}%Y").to_string()
}

fn charts(days: &[Day]) -> Vec<Chart> {
    let labels: Vec<String> = days.iter().map(|row| day(row.day)).collect();
    let series = |name, class, of: fn(&Day) -> i64| Series {
        name,
        class,
        values: days.iter().map(|row| figure(of(row))).collect(),
    };
    let plot = |id: &str, title, unit, series| Plot {
        id: id.to_owned(),
        title,
        unit,
        shape: Shape::Bars,
        labels: &labels,
        series,
        limit: None,
        running: true,
    };
    let moved = vec![
        series("out", "a", |row| row.bytes_out),
        series("in", "b", |row| row.bytes_in),
    ];
    let asked = vec![
        series("answered", "a", |row| row.requests),
        series("refused", "b", |row| row.refusals),
    ];
    vec![
        plot("moved", "Data in and out, all tenants", Unit::Bytes, moved).draw(),
        plot("asked", "Requests, all tenants", Unit::Count, asked).draw(),
    ]
}
