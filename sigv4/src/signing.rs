//! From a secret to a signing key, and from a canonical request to a signature and an `Authorization` header.
//! It looks at no clock: dates and timestamps are what the caller says.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{ALGORITHM, CanonicalRequest, CredentialScope, TERMINATOR};

/// The key that signs for one day (`yyyymmdd`, UTC), region and service.
/// It forges nothing outside of these three, and the secret cannot be had from it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
pub fn derive_signing_key(secret: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    // Of full size from the start: growing would leave copies of the secret in freed memory.
    let mut prefixed = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
    prefixed.extend_from_slice(b"AWS4");
    prefixed.extend_from_slice(secret.as_bytes());
    let date_key = hmac_sha256(&prefixed, date);
    let region_key = hmac_sha256(&date_key, region);
    let service_key = hmac_sha256(&region_key, service);
    hmac_sha256(&service_key, TERMINATOR)
}

/// What a request's signature signs. `timestamp` is `yyyymmddThhmmssZ`, as `x-amz-date` or `X-Amz-Date` has it;
/// that its day is the scope's is the caller's to check. `canonical_hash` is [`CanonicalRequest::hash`].
pub fn string_to_sign(
    timestamp: &str,
    scope: &CredentialScope<'_>,
    canonical_hash: &str,
) -> String {
    let mut out = String::with_capacity(192);
    for part in [ALGORITHM, "\n", timestamp, "\n"] {
        out.push_str(part);
    }
    scope.push(&mut out);
    out.push('\n');
    out.push_str(canonical_hash);
    out
}

/// The signature in lower-case hex. It signs any string: that of a request, or a POST form's base64 policy.
pub fn signature(signing_key: &[u8; 32], string_to_sign: &str) -> String {
    crate::to_hex(hmac_sha256(signing_key, string_to_sign))
}

/// Whether two signatures are the same, in a time that tells nothing of where they differ.
pub fn signatures_equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// The value of the `Authorization` header that signs all of `request.headers`, whatever its `signed_headers` say.
/// They must hold `host`, `x-amz-date` (the same as `timestamp`) and `x-amz-content-sha256` for S3 to take it.
pub fn authorization_header(
    access_key_id: &str,
    signing_key: &[u8; 32],
    timestamp: &str,
    scope: &CredentialScope<'_>,
    request: &CanonicalRequest<'_>,
) -> String {
    let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let hash = CanonicalRequest {
        signed_headers: &names,
        ..*request
    }
    .hash();
    let signature = signature(signing_key, &string_to_sign(timestamp, scope, &hash));
    let mut out = String::with_capacity(512);
    for part in [ALGORITHM, " Credential=", access_key_id, "/"] {
        out.push_str(part);
    }
    scope.push(&mut out);
    out.push_str(", SignedHeaders=");
    for (i, name) in names.into_iter().enumerate() {
        if i > 0 {
            out.push(';');
        }
        out.push_str(name);
    }
    out.push_str(", Signature=");
    out.push_str(&signature);
    out
}

/// An HMAC that has taken in its key.
#[expect(clippy::expect_used, reason = "there is no other outcome")]
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // The error type belongs to the trait; HMAC takes keys of every length.
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

fn hmac_sha256(key: &[u8], message: &str) -> [u8; 32] {
    keyed(key)
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}
