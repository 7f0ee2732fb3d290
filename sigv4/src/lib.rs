//! AWS Signature Version 4 for S3: what a request's signature must be, to verify a client's and to make our own.
//! Pure functions of their arguments: no I/O, no clock, and no decision whether a request is allowed.

// What clients send is read here: see the data plane.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod authorization;
mod canonical;
mod chunks;
mod signing;

pub use authorization::{
    Authorization, Credential, CredentialScope, ParseError, parse_signature, parse_signed_headers,
};
pub use canonical::{CanonicalRequest, uri_encode};
pub use chunks::ChunkSigner;
pub use signing::{
    authorization_header, derive_signing_key, signature, signatures_equal, string_to_sign,
};

/// The lower-case hex SHA-256 of nothing: the payload hash of a request without a body.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The one algorithm that this crate knows, as `Authorization` and `X-Amz-Algorithm` name it.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What ends every credential scope, and the last input of every signing key.
const TERMINATOR: &str = "aws4_request";

/// Lower-case hex of a hash.
fn to_hex(hash: impl Into<[u8; 32]>) -> String {
    let digit = |half: u8| match half & 15 {
        half @ 0..=9 => b'0' + half,
        half => b'a' + half - 10,
    };
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(hash.into()) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
    }
    // Digits are UTF-8.
    str::from_utf8(&out).unwrap_or_default().to_owned()
}
