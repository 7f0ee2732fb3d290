//! What a client says about its signature: the `Authorization` header and its parts, read strictly.
//! It never compares a signature, and whether date, region and service are the right ones is its caller's to decide.

use std::borrow::Cow;
use std::fmt;

use crate::{ALGORITHM, TERMINATOR};

/// Why what a client said of its signature cannot be read. No variant holds anything that the client sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Another scheme altogether: SigV2's `AWS key:signature`, SigV4A, `Basic`, nothing.
    #[error("the signing algorithm is not AWS4-HMAC-SHA256")]
    UnsupportedAlgorithm,
    #[error("{0} is missing")]
    MissingPart(&'static str),
    #[error("{0} is given more than once")]
    DuplicatePart(&'static str),
    /// A part without `=`, or one that is none of Credential, SignedHeaders and Signature.
    #[error("a part is none of Credential, SignedHeaders and Signature")]
    UnknownPart,
    /// Not five parts between slashes, one of them empty, or one with a character that none may have.
    #[error("the credential is not of the form key-id/date/region/service/aws4_request")]
    MalformedCredential,
    #[error("the credential's date is not of the form yyyymmdd")]
    MalformedDate,
    #[error("the credential does not end in aws4_request")]
    BadTerminator,
    /// An empty name, or one that is not a lower-case header name.
    #[error("the signed headers are not lower-case header names between semicolons")]
    MalformedSignedHeaders,
    #[error("the signed headers are not in ascending order, each once")]
    UnsortedSignedHeaders,
    #[error("the signature is not 64 lower-case hexadecimal digits")]
    MalformedSignature,
}

/// What a signing key is good for. Displays as `date/region/service/aws4_request`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialScope<'a> {
    /// `yyyymmdd`, in UTC.
    pub date: Cow<'a, str>,
    pub region: Cow<'a, str>,
    /// `s3`, for all that this project signs.
    pub service: Cow<'a, str>,
}

impl CredentialScope<'_> {
    /// What it displays as, without a formatter: every request is signed twice.
    pub(crate) fn push(&self, out: &mut String) {
        for part in [&self.date, &self.region, &self.service] {
            out.push_str(part);
            out.push('/');
        }
        out.push_str(TERMINATOR);
    }
}

impl fmt::Display for CredentialScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.push(&mut out);
        f.write_str(&out)
    }
}

/// Whose key signed, and for what scope: `Credential=` in the header, `X-Amz-Credential` in a presigned query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    pub access_key_id: &'a str,
    pub scope: CredentialScope<'a>,
}

impl<'a> Credential<'a> {
    /// Reads `key-id/yyyymmdd/region/service/aws4_request`, already decoded.
    /// The date is eight digits and need not be a day that exists.
    ///
    /// # Errors
    /// [`ParseError::MalformedCredential`], [`ParseError::MalformedDate`] or [`ParseError::BadTerminator`].
    pub fn parse(credential: &'a str) -> Result<Self, ParseError> {
        let mut parts = split(credential, b'/');
        let mut next = || parts.next().ok_or(ParseError::MalformedCredential);
        let (access_key_id, date, region, service, terminator) =
            (next()?, next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(ParseError::MalformedCredential);
        }
        // Without control characters, a scope cannot pretend to be two lines of a string to sign.
        let plain = |part: &str| !part.is_empty() && every(part, |b| b.is_ascii_graphic());
        if ![access_key_id, region, service].into_iter().all(plain) {
            return Err(ParseError::MalformedCredential);
        }
        if date.len() != 8 || !every(date, |b| b.is_ascii_digit()) {
            return Err(ParseError::MalformedDate);
        }
        if terminator != TERMINATOR {
            return Err(ParseError::BadTerminator);
        }
        Ok(Self {
            access_key_id,
            scope: CredentialScope {
                date: date.into(),
                region: region.into(),
                service: service.into(),
            },
        })
    }
}

/// What an `Authorization: AWS4-HMAC-SHA256 …` header says. That it can be read does not make it true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    pub credential: Credential<'a>,
    /// Lower-case names in ascending order, each once; at least one.
    pub signed_headers: Vec<&'a str>,
    /// 64 lower-case hexadecimal digits.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header's value. The parts come in any order, with or without blanks around the commas, each exactly once.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>
    ///
    /// # Errors
    /// Any [`ParseError`].
    pub fn parse(header_value: &'a str) -> Result<Self, ParseError> {
        let rest = header_value
            .trim_matches(BLANKS)
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.is_empty() || rest.starts_with(BLANKS))
            .ok_or(ParseError::UnsupportedAlgorithm)?;
        let mut credential = Part::new("Credential");
        let mut signed_headers = Part::new("SignedHeaders");
        let mut signature = Part::new("Signature");
        for part in split(rest, b',').filter(|_| !rest.is_empty()) {
            let (name, value) =
                split_once(part.trim_matches(BLANKS), b'=').ok_or(ParseError::UnknownPart)?;
            [&mut credential, &mut signed_headers, &mut signature]
                .into_iter()
                .find(|part| part.name == name)
                .ok_or(ParseError::UnknownPart)?
                .set(value)?;
        }
        Ok(Self {
            credential: Credential::parse(credential.get()?)?,
            signed_headers: parse_signed_headers(signed_headers.get()?)?,
            signature: parse_signature(signature.get()?)?,
        })
    }
}

/// Reads `host;x-amz-date`: `SignedHeaders=` in the header, the decoded `X-Amz-SignedHeaders` in a presigned query.
///
/// # Errors
/// [`ParseError::MalformedSignedHeaders`] or [`ParseError::UnsortedSignedHeaders`].
pub fn parse_signed_headers(names: &str) -> Result<Vec<&str>, ParseError> {
    let names: Vec<&str> = split(names, b';').collect();
    if !names.iter().all(|name| is_lower_case_header_name(name)) {
        return Err(ParseError::MalformedSignedHeaders);
    }
    if !names.is_sorted_by(|a, b| a < b) {
        return Err(ParseError::UnsortedSignedHeaders);
    }
    Ok(names)
}

/// Reads a signature: `Signature=` in the header, `X-Amz-Signature` in a presigned query, `chunk-signature` in a body.
///
/// # Errors
/// [`ParseError::MalformedSignature`] unless it is 64 lower-case hexadecimal digits.
pub fn parse_signature(signature: &str) -> Result<&str, ParseError> {
    let is_hex = |b| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if signature.len() != 64 || !every(signature, is_hex) {
        return Err(ParseError::MalformedSignature);
    }
    Ok(signature)
}

/// A token as in <https://www.rfc-editor.org/rfc/rfc9110#name-tokens>, without upper case.
fn is_lower_case_header_name(name: &str) -> bool {
    const fn is_token(b: u8) -> bool {
        matches!(
            b,
            b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
        )
    }
    !name.is_empty() && every(name, is_token)
}

/// Whether each byte is one of these. It goes to the end in any case: without a branch for each byte, that takes a
/// fraction of the time.
fn every(text: &str, is_good: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, b| all & is_good(b))
}

/// As [`str::split_once`], by a byte that is ASCII: `memchr` finds that in a fraction of the time.
fn split_once(text: &str, by: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(by, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// As [`str::split`], likewise.
fn split(text: &str, by: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (part, others) = split_once(text, by).map_or((text, None), |(a, b)| (a, Some(b)));
        rest = others;
        Some(part)
    })
}

/// The blanks that HTTP allows around a value.
const BLANKS: [char; 2] = [' ', '\t'];

/// One named part of the header while the header is read.
struct Part<'a> {
    name: &'static str,
    value: Option<&'a str>,
}

impl<'a> Part<'a> {
    fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn set(&mut self, value: &'a str) -> Result<(), ParseError> {
        match self.value.replace(value) {
            Some(_) => Err(ParseError::DuplicatePart(self.name)),
            None => Ok(()),
        }
    }

    fn get(&self) -> Result<&'a str, ParseError> {
        self.value.ok_or(ParseError::MissingPart(self.name))
    }
}
