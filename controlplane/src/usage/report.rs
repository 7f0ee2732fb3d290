//! What a tenant used: sums by hour or day, for each bucket, access key or class. The customer's pages and the operator's
//! API read the same.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{BucketId, TenantId};
use crate::{Error, Tx, db};

/// More hours than this are not read at once: a year and a month.
const MOST_HOURS: i64 = 24 * 396;
/// Nor are more rows.
const MOST_ROWS: usize = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Hour,
    #[default]
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    #[default]
    Bucket,
    Key,
    Class,
}

/// Which of a tenant's usage is asked for; the default is all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub bucket: Option<BucketId>,
    /// Nothing is said then of what is stored for how long: that is no key's.
    pub access_key_id: Option<String>,
}

/// Whole hours, UTC: from the first to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub by: By,
    pub group: Group,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Row {
    /// When the hour or the day began.
    pub time: DateTime<Utc>,
    /// Where grouped by bucket; zero for requests that concern none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_id: Option<String>,
    /// Its present name; none for a bucket that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Where grouped by access key; empty for strangers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Where grouped by class: `a`, `b`, `free`, or `inventory` for what was put right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// All of them, then by class.
    pub requests: u64,
    pub requests_a: u64,
    pub requests_b: u64,
    pub requests_free: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// By how much what is stored grew, or shrank.
    pub stored_delta: i64,
    pub objects_delta: i64,
    /// What the bucket held at the end, and the sum over hours of what it held at the end of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_hours: Option<u64>,
}

impl Span {
    /// Whole hours that hold both times; the last 30 days unless said. Nothing is said of hours to come.
    pub fn new(
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Span, Error> {
        let hour = |time: DateTime<Utc>, up: i64| {
            DateTime::from_timestamp((time.timestamp() + up).div_euclid(3600) * 3600, 0)
                .unwrap_or(time)
        };
        let to = hour(to.unwrap_or(now).min(now), 3599);
        let from = hour(from.unwrap_or(to - Duration::days(30)), 0);
        if from >= to {
            return Err(Error::validation(
                "from",
                "It is before `to`, and not in the future.",
            ));
        }
        if (to - from).num_hours() > MOST_HOURS {
            return Err(Error::validation(
                "from",
                "At most 396 days are shown at once.",
            ));
        }
        Ok(Span { from, to })
    }

    pub fn from(&self) -> DateTime<Utc> {
        self.from
    }

    pub fn to(&self) -> DateTime<Utc> {
        self.to
    }
}

/// In the order of time, then of the group.
pub async fn report(
    tx: &mut Tx,
    tenant: TenantId,
    span: Span,
    by: By,
    group: Group,
) -> Result<Report, Error> {
    report_where(tx, tenant, span, by, group, &Filter::default()).await
}

/// As [`report`], of a part.
pub async fn report_where(
    tx: &mut Tx,
    tenant: TenantId,
    span: Span,
    by: By,
    group: Group,
    filter: &Filter,
) -> Result<Report, Error> {
    let unit = match by {
        By::Hour => "hour",
        By::Day => "day",
    };
    let of = match group {
        Group::Bucket => "bucket",
        Group::Key => "key",
        Group::Class => "class",
    };
    let within = (span.from, span.to);
    let mut rows: BTreeMap<(DateTime<Utc>, String), Row> = BTreeMap::new();
    let most = i64::try_from(MOST_ROWS + 1).unwrap_or(i64::MAX);
    let sums = db::usage_report::sums(tx, tenant, within, (unit, of), filter, most).await?;
    if sums.len() > MOST_ROWS {
        let message = "That is more than can be read at once. Choose fewer days, or one bucket.";
        return Err(Error::validation("from", message));
    }
    for sum in sums {
        let row = row(&mut rows, sum.time, sum.name, group);
        row.requests = sum.requests.max(0).unsigned_abs();
        row.requests_a = sum.requests_a.max(0).unsigned_abs();
        row.requests_b = sum.requests_b.max(0).unsigned_abs();
        row.requests_free = sum.requests_free.max(0).unsigned_abs();
        row.bytes_in = sum.bytes_in.max(0).unsigned_abs();
        row.bytes_out = sum.bytes_out.max(0).unsigned_abs();
        row.stored_delta = sum.stored_delta;
        row.objects_delta = sum.objects_delta;
    }
    if group == Group::Bucket && filter.access_key_id.is_none() {
        for held in db::usage_report::byte_hours(tx, tenant, within, unit, filter.bucket).await? {
            let id = held.bucket_id.simple().to_string();
            let row = row(&mut rows, held.time, id, group);
            row.stored_bytes = Some(held.stored_bytes.max(0).unsigned_abs());
            row.byte_hours = Some(held.byte_hours.parse().unwrap_or(u64::MAX));
        }
    }
    if group == Group::Bucket {
        let names = db::usage_report::bucket_names(tx, tenant).await?;
        for row in rows.values_mut() {
            let id = row.bucket_id.as_ref().and_then(|id| id.parse().ok());
            row.bucket = id.and_then(|id| names.get(&id).cloned());
        }
    }
    Ok(Report {
        from: span.from,
        to: span.to,
        by,
        group,
        rows: rows.into_values().collect(),
    })
}

fn row(
    rows: &mut BTreeMap<(DateTime<Utc>, String), Row>,
    time: DateTime<Utc>,
    name: String,
    group: Group,
) -> &mut Row {
    rows.entry((time, name.clone())).or_insert_with(|| {
        let mut row = Row {
            time,
            ..Row::default()
        };
        match group {
            Group::Bucket => row.bucket_id = Some(name),
            Group::Key => row.access_key_id = Some(name),
            Group::Class => row.class = Some(name),
        }
        row
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_whole_hours_up_to_now() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        let now = at("2026-03-04T05:06:07Z");
        let span = Span::new(None, None, now).unwrap();
        assert_eq!(span.to, at("2026-03-04T06:00:00Z"));
        assert_eq!(span.from, at("2026-02-02T06:00:00Z"));
        let asked = Span::new(
            Some(at("2026-03-01T00:59:59Z")),
            Some(at("2026-03-01T02:00:00Z")),
            now,
        );
        let asked = asked.unwrap();
        assert_eq!(asked.from, at("2026-03-01T00:00:00Z"));
        assert_eq!(asked.to, at("2026-03-01T02:00:00Z"));
        assert!(Span::new(Some(at("2026-03-05T00:00:00Z")), None, now).is_err());
        assert!(Span::new(Some(at("2024-03-05T00:00:00Z")), None, now).is_err());
    }
}
