//! Time as signatures write it: `yyyymmddThhmmssZ`, and the day alone as `yyyymmdd`, both in UTC. Every request has some
//! of each, so that they are read and written without a format string.

use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _, Utc};

/// `yyyymmddThhmmssZ`.
pub fn write(now: DateTime<Utc>) -> String {
    let mut out = write_day(now.date_naive());
    out.push('T');
    for pair in [now.hour(), now.minute(), now.second()] {
        push(&mut out, pair);
    }
    out.push('Z');
    out
}

/// The `yyyymmdd` of what [`write`] gives.
pub fn day_of(timestamp: &str) -> &str {
    timestamp.split_at_checked(8).map_or("", |(day, _)| day)
}

/// `yyyymmdd`.
fn write_day(day: NaiveDate) -> String {
    let mut out = String::with_capacity("yyyymmddThhmmssZ".len());
    let year = day.year().unsigned_abs();
    for pair in [year / 100, year % 100, day.month(), day.day()] {
        push(&mut out, pair);
    }
    out
}

/// Two digits.
fn push(out: &mut String, number: u32) {
    for digit in [number / 10 % 10, number % 10] {
        out.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

/// `None` unless it is just of the form that [`write`] gives, and a time that exists.
pub fn read(text: &str) -> Option<DateTime<Utc>> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    if time.len() != 6 {
        return None;
    }
    let [hour, minute, second] = [0..2, 2..4, 4..6].map(|at| number(time.get(at)));
    Some(
        read_day(day)?
            .and_hms_opt(hour?, minute?, second?)?
            .and_utc(),
    )
}

/// `None` unless it is just of the form that [`write_day`] gives, and a day that exists.
pub fn read_day(text: &str) -> Option<NaiveDate> {
    if text.len() != 8 {
        return None;
    }
    let [year, month, day] = [0..4, 4..6, 6..8].map(|at| number(text.get(at)));
    NaiveDate::from_ymd_opt(i32::try_from(year?).ok()?, month?, day?)
}

/// Digits, and nothing but digits.
fn number(text: Option<&str>) -> Option<u32> {
    text?.bytes().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in ["20260304T050607Z", "19700101T000000Z", "20240229T235959Z"] {
            let time = read(text).unwrap();
            assert_eq!(write(time), text);
            assert_eq!(write_day(time.date_naive()), text[..8]);
            assert_eq!(day_of(&write(time)), &text[..8]);
            assert_eq!(time.format("%Y%m%dT%H%M%SZ").to_string(), text);
        }
    }

    #[test]
    fn another_form_or_a_time_that_does_not_exist_is_none() {
        for text in [
            "",
            "20260304",
            "20260304T050607",
            "20260304T050607z",
            "20260304t050607Z",
            "20260304T05060Z",
            "20260304T0506077Z",
            "2026030T0506077Z",
            "20260304T+50607Z",
            "20260304T05 607Z",
            "+0260304T050607Z",
            "20260304T050é07Z",
            "20260229T000000Z",
            "20261301T000000Z",
            "20260304T240000Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
