//! Figures as people read them: bytes, money, counts, moments.
//! Sizes are decimal (1 GB = 1,000,000,000 bytes), as they are sold; times are UTC.

use chrono::{DateTime, SecondsFormat, Utc};

/// A size in the largest unit that keeps it at one or above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    pub amount: String,
    pub unit: &'static str,
}

impl Size {
    pub fn of(bytes: u64) -> Self {
        const UNITS: [(u64, &str); 5] = [
            (1_000_000_000_000_000, "PB"),
            (1_000_000_000_000, "TB"),
            (1_000_000_000, "GB"),
            (1_000_000, "MB"),
            (1_000, "kB"),
        ];
        let unit = UNITS.iter().find(|(size, _)| bytes >= *size);
        let Some((size, unit)) = unit else {
            return Self {
                amount: bytes.to_string(),
                unit: "bytes",
            };
        };
        // Two decimals, cut off rather than rounded: a limit is never shown larger than it is.
        let hundredths = u128::from(bytes) * 100 / u128::from(*size);
        let amount = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let amount = amount.trim_end_matches('0').trim_end_matches('.');
        Self {
            amount: amount.to_owned(),
            unit,
        }
    }
}

impl std::fmt::Display for Size {
    /// With a space that does not break.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\u{a0}{}", self.amount, self.unit)
    }
}

/// How long ago, in the largest whole unit: `3 hours ago`.
pub fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - then).num_seconds();
    let (figure, unit) = match seconds {
        ..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if figure == 1 { "" } else { "s" };
    format!("{figure}\u{a0}{unit}{plural} ago")
}

/// Byte-hours as gigabytes that were held for the whole of a month of so many hours: `0.125`.
pub fn gb_months(gb_months: f64) -> String {
    match gb_months {
        none if none <= 0.0 => "0".to_owned(),
        little if little < 0.001 => "<\u{a0}0.001".to_owned(),
        some => {
            let text = format!("{some:.3}");
            let (whole, rest) = text.split_once('.').unwrap_or((&text, "000"));
            format!("{}.{rest}", count(whole.parse().unwrap_or(0)))
        }
    }
}

/// `1499` → `1,499`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `(149900, "usd")` → `$1,499`; cents are shown when there are some.
pub fn money(cents: i64, currency: &str) -> String {
    let whole = count(cents.unsigned_abs() / 100);
    let rest = cents.unsigned_abs() % 100;
    let sign = if cents < 0 { "−" } else { "" };
    let fraction = match rest {
        0 => String::new(),
        rest => format!(".{rest:02}"),
    };
    match currency {
        "usd" => format!("{sign}${whole}{fraction}"),
        "eur" => format!("{sign}€{whole}{fraction}"),
        other => format!("{sign}{whole}{fraction}\u{a0}{}", other.to_uppercase()),
    }
}

/// Millionths of a cent: `4_000_000` → `$0.04`, `375_000` → `$0.00375`.
pub fn unit_price(micros: i64, currency: &str) -> String {
    let amount = amount(micros);
    match currency {
        "usd" => format!("${amount}"),
        "eur" => format!("€{amount}"),
        other => format!("{amount}\u{a0}{}", other.to_uppercase()),
    }
}

/// Millionths of a cent without a currency, as [`micros`] reads them: `4_000_000` → `0.04`.
pub fn amount(micros: i64) -> String {
    let micros = micros.unsigned_abs();
    let (whole, rest) = (micros / 100_000_000, micros % 100_000_000);
    let digits = format!("{rest:08}");
    let (two, more) = digits.split_at(2);
    let more = more.trim_end_matches('0');
    format!("{}.{two}{more}", count(whole))
}

/// `250` or `1,250.50` → cents; `None` where it is no amount.
pub fn cents(text: &str) -> Option<i64> {
    decimal(text.trim().trim_start_matches('$'), 2)
}

/// `0.04` → `4_000_000`, millionths of a cent; `None` where it is no amount.
pub fn micros(text: &str) -> Option<i64> {
    decimal(text.trim().trim_start_matches('$'), 8)
}

/// Digits, with so many of them at most after a point, as a whole number of the last one's unit.
fn decimal(text: &str, places: usize) -> Option<i64> {
    let text = text.replace(',', "");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > places {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}

/// `40 TB`, `1.5GB`, `1,000` → bytes; `None` where it is no size, or no whole number of bytes.
pub fn bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|letter: char| letter.is_ascii_alphabetic());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let places = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 0,
        "kb" => 3,
        "mb" => 6,
        "gb" => 9,
        "tb" => 12,
        "pb" => 15,
        _ => return None,
    };
    decimal(number.trim(), places)
}

/// As [`bytes`] reads it back: in a large unit where that keeps every byte.
pub fn exact(figure: i64) -> String {
    let size = Size::of(figure.max(0).unsigned_abs());
    let short = format!("{} {}", size.amount, size.unit);
    match bytes(&short) == Some(figure) {
        true => short,
        false => count(figure.max(0).unsigned_abs()),
    }
}

/// A moment, in the three ways in which pages write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub DateTime<Utc>);

impl Moment {
    /// `9 Mar 2026`
    pub fn date(&self) -> String {
        self.0.format("%-d\u{a0}%b\u{a0}%Y").to_string()
    }

    /// `9 Mar`
    pub fn day(&self) -> String {
        self.0.format("%-d\u{a0}%b").to_string()
    }

    /// `14:00`
    pub fn hour(&self) -> String {
        self.0.format("%H:%M").to_string()
    }

    /// `9 Mar 2026, 14:05 UTC`
    pub fn minute(&self) -> String {
        let text = self.0.format("%-d\u{a0}%b\u{a0}%Y, %H:%M\u{a0}UTC");
        text.to_string()
    }

    /// `14:05:07 UTC`
    pub fn second(&self) -> String {
        self.0.format("%H:%M:%S\u{a0}UTC").to_string()
    }

    /// For `datetime` attributes.
    pub fn machine(&self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_and_never_rounded_up() {
        let written = |bytes| Size::of(bytes).to_string().replace('\u{a0}', " ");
        assert_eq!(written(25_000_000_000), "25 GB");
        assert_eq!(written(40_000_000_000_000), "40 TB");
        assert_eq!(written(1_500_000_000_000), "1.5 TB");
        assert_eq!(written(1_999_999_999), "1.99 GB");
        assert_eq!(written(999), "999 bytes");
        assert_eq!(written(0), "0 bytes");
        assert_eq!(written(u64::MAX), "18446.74 PB");
    }

    #[test]
    fn money_shows_cents_when_there_are_some() {
        assert_eq!(money(149_900, "usd"), "$1,499");
        assert_eq!(money(0, "usd"), "$0");
        assert_eq!(money(1_250, "eur"), "€12.50");
        assert_eq!(money(100_000_005, "chf"), "1,000,000.05\u{a0}CHF");
    }

    #[test]
    fn prices_of_units_keep_their_fractions() {
        assert_eq!(unit_price(4_000_000, "usd"), "$0.04");
        assert_eq!(unit_price(375_000, "usd"), "$0.00375");
        assert_eq!(unit_price(150_000_000, "eur"), "€1.50");
    }

    #[test]
    fn an_amount_is_read_to_the_cent() {
        assert_eq!(cents("250"), Some(25_000));
        assert_eq!(cents(" $1,250.5 "), Some(125_050));
        assert_eq!(cents("0.05"), Some(5));
        for bad in ["", "-1", "1.234", "a", "1e3", ".", "99999999999999999999"] {
            assert_eq!(cents(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_size_is_read_to_the_byte_and_written_so_that_it_is_read_again() {
        for (text, read) in [
            ("40 TB", 40_000_000_000_000),
            ("1.5gb", 1_500_000_000),
            ("1,000", 1000),
            ("999 bytes", 999),
            ("0", 0),
            ("25\u{a0}GB", 25_000_000_000),
        ] {
            assert_eq!(bytes(text), Some(read), "{text}");
        }
        for bad in [
            "",
            "TB",
            "1.5",
            "-1 GB",
            "1 XB",
            "1 GiB",
            "1.0005 kB",
            "99999 PB",
        ] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        assert_eq!(exact(40_000_000_000_000), "40 TB");
        assert_eq!(exact(1_500_000_000), "1.5 GB");
        for figure in [0, 1, 999, 1001, 1_999_999_999, 40_000_000_000_001] {
            assert_eq!(bytes(&exact(figure)), Some(figure));
        }
    }

    #[test]
    fn a_price_of_a_unit_is_read_as_it_is_written() {
        assert_eq!(micros("0.04"), Some(4_000_000));
        assert_eq!(micros("$0.00375"), Some(375_000));
        assert_eq!(micros("0.123456789"), None);
        for figure in [0, 1, 375_000, 4_000_000, 150_000_000_000] {
            assert_eq!(micros(&amount(figure)), Some(figure));
        }
    }

    #[test]
    fn moments_are_utc() {
        let moment = Moment(DateTime::UNIX_EPOCH);
        assert_eq!(
            moment.minute().replace('\u{a0}', " "),
            "1 Jan 1970, 00:00 UTC"
        );
        assert_eq!(moment.machine(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn times_past_are_told_in_whole_units() {
        let then = DateTime::UNIX_EPOCH;
        let told =
            |seconds| ago(then, then + chrono::Duration::seconds(seconds)).replace('\u{a0}', " ");
        assert_eq!(told(-5), "just now");
        assert_eq!(told(59), "just now");
        assert_eq!(told(60), "1 minute ago");
        assert_eq!(told(7199), "1 hour ago");
        assert_eq!(told(86_400 * 3), "3 days ago");
    }

    #[test]
    fn gb_months_have_three_decimals() {
        assert_eq!(gb_months(0.0), "0");
        assert_eq!(gb_months(0.0004), "<\u{a0}0.001");
        assert_eq!(gb_months(0.125), "0.125");
        assert_eq!(gb_months(40_000.0), "40,000.000");
    }
}
