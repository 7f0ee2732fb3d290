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
        ("x-amz-checksum-xxhash128", "", None),
        ("x-amz-checksum-crc16", "", Some(Code::InvalidRequest)),
        ("x-amz-checksum-algorithm", "XXHASH3", None),
        (
            "x-amz-checksum-algorithm",
            "CRC16",
            Some(Code::InvalidRequest),
        ),
        ("x-amz-sdk-checksum-algorithm", "sha512", None),
        (
            "x-amz-sdk-checksum-algorithm",
            "",
            Some(Code::InvalidRequest),
        ),
        ("x-amz-checksum-type", "COMPOSITE", None),
        ("x-amz-checksum-type", "HALF", Some(Code::InvalidRequest)),
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
fn a_write_has_no_parameter_that_nobody_reads() {
    let code = |operation, method: &str, query: &str| {
        let request = request(method, &format!("/b/k?{query}"), &[]).unwrap();
        let refused = check(&request, operation).err();
        refused.map(|error| (error.code, error.details))
    };
    for (operation, method, query, parameter) in [
        (Operation::PutObject, "PUT", "brandNew", "brandNew"),
        (Operation::PutObject, "PUT", "partNumber=1", "partNumber"),
        (Operation::PutObject, "PUT", "Acl", "Acl"),
        (
            Operation::DeleteObject,
            "DELETE",
            "brandNew&x-id=a",
            "brandNew",
        ),
        (
            Operation::UploadPart,
            "PUT",
            "uploadId=u&partNumber=1&max-keys=1",
            "max-keys",
        ),
        (Operation::CreateBucket, "PUT", "prefix=a", "prefix"),
        (
            Operation::PutObjectTagging,
            "PUT",
            "tagging&brandNew",
            "brandNew",
        ),
    ] {
        let (code, details) = code(operation, method, query).unwrap();
        assert_eq!(code, Code::NotImplemented, "{query}");
        assert_eq!(details, [("Parameter", parameter.to_owned())], "{query}");
    }
    for (operation, method, query) in [
        (Operation::PutObject, "PUT", "x-id=PutObject&X-Source=mine"),
        (
            Operation::PutObject,
            "PUT",
            "Content-Type=image%2Fpng&Content-MD5=a&Cache-Control=b",
        ),
        (
            Operation::DeleteObject,
            "DELETE",
            "versionId=1&x-id=DeleteObject",
        ),
        (Operation::UploadPart, "PUT", "uploadId=u&partNumber=1"),
        (Operation::PutObjectTagging, "PUT", "tagging&versionId=1"),
        (Operation::GetObject, "GET", "v=3&utm_source=mail"),
        (Operation::ListObjects, "GET", "cache=no"),
    ] {
        assert!(code(operation, method, query).is_none(), "{query}");
    }
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
