use super::*;

/// A request as it comes from the wire, for the tests of other modules.
pub fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<S3Request, S3Error> {
    let mut builder = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let (head, ()) = builder.body(()).unwrap().into_parts();
    S3Request::parse(
        "0123456789ABCDEF".into(),
        head,
        IpAddr::from([127, 0, 0, 1]),
        &["s3.example".to_owned()],
    )
}

#[test]
fn bucket_and_key_are_decoded_once() {
    let parsed = request("GET", "/b/%252e%252e%252fx%20y+z", &[]).unwrap();
    assert_eq!(parsed.bucket.as_deref(), Some("b"));
    assert_eq!(parsed.key.as_deref(), Some("%2e%2e%2fx y+z"));
    assert_eq!(
        request("GET", "/b//x", &[]).unwrap().key.as_deref(),
        Some("/x")
    );
    assert_eq!(request("GET", "/b/", &[]).unwrap().key, None);
    assert_eq!(request("GET", "/", &[]).unwrap().bucket, None);
}

#[test]
fn a_host_may_name_the_bucket() {
    let at = |host: &str, path: &str| {
        let parsed = request("GET", path, &[("host", host)]).unwrap();
        (
            parsed.bucket.unwrap_or_default(),
            parsed.key.unwrap_or_default(),
        )
    };
    let named = |bucket: &str, key: &str| (Arc::from(bucket), key.to_owned());
    assert_eq!(at("photos.s3.example", "/a/b"), named("photos", "a/b"));
    assert_eq!(at("my.photos.S3.Example:9000", "/"), named("my.photos", ""));
    assert_eq!(at("s3.example:9000", "/a/b"), named("a", "b"));
    for host in [
        "s3.example",
        ".s3.example",
        "evils3.example",
        "photos.s3.example.org",
        "",
        "[::1]:9000",
    ] {
        assert_eq!(at(host, "/a/b"), named("a", "b"), "{host}");
    }
    assert_eq!(at("photos.s3.example", "//x"), named("photos", "/x"));
}

#[test]
fn nothing_is_normalised() {
    let nfc = request("GET", "/b/%C3%A9", &[]).unwrap().key;
    let nfd = request("GET", "/b/e%CC%81", &[]).unwrap().key;
    assert_ne!(nfc, nfd);
    assert_eq!(
        request("GET", "/b/a//b/", &[]).unwrap().key.as_deref(),
        Some("a//b/")
    );
}

#[test]
fn dot_segments_are_refused_however_they_are_written() {
    for path in [
        "/b/../c/k",
        "/b/%2e%2e/c",
        "/b/x/.%2e",
        "/b/./x",
        "/..",
        "/b/a%2f..%2fc",
    ] {
        let error = request("GET", path, &[]).unwrap_err();
        assert_eq!(error.code, Code::InvalidURI, "{path}");
    }
    for path in ["/b/..x/y", "/b/...", "/b/.hidden", "/b/a..b"] {
        assert!(request("GET", path, &[]).is_ok(), "{path}");
    }
}

#[test]
fn broken_encodings_are_refused() {
    for path in [
        "/b/%", "/b/%2", "/b/%zz", "/b/%00", "/b/%ff", "//k", "/b/?a=%f",
    ] {
        assert_eq!(
            request("GET", path, &[]).unwrap_err().code,
            Code::InvalidURI,
            "{path}"
        );
    }
    assert_eq!(
        request("GET", "/b/%0d%0ax", &[]).unwrap().key.as_deref(),
        Some("\r\nx")
    );
}

#[test]
fn sizes_are_bounded() {
    let key = "k".repeat(1024);
    assert!(request("GET", &format!("/b/{key}"), &[]).is_ok());
    assert_eq!(
        request("GET", &format!("/b/{key}k"), &[]).unwrap_err().code,
        Code::KeyTooLongError
    );
    let value = "v".repeat(9 * 1024);
    let error = request("GET", "/b/k", &[("x-amz-meta-a", &value)]).unwrap_err();
    assert_eq!(error.code, Code::RequestHeaderSectionTooLarge);
    assert!(request("GET", "/b/k", &[("x-amz-meta-a", &value[..7000])]).is_ok());
    let query = format!("/b?prefix={}", "+".repeat(16 * 1024 - 9));
    assert!(request("GET", &query, &[]).is_ok());
    let longer = request("GET", &format!("{query}+"), &[]);
    assert_eq!(longer.unwrap_err().code, Code::InvalidURI);
}

#[test]
fn queries_keep_order_and_repetition() {
    let query = Query::parse("b=2&a=1&a=%2B+&c").unwrap();
    assert_eq!(query.pairs()[1].1, "1");
    assert_eq!(query.pairs().len(), 4);
    assert_eq!(query.pairs()[2].1, "+ ");
    assert!(query.has("c"));
    assert!(query.single("a").is_err());
    assert_eq!(query.single("b").unwrap(), Some("2"));
}
