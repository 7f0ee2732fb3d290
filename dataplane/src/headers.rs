//! Which headers of a client mean something here. What goes to an engine is built anew from these lists; an `x-amz-*`
//! header that would promise what is not done is refused rather than ignored.

use http::{HeaderMap, HeaderName, HeaderValue};

use wire::EngineCapabilities;

use crate::error::{Code, S3Error};
use crate::integrity::Algorithm;
use crate::operation::{Effect, Operation};
use crate::request::S3Request;

/// S3's bound on user metadata, in bytes of names and values.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MAX_METADATA_BYTES: usize = 2048;

/// Handled elsewhere, or of no consequence here.
const UNDERSTOOD: &[&str] = &[
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-checksum-type",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expected-bucket-owner",
    "x-amz-max-parts",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-optional-object-attributes",
    "x-amz-part-number-marker",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-source-expected-bucket-owner",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
];

/// What is asked of an object that is being made, beyond what [`OBJECT`] says of it.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
pub const TAGGING: &str = "x-amz-tagging";
pub const OBJECT_LOCK: &[&str] = &[
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
];
pub const SSE: &str = "x-amz-server-side-encryption";
/// The customer's own key, for this object.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html>
pub const SSE_C: &[&str] = &[
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
];
pub const SSE_C_SOURCE: &[&str] = &[
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
];

/// What describes an object, and travels with it.
const OBJECT: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-language",
    "content-type",
    "expires",
];

/// Refuses what would be promised in vain. Pure: it looks at nothing but the head.
pub fn check(request: &S3Request, operation: Operation) -> Result<(), S3Error> {
    let mut metadata = 0;
    for (name, value) in &request.headers {
        let name = name.as_str();
        if let Some(key) = name.strip_prefix("x-amz-meta-") {
            metadata += key.len() + value.len();
        } else if name.starts_with("x-amz-") {
            check_one(name, value.to_str().unwrap_or_default(), operation)?;
        }
    }
    for (name, value) in request.query.pairs() {
        check_parameter(name, value, operation)?;
    }
    if metadata > MAX_METADATA_BYTES {
        return Err(S3Error::new(Code::MetadataTooLarge)
            .detail("Size", metadata.to_string())
            .detail("MaxSizeAllowed", MAX_METADATA_BYTES.to_string()));
    }
    Ok(())
}

/// Some presigners put headers into the query. Those that describe the object count as headers, since the signature is
/// over them too. Called once the signature is checked.
pub fn take_from_query(request: &mut S3Request) -> Result<(), S3Error> {
    for (name, value) in request.query.pairs() {
        let name = name.to_ascii_lowercase();
        if !is_taken_from_query(&name) {
            continue;
        }
        let invalid = || S3Error::new(Code::InvalidArgument).detail("ArgumentName", &name);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
        if request.headers.insert(name.clone(), value).is_some() {
            return Err(S3Error::with(
                Code::InvalidArgument,
                format!("{name} was sent in the query and as a header."),
            ));
        }
    }
    Ok(())
}

fn is_taken_from_query(name: &str) -> bool {
    let list = [
        TAGGING,
        SSE,
        "x-amz-acl",
        "x-amz-storage-class",
        "x-amz-tagging-directive",
        "x-amz-metadata-directive",
    ];
    name.starts_with("x-amz-meta-")
        || list.contains(&name)
        || OBJECT_LOCK.contains(&name)
        || SSE_C.contains(&name)
}

/// What else stands in the query is not read there: one that would matter is refused.
fn check_parameter(name: &str, value: &str, operation: Operation) -> Result<(), S3Error> {
    const SIGNATURE: &[&str] = &[
        "algorithm",
        "credential",
        "date",
        "expires",
        "signedheaders",
        "signature",
    ];
    let lower = name.to_ascii_lowercase();
    let refused = || Err(S3Error::new(Code::NotImplemented).detail("Parameter", name));
    match lower.strip_prefix("x-amz-") {
        None if may_be_ignored(&lower, operation) || operation.has_parameter(name) => Ok(()),
        None => refused(),
        Some(rest) if SIGNATURE.contains(&rest) => Ok(()),
        Some(_) if is_taken_from_query(&lower) => Ok(()),
        Some(rest)
            if rest.starts_with("copy-source")
                || rest.ends_with("expected-bucket-owner")
                || rest.starts_with("bypass") =>
        {
            refused()
        }
        Some(_) => check_one(&lower, value, operation),
    }
}

/// Whether nothing is lost when nobody reads it. A word that is not known here may make of a write another one, which S3
/// or an engine takes up some day: `DELETE /bucket/key?annotation` removes no object.
fn may_be_ignored(name: &str, operation: Operation) -> bool {
    // What JavaScript's SDK of version 2 puts beside the signature.
    const HOISTED: &[&str] = &["cache-control", "content-md5", "content-type"];
    // S3 does so with what begins with `x-`.
    // Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html#LogFormatCustom>
    name.starts_with("x-")
        || HOISTED.contains(&name)
        || matches!(operation.effect(), Effect::List | Effect::Read)
}

fn check_one(name: &str, value: &str, operation: Operation) -> Result<(), S3Error> {
    use Operation::*;
    let value = value.trim();
    let makes_object = matches!(
        operation,
        PutObject | PostObject | CopyObject | CreateMultipartUpload
    );
    let copies = matches!(operation, CopyObject | UploadPartCopy);
    let uses_customer_key = makes_object
        || matches!(
            operation,
            CompleteMultipartUpload
                | GetObject
                | GetObjectAttributes
                | HeadObject
                | UploadPart
                | UploadPartCopy
        );
    let allowed = |may: bool| match may {
        true => Ok(()),
        false => Err(S3Error::new(Code::NotImplemented).detail("Header", name)),
    };
    match name {
        "x-amz-acl" => match value {
            "private" | "bucket-owner-full-control" => Ok(()),
            // A bucket may be public; an object is as its bucket is, which only the operation knows.
            "public-read"
                if makes_object
                    || matches!(operation, CreateBucket | PutBucketAcl | PutObjectAcl) =>
            {
                Ok(())
            }
            _ => Err(Code::AccessControlListNotSupported.into()),
        },
        "x-amz-object-ownership" if value == "BucketOwnerEnforced" => Ok(()),
        "x-amz-object-ownership" => Err(Code::AccessControlListNotSupported.into()),
        "x-amz-storage-class" if value == "STANDARD" => Ok(()),
        "x-amz-storage-class" => Err(Code::InvalidStorageClass.into()),
        "x-amz-security-token" => Err(Code::InvalidToken.into()),
        "x-amz-bucket-object-lock-enabled" => {
            allowed(operation == CreateBucket || value.eq_ignore_ascii_case("false"))
        }
        TAGGING => allowed(makes_object),
        "x-amz-tagging-directive" => allowed(operation == CopyObject),
        SSE if makes_object && value != "AES256" && !value.starts_with("aws:") => {
            Err(Code::InvalidEncryptionAlgorithmError.into())
        }
        SSE => allowed(makes_object && value == "AES256"),
        _ if OBJECT_LOCK.contains(&name) => allowed(makes_object),
        _ if SSE_C.contains(&name) => allowed(uses_customer_key),
        _ if SSE_C_SOURCE.contains(&name) => allowed(copies),
        _ if name.starts_with("x-amz-grant-") => Err(Code::AccessControlListNotSupported.into()),
        "x-amz-checksum-algorithm" | "x-amz-sdk-checksum-algorithm"
            if Algorithm::from_name(value).is_none() =>
        {
            Err(unknown_algorithm())
        }
        "x-amz-checksum-type" if !["COMPOSITE", "FULL_OBJECT"].contains(&value) => {
            Err(S3Error::with(
                Code::InvalidRequest,
                "Value for x-amz-checksum-type header is invalid.",
            ))
        }
        _ if UNDERSTOOD.contains(&name) || Algorithm::from_header(name).is_some() => Ok(()),
        _ if name.starts_with("x-amz-checksum-") => Err(unknown_algorithm()),
        _ => Err(S3Error::new(Code::NotImplemented).detail("Header", name)),
    }
}

fn unknown_algorithm() -> S3Error {
    S3Error::with(
        Code::InvalidRequest,
        format!(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [{}]",
            Algorithm::ALL.map(Algorithm::name).join(", ")
        ),
    )
}

/// Headers for an engine, in the making.
#[derive(Default)]
pub struct EngineHeaders(pub Vec<(HeaderName, HeaderValue)>);

impl EngineHeaders {
    /// Takes over those of these names that the client sent.
    pub fn pass(&mut self, request: &S3Request, names: &[&'static str]) {
        // A request has fewer headers than may be passed, and looking one up costs a hash.
        for (name, value) in &request.headers {
            if names.contains(&name.as_str()) {
                self.0.push((name.clone(), value.clone()));
            }
        }
    }

    pub fn set(&mut self, name: &'static str, value: &str) -> Result<(), S3Error> {
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Code::InvalidArgument)?;
        self.0.push((HeaderName::from_static(name), value));
        Ok(())
    }

    /// As [`EngineHeaders::set`], in one list with what is there: `aws-chunked,gzip`.
    pub fn put_before(&mut self, name: &'static str, value: &str) -> Result<(), S3Error> {
        let mut list = value.as_bytes().to_vec();
        for (_, behind) in self.0.extract_if(.., |(n, _)| n.as_str() == name) {
            list.push(b',');
            list.extend_from_slice(behind.as_bytes());
        }
        let value = HeaderValue::from_bytes(&list).map_err(|_| Code::InvalidArgument)?;
        self.0.push((HeaderName::from_static(name), value));
        Ok(())
    }

    /// Content headers and user metadata, and `Content-Encoding` without the transport's `aws-chunked`.
    pub fn pass_object(&mut self, request: &S3Request) -> Result<(), S3Error> {
        self.pass(request, OBJECT);
        for (name, value) in &request.headers {
            if name.as_str().starts_with("x-amz-meta-") {
                self.0.push((name.clone(), value.clone()));
            }
        }
        let encodings = content_encodings(&request.headers);
        if !encodings.is_empty() {
            self.set("content-encoding", &encodings.join(","))?;
        }
        Ok(())
    }

    /// Those that an engine knows.
    pub fn pass_checksums(&mut self, request: &S3Request, able: EngineCapabilities) {
        let before = self.0.len();
        for (name, value) in &request.headers {
            if Algorithm::from_header(name.as_str()).is_some_and(|known| known.is_known_to(able)) {
                self.0.push((name.clone(), value.clone()));
            }
        }
        // S3 refuses a request that says which checksum it bears and bears none.
        if self.0.len() > before {
            self.pass(request, &["x-amz-sdk-checksum-algorithm"]);
        }
    }
}

fn content_encodings(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(http::header::CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("aws-chunked"))
        .map(str::to_owned)
        .collect()
}

/// What of an engine's answer about an object may leave.
pub fn answer_about_object(from: &HeaderMap, to: &mut HeaderMap) {
    let (mut encoded, mut encrypted) = (false, false);
    for (name, value) in from {
        let passed = match name.as_str() {
            "accept-ranges"
            | "cache-control"
            | "content-disposition"
            | "content-language"
            | "content-length"
            | "content-range"
            | "content-type"
            | "etag"
            | "expires"
            | "last-modified" => true,
            "content-encoding" => {
                encoded = true;
                false
            }
            other => match other.strip_prefix("x-amz-") {
                None => false,
                Some(
                    "checksum-type"
                    | "missing-meta"
                    | "delete-marker"
                    | "expiration"
                    | "mp-parts-count"
                    | "object-lock-legal-hold"
                    | "object-lock-mode"
                    | "object-lock-retain-until-date"
                    | "tagging-count",
                ) => true,
                Some(rest) if rest.starts_with("server-side-encryption") => {
                    encrypted = true;
                    false
                }
                Some(rest) => rest.starts_with("meta-") || Algorithm::from_header(other).is_some(),
            },
        };
        if passed {
            to.append(name.clone(), value.clone());
        }
    }
    // Some engines keep the transport's own `aws-chunked` as if the client had asked for it.
    if encoded {
        let encodings = content_encodings(from).join(",");
        if let (false, Ok(value)) = (encodings.is_empty(), HeaderValue::from_str(&encodings)) {
            to.insert(http::header::CONTENT_ENCODING, value);
        }
    }
    if encrypted {
        answer_about_encryption(from, to);
    }
}

/// How the object was encrypted, as far as the customer asked for it; never with which key of the engine's.
pub fn answer_about_encryption(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        let passed = match name.as_str() {
            SSE => value == "AES256",
            "x-amz-server-side-encryption-customer-algorithm"
            | "x-amz-server-side-encryption-customer-key-md5" => true,
            _ => false,
        };
        if passed && !to.contains_key(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
