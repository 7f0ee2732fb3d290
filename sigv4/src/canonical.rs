//! The canonical form of a request: the bytes that client and server must agree on before they can agree on a signature.
//! It takes the path as it stands and never decodes, normalises or judges anything.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// AWS's `UriEncode`: every byte but `A-Za-z0-9-._~` as `%XX` in upper case. A `/` stays if `encode_slash` is false.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
/// What needs no encoding comes back as it is.
pub fn uri_encode(bytes: &[u8], encode_slash: bool) -> Cow<'_, str> {
    let set = if encode_slash {
        RESERVED
    } else {
        RESERVED_IN_PATH
    };
    percent_encode(bytes, set).into()
}

/// A request as its canonical form needs it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
#[derive(Clone, Copy, Debug)]
pub struct CanonicalRequest<'a> {
    /// As it was sent: `GET`.
    pub method: &'a str,
    /// The absolute path, already URI-encoded, exactly as it shall stand: S3 encodes once and normalises nothing.
    pub path: &'a str,
    /// Decoded names and values in any order, without the `X-Amz-Signature` of a presigned request.
    pub query: &'a [(String, String)],
    /// Lower-case names and raw values. A repeated header stands as often as it was sent, in the order in which it was sent.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Lower-case names, sorted, each once. One that `headers` does not have counts as empty:
    /// that a header which matters is signed and there is the caller's to check.
    pub signed_headers: &'a [&'a str],
    /// What `x-amz-content-sha256` says: the payload's hex SHA-256, `UNSIGNED-PAYLOAD` or a `STREAMING-…`.
    pub payload_hash: &'a str,
}

impl CanonicalRequest<'_> {
    /// Six parts, a line feed between each: method, path, query, headers, signed headers, payload hash.
    /// Bytes, for header values need not be UTF-8.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.path.as_bytes());
        out.push(b'\n');
        self.push_query(&mut out);
        out.push(b'\n');
        self.push_headers(&mut out);
        out.push(b'\n');
        push_joined(&mut out, b';', self.signed_headers, |out, name| {
            out.extend_from_slice(name.as_bytes());
        });
        out.push(b'\n');
        out.extend_from_slice(self.payload_hash.as_bytes());
        out
    }

    /// The canonical form's SHA-256 in lower-case hex.
    pub fn hash(&self) -> String {
        crate::to_hex(Sha256::digest(self.canonical()))
    }

    /// Encoded, then sorted by name and then by value: the order of what is decoded is another.
    fn push_query(&self, out: &mut Vec<u8>) {
        fn encode(text: &str) -> Cow<'_, str> {
            percent_encode(text.as_bytes(), RESERVED).into()
        }
        let mut pairs: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        pairs.sort_unstable();
        push_joined(out, b'&', &pairs, |out, (name, value)| {
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        });
    }

    fn push_headers(&self, out: &mut Vec<u8>) {
        // Each is looked up among the names, not the other way round, so that a client that names thousands gets no
        // quadratic search; sorted by place alone, and stably, so that repeated ones keep their order.
        let mut found: Vec<(usize, &[u8])> = Vec::with_capacity(self.headers.len());
        found.extend(self.headers.iter().filter_map(|&(name, value)| {
            Some((self.signed_headers.binary_search(&name).ok()?, value))
        }));
        found.sort_by_key(|(place, _)| *place);
        let mut rest = &found[..];
        for (place, name) in self.signed_headers.iter().enumerate() {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            let count = rest.iter().take_while(|(of, _)| *of == place).count();
            let (values, others) = rest.split_at(count);
            push_joined(out, b',', values, |out, (_, value)| push_folded(out, value));
            rest = others;
            out.push(b'\n');
        }
    }
}

fn push_joined<T>(out: &mut Vec<u8>, separator: u8, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(separator);
        }
        push(out, item);
    }
}

/// A header's value without blanks at its ends, and with one space for each run of spaces.
fn push_folded(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value.trim_ascii();
    // Most have none, which is seen without a branch for each byte.
    if !rest.contains(&b' ') {
        return out.extend_from_slice(rest);
    }
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let (word, spaces) = rest.split_at(space + 1);
        out.extend_from_slice(word);
        let run = spaces.iter().take_while(|byte| **byte == b' ').count();
        rest = spaces.get(run..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
