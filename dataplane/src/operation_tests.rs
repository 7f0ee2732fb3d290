use super::*;
use crate::request::tests::request;

fn named(method: &str, uri: &str) -> Result<Operation, Code> {
    classify(&request(method, uri, &[]).unwrap()).map_err(|error| error.code)
}

#[test]
fn requests_get_their_names() {
    use Operation::*;
    for (method, uri, operation) in [
        ("GET", "/", ListBuckets),
        ("GET", "/?x-id=ListBuckets", ListBuckets),
        ("PUT", "/b", CreateBucket),
        ("PUT", "/b/", CreateBucket),
        ("HEAD", "/b", HeadBucket),
        ("DELETE", "/b", DeleteBucket),
        ("GET", "/b?location", GetBucketLocation),
        ("GET", "/b?versioning", GetBucketVersioning),
        ("GET", "/b", ListObjects),
        ("GET", "/b?list-type=2&prefix=x", ListObjectsV2),
        ("GET", "/b?uploads", ListMultipartUploads),
        ("POST", "/b?delete", DeleteObjects),
        ("GET", "/b/k?x-id=GetObject", GetObject),
        ("PUT", "/b/k", PutObject),
        ("PUT", "/b/k?partNumber=1&uploadId=u", UploadPart),
        ("POST", "/b/k?uploads", CreateMultipartUpload),
        ("POST", "/b/k?uploadId=u", CompleteMultipartUpload),
        ("DELETE", "/b/k?uploadId=u", AbortMultipartUpload),
        ("GET", "/b/k?uploadId=u", ListParts),
        ("DELETE", "/b/k", DeleteObject),
        ("DELETE", "/b/k?versionId=v", DeleteObject),
        ("GET", "/b/k?versionId=v", GetObject),
        ("PUT", "/b/k?tagging&versionId=v", PutObjectTagging),
        ("GET", "/b?versions", ListObjectVersions),
        ("PUT", "/b?versioning", PutBucketVersioning),
        ("GET", "/b/k?attributes", GetObjectAttributes),
        ("OPTIONS", "/b/k", OptionsObject),
    ] {
        assert_eq!(named(method, uri), Ok(operation), "{method} {uri}");
    }
    let copy = request("PUT", "/b/k", &[("x-amz-copy-source", "/b/j")]).unwrap();
    assert_eq!(classify(&copy).unwrap(), CopyObject);
    let part = request(
        "PUT",
        "/b/k?partNumber=1&uploadId=u",
        &[("x-amz-copy-source", "/b/j")],
    )
    .unwrap();
    assert_eq!(classify(&part).unwrap(), UploadPartCopy);
    let form = [("content-type", "multipart/form-data; boundary=B")];
    let named = |uri| classify(&request("POST", uri, &form).unwrap()).map_err(|e| e.code);
    assert_eq!(named("/b"), Ok(PostObject));
    assert_eq!(named("/b?delete"), Ok(DeleteObjects));
    assert_eq!(named("/b?tagging"), Err(Code::NotImplemented));
    assert_eq!(named("/b/k"), Err(Code::NotImplemented));
}

#[test]
fn what_has_no_name_is_refused() {
    for (method, uri, code) in [
        ("PUT", "/b?website", Code::NotImplemented),
        ("PUT", "/b?policy", Code::NotImplemented),
        ("DELETE", "/b?policy", Code::NotImplemented),
        ("GET", "/b/k?torrent", Code::NotImplemented),
        ("POST", "/b/k?restore", Code::NotImplemented),
        ("PUT", "/b/k?versionId=1", Code::InvalidArgument),
        ("GET", "/b?versionId=1", Code::InvalidArgument),
        ("GET", "/b/k?versionId=", Code::InvalidArgument),
        ("GET", "/b/k?versionId=1&versionId=2", Code::InvalidArgument),
        ("POST", "/b?delete&uploads", Code::NotImplemented),
        ("POST", "/b", Code::PreconditionFailed),
        ("PATCH", "/b/k", Code::MethodNotAllowed),
        ("DELETE", "/", Code::MethodNotAllowed),
    ] {
        assert_eq!(named(method, uri), Err(code), "{method} {uri}");
    }
}

#[test]
fn every_subresource_alone_changes_what_a_request_is() {
    for name in SUBRESOURCES {
        for (method, uri) in [
            ("PUT", "/b"),
            ("DELETE", "/b"),
            ("GET", "/b/k"),
            ("PUT", "/b/k"),
        ] {
            let plain = named(method, uri).unwrap();
            let with = named(method, &format!("{uri}?{name}"));
            assert_ne!(with, Ok(plain), "{method} {uri}?{name}");
        }
    }
}
