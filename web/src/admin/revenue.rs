//! `/admin/revenue`: what the business earns, in charts and figures, each with its definition; trials, and who owes.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use chrono::NaiveDate;
use controlplane::revenue::flow::Interval;
use controlplane::revenue::{self, DEFINITIONS, InCurrency, Report};
use serde::Deserialize;

use super::Route;
use super::frame::{Area, Frame, Operator};
use crate::charts::{Chart, Plot, Series, Shape, Unit};
use crate::failure::{Failure, page};
use crate::figures::{Moment, count, money};
use crate::{Access, App};

const SPANS: [u32; 3] = [6, 12, 24];

pub(super) fn routes() -> Vec<Route> {
    vec![("/admin/revenue", Access::Operator, get(show))]
}

#[derive(Template)]
#[template(path = "admin/revenue.html")]
struct RevenuePage<'a> {
    frame: Frame<'a>,
    months: u32,
    spans: &'a [u32],
    currencies: Vec<CurrencyRow>,
    report: &'a Report,
    ending: Vec<Dated>,
    past_due: Vec<PastDueRow>,
    definitions: &'a [(&'a str, &'a str)],
    as_of: Moment,
}

struct CurrencyRow {
    name: String,
    mrr: String,
    tenants: i64,
    new: String,
    new_tenants: i64,
    lost: String,
    lost_tenants: i64,
    /// Of the MRR 30 days ago.
    churn: String,
    net: String,
    charts: Vec<Chart>,
    plans: Vec<PlanRow>,
    months: Vec<MonthRow>,
    gone: Vec<Dated>,
}

struct PlanRow {
    plan: String,
    version: i32,
    tenants: String,
    mrr: String,
}

struct MonthRow {
    month: String,
    new: String,
    expansion: String,
    contraction: String,
    lost: String,
    closing: String,
    tenants: String,
}

/// A tenant, a moment, and something about both.
struct Dated {
    tenant_id: String,
    name: String,
    note: String,
    at: Moment,
}

struct PastDueRow {
    tenant_id: String,
    name: String,
    email: String,
    owed: String,
    due: Option<Moment>,
    rung: &'static str,
    tone: &'static str,
    since: Moment,
}

#[derive(Deserialize, Default)]
pub struct RevenueQuery {
    #[serde(default)]
    months: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<RevenueQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    // What is no span is a year.
    let asked = query.months.parse().ok();
    let months = asked.filter(|months| SPANS.contains(months)).unwrap_or(12);
    let mut tx = operator.begin(&app).await?;
    let report = revenue::report(&mut tx, &app.cp, months).await?;
    drop(tx);
    page(&RevenuePage {
        frame: Frame::new(&operator, Area::Revenue),
        months,
        spans: &SPANS,
        currencies: report.currencies.iter().map(CurrencyRow::from).collect(),
        ending: report
            .trials
            .ending
            .iter()
            .map(|trial| Dated {
                tenant_id: trial.tenant_id.to_string(),
                name: trial.name.clone(),
                note: trial.email.clone(),
                at: Moment(trial.ends_at),
            })
            .collect(),
        past_due: report
            .past_due
            .iter()
            .map(|owing| {
                let (rung, tone) = rung(&owing.rung);
                PastDueRow {
                    tenant_id: owing.tenant_id.to_string(),
                    name: owing.name.clone(),
                    email: owing.email.clone(),
                    owed: money(owing.owed_cents, &owing.currency),
                    due: owing.due_at.map(Moment),
                    rung,
                    tone,
                    since: Moment(owing.since),
                }
            })
            .collect(),
        definitions: DEFINITIONS,
        as_of: Moment(report.at),
        report: &report,
    })
}

fn counted(figure: i64) -> String {
    count(figure.max(0).unsigned_abs())
}

fn rung(rung: &str) -> (&'static str, &'static str) {
    match rung {
        "owing" => ("Owing", "warn"),
        "read_only" => ("Read-only", "bad"),
        _ => ("Suspended", "bad"),
    }
}

/// What there was at the end of each month, what came, and what went.
fn charts(of: &InCurrency) -> Vec<Chart> {
    let labels: Vec<String> = of.months.iter().map(|month| named(&month.month)).collect();
    let series = |name, class, cents: fn(&Interval) -> i64| Series {
        name,
        class,
        values: of
            .months
            .iter()
            .map(|month| cents(&month.interval).max(0).unsigned_abs())
            .collect(),
    };
    let plot = |id: &str, title, shape, series| Plot {
        id: format!("{id}-{}", of.currency),
        title,
        unit: Unit::Money(&of.currency),
        shape,
        labels: &labels,
        series,
        limit: None,
        running: true,
    };
    let mrr = vec![series("MRR", "a", |of| of.closing_cents)];
    let came = vec![
        series("new", "a", |of| of.movement.new_cents),
        series("expansion", "b", |of| of.movement.expansion_cents),
    ];
    let went = vec![
        series("lost", "a", |of| of.movement.lost_cents),
        series("contraction", "b", |of| of.movement.contraction_cents),
    ];
    vec![
        plot("mrr", "MRR at the end of each month", Shape::Area, mrr).draw(),
        plot("came", "MRR that came", Shape::Bars, came).draw(),
        plot("went", "MRR that went", Shape::Bars, went).draw(),
    ]
}

/// `2026-03` → `Mar 2026`
fn named(month: &str) -> String {
    let first = format!("{month}-01").parse::<NaiveDate>();
    first.map_or(month.to_owned(), |first| {
        first.format("%b\u{a0}%Y").to_string()
    })
}

impl From<&InCurrency> for CurrencyRow {
    fn from(of: &InCurrency) -> Self {
        let money = |cents| money(cents, &of.currency);
        let last = &of.last_30_days;
        let moved = last.movement;
        let churn = match last.opening_cents {
            0 => "–".to_owned(),
            opening => {
                let percent = 100.0 * moved.lost_cents as f64 / opening as f64;
                format!("{percent:.1}\u{a0}%")
            }
        };
        Self {
            name: of.currency.to_uppercase(),
            mrr: money(of.mrr_cents),
            tenants: of.paying_tenants,
            new: money(moved.new_cents),
            new_tenants: moved.new_tenants,
            lost: money(moved.lost_cents),
            lost_tenants: moved.lost_tenants,
            churn,
            net: money(moved.net_cents()),
            charts: charts(of),
            plans: of
                .plans
                .iter()
                .map(|row| PlanRow {
                    plan: row.plan_id.clone(),
                    version: row.version,
                    tenants: counted(row.tenants),
                    mrr: money(row.mrr_cents),
                })
                .collect(),
            months: of
                .months
                .iter()
                .rev()
                .map(|row| MonthRow {
                    month: named(&row.month),
                    new: money(row.interval.movement.new_cents),
                    expansion: money(row.interval.movement.expansion_cents),
                    contraction: money(row.interval.movement.contraction_cents),
                    lost: money(row.interval.movement.lost_cents),
                    closing: money(row.interval.closing_cents),
                    tenants: counted(row.interval.closing_tenants),
                })
                .collect(),
            gone: of
                .lost
                .iter()
                .map(|lost| Dated {
                    tenant_id: lost.tenant_id.to_string(),
                    name: lost.name.clone(),
                    note: money(lost.cents),
                    at: Moment(lost.at),
                })
                .collect(),
        }
    }
}
