//! What a bucket may be called.

use std::net::Ipv4Addr;

/// S3's rules for general purpose buckets:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub fn is_valid(name: &str) -> bool {
    let bytes = name.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| plain(b) || matches!(b, b'.' | b'-'))
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err()
        && !is_four_numbers(name)
        && !["xn--", "sthree-", "amzn-s3-demo-"]
            .iter()
            .any(|p| name.starts_with(p))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"]
            .iter()
            .any(|s| name.ends_with(s))
}

/// `192.168.005.004` looks like an address too.
fn is_four_numbers(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() == 4 && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_that_s3_takes() {
        let longest = "a".repeat(63);
        for good in [
            "abc",
            "a-b",
            "a.b",
            "1bucket",
            "my.bucket-2",
            "a.-b",
            "256.1.2.a",
            &longest,
        ] {
            assert!(is_valid(good), "{good}");
        }
        let too_long = "a".repeat(64);
        let bad = [
            "",
            "ab",
            &too_long,
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "a..b",
            "192.168.5.4",
            "192.168.005.004",
            "999.1.1.1",
            "xn--abc",
            "sthree-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "a/b",
            "a b",
            "ümlaut",
            "a\0b",
            "../a",
            "a%2e",
        ];
        for bad in bad {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_name_is_harmless_in_a_path(name in ".{0,70}") {
            if is_valid(&name) {
                prop_assert!(name.is_ascii() && !name.contains('/') && !name.contains(".."));
            }
        }
    }
}
