//! Lengths of time as people type them: `30m`, `12h`, `7d`.
//! Whole numbers of one unit only.

/// At least one.
pub type Seconds = u64;

pub fn parse(text: &str) -> Result<Seconds, String> {
    let wrong = || {
        format!("{text:?} is no length of time: write a number and a unit, such as 30m, 12h or 7d")
    };
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(seconds) {
        Some(0) | None => Err(wrong()),
        Some(all) => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_number_and_a_unit_is_taken() {
        for (text, seconds) in [
            ("1s", 1),
            ("30m", 1800),
            ("12h", 43_200),
            ("7d", 604_800),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "7",
            "d",
            "0d",
            "-1d",
            "+1d",
            "1.5h",
            "7 d",
            "7D",
            "1é",
            "99999999999999999999d",
            "9999999999999999999w",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
