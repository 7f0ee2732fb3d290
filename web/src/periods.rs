//! Days that somebody asks about: a month, or from one day to another; and the words and times of them. All of it UTC,
//! as usage is counted.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

/// Of days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: NaiveDate,
    pub to: NaiveDate,
}

impl Period {
    /// The calendar month that the day lies in, up to today.
    pub fn month_of(day: NaiveDate, today: NaiveDate) -> Self {
        let from = day.with_day(1).unwrap_or(day);
        let next = from.checked_add_months(Months::new(1)).unwrap_or(from);
        let last = next.pred_opt().unwrap_or(next);
        Self {
            from,
            to: last.min(today).max(from),
        }
    }

    /// What a query says: `month=2026-03`, or `from` and `to`; the present month where it says nothing. Days to come
    /// are left out. The error is for people, and names the field.
    pub fn read(
        month: &str,
        from: &str,
        to: &str,
        today: NaiveDate,
    ) -> Result<Self, (&'static str, &'static str)> {
        if from.is_empty() && to.is_empty() {
            let day = match month {
                "" => today,
                month => day(&format!("{month}-01"))
                    .ok_or(("from", "That is no month. Write it as in 2026-03."))?,
            };
            if day > today {
                return Err(("from", "That month has not begun."));
            }
            return Ok(Self::month_of(day, today));
        }
        let to = match to {
            "" => today,
            to => day(to).ok_or(("to", "That is no date. Write it as in 2026-03-31."))?,
        };
        let from = match from {
            "" => to.with_day(1).unwrap_or(to),
            from => day(from).ok_or(("from", "That is no date. Write it as in 2026-03-01."))?,
        };
        let to = to.min(today);
        if from > to {
            return Err(("from", "The first day is after the last, or has not begun."));
        }
        Ok(Self { from, to })
    }

    pub fn days(&self) -> i64 {
        (self.to - self.from).num_days() + 1
    }

    /// From the first moment to the one after the last.
    pub fn times(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let after = self.to.checked_add_days(Days::new(1)).unwrap_or(self.to);
        (midnight(self.from), midnight(after))
    }

    /// `November 2026` where it is a month, or the part of one that is over.
    pub fn words(&self, today: NaiveDate) -> String {
        match *self == Self::month_of(self.from, today) {
            true => self.from.format("%B\u{a0}%Y").to_string(),
            false => format!("{} to {}", date(self.from), date(self.to)),
        }
    }

    /// The calendar month before, and the one after if it has begun: `2026-10` and `October 2026`.
    pub fn neighbours(&self, today: NaiveDate) -> (Option<Month>, Option<Month>) {
        let named = |day: NaiveDate| {
            let words = day.format("%B\u{a0}%Y").to_string();
            (day.format("%Y-%m").to_string(), words)
        };
        let first = self.from.with_day(1).unwrap_or(self.from);
        let before = first.checked_sub_months(Months::new(1));
        let after = first.checked_add_months(Months::new(1));
        (
            before.map(named),
            after.filter(|day| *day <= today).map(named),
        )
    }
}

/// As addresses name it, and as people do.
pub type Month = (String, String);

fn day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    // What the database counts lies within.
    (2000..=9999).contains(&day.year()).then_some(day)
}

/// `9 Mar 2026`
fn date(day: NaiveDate) -> String {
    day.format("%-d\u{a0}%b\u{a0}%Y").to_string()
}

/// The beginnings of the hours, or days, from the first to before the last.
pub fn steps(from: DateTime<Utc>, to: DateTime<Utc>, step: TimeDelta) -> Vec<DateTime<Utc>> {
    let mut times = Vec::new();
    let mut time = from;
    while time < to {
        times.push(time);
        time += step;
    }
    times
}

/// How many hours the month has that the time lies in: what a byte-hour is a part of.
pub fn hours_of_month(time: DateTime<Utc>) -> u32 {
    let day = time.date_naive();
    u32::from(day.num_days_in_month()) * 24
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").expect("a date")
    }

    fn read(month: &str, from: &str, to: &str) -> Result<(String, String), &'static str> {
        let period = Period::read(month, from, to, day("2026-03-09"));
        let period = period.map_err(|(field, _)| field)?;
        Ok((period.from.to_string(), period.to.to_string()))
    }

    #[test]
    fn a_query_names_days_or_a_month_and_none_to_come() {
        let days = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(read("", "", ""), days("2026-03-01", "2026-03-09"));
        assert_eq!(read("2026-02", "", ""), days("2026-02-01", "2026-02-28"));
        assert_eq!(read("2026-04", "", ""), Err("from"));
        assert_eq!(read("x", "", ""), Err("from"));
        assert_eq!(
            read("2026-02", "2026-03-02", "2026-03-03"),
            days("2026-03-02", "2026-03-03")
        );
        assert_eq!(read("", "2026-03-02", ""), days("2026-03-02", "2026-03-09"));
        assert_eq!(read("", "", "2026-02-10"), days("2026-02-01", "2026-02-10"));
        assert_eq!(
            read("", "2026-03-02", "2027-01-01"),
            days("2026-03-02", "2026-03-09")
        );
        assert_eq!(read("", "2026-03-03", "2026-03-02"), Err("from"));
        assert_eq!(read("", "2026-03-10", ""), Err("from"));
        assert_eq!(read("", "yesterday", ""), Err("from"));
        assert_eq!(read("", "", "2026-02-30"), Err("to"));
        assert_eq!(read("", "0001-01-01", ""), Err("from"));
    }

    #[test]
    fn a_month_has_its_name_and_its_neighbours() {
        let today = day("2026-03-09");
        let words = |text: String| text.replace('\u{a0}', " ");
        let month = Period::month_of(today, today);
        assert_eq!(words(month.words(today)), "March 2026");
        assert_eq!(month.days(), 9);
        let (before, after) = month.neighbours(today);
        assert_eq!(before.map(|(key, _)| key).as_deref(), Some("2026-02"));
        assert_eq!(after, None);
        let before = Period::month_of(day("2025-12-24"), today);
        let (_, after) = before.neighbours(today);
        assert_eq!(
            after.map(|(key, name)| (key, words(name))),
            Some(("2026-01".into(), "January 2026".into()))
        );
        let days = Period {
            from: day("2026-03-02"),
            to: day("2026-03-04"),
        };
        assert_eq!(words(days.words(today)), "2 Mar 2026 to 4 Mar 2026");
        let (from, to) = days.times();
        assert_eq!((to - from).num_hours(), 72);
    }

    #[test]
    fn a_month_is_as_long_as_it_is() {
        let hours = |text: &str| hours_of_month(day(text).and_time(NaiveTime::MIN).and_utc());
        assert_eq!(
            [
                hours("2026-02-01"),
                hours("2024-02-29"),
                hours("2026-12-31")
            ],
            [672, 696, 744]
        );
        let from = DateTime::UNIX_EPOCH;
        let times = steps(from, from + TimeDelta::hours(3), TimeDelta::hours(1));
        assert_eq!(times.len(), 3);
    }
}
