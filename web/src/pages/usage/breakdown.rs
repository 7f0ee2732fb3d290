//! A usage report added up: over all buckets by day, and over all days by bucket, access key or class. Pure figures.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use controlplane::usage::Row;

use crate::periods::hours_of_month;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    pub requests_a: u64,
    pub requests_b: u64,
    pub requests_free: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// What was stored at the end.
    pub stored_bytes: u64,
    /// A gigabyte that is held for all of a month is one, however long the month.
    pub gb_months: f64,
}

impl Sum {
    pub fn requests(&self) -> u64 {
        self.requests_a + self.requests_b + self.requests_free
    }

    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Beside others at the same time: what they hold adds up.
    fn beside(&mut self, row: &Row) {
        self.count(row);
        self.stored_bytes += row.stored_bytes.unwrap_or(0);
    }

    /// After others: what is held at the end is the last one's.
    fn after(&mut self, row: &Row) {
        self.count(row);
        self.stored_bytes = row.stored_bytes.unwrap_or(0);
    }

    fn count(&mut self, row: &Row) {
        self.requests_a += row.requests_a;
        self.requests_b += row.requests_b;
        self.requests_free += row.requests_free;
        self.bytes_in += row.bytes_in;
        self.bytes_out += row.bytes_out;
        self.gb_months += gb_months(row);
    }
}

/// Of one row: of a day or an hour.
pub fn gb_months(row: &Row) -> f64 {
    let byte_hours = row.byte_hours.unwrap_or(0) as f64;
    byte_hours / 1e9 / f64::from(hours_of_month(row.time))
}

/// One sum for each of these times.
pub fn by_time(times: &[DateTime<Utc>], rows: &[Row]) -> Vec<Sum> {
    let mut sums: BTreeMap<DateTime<Utc>, Sum> = BTreeMap::new();
    for row in rows {
        sums.entry(row.time).or_default().beside(row);
    }
    let of = |time| sums.get(time).copied().unwrap_or_default();
    times.iter().map(of).collect()
}

/// One sum for each group of which there is anything, the most first. `rows` are in the order of time.
pub fn by_group(rows: &[Row], group: impl Fn(&Row) -> String) -> Vec<(String, Sum)> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for row in rows {
        sums.entry(group(row)).or_default().after(row);
    }
    let mut sums: Vec<_> = sums
        .into_iter()
        .filter(|(_, sum)| !sum.is_nothing())
        .collect();
    let weight = |sum: &Sum| (sum.stored_bytes, sum.requests(), sum.bytes_out);
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(weight(sum)));
    sums
}

pub fn total(sums: &[Sum]) -> Sum {
    let mut total = Sum::default();
    for sum in sums {
        total.requests_a += sum.requests_a;
        total.requests_b += sum.requests_b;
        total.requests_free += sum.requests_free;
        total.bytes_in += sum.bytes_in;
        total.bytes_out += sum.bytes_out;
        total.gb_months += sum.gb_months;
        total.stored_bytes = sum.stored_bytes;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn row(day: i64, bucket: &str, requests: u64, stored: u64) -> Row {
        Row {
            time: DateTime::UNIX_EPOCH + TimeDelta::days(day),
            bucket_id: Some(bucket.to_owned()),
            requests,
            requests_a: requests,
            bytes_out: 10 * requests,
            stored_bytes: Some(stored),
            byte_hours: Some(24 * stored),
            ..Row::default()
        }
    }

    #[test]
    fn rows_add_up_across_and_along() {
        let gigabyte = 1_000_000_000;
        // January 1970 has 744 hours.
        let rows = [
            row(0, "one", 1, gigabyte),
            row(0, "two", 2, 0),
            row(1, "one", 0, 2 * gigabyte),
            row(1, "two", 4, 7),
            row(1, "gone", 0, 0),
        ];
        let times: Vec<_> = (0..3)
            .map(|day| DateTime::UNIX_EPOCH + TimeDelta::days(day))
            .collect();
        let days = by_time(&times, &rows);
        let seen: Vec<_> = days
            .iter()
            .map(|sum| (sum.requests(), sum.stored_bytes))
            .collect();
        assert_eq!(seen, [(3, gigabyte), (4, 2 * gigabyte + 7), (0, 0)]);
        let buckets = by_group(&rows, |row| row.bucket_id.clone().unwrap_or_default());
        let seen: Vec<_> = buckets
            .iter()
            .map(|(name, sum)| (name.as_str(), sum.requests(), sum.stored_bytes))
            .collect();
        assert_eq!(seen, [("one", 1, 2 * gigabyte), ("two", 6, 7)]);
        let whole = total(&days[..2]);
        assert_eq!((whole.requests(), whole.bytes_out), (7, 70));
        assert_eq!(whole.stored_bytes, 2 * gigabyte + 7);
        let expected = 3.0 * 24.0 / 744.0;
        assert!(
            (whole.gb_months - expected).abs() < 1e-6,
            "{}",
            whole.gb_months
        );
        assert!((buckets[0].1.gb_months - expected).abs() < 1e-12);
    }
}
