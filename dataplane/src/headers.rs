//! Which headers of a client mean something here. What goes to an engine is built anew from these lists; an `x-amz-*`
//! header that would promise what is not done is refused rather than ignored.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Code, S3Error};
use crate::operation::Operation;
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
        check_hoisted(&name.to_ascii_lowercase(), value, operation)?;
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
fn check_hoisted(name: &str, value: &str, operation: Operation) -> Result<(), S3Error> {
    const SIGNATURE: &[&str] = &[
        "algorithm",
        "credential",
        "date",
        "expires",
        "signedheaders",
        "signature",
    ];
    match name.strip_prefix("x-amz-") {
        None => Ok(()),
        Some(rest) if SIGNATURE.contains(&rest) => Ok(()),
        Some(_) if is_taken_from_query(name) => Ok(()),
        Some(rest)
            if rest.starts_with("copy-source")
                || rest.ends_with("expected-bucket-owner")
                || rest.starts_with("bypass") =>
        {
            Err(S3Error::new(Code::NotImplemented).detail("Parameter", name))
        }
        Some(_) => check_one(name, value, operation),
    }
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
        _ if UNDERSTOOD.contains(&name) || name.starts_with("x-amz-checksum-") => Ok(()),
        _ => Err(S3Error::new(Code::NotImplemented).detail("Header", name)),
    }
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

    pub fn pass_checksums(&mut self, request: &S3Request) {
        for (name, value) in &request.headers {
            if crate::integrity::Algorithm::from_header(name.as_str()).is_some() {
                self.0.push((name.clone(), value.clone()));
            }
        }
    }
}

fn content_encodings(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all("content-encoding")
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
    for (name, value) in from {
        let text = name.as_str();
        let passed = matches!(
            text,
            "accept-ranges"
                | "cache-control"
                | "content-disposition"
                | "content-language"
                | "content-length"
                | "content-range"
                | "content-type"
                | "etag"
                | "expires"
                | "last-modified"
                | "x-amz-checksum-type"
                | "x-amz-missing-meta"
                | "x-amz-delete-marker"
                | "x-amz-expiration"
                | "x-amz-mp-parts-count"
                | "x-amz-object-lock-legal-hold"
                | "x-amz-object-lock-mode"
                | "x-amz-object-lock-retain-until-date"
                | "x-amz-tagging-count"
        );
        let checksum = || crate::integrity::Algorithm::from_header(text).is_some();
        if passed || text.starts_with("x-amz-meta-") || checksum() {
            to.append(name.clone(), value.clone());
        }
    }
    // Some engines keep the transport's own `aws-chunked` as if the client had asked for it.
    let encodings = content_encodings(from).join(",");
    if let (false, Ok(value)) = (encodings.is_empty(), HeaderValue::from_str(&encodings)) {
        to.insert(http::header::CONTENT_ENCODING, value);
    }
    answer_about_encryption(from, to);
}

/// How the object was encrypted, as far as the customer asked for it; never with which key of the engine's.
pub fn answer_about_encryption(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [
        SSE,
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key-md5",
    ] {
        match from.get(name) {
            Some(value) if name != SSE || value == "AES256" => {
                to.insert(HeaderName::from_static(name), value.clone());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    fn code(name: &str, value: &str) -> Option<Code> {
        check(
            &request("PUT", "/b/k", &[(name, value)]).unwrap(),
            Operation::PutObject,
        )
        .err()
        .map(|error| error.code)
    }

    #[test]
    fn promises_that_are_not_kept_are_refused() {
        for (name, value, expected) in [
            (
                "x-amz-acl",
                "public-read-write",
                Some(Code::AccessControlListNotSupported),
            ),
            ("x-amz-acl", "public-read", None),
            ("x-amz-acl", "private", None),
            (
                "x-amz-grant-read",
                "id=1",
                Some(Code::AccessControlListNotSupported),
            ),
            (
                "x-amz-website-redirect-location",
                "/",
                Some(Code::NotImplemented),
            ),
            ("x-amz-server-side-encryption", "AES256", None),
            (
                "x-amz-server-side-encryption",
                "aws:kms",
                Some(Code::NotImplemented),
            ),
            (
                "x-amz-server-side-encryption",
                "rot13",
                Some(Code::InvalidEncryptionAlgorithmError),
            ),
            ("x-amz-tagging", "a=b", None),
            (
                "x-amz-tagging-directive",
                "COPY",
                Some(Code::NotImplemented),
            ),
            ("x-amz-object-lock-mode", "GOVERNANCE", None),
            (
                "x-amz-storage-class",
                "GLACIER",
                Some(Code::InvalidStorageClass),
            ),
            ("x-amz-storage-class", "STANDARD", None),
            ("x-amz-security-token", "t", Some(Code::InvalidToken)),
            ("x-amz-meta-colour", "red", None),
            ("x-amz-something-new", "1", Some(Code::NotImplemented)),
            ("x-forwarded-for", "1.2.3.4", None),
        ] {
            assert_eq!(code(name, value), expected, "{name}: {value}");
        }
    }

    #[test]
    fn headers_hoisted_into_the_query_are_no_way_round() {
        let code = |query: &str| {
            let mut request = request("PUT", &format!("/b/k?{query}"), &[]).unwrap();
            take_from_query(&mut request)
                .and_then(|()| check(&request, Operation::PutObject))
                .err()
                .map(|error| error.code)
        };
        assert_eq!(
            code("X-Amz-Acl=public-read-write"),
            Some(Code::AccessControlListNotSupported)
        );
        assert_eq!(code("X-Amz-Security-Token=t"), Some(Code::InvalidToken));
        for query in [
            "x-amz-server-side-encryption=aws:kms",
            "X-Amz-Copy-Source=/b/k",
            "X-Amz-Expected-Bucket-Owner=me",
            "x-amz-bypass-governance-retention=true",
        ] {
            assert_eq!(code(query), Some(Code::NotImplemented), "{query}");
        }
        assert_eq!(
            code(&format!("x-amz-meta-a={}", "v".repeat(2048))),
            Some(Code::MetadataTooLarge)
        );
        assert_eq!(
            code("X-Amz-Expires=60&X-Amz-Signature=x&x-id=PutObject"),
            None
        );
    }

    #[test]
    fn what_describes_the_object_may_stand_in_the_query() {
        let mut both = request("PUT", "/b/k?X-Amz-Tagging=a%3Db", &[]).unwrap();
        take_from_query(&mut both).unwrap();
        assert_eq!(both.headers["x-amz-tagging"], "a=b");
        let headers = [("x-amz-tagging", "c=d")];
        let mut both = request("PUT", "/b/k?x-amz-tagging=a%3Db", &headers).unwrap();
        let refused = take_from_query(&mut both).unwrap_err();
        assert_eq!(refused.code, Code::InvalidArgument);
    }

    #[test]
    fn metadata_is_bounded() {
        assert_eq!(code("x-amz-meta-a", &"v".repeat(2047)), None);
        assert_eq!(
            code("x-amz-meta-a", &"v".repeat(2048)),
            Some(Code::MetadataTooLarge)
        );
    }

    #[test]
    fn only_what_is_listed_reaches_the_engine() {
        let parsed = request(
            "PUT",
            "/b/k",
            &[
                ("content-type", "text/plain"),
                ("content-encoding", "aws-chunked, gzip"),
                ("x-amz-meta-a", "1"),
                ("x-forwarded-for", "1.2.3.4"),
                ("x-minio-force-delete", "true"),
                ("cookie", "c"),
                ("authorization", "a"),
            ],
        )
        .unwrap();
        let mut headers = EngineHeaders::default();
        headers.pass_object(&parsed).unwrap();
        let mut sent: Vec<String> = headers
            .0
            .iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect();
        sent.sort();
        assert_eq!(
            sent,
            [
                "content-encoding: gzip",
                "content-type: text/plain",
                "x-amz-meta-a: 1"
            ]
        );
    }

    #[test]
    fn only_what_is_listed_leaves() {
        let mut from = HeaderMap::new();
        for name in [
            "etag",
            "server",
            "x-amz-request-id",
            "x-amz-id-2",
            "x-amz-meta-a",
            "x-seaweedfs",
            "vary",
        ] {
            from.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        from.insert(
            "content-encoding",
            HeaderValue::from_static("aws-chunked,gzip"),
        );
        let mut to = HeaderMap::new();
        answer_about_object(&from, &mut to);
        assert_eq!(to.remove("content-encoding").unwrap(), "gzip");
        let mut names: Vec<&str> = to.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["etag", "x-amz-meta-a"]);
    }
}
