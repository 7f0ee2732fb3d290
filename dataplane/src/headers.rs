//! Which headers of a client mean something here. What goes to an engine is built anew from these lists; an `x-amz-*`
//! header that would promise what is not done is refused rather than ignored.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Code, S3Error};
use crate::request::S3Request;

/// S3's bound on user metadata, in bytes of names and values.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MAX_METADATA_BYTES: usize = 2048;

/// Handled elsewhere, or of no consequence here.
const UNDERSTOOD: &[&str] = &[
    "x-amz-acl",
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
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-ownership",
    "x-amz-optional-object-attributes",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-source-expected-bucket-owner",
    "x-amz-storage-class",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
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
pub fn check(request: &S3Request) -> Result<(), S3Error> {
    let mut metadata = 0;
    for (name, value) in &request.headers {
        let name = name.as_str();
        if let Some(key) = name.strip_prefix("x-amz-meta-") {
            metadata += key.len() + value.len();
        } else if name.starts_with("x-amz-") {
            check_one(name, value.to_str().unwrap_or_default())?;
        }
    }
    for (name, value) in request.query.pairs() {
        check_hoisted(&name.to_ascii_lowercase(), value)?;
    }
    if metadata > MAX_METADATA_BYTES {
        return Err(S3Error::new(Code::MetadataTooLarge)
            .detail("Size", metadata.to_string())
            .detail("MaxSizeAllowed", MAX_METADATA_BYTES.to_string()));
    }
    Ok(())
}

/// Some presigners put headers into the query. They are not read there: one that would matter is refused.
fn check_hoisted(name: &str, value: &str) -> Result<(), S3Error> {
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
        Some(rest) if rest.starts_with("meta-") => {
            Err(S3Error::new(Code::NotImplemented).detail("Parameter", name))
        }
        Some(_) => check_one(name, value),
    }
}

fn check_one(name: &str, value: &str) -> Result<(), S3Error> {
    let value = value.trim();
    let owner_enforced = ["private", "bucket-owner-full-control"];
    match name {
        "x-amz-acl" if !owner_enforced.contains(&value) => {
            Err(Code::AccessControlListNotSupported.into())
        }
        "x-amz-object-ownership" if value != "BucketOwnerEnforced" => {
            Err(Code::AccessControlListNotSupported.into())
        }
        "x-amz-storage-class" if value != "STANDARD" => Err(Code::InvalidStorageClass.into()),
        "x-amz-security-token" => Err(Code::InvalidToken.into()),
        "x-amz-bucket-object-lock-enabled" if value.eq_ignore_ascii_case("false") => Ok(()),
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
        for name in names {
            for value in request.headers.get_all(*name) {
                self.0.push((HeaderName::from_static(name), value.clone()));
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
    const PASSED: &[&str] = &[
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-language",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "expires",
        "last-modified",
        "x-amz-checksum-type",
        "x-amz-missing-meta",
        "x-amz-mp-parts-count",
    ];
    for (name, value) in from {
        let text = name.as_str();
        let checksum = crate::integrity::Algorithm::from_header(text).is_some();
        if PASSED.contains(&text) || checksum || text.starts_with("x-amz-meta-") {
            to.append(name.clone(), value.clone());
        }
    }
    // Some engines keep the transport's own `aws-chunked` as if the client had asked for it.
    let encodings = content_encodings(from).join(",");
    if let (false, Ok(value)) = (encodings.is_empty(), HeaderValue::from_str(&encodings)) {
        to.insert(http::header::CONTENT_ENCODING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    fn code(name: &str, value: &str) -> Option<Code> {
        check(&request("PUT", "/b/k", &[(name, value)]).unwrap())
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn promises_that_are_not_kept_are_refused() {
        for (name, value, expected) in [
            (
                "x-amz-acl",
                "public-read",
                Some(Code::AccessControlListNotSupported),
            ),
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
            (
                "x-amz-server-side-encryption",
                "AES256",
                Some(Code::NotImplemented),
            ),
            ("x-amz-tagging", "a=b", Some(Code::NotImplemented)),
            (
                "x-amz-object-lock-mode",
                "GOVERNANCE",
                Some(Code::NotImplemented),
            ),
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
            check(&request("PUT", &format!("/b/k?{query}"), &[]).unwrap())
                .err()
                .map(|error| error.code)
        };
        assert_eq!(
            code("X-Amz-Acl=public-read"),
            Some(Code::AccessControlListNotSupported)
        );
        assert_eq!(code("X-Amz-Security-Token=t"), Some(Code::InvalidToken));
        assert_eq!(code("x-amz-meta-a=1"), Some(Code::NotImplemented));
        assert_eq!(
            code("x-amz-server-side-encryption=AES256"),
            Some(Code::NotImplemented)
        );
        assert_eq!(
            code("X-Amz-Expires=60&X-Amz-Signature=x&x-id=PutObject"),
            None
        );
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
