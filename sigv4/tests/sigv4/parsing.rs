//! What is read from a client: everything well formed, and nothing else, each refusal by its own name.
//! Every refused text here is one change away from one that is read.

use proptest::prelude::*;
use sigv4::{
    Authorization, Credential, CredentialScope, ParseError, derive_signing_key, parse_signature,
    parse_signed_headers, signature, string_to_sign,
};

const CREDENTIAL: &str = "Credential=AKID/20130524/us-east-1/s3/aws4_request";
const SIGNED_HEADERS: &str = "SignedHeaders=host;x-amz-date";
const SIGNATURE: &str =
    "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

fn header(parts: &[&str]) -> String {
    format!("AWS4-HMAC-SHA256 {}", parts.join(", "))
}

fn parse(parts: &[&str]) -> Result<(), ParseError> {
    Authorization::parse(&header(parts)).map(drop)
}

fn expected() -> Authorization<'static> {
    Authorization {
        credential: Credential {
            access_key_id: "AKID",
            scope: CredentialScope {
                date: "20130524".into(),
                region: "us-east-1".into(),
                service: "s3".into(),
            },
        },
        signed_headers: vec!["host", "x-amz-date"],
        signature: &SIGNATURE["Signature=".len()..],
    }
}

#[test]
fn the_parts_come_in_any_order_and_with_any_blanks() {
    let parts = [CREDENTIAL, SIGNED_HEADERS, SIGNATURE];
    for [a, b, c] in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let [a, b, c] = [parts[a], parts[b], parts[c]];
        for text in [
            format!("AWS4-HMAC-SHA256 {a}, {b}, {c}"),
            format!("AWS4-HMAC-SHA256 {a},{b},{c}"),
            format!("  AWS4-HMAC-SHA256 \t {a} ,\t{b}  ,  {c} "),
        ] {
            assert_eq!(Authorization::parse(&text), Ok(expected()), "{text}");
        }
    }
}

#[test]
fn other_algorithms_are_told_apart_from_broken_headers() {
    let rest = [CREDENTIAL, SIGNED_HEADERS, SIGNATURE].join(",");
    for text in [
        "",
        " ",
        "AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        &format!("AWS4-ECDSA-P256-SHA256 {rest}"),
        &format!("AWS4-HMAC-SHA256-PAYLOAD {rest}"),
        &format!("aws4-hmac-sha256 {rest}"),
        &format!("AWS4-HMAC-SHA256{rest}"),
        &format!("AWS4-HMAC-SHA256,{rest}"),
        &format!("AWS4-HMAC-SHA256\u{a0}{rest}"),
    ] {
        let refused = Authorization::parse(text);
        assert_eq!(refused, Err(ParseError::UnsupportedAlgorithm), "{text}");
    }
    assert!(Authorization::parse(&format!("AWS4-HMAC-SHA256 {rest}")).is_ok());
}

#[test]
fn each_part_is_there_once() {
    let parts = [CREDENTIAL, SIGNED_HEADERS, SIGNATURE];
    for (i, name) in ["Credential", "SignedHeaders", "Signature"]
        .into_iter()
        .enumerate()
    {
        let mut missing = parts.to_vec();
        missing.remove(i);
        assert_eq!(parse(&missing), Err(ParseError::MissingPart(name)));
        let mut twice = parts.to_vec();
        twice.push(parts[i]);
        assert_eq!(parse(&twice), Err(ParseError::DuplicatePart(name)));
    }
    let nothing = ParseError::MissingPart("Credential");
    assert_eq!(
        Authorization::parse("AWS4-HMAC-SHA256"),
        Err(nothing.clone())
    );
    assert_eq!(Authorization::parse("AWS4-HMAC-SHA256 "), Err(nothing));
}

#[test]
fn nothing_else_is_there() {
    for part in [
        "",
        "x",
        "Region=us-east-1",
        "credential=x",
        "Credential =x",
        "=",
        "Signature",
    ] {
        let refused = parse(&[CREDENTIAL, SIGNED_HEADERS, SIGNATURE, part]);
        assert_eq!(refused, Err(ParseError::UnknownPart), "{part}");
    }
    let text = header(&[CREDENTIAL, SIGNED_HEADERS, SIGNATURE]);
    assert_eq!(Authorization::parse(&text), Ok(expected()));
}

#[test]
fn credentials() {
    use ParseError::{BadTerminator, MalformedCredential, MalformedDate};
    for (text, error) in [
        ("", MalformedCredential),
        ("AKID", MalformedCredential),
        ("AKID/20130524/us-east-1/s3", MalformedCredential),
        (
            "AKID/20130524/us-east-1/s3/aws4_request/",
            MalformedCredential,
        ),
        (
            "AK/ID/20130524/us-east-1/s3/aws4_request",
            MalformedCredential,
        ),
        ("/20130524/us-east-1/s3/aws4_request", MalformedCredential),
        ("AKID/20130524//s3/aws4_request", MalformedCredential),
        ("AKID/20130524/us-east-1//aws4_request", MalformedCredential),
        (
            "AKID/20130524/us\neast-1/s3/aws4_request",
            MalformedCredential,
        ),
        (
            "AKID/20130524/us-east-1/s 3/aws4_request",
            MalformedCredential,
        ),
        (
            "AKÏD/20130524/us-east-1/s3/aws4_request",
            MalformedCredential,
        ),
        ("AKID//us-east-1/s3/aws4_request", MalformedDate),
        ("AKID/2013052/us-east-1/s3/aws4_request", MalformedDate),
        ("AKID/201305240/us-east-1/s3/aws4_request", MalformedDate),
        ("AKID/2013-5-4/us-east-1/s3/aws4_request", MalformedDate),
        ("AKID/20130524/us-east-1/s3/", BadTerminator),
        ("AKID/20130524/us-east-1/s3/aws4_Request", BadTerminator),
        ("AKID/20130524/us-east-1/s3/aws4_request ", BadTerminator),
    ] {
        assert_eq!(Credential::parse(text), Err(error.clone()), "{text}");
        let part = format!("Credential={text}");
        if !text.ends_with(' ') {
            assert_eq!(
                parse(&[SIGNED_HEADERS, SIGNATURE, &part]),
                Err(error),
                "{text}"
            );
        }
    }
    let read = Credential::parse(&CREDENTIAL["Credential=".len()..]);
    assert_eq!(read.as_ref(), Ok(&expected().credential));
    let scope = read.expect("just compared").scope.to_string();
    assert_eq!(scope, "20130524/us-east-1/s3/aws4_request");
}

#[test]
fn signed_headers() {
    use ParseError::{MalformedSignedHeaders, UnsortedSignedHeaders};
    for (text, error) in [
        ("", MalformedSignedHeaders),
        (";", MalformedSignedHeaders),
        ("host;", MalformedSignedHeaders),
        (";host", MalformedSignedHeaders),
        ("host;;range", MalformedSignedHeaders),
        ("Host;range", MalformedSignedHeaders),
        ("host; range", MalformedSignedHeaders),
        ("host\nx:y;range", MalformedSignedHeaders),
        ("host;rängé", MalformedSignedHeaders),
        ("range;host", UnsortedSignedHeaders),
        ("host;host", UnsortedSignedHeaders),
    ] {
        assert_eq!(parse_signed_headers(text), Err(error.clone()), "{text}");
        let part = format!("SignedHeaders={text}");
        assert_eq!(parse(&[CREDENTIAL, &part, SIGNATURE]), Err(error), "{text}");
    }
    for text in [
        "host",
        "host;range",
        "x-amz-meta-a;x-amz-meta-a-b;x-amz-meta-a_b",
    ] {
        let names = text.split(';').collect();
        assert_eq!(parse_signed_headers(text), Ok(names));
    }
}

#[test]
fn signatures() {
    let good = "0123456789abcdef".repeat(4);
    assert_eq!(parse_signature(&good), Ok(good.as_str()));
    for bad in [
        "",
        &good[1..],
        &format!("{good}0"),
        &good.to_uppercase(),
        &good.replacen('0', "g", 1),
        &format!("{}é", &good[2..]),
    ] {
        assert_eq!(parse_signature(bad), Err(ParseError::MalformedSignature));
        let part = format!("Signature={bad}");
        let refused = parse(&[CREDENTIAL, SIGNED_HEADERS, &part]);
        assert_eq!(refused, Err(ParseError::MalformedSignature), "{bad}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in any::<String>(), more in any::<[String; 3]>(), key in any::<[u8; 32]>()) {
        let [a, b, c] = &more;
        let _ = Authorization::parse(&text);
        let _ = Authorization::parse(&header(&[&text]));
        let _ = Authorization::parse(&header(&[&format!("Credential={a}"), &format!("SignedHeaders={b}"), &format!("Signature={c}")]));
        let _ = Credential::parse(&text);
        let _ = Credential::parse(&format!("{a}/{b}/{c}/s3/aws4_request"));
        let _ = parse_signed_headers(&text);
        let _ = parse_signature(&text);
        let scope = CredentialScope { date: a.into(), region: b.into(), service: c.into() };
        prop_assert_eq!(signature(&key, &string_to_sign(&text, &scope, a)).len(), 64);
        let _ = derive_signing_key(&text, a, b, c);
    }

    /// Nearly right texts, which arbitrary ones never are.
    #[test]
    fn nothing_near_a_header_panics_or_is_misread(
        at in any::<prop::sample::Index>(), with in any::<char>(),
    ) {
        let good = header(&[CREDENTIAL, SIGNED_HEADERS, SIGNATURE]);
        let mut characters: Vec<char> = good.chars().collect();
        *at.get_mut(&mut characters) = with;
        let near: String = characters.into_iter().collect();
        let blanks = |text: &str| text.replace([' ', '\t'], "");
        if let Ok(read) = Authorization::parse(&near) {
            prop_assert_eq!(read == expected(), blanks(&near) == blanks(&good));
        }
    }

    #[test]
    fn what_is_written_is_read(
        id in "[!-+:-~.-]{1,20}", date in "[0-9]{8}", region in "[a-z0-9-]{1,12}",
        names in prop::collection::btree_set("[a-z0-9_-]{1,8}", 1..6), signature in "[0-9a-f]{64}",
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let scope = CredentialScope { date: date.into(), region: region.into(), service: "s3".into() };
        let text = format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={}, Signature={signature}", names.join(";")
        );
        let credential = Credential { access_key_id: &id, scope };
        let written = Authorization { credential, signed_headers: names, signature: &signature };
        prop_assert_eq!(Authorization::parse(&text), Ok(written));
    }
}
