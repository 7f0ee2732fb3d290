//! Takes a request's head apart, once: bucket, object key and query are decoded here and nowhere else, so that what
//! is authorised is what is forwarded.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, header, request};

use crate::error::{Code, S3Error};

/// S3's bound on an object key, in bytes of UTF-8.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub const MAX_KEY_BYTES: usize = 1024;

/// S3's bound on the header section, in bytes.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// In HTTP/1.1 the HTTP library counts them, in HTTP/2 it does not.
pub const MAX_HEADERS: usize = 100;

/// What path and query may have together, in bytes as they were sent. Encoded by the rules they grow threefold at most, and
/// what goes to an engine must stay below the HTTP library's 64 KiB.
const MAX_TARGET_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub struct S3Request {
    /// 16 upper-case hexadecimal digits: `x-amz-request-id`, and the id in both planes' logs.
    pub id: String,
    pub method: Method,
    /// The path as it was sent, still encoded.
    pub raw_path: String,
    /// The path, decoded.
    pub path: String,
    pub bucket: Option<Arc<str>>,
    pub key: Option<String>,
    pub query: Query,
    pub headers: HeaderMap,
    pub host: String,
    /// Whether it came over TLS.
    pub secure: bool,
    pub peer: IpAddr,
}

impl S3Request {
    /// `domains`: those under which a host names a bucket.
    pub fn parse(
        id: String,
        head: request::Parts,
        peer: IpAddr,
        domains: &[String],
    ) -> Result<S3Request, S3Error> {
        if size(&head.headers) > MAX_HEADER_BYTES || head.headers.len() > MAX_HEADERS {
            return Err(Code::RequestHeaderSectionTooLarge.into());
        }
        // The HTTP library drops a Content-Length beside a Transfer-Encoding without a word, so that the two cannot be
        // compared. Only aws-chunked bodies come without a Content-Length from clients that mean well.
        if has(&head.headers, "transfer-encoding")
            && !has(&head.headers, "x-amz-decoded-content-length")
        {
            return Err(S3Error::with(
                Code::InvalidRequest,
                "Transfer-Encoding is understood with aws-chunked bodies alone.",
            ));
        }
        let query = head.uri.query().unwrap_or("");
        if head.uri.path().len() + query.len() > MAX_TARGET_BYTES {
            return Err(S3Error::with(Code::InvalidURI, "The URI is too long."));
        }
        let raw_path = head.uri.path().to_owned();
        let path = decode_path(&raw_path)?;
        refuse_dot_segments(&path)?;
        let rest = path.strip_prefix('/').ok_or(Code::InvalidURI)?;
        let host = host(&head)?;
        let (bucket, key) = match virtual_bucket(&host, domains) {
            Some(bucket) => (bucket, rest),
            None => rest.split_once('/').unwrap_or((rest, "")),
        };
        if key.len() > MAX_KEY_BYTES {
            return Err(Code::KeyTooLongError.into());
        }
        if bucket.is_empty() && !key.is_empty() {
            return Err(S3Error::with(Code::InvalidURI, "The path names no bucket."));
        }
        Ok(S3Request {
            id,
            method: head.method,
            bucket: (!bucket.is_empty()).then(|| bucket.into()),
            key: (!key.is_empty()).then(|| key.to_owned()),
            query: Query::parse(query)?,
            headers: head.headers,
            host,
            secure: false,
            peer,
            raw_path,
            path,
        })
    }

    /// The upload that a form to a bucket amounts to: the same sender and place, the form's key and headers, and nothing
    /// else of what the form's own head said but the page that it comes from.
    pub fn into_upload(
        mut self: Box<Self>,
        key: String,
        mut headers: HeaderMap,
    ) -> Result<Box<S3Request>, S3Error> {
        if let Some(origin) = self.headers.get(header::ORIGIN) {
            headers.insert(header::ORIGIN, origin.clone());
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(Code::KeyTooLongError.into());
        }
        if key.contains('\0') {
            return Err(Code::InvalidURI.into());
        }
        refuse_dot_segments(&key)?;
        if size(&headers) > MAX_HEADER_BYTES {
            return Err(Code::RequestHeaderSectionTooLarge.into());
        }
        self.key = Some(key);
        self.query = Query::default();
        self.headers = headers;
        Ok(self)
    }

    /// The address of this path where the client sees this node.
    pub fn address(&self, encoded_path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{encoded_path}", self.host)
    }

    /// The value of a header that may come once at most, as text. `name` in lower case.
    pub fn header(&self, name: &str) -> Result<Option<&str>, S3Error> {
        single(&self.headers, name)
    }

    /// Whether a header was sent. `name` in lower case.
    pub fn has_header(&self, name: &str) -> bool {
        has(&self.headers, name)
    }
}

/// The values of a header, in the order in which they came. A request has few headers: passing over them costs less than
/// the hash of one name. `name` in lower case.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a HeaderValue> {
    headers
        .iter()
        .filter(move |(known, _)| known.as_str() == name)
        .map(|(_, value)| value)
}

fn has(headers: &HeaderMap, name: &str) -> bool {
    values(headers, name).next().is_some()
}

/// What a header section takes on the wire, in bytes.
fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

fn refuse_dot_segments(path: &str) -> Result<(), S3Error> {
    match has_dot_segment(path) {
        true => Err(S3Error::with(
            Code::InvalidURI,
            "A path must not hold the segments '.' or '..'.",
        )),
        false => Ok(()),
    }
}

/// Whether a segment between slashes is `.` or `..`.
pub fn has_dot_segment(path: &str) -> bool {
    // By bytes: every request is asked this, and most paths are short.
    path.as_bytes()
        .split(|byte| *byte == b'/')
        .any(|segment| matches!(segment, b"." | b".."))
}

/// One host, however often it is said: the header is what is signed, the target's authority is what HTTP/2 has.
fn host(head: &request::Parts) -> Result<String, S3Error> {
    let header = single(&head.headers, "host")?;
    let authority = head.uri.authority().map(|authority| authority.as_str());
    match (header, authority) {
        (Some(header), Some(authority)) if header != authority => Err(S3Error::with(
            Code::InvalidRequest,
            "The request names two hosts.",
        )),
        (header, authority) => Ok(authority.or(header).unwrap_or_default().to_owned()),
    }
}

/// The bucket that a host names: what stands before one of the domains.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
fn virtual_bucket<'h>(host: &'h str, domains: &[String]) -> Option<&'h str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    domains.iter().find_map(|domain| {
        let at = name.len().checked_sub(domain.len())?;
        let (bucket, rest) = name.split_at_checked(at)?;
        let bucket = bucket
            .strip_suffix('.')
            .filter(|bucket| !bucket.is_empty())?;
        rest.eq_ignore_ascii_case(domain).then_some(bucket)
    })
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, S3Error> {
    let mut values = values(headers, name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(S3Error::with(
            Code::InvalidArgument,
            format!("The header {name} was sent more than once."),
        ));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
        S3Error::with(
            Code::InvalidArgument,
            format!("The header {name} is not valid UTF-8."),
        )
    })?;
    Ok(Some(text.trim()))
}

/// The decoded parameters, in the order in which they came.
#[derive(Debug, Default, Clone)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(raw: &str) -> Result<Query, S3Error> {
        raw.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((
                    decode(&name.replace('+', " "))?,
                    decode(&value.replace('+', " "))?,
                ))
            })
            .collect::<Result<_, S3Error>>()
            .map(Query)
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// The only value of this name; two of them are an error, so that no two readers see different ones.
    pub fn single(&self, name: &str) -> Result<Option<&str>, S3Error> {
        let mut values = self.0.iter().filter(|(n, _)| n == name);
        let first = values.next();
        if values.next().is_some() {
            return Err(S3Error::with(
                Code::InvalidArgument,
                format!("The parameter {name} was sent more than once."),
            ));
        }
        Ok(first.map(|(_, value)| value.as_str()))
    }
}

fn decode_path(raw: &str) -> Result<String, S3Error> {
    let path = decode(raw)?;
    if path.contains('\0') {
        return Err(Code::InvalidURI.into());
    }
    Ok(path)
}

/// Percent-decoding that refuses what it does not understand, where most libraries pass it on as it is.
pub fn decode(raw: &str) -> Result<String, S3Error> {
    let bytes = raw.as_bytes();
    if !bytes.contains(&b'%') {
        return Ok(raw.to_owned());
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let digit = |i: usize| bytes.get(i).and_then(|d| char::from(*d).to_digit(16));
            let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                return Err(Code::InvalidURI.into());
            };
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).map_err(|_| Code::InvalidURI.into())
}

#[cfg(test)]
#[path = "request_tests.rs"]
pub mod tests;
