//! `/usage`: what was stored, asked and sent, by day, bucket, access key or class of operation, of a month or of any days.
//! The figures are those that are enforced and billed; nothing here is an estimate.

mod breakdown;
pub mod file;
mod table;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use controlplane::access_keys::{self, AccessKey};
use controlplane::usage::{self, Behind, By, Filter, Group, Row, Span};
use controlplane::{Error, Tx, buckets};
use http::StatusCode;
use serde::Deserialize;

use crate::App;
use crate::charts::{Chart, Plot, Series, Shape, Unit};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::{encode, term};
use crate::figures::Moment;
use crate::pages::{Here, Shell};
use crate::periods::{Period, steps};
use crate::session::Member;
use breakdown::{Sum, by_time, total};
use table::{Line, lines};

/// Days on one page; the file takes more.
const MOST_DAYS: i64 = 92;
/// Rows of one table; the file has all.
const MOST_ROWS: usize = 100;

#[derive(Template)]
#[template(path = "pages/usage.html")]
struct UsagePage<'a> {
    shell: Shell<'a>,
    words: String,
    from: String,
    to: String,
    today: String,
    before: Option<Link>,
    after: Option<Link>,
    bucket: String,
    bucket_is_gone: bool,
    buckets: Vec<String>,
    key: String,
    errors: FormErrors,
    file: String,
    total: Line,
    charts: Vec<Chart>,
    tabs: Vec<Tab>,
    by: Breakdown,
    lines: Vec<Line>,
    more: usize,
    /// No key's requests alone are asked for: then nothing can be said of what is stored.
    stored: bool,
    as_of: Moment,
    behind: Vec<Late>,
    is_empty: bool,
}

struct Link {
    words: String,
    href: String,
}

struct Tab {
    words: &'static str,
    href: String,
    here: bool,
}

/// A node whose last figures are missing.
pub struct Late {
    pub s3_address: String,
    pub since: Moment,
}

impl From<Behind> for Late {
    fn from(behind: Behind) -> Self {
        Self {
            s3_address: behind.s3_address,
            since: Moment(behind.since),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Breakdown {
    #[default]
    Day,
    Bucket,
    Key,
    Class,
}

impl Breakdown {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Day, "day", "By day"),
        (Self::Bucket, "bucket", "By bucket"),
        (Self::Key, "key", "By access key"),
        (Self::Class, "class", "By class"),
    ];

    fn parse(text: &str) -> Self {
        let found = Self::ALL.into_iter().find(|(_, name, _)| *name == text);
        found.map_or(Self::Day, |(by, _, _)| by)
    }

    fn name(self) -> &'static str {
        let found = Self::ALL.into_iter().find(|(by, _, _)| *by == self);
        found.map_or("day", |(_, name, _)| name)
    }

    /// What the first column is.
    fn heading(self) -> &'static str {
        match self {
            Self::Day => "Day (UTC)",
            Self::Bucket => "Bucket",
            Self::Key => "Access key",
            Self::Class => "Class",
        }
    }

    fn group(self) -> Group {
        match self {
            Self::Day | Self::Bucket => Group::Bucket,
            Self::Key => Group::Key,
            Self::Class => Group::Class,
        }
    }
}

#[derive(Deserialize, Default)]
pub struct UsageQuery {
    #[serde(default)]
    month: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    bucket: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    by: String,
}

impl UsageQuery {
    fn period(&self, today: NaiveDate) -> Result<Period, (&'static str, &'static str)> {
        Period::read(&self.month, self.from.trim(), self.to.trim(), today)
    }

    /// The same question about other days, or divided otherwise.
    fn href(&self, path: &str, days: &str, by: Breakdown) -> String {
        let (bucket, key) = (encode(&term(&self.bucket)), encode(&term(&self.key)));
        format!("{path}?{days}&bucket={bucket}&key={key}&by={}", by.name())
    }

    /// Another tenant's bucket or key is as unknown as one that never was.
    async fn filter(&self, tx: &mut Tx) -> Result<Filter, Failure> {
        let (bucket, key) = (term(&self.bucket), term(&self.key));
        let mut filter = Filter::default();
        if !bucket.is_empty() {
            filter.bucket = Some(usage::bucket_named(tx, &bucket).await?);
        }
        if !key.is_empty() {
            usage::check_key(tx, &key).await?;
            filter.access_key_id = Some(key);
        }
        Ok(filter)
    }
}

/// What the database knows of the question.
struct Found {
    buckets: Vec<String>,
    keys: Vec<AccessKey>,
    /// By day and bucket.
    rows: Vec<Row>,
    /// By day, and what the table is divided by.
    divided: Vec<Row>,
    filter: Filter,
    behind: Vec<Behind>,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<UsageQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let (period, errors) = readable(&query, now.date_naive());
    let by = Breakdown::parse(&query.by);
    let found = find(&app, &member, &query, period, by).await?;
    let status = match errors.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let shown = render(&member, &query, found, period, by, errors, now)?;
    Ok((status, shown).into_response())
}

/// The days, or what is wrong with them and the present month in their place.
fn readable(query: &UsageQuery, today: NaiveDate) -> (Period, FormErrors) {
    match query.period(today) {
        Ok(period) if period.days() <= MOST_DAYS => (period, FormErrors::default()),
        Ok(_) => {
            let message = "The page shows 92 days at most; the file holds up to 396.";
            (
                Period::month_of(today, today),
                FormErrors::on("from", message),
            )
        }
        Err((field, message)) => (
            Period::month_of(today, today),
            FormErrors::on(field, message),
        ),
    }
}

/// Up to the hour that is running.
fn span(period: Period, now: DateTime<Utc>) -> Result<Span, Error> {
    let (from, to) = period.times();
    Span::new(Some(from), Some(to), now + TimeDelta::seconds(1))
}

async fn find(
    app: &App,
    member: &Member,
    query: &UsageQuery,
    period: Period,
    by: Breakdown,
) -> Result<Found, Failure> {
    let now = app.cp.clock().now();
    let tenant = member.session.tenant_id;
    let span = span(period, now)?;
    let mut tx = member.begin(app).await?;
    let filter = query.filter(&mut tx).await?;
    let rows = usage::report_where(&mut tx, tenant, span, By::Day, Group::Bucket, &filter);
    let rows = rows.await?.rows;
    let divided = match by.group() {
        Group::Bucket => Vec::new(),
        group => {
            let report = usage::report_where(&mut tx, tenant, span, By::Day, group, &filter);
            report.await?.rows
        }
    };
    let buckets = buckets::list(&mut tx).await?;
    let keys = match by {
        Breakdown::Key => access_keys::list(&mut tx).await?,
        _ => Vec::new(),
    };
    let behind = usage::behind(&mut tx, now).await?;
    tx.commit().await?;
    Ok(Found {
        buckets: buckets.into_iter().map(|bucket| bucket.name).collect(),
        keys,
        rows,
        divided,
        filter,
        behind,
    })
}

fn render(
    member: &Member,
    query: &UsageQuery,
    found: Found,
    period: Period,
    by: Breakdown,
    errors: FormErrors,
    now: DateTime<Utc>,
) -> Result<Response, Failure> {
    let today = now.date_naive();
    let (from, to) = period.times();
    let times = steps(from, to, TimeDelta::days(1));
    let days = by_time(&times, &found.rows);
    let whole = total(&days);
    let mut lines = lines(query, &found, period, by, &times, &days);
    let more = lines.len().saturating_sub(MOST_ROWS);
    lines.truncate(MOST_ROWS);
    let asked = format!("from={}&to={}", period.from, period.to);
    let (before, after) = period.neighbours(today);
    let month = |(month, words): (String, String)| Link {
        href: query.href("/usage", &format!("month={month}"), by),
        words,
    };
    let stored = found.filter.access_key_id.is_none();
    let bucket = term(&query.bucket);
    page(&UsagePage {
        shell: Shell::new(&member.session, Here::Usage),
        words: period.words(today),
        from: period.from.to_string(),
        to: period.to.to_string(),
        today: today.to_string(),
        before: before.map(month),
        after: after.map(month),
        bucket_is_gone: !bucket.is_empty() && !found.buckets.contains(&bucket),
        bucket,
        buckets: found.buckets,
        key: term(&query.key),
        errors,
        file: query.href("/usage.csv", &asked, by),
        total: Line::new(String::new(), &whole),
        charts: charts(&times, &days, stored, period.to == today),
        tabs: Breakdown::ALL
            .iter()
            .map(|(tab, _, words)| Tab {
                words,
                href: query.href("/usage", &asked, *tab),
                here: *tab == by,
            })
            .collect(),
        by,
        lines,
        more,
        stored,
        as_of: Moment(now),
        behind: found.behind.into_iter().map(Late::from).collect(),
        is_empty: days.iter().all(Sum::is_nothing),
    })
}

fn charts(times: &[DateTime<Utc>], days: &[Sum], stored: bool, running: bool) -> Vec<Chart> {
    let labels: Vec<String> = times.iter().map(|time| Moment(*time).day()).collect();
    let of = |name, class, figure: fn(&Sum) -> u64| Series {
        name,
        class,
        values: days.iter().map(figure).collect(),
    };
    let plot = |id: &str, title, unit, shape, series| Plot {
        id: id.to_owned(),
        title,
        unit,
        shape,
        labels: &labels,
        series,
        limit: None,
        running,
    };
    let held = vec![of("stored", "a", |sum| sum.stored_bytes)];
    let requests = vec![
        of("class A", "a", |sum| sum.requests_a),
        of("class B", "b", |sum| sum.requests_b),
        of("deletes", "c", |sum| sum.requests_free),
    ];
    let traffic = vec![
        of("out", "a", |sum| sum.bytes_out),
        of("in", "b", |sum| sum.bytes_in),
    ];
    let mut charts = vec![
        plot("requests", "Requests", Unit::Count, Shape::Bars, requests).draw(),
        plot(
            "traffic",
            "Data transferred",
            Unit::Bytes,
            Shape::Bars,
            traffic,
        )
        .draw(),
    ];
    if stored {
        charts.insert(
            0,
            plot(
                "stored",
                "Stored at the day’s end",
                Unit::Bytes,
                Shape::Area,
                held,
            )
            .draw(),
        );
    }
    charts
}
