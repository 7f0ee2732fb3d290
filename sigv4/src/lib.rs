//! AWS Signature Version 4 for S3: what a request's signature must be, to verify a client's and to make our own.
//! Pure functions of their arguments: no I/O, no clock, and no decision whether a request is allowed.

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
fn to_hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    out
}
