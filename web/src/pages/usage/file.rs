//! `/usage.csv`: the same question as `/usage`, answered for spreadsheets and programs: one line for each day and group.
//! Figures are whole bytes and requests; a file that would be too long is refused, never cut off.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use controlplane::Error;
use controlplane::access_keys::{self, AccessKey};
use controlplane::usage::{self, By, Group, Row};
use http::{StatusCode, header};

use super::breakdown::gb_months;
use super::{Breakdown, UsageQuery, span};
use crate::App;
use crate::csv::cell;
use crate::failure::Failure;
use crate::session::Member;

const HEAD: &str = "day,bucket,bucket_id,access_key,access_key_id,class,requests,class_a,class_b,deletes,bytes_in,\
                    bytes_out,stored_bytes_change,objects_change,stored_bytes,byte_hours,gb_months\r\n";

pub async fn show(
    State(app): State<App>,
    Query(query): Query<UsageQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let unreadable = |message: &str| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message);
    let period = query.period(now.date_naive());
    let period = period.map_err(|(_, message)| unreadable(message))?;
    let refused = |error: Error| match error.field() {
        Some(_) => unreadable(&error.message()),
        None => error.into(),
    };
    let span = span(period, now).map_err(refused)?;
    let by = Breakdown::parse(&query.by);
    let mut tx = member.begin(&app).await?;
    let filter = query.filter(&mut tx).await?;
    let tenant = member.session.tenant_id;
    let report = usage::report_where(&mut tx, tenant, span, By::Day, by.group(), &filter);
    let rows = report.await.map_err(refused)?.rows;
    let keys = match by.group() {
        Group::Key => access_keys::list(&mut tx).await?,
        _ => Vec::new(),
    };
    tx.commit().await?;
    let rows = match by {
        Breakdown::Day => days(rows),
        _ => rows,
    };
    let mut text = HEAD.to_owned();
    for row in &rows {
        text.push_str(&line(row, &keys));
    }
    let name = format!("usage-{}-{}-{}.csv", period.from, period.to, by.name());
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((headers, text).into_response())
}

/// All buckets together: one row a day.
fn days(rows: Vec<Row>) -> Vec<Row> {
    let mut days: Vec<Row> = Vec::new();
    for mut row in rows {
        row.bucket_id = None;
        row.bucket = None;
        match days.last_mut() {
            Some(day) if day.time == row.time => add(day, &row),
            _ => days.push(row),
        }
    }
    days
}

fn add(day: &mut Row, row: &Row) {
    day.requests += row.requests;
    day.requests_a += row.requests_a;
    day.requests_b += row.requests_b;
    day.requests_free += row.requests_free;
    day.bytes_in += row.bytes_in;
    day.bytes_out += row.bytes_out;
    day.stored_delta += row.stored_delta;
    day.objects_delta += row.objects_delta;
    day.stored_bytes = sum(day.stored_bytes, row.stored_bytes);
    day.byte_hours = sum(day.byte_hours, row.byte_hours);
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
    }
}

fn line(row: &Row, keys: &[AccessKey]) -> String {
    let text = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
    let figure = |figure: Option<u64>| figure.map(|figure| figure.to_string()).unwrap_or_default();
    let id = row.access_key_id.as_deref();
    let key = keys
        .iter()
        .find(|key| Some(key.access_key_id.as_str()) == id);
    let months = row.byte_hours.map(|_| format!("{:.9}", gb_months(row)));
    let cells = [
        row.time.format("%Y-%m-%d").to_string(),
        text(&row.bucket),
        text(&row.bucket_id),
        key.map(|key| cell(&key.name)).unwrap_or_default(),
        text(&row.access_key_id),
        text(&row.class),
        row.requests.to_string(),
        row.requests_a.to_string(),
        row.requests_b.to_string(),
        row.requests_free.to_string(),
        row.bytes_in.to_string(),
        row.bytes_out.to_string(),
        row.stored_delta.to_string(),
        row.objects_delta.to_string(),
        figure(row.stored_bytes),
        figure(row.byte_hours),
        months.unwrap_or_default(),
    ];
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    fn row(day: i64, bucket: &str) -> Row {
        Row {
            time: DateTime::UNIX_EPOCH + TimeDelta::days(day),
            bucket_id: Some(bucket.to_owned()),
            bucket: Some(bucket.to_owned()),
            requests: 3,
            requests_a: 2,
            requests_b: 1,
            stored_delta: -5,
            stored_bytes: Some(744),
            byte_hours: Some(744_000_000_000),
            ..Row::default()
        }
    }

    #[test]
    fn a_line_has_every_figure_and_runs_nothing() {
        let written = line(&row(0, "=photos"), &[]);
        assert_eq!(
            written,
            "1970-01-01,\"'=photos\",\"'=photos\",,,,3,2,1,0,0,0,-5,0,744,744000000000,1.000000000\r\n"
        );
        assert_eq!(HEAD.split(',').count(), written.split(',').count());
    }

    #[test]
    fn buckets_of_a_day_are_one_line() {
        let days = days(vec![row(0, "a"), row(0, "b"), row(1, "a")]);
        let seen: Vec<_> = days
            .iter()
            .map(|day| (day.requests, day.byte_hours, day.bucket.clone()))
            .collect();
        assert_eq!(
            seen,
            [
                (6, Some(1_488_000_000_000), None),
                (3, Some(744_000_000_000), None)
            ]
        );
    }
}
