//! The signature of a webhook: HMAC-SHA256 over the time and the body as it came, of which the sender may give several
//! while it changes its secret. Nothing of the body is read before it holds.
//! Source: <https://docs.stripe.com/webhooks/signature>

use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Older, or newer, is a replay or a wrong clock.
const TOLERANCE: Duration = Duration::seconds(300);

/// Whether `header` (`t=…,v1=…[,v1=…]`) signs this body under `secret` now.
pub(super) fn holds(secret: &str, header: &str, body: &[u8], now: DateTime<Utc>) -> bool {
    let mut at = None;
    let mut given = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) if at.is_none() => at = Some(text),
            Some(("v1", text)) => given.extend(hex::decode(text)),
            // `v0` is of test mode alone and forgeable.
            _ => {}
        }
    }
    let Some(text) = at else { return false };
    let time = text.parse().ok();
    let Some(time) = time.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) else {
        return false;
    };
    if (now - time).abs() > TOLERANCE || secret.is_empty() {
        return false;
    }
    let signed = mac(secret, text, body);
    // Each in constant time; that there are several is no secret.
    signed.is_some_and(|mac| {
        given
            .iter()
            .any(|signature| mac.clone().verify_slice(signature).is_ok())
    })
}

/// What goes into the header, for who signs.
pub(in crate::billing) fn sign(secret: &str, body: &[u8], now: DateTime<Utc>) -> String {
    let at = now.timestamp().to_string();
    let signature = mac(secret, &at, body).map(|mac| mac.finalize().into_bytes());
    format!("t={at},v1={}", hex::encode(signature.unwrap_or_default()))
}

fn mac(secret: &str, at: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test";
    const BODY: &[u8] = br#"{"id": "evt_1"}"#;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    /// Made with `openssl dgst -sha256 -hmac whsec_test` over `1800000000.{"id": "evt_1"}`.
    const KNOWN: &str = "fd01adb323d3174d25da622891b61ddc29a37d7e3f2a266bfad9021d3edf56f0";

    #[test]
    fn a_signature_made_elsewhere_holds() {
        let header = format!("t=1800000000,v1={KNOWN}");
        assert!(holds(SECRET, &header, BODY, at(0)));
        assert_eq!(sign(SECRET, BODY, at(0)), header);
    }

    #[test]
    fn it_holds_for_five_minutes_and_no_second_longer() {
        let header = sign(SECRET, BODY, at(0));
        for seconds in [-300, 0, 300] {
            assert!(holds(SECRET, &header, BODY, at(seconds)), "{seconds}");
        }
        for seconds in [-301, 301, 86_400] {
            assert!(!holds(SECRET, &header, BODY, at(seconds)), "{seconds}");
        }
    }

    #[test]
    fn one_of_several_is_enough() {
        let header = sign(SECRET, BODY, at(0));
        let old = sign("whsec_old", BODY, at(0));
        let (_, other) = old.split_once(",v1=").unwrap();
        assert!(holds(SECRET, &format!("{header},v1={other}"), BODY, at(0)));
        let (time, signature) = header.split_once(",v1=").unwrap();
        let both = format!("{time},v1={other},v1={signature},v0=abc");
        assert!(holds(SECRET, &both, BODY, at(0)));
        assert!(!holds(SECRET, &old, BODY, at(0)));
    }

    #[test]
    fn what_is_not_signed_as_it_is_does_not_hold() {
        let header = sign(SECRET, BODY, at(0));
        assert!(!holds(SECRET, &header, br#"{"id": "evt_2"}"#, at(0)));
        assert!(!holds("", &sign("", BODY, at(0)), BODY, at(0)), "no secret");
        let later = header.replace("t=1800000000", "t=1800000001");
        let (_, signature) = header.split_once(",v1=").unwrap();
        let v0 = format!("t=1800000000,v0={signature}");
        for bad in [
            "",
            "t=",
            "v1=",
            "t=x,v1=00",
            "t=1800000000",
            &later,
            &v0,
            signature,
        ] {
            assert!(!holds(SECRET, bad, BODY, at(0)), "{bad}");
        }
    }
}
