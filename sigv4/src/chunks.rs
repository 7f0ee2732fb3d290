//! The chain of signatures in an `aws-chunked` body: each chunk's signature covers the one before it, the first one the request's.
//! It hashes no data and reads no chunk headers: its caller streams.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{CredentialScope, EMPTY_SHA256, signing::keyed};

/// Signs one body's chunks in order, the empty last one too, and then its trailer if it has one.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>
#[derive(Clone)]
pub struct ChunkSigner {
    mac: Hmac<Sha256>,
    timestamp: String,
    scope: String,
    previous_signature: String,
}

impl ChunkSigner {
    /// `timestamp` (`yyyymmddThhmmssZ`) and `scope` are the request's, `seed_signature` is the request's signature.
    pub fn new(
        signing_key: [u8; 32],
        timestamp: String,
        scope: CredentialScope<'_>,
        seed_signature: String,
    ) -> Self {
        Self {
            mac: keyed(&signing_key),
            timestamp,
            scope: scope.to_string(),
            previous_signature: seed_signature,
        }
    }

    /// What the next chunk's signature must be, from the lower-case hex SHA-256 of its data.
    /// The chain goes on from this one, whatever the client sent: stop at the first that differs.
    pub fn next_chunk(&mut self, data_sha256_hex: &str) -> String {
        self.advance("AWS4-HMAC-SHA256-PAYLOAD", &[EMPTY_SHA256, data_sha256_hex])
    }

    /// What `x-amz-trailer-signature` must be, from the lower-case hex SHA-256 of the trailing headers
    /// as `name:value\n` each, that signature itself left out. It ends the chain.
    pub fn trailer(&mut self, trailer_sha256_hex: &str) -> String {
        self.advance("AWS4-HMAC-SHA256-TRAILER", &[trailer_sha256_hex])
    }

    /// Signs the lines and makes the result the next link's predecessor.
    fn advance(&mut self, algorithm: &str, hashes: &[&str]) -> String {
        let mut mac = self.mac.clone();
        mac.update(algorithm.as_bytes());
        let chain = [&*self.timestamp, &self.scope, &self.previous_signature];
        for line in chain.iter().chain(hashes) {
            mac.update(b"\n");
            mac.update(line.as_bytes());
        }
        self.previous_signature = crate::to_hex(mac.finalize().into_bytes());
        self.previous_signature.clone()
    }
}

// Without the key: this may stand in a struct that is logged.
impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSigner")
            .field("timestamp", &self.timestamp)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
