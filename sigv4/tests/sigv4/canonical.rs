//! The rules of the canonical form one by one, where AWS's examples do not reach.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use proptest::prelude::*;
use sigv4::{CanonicalRequest, signatures_equal, uri_encode};

use crate::pair;

const EMPTY: CanonicalRequest<'_> = CanonicalRequest {
    method: "GET",
    path: "/",
    query: &[],
    headers: &[],
    signed_headers: &[],
    payload_hash: "UNSIGNED-PAYLOAD",
};

fn header_lines(headers: &[(&str, &[u8])], signed_headers: &[&str]) -> Vec<u8> {
    let request = CanonicalRequest {
        headers,
        signed_headers,
        ..EMPTY
    };
    let canonical = request.canonical();
    let lines = canonical.strip_prefix(b"GET\n/\n\n").expect("no query");
    let end = format!("\n{}\nUNSIGNED-PAYLOAD", signed_headers.join(";"));
    let lines = lines.strip_suffix(end.as_bytes());
    lines.expect("the signed headers").to_vec()
}

fn query_line(query: &[(String, String)]) -> String {
    let canonical = CanonicalRequest { query, ..EMPTY }.canonical();
    let canonical = String::from_utf8(canonical).expect("ASCII");
    canonical.lines().nth(2).expect("a query line").to_owned()
}

#[test]
fn the_least_request() {
    assert_eq!(EMPTY.canonical(), b"GET\n/\n\n\n\nUNSIGNED-PAYLOAD");
}

#[test]
fn every_byte_but_the_unreserved_is_encoded() {
    for byte in 0..=u8::MAX {
        let kept = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let plain = char::from(byte).to_string();
        let encoded = format!("%{byte:02X}");
        let expected = if kept { &plain } else { &encoded };
        assert_eq!(uri_encode(&[byte], true), expected.as_str());
        let expected = if kept || byte == b'/' {
            &plain
        } else {
            &encoded
        };
        assert_eq!(uri_encode(&[byte], false), expected.as_str());
    }
    assert_eq!(
        uri_encode("a é/ሴ".as_bytes(), false),
        "a%20%C3%A9/%E1%88%B4"
    );
    assert_eq!(
        uri_encode("a é/ሴ".as_bytes(), true),
        "a%20%C3%A9%2F%E1%88%B4"
    );
}

#[test]
fn the_path_stays_as_it_is() {
    for path in ["//", "/a/../b/./", "/%2e%2E/%c3", "/a%2Fb", "/+"] {
        let canonical = CanonicalRequest { path, ..EMPTY }.canonical();
        let expected = format!("GET\n{path}\n\n\n\nUNSIGNED-PAYLOAD");
        assert_eq!(canonical, expected.as_bytes());
    }
}

#[test]
fn parameters_are_sorted_as_they_are_encoded() {
    // Decoded, `~` comes before `é`, and `a-` before `a=`.
    let query = [
        pair("~", "1"),
        pair("é", "2"),
        pair("a", ""),
        pair("Z", "+ /"),
    ];
    assert_eq!(query_line(&query), "%C3%A9=2&Z=%2B%20%2F&a=&~=1");
    // By name first: as whole strings, `a-=` would come before `a=`.
    let query = [
        pair("a-", ""),
        pair("a", "2"),
        pair("a", "10"),
        pair("a", ""),
    ];
    assert_eq!(query_line(&query), "a=&a=10&a=2&a-=");
    assert_eq!(query_line(&[pair("", "")]), "=");
}

#[test]
fn header_values_are_trimmed_and_their_spaces_folded() {
    let headers: [(&str, &[u8]); 5] = [
        ("a", b"  x   y  z "),
        ("b", b" \t "),
        ("c", b"x\t \ty"),
        ("d", b"\"p   q\""),
        ("e", b"\xff \xfe"),
    ];
    assert_eq!(
        header_lines(&headers, &["a", "b", "c", "d", "e"]),
        b"a:x y z\nb:\nc:x\t \ty\nd:\"p q\"\ne:\xff \xfe\n"
    );
}

#[test]
fn repeated_headers_are_joined_in_their_order() {
    let headers: [(&str, &[u8]); 6] = [
        ("b", b" 3 "),
        ("a", b"2"),
        ("ab", b"x"),
        ("b", b""),
        ("a", b" 1  1"),
        ("b", b"2"),
    ];
    assert_eq!(header_lines(&headers, &["a", "b"]), b"a:2,1 1\nb:3,,2\n");
}

#[test]
fn only_signed_headers_count_and_a_missing_one_is_empty() {
    let headers: [(&str, &[u8]); 2] = [("host", b"h"), ("range", b"bytes=0-9")];
    assert_eq!(header_lines(&headers, &["host"]), b"host:h\n");
    assert_eq!(
        header_lines(&headers, &["aaa", "host", "zzz"]),
        b"aaa:\nhost:h\nzzz:\n"
    );
}

#[test]
fn signatures_are_compared_whole() {
    assert!(signatures_equal("", ""));
    assert!(signatures_equal("00ff", "00ff"));
    for other in ["", "00f", "00ff0", "00fe", "10ff", "00FF"] {
        assert!(!signatures_equal("00ff", other));
    }
}

proptest! {
    #[test]
    fn no_request_is_too_strange(
        texts in any::<[String; 3]>(),
        query in any::<Vec<(String, String)>>(),
        headers in any::<Vec<(String, Vec<u8>)>>(),
        signed_headers in any::<Vec<String>>(),
    ) {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
        let signed_headers: Vec<&str> = signed_headers.iter().map(String::as_str).collect();
        let [method, path, payload_hash] = &texts;
        let request = CanonicalRequest {
            method, path, query: &query, headers: &headers, signed_headers: &signed_headers, payload_hash,
        };
        prop_assert!(request.canonical().ends_with(payload_hash.as_bytes()));
        prop_assert_eq!(request.hash().len(), 64);
    }
}
