//! The overview's charts: the last 24 hours by the hour, or the last 30 days by the day, up to the step that is running.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use controlplane::Error;
use controlplane::usage::{By, Report, Row, Span};

use crate::charts::{Chart, Plot, Series, Shape, Unit, walk_back};
use crate::figures::{Moment, Size, count};
use crate::periods::steps as times;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    Day,
    Month,
}

impl Range {
    pub fn parse(text: &str) -> Self {
        match text {
            "month" => Self::Month,
            _ => Self::Day,
        }
    }

    pub fn by(self) -> By {
        match self {
            Self::Day => By::Hour,
            Self::Month => By::Day,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Day => "last 24 hours",
            Self::Month => "last 30 days",
        }
    }

    fn step(self) -> TimeDelta {
        match self {
            Self::Day => TimeDelta::hours(1),
            Self::Month => TimeDelta::days(1),
        }
    }

    /// When the step began that is running, and the first one.
    fn bounds(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
        match self {
            Self::Day => {
                let hour = midnight + TimeDelta::hours((now - midnight).num_hours());
                (hour - TimeDelta::hours(23), hour)
            }
            Self::Month => {
                let first = midnight.checked_sub_days(Days::new(29));
                (first.unwrap_or(midnight), midnight)
            }
        }
    }

    pub fn begin(self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.bounds(now).0
    }

    pub fn span(self, now: DateTime<Utc>) -> Result<Span, Error> {
        let (first, last) = self.bounds(now);
        // To the end of the running hour: a batch of this very second is in it.
        let end = last.max(now) + TimeDelta::seconds(1);
        Span::new(Some(first), Some(end), end)
    }

    fn label(self, time: DateTime<Utc>) -> String {
        match self {
            Self::Day => Moment(time).hour(),
            Self::Month => Moment(time).day(),
        }
    }
}

/// An hour, or a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub time: Moment,
    pub label: String,
    /// At its end.
    pub stored_bytes: u64,
    pub requests_a: u64,
    pub requests_b: u64,
    pub requests_free: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Step {
    pub fn is_nothing(&self) -> bool {
        self.requests() == 0 && self.bytes_in == 0 && self.bytes_out == 0
    }

    fn requests(&self) -> u64 {
        self.requests_a + self.requests_b + self.requests_free
    }

    pub fn stored(&self) -> Size {
        Size::of(self.stored_bytes)
    }

    pub fn all(&self) -> String {
        count(self.requests())
    }

    pub fn sent(&self) -> Size {
        Size::of(self.bytes_out)
    }

    pub fn received(&self) -> Size {
        Size::of(self.bytes_in)
    }
}

/// `stored_bytes`: held now. What was held before follows from what each step added.
pub fn steps(report: &Report, range: Range, now: DateTime<Utc>, stored_bytes: u64) -> Vec<Step> {
    let mut sums: BTreeMap<DateTime<Utc>, Row> = BTreeMap::new();
    for row in &report.rows {
        let sum = sums.entry(row.time).or_default();
        sum.requests_a += row.requests_a;
        sum.requests_b += row.requests_b;
        sum.requests_free += row.requests_free;
        sum.bytes_in += row.bytes_in;
        sum.bytes_out += row.bytes_out;
        sum.stored_delta += row.stored_delta;
    }
    let (first, last) = range.bounds(now);
    let times = times(first, last + range.step(), range.step());
    let of = |time| sums.get(time).cloned().unwrap_or_default();
    let rows: Vec<Row> = times.iter().map(of).collect();
    let deltas: Vec<i64> = rows.iter().map(|row| row.stored_delta).collect();
    let held = walk_back(stored_bytes, &deltas);
    let steps = times.into_iter().zip(rows).zip(held);
    steps
        .map(|((time, row), stored_bytes)| Step {
            time: Moment(time),
            label: range.label(time),
            stored_bytes,
            requests_a: row.requests_a,
            requests_b: row.requests_b,
            requests_free: row.requests_free,
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
        })
        .collect()
}

pub fn draw(steps: &[Step], range: Range, quota: Option<u64>) -> Vec<Chart> {
    let labels: Vec<String> = steps.iter().map(|step| step.label.clone()).collect();
    let of = |name, class, figure: fn(&Step) -> u64| Series {
        name,
        class,
        values: steps.iter().map(figure).collect(),
    };
    let plot = |id: &str, title, unit, shape, series, limit| Plot {
        id: id.to_owned(),
        title,
        unit,
        shape,
        labels: &labels,
        series,
        limit,
        running: true,
    };
    let held = vec![of("stored", "a", |step| step.stored_bytes)];
    let requests = vec![
        of("class A", "a", |step| step.requests_a),
        of("class B", "b", |step| step.requests_b),
        of("deletes", "c", |step| step.requests_free),
    ];
    let traffic = vec![
        of("out", "a", |step| step.bytes_out),
        of("in", "b", |step| step.bytes_in),
    ];
    let (requested, transferred) = match range {
        Range::Day => ("Requests an hour", "Data transferred an hour"),
        Range::Month => ("Requests a day", "Data transferred a day"),
    };
    vec![
        plot("stored", "Stored", Unit::Bytes, Shape::Area, held, quota).draw(),
        plot(
            "requests",
            requested,
            Unit::Count,
            Shape::Bars,
            requests,
            None,
        )
        .draw(),
        plot(
            "traffic",
            transferred,
            Unit::Bytes,
            Shape::Bars,
            traffic,
            None,
        )
        .draw(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use controlplane::usage::Group;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn report(rows: Vec<Row>) -> Report {
        Report {
            from: DateTime::UNIX_EPOCH,
            to: DateTime::UNIX_EPOCH,
            by: By::Hour,
            group: Group::Class,
            rows,
        }
    }

    #[test]
    fn a_day_ends_with_the_hour_that_is_running() {
        let now = at("2026-03-09T14:05:00Z");
        let row = |time, stored_delta| Row {
            time: at(time),
            requests_a: 1,
            stored_delta,
            ..Row::default()
        };
        let rows = vec![
            row("2026-03-09T12:00:00Z", 50),
            row("2026-03-09T14:00:00Z", 20),
            row("2026-03-09T14:00:00Z", -10),
        ];
        let steps = steps(&report(rows), Range::Day, now, 100);
        assert_eq!(steps.len(), 24);
        assert_eq!(steps[0].time.0, at("2026-03-08T15:00:00Z"));
        let last = &steps[23];
        assert_eq!(
            (last.label.as_str(), last.stored_bytes, last.requests_a),
            ("14:00", 100, 2)
        );
        let held: Vec<u64> = steps[20..].iter().map(|step| step.stored_bytes).collect();
        assert_eq!(held, [40, 90, 90, 100]);
    }

    #[test]
    fn a_month_has_thirty_days_and_today_is_one() {
        let now = at("2026-03-09T00:00:00Z");
        let steps = steps(&report(vec![]), Range::Month, now, 7);
        assert_eq!(steps.len(), 30);
        assert_eq!(steps[0].time.0, at("2026-02-08T00:00:00Z"));
        assert!(
            steps
                .iter()
                .all(|step| step.stored_bytes == 7 && step.is_nothing())
        );
        for range in [Range::Day, Range::Month] {
            let span = range.span(now).expect("a span");
            assert_eq!(span.from(), range.begin(now));
            assert!(span.to() > now);
        }
        let charts = draw(&steps, Range::Month, None);
        assert_eq!(charts[0].headline, "7\u{a0}bytes");
        assert!(charts[1].is_empty && charts[2].is_empty);
    }
}
