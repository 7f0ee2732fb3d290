//! SigV4 signing keys for a run of days, as the control plane derives them and a node uses them: 32 bytes a day, and
//! nothing else for each of them, in memory as on the wire.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), "s3"), "aws4_request")`, 32 bytes, for one UTC day after the
/// other and one region. From them neither the secret nor another day's key can be computed.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SigningKeys {
    first_day: NaiveDate,
    /// Base64 of all of them, one behind the other.
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    keys: Box<[[u8; 32]]>,
}

impl SigningKeys {
    /// `keys` are the first day's, the next day's, and so on.
    pub fn new(first_day: NaiveDate, keys: Vec<[u8; 32]>) -> Self {
        Self {
            first_day,
            keys: keys.into_boxed_slice(),
        }
    }

    /// `None`: not among these days.
    pub fn on(&self, day: NaiveDate) -> Option<&[u8; 32]> {
        let days = day.signed_duration_since(self.first_day).num_days();
        self.keys.get(usize::try_from(days).ok()?)
    }

    /// `None`: there are none.
    pub fn last_day(&self) -> Option<NaiveDate> {
        let ahead = self.keys.len().checked_sub(1)?;
        self.first_day
            .checked_add_days(Days::new(u64::try_from(ahead).ok()?))
    }

    /// How many days.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SigningKeys({}, {} days, ..)",
            self.first_day,
            self.len()
        )
    }
}

fn encode<S: Serializer>(keys: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(keys.as_flattened()))
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[[u8; 32]]>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let bytes = STANDARD
        .decode(text.as_bytes())
        .map_err(serde::de::Error::custom)?;
    let (keys, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() {
        Ok(keys.into())
    } else {
        Err(serde::de::Error::custom("a signing key has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SigningKeys {
        let first = NaiveDate::from_ymd_opt(2026, 2, 27).unwrap_or_default();
        SigningKeys::new(first, vec![[1; 32], [2; 32], [3; 32]])
    }

    #[test]
    fn each_day_has_its_own_and_other_days_have_none() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap_or_default();
        assert_eq!(keys().on(day("2026-02-27")), Some(&[1; 32]));
        assert_eq!(keys().on(day("2026-03-01")), Some(&[3; 32]));
        assert_eq!(keys().on(day("2026-02-26")), None);
        assert_eq!(keys().on(day("2026-03-02")), None);
        assert_eq!(keys().last_day(), Some(day("2026-03-01")));
        assert_eq!(SigningKeys::default().last_day(), None);
    }

    #[test]
    fn they_are_written_in_one_run_and_read_whole_or_not_at_all() -> serde_json::Result<()> {
        let text = serde_json::to_string(&keys())?;
        assert_eq!(serde_json::from_str::<SigningKeys>(&text)?, keys());
        for bad in ["AAAA", "?"] {
            let text = format!("{{\"first_day\":\"2026-03-01\",\"keys\":\"{bad}\"}}");
            assert!(serde_json::from_str::<SigningKeys>(&text).is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(
            format!("{:?}", keys()),
            "SigningKeys(2026-02-27, 3 days, ..)"
        );
    }
}
