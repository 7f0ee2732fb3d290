//! The table of `/usage`: one line for each day, bucket, access key or class, with where to look closer.

use chrono::{DateTime, Utc};
use controlplane::access_keys::AccessKey;

use super::breakdown::{Sum, by_group};
use super::{Breakdown, Found, UsageQuery};
use crate::figures::{Moment, Size, count, gb_months};
use crate::periods::Period;

/// A row of the table, or the totals.
pub struct Line {
    pub name: String,
    pub note: Option<String>,
    pub href: Option<String>,
    pub stored: Size,
    pub gb_months: String,
    pub requests: String,
    pub requests_a: String,
    pub requests_b: String,
    pub requests_free: String,
    pub bytes_in: Size,
    pub bytes_out: Size,
}

impl Line {
    pub fn new(name: String, sum: &Sum) -> Self {
        Self {
            name,
            note: None,
            href: None,
            stored: Size::of(sum.stored_bytes),
            gb_months: gb_months(sum.gb_months),
            requests: count(sum.requests()),
            requests_a: count(sum.requests_a),
            requests_b: count(sum.requests_b),
            requests_free: count(sum.requests_free),
            bytes_in: Size::of(sum.bytes_in),
            bytes_out: Size::of(sum.bytes_out),
        }
    }
}

/// The newest day first; groups by how much there is.
pub fn lines(
    query: &UsageQuery,
    found: &Found,
    period: Period,
    by: Breakdown,
    times: &[DateTime<Utc>],
    days: &[Sum],
) -> Vec<Line> {
    let asked = format!("from={}&to={}", period.from, period.to);
    match by {
        Breakdown::Day => {
            let lines = times.iter().zip(days).rev();
            lines
                .map(|(time, sum)| Line::new(Moment(*time).date(), sum))
                .collect()
        }
        Breakdown::Bucket => {
            let groups = by_group(&found.rows, |row| row.bucket_id.clone().unwrap_or_default());
            let name_of = |id: &str| {
                let row = found
                    .rows
                    .iter()
                    .find(|row| row.bucket_id.as_deref() == Some(id));
                row.and_then(|row| row.bucket.clone())
            };
            groups
                .into_iter()
                .map(|(id, sum)| bucket_line(query, &asked, &id, name_of(&id), &sum))
                .collect()
        }
        Breakdown::Key => {
            let groups = by_group(&found.divided, |row| {
                row.access_key_id.clone().unwrap_or_default()
            });
            groups
                .into_iter()
                .map(|(id, sum)| key_line(query, &asked, &id, &found.keys, &sum))
                .collect()
        }
        Breakdown::Class => {
            let groups = by_group(&found.divided, |row| row.class.clone().unwrap_or_default());
            groups
                .into_iter()
                .map(|(class, sum)| class_line(&class, &sum))
                .collect()
        }
    }
}

fn bucket_line(query: &UsageQuery, asked: &str, id: &str, name: Option<String>, sum: &Sum) -> Line {
    if id.bytes().all(|digit| digit == b'0') {
        let note = "Lists of buckets, and what concerns the account";
        return Line {
            note: Some(note.to_owned()),
            ..Line::new("No bucket".to_owned(), sum)
        };
    }
    let only = UsageQuery {
        bucket: name.clone().unwrap_or_else(|| id.to_owned()),
        key: query.key.clone(),
        ..UsageQuery::default()
    };
    let href = Some(only.href("/usage", asked, Breakdown::Day));
    match name {
        Some(name) => Line {
            href,
            ..Line::new(name, sum)
        },
        None => Line {
            note: Some(format!("Deleted; id {id}")),
            href,
            ..Line::new("Deleted bucket".to_owned(), sum)
        },
    }
}

fn key_line(query: &UsageQuery, asked: &str, id: &str, keys: &[AccessKey], sum: &Sum) -> Line {
    if id.is_empty() {
        return Line {
            note: Some("Public reading".to_owned()),
            ..Line::new("Without a key".to_owned(), sum)
        };
    }
    let only = UsageQuery {
        bucket: query.bucket.clone(),
        key: id.to_owned(),
        ..UsageQuery::default()
    };
    let known = keys.iter().find(|key| key.access_key_id == id);
    let name = known.map_or("Dashboard, or links that it made", |key| key.name.as_str());
    Line {
        note: Some(id.to_owned()),
        href: Some(only.href("/usage", asked, Breakdown::Day)),
        ..Line::new(name.to_owned(), sum)
    }
}

fn class_line(class: &str, sum: &Sum) -> Line {
    let (name, note) = match class {
        "a" => ("Class A", "Writes, lists and configures"),
        "b" => ("Class B", "Reads"),
        "free" => ("Deletes", "Cost nothing"),
        other => (other, ""),
    };
    Line {
        note: Some(note.to_owned()),
        ..Line::new(name.to_owned(), sum)
    }
}
