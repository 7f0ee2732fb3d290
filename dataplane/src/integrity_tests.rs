use super::*;
use http::{HeaderName, HeaderValue};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(n, v)| {
            (
                HeaderName::from_bytes(n.as_bytes()).unwrap(),
                HeaderValue::from_str(v).unwrap(),
            )
        })
        .collect()
}

fn check(
    pairs: &[(&str, &str)],
    sha256: Option<&str>,
    body: &[u8],
) -> Result<Option<(Algorithm, String)>, Code> {
    let mut checks = Checks::new(&headers(pairs), sha256).map_err(|e| e.code)?;
    for piece in body.chunks(3) {
        checks.update(piece);
    }
    checks.verify(|_| None).map_err(|e| e.code)
}

/// Values for `123456789`, the check input of the CRC catalogues, and for the hashes.
const KNOWN: [(&str, &str); 10] = [
    ("x-amz-checksum-crc32", "y/Q5Jg=="),
    ("x-amz-checksum-crc32c", "4waSgw=="),
    ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
    ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    (
        "x-amz-checksum-sha256",
        "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
    ),
    (
        "x-amz-checksum-sha512",
        "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==",
    ),
    ("x-amz-checksum-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
    ("x-amz-checksum-xxhash64", "jLhB20DmroM="),
    ("x-amz-checksum-xxhash3", "ctyxi2ehff8="),
    ("x-amz-checksum-xxhash128", "MxGUd+3l3NXpcWQnaB1YYA=="),
];

#[test]
fn every_algorithm_has_its_names() {
    assert_eq!(
        KNOWN.map(|(name, _)| name),
        Algorithm::ALL.map(Algorithm::header)
    );
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(Algorithm::from_header(algorithm.header()), Some(algorithm));
        let name = algorithm.name().to_ascii_lowercase();
        assert_eq!(algorithm.header(), format!("x-amz-checksum-{name}"));
    }
    assert_eq!(Algorithm::from_name("CRC16"), None);
    assert_eq!(Algorithm::from_header("x-amz-checksum-crc16"), None);
}

#[test]
fn engines_hear_of_what_they_know() {
    let able = |checksums, crc64nvme, newer_checksums| EngineCapabilities {
        checksums,
        crc64nvme,
        newer_checksums,
        ..EngineCapabilities::default()
    };
    let one_of_each = [Algorithm::Sha1, Algorithm::Crc64Nvme, Algorithm::Sha512];
    for (able, kept) in [
        (able(false, None, false), [false, false, false]),
        // Told by a control plane that knows two groups.
        (able(true, None, false), [true, true, false]),
        (able(true, Some(false), false), [true, false, false]),
        (able(true, Some(true), true), [true, true, true]),
        (able(false, Some(true), true), [false, true, true]),
    ] {
        assert_eq!(one_of_each.map(|a| a.is_kept_by(able)), kept, "{able:?}");
        let locks = EngineCapabilities {
            object_lock: true,
            ..able
        };
        assert_eq!(one_of_each.map(|a| a.is_known_to(able)), kept, "{able:?}");
        let known = [true, kept[1], kept[2]];
        assert_eq!(one_of_each.map(|a| a.is_known_to(locks)), known, "{able:?}");
        let trailers = EngineCapabilities {
            trailers: true,
            ..able
        };
        assert_eq!(
            one_of_each.map(|a| a.may_trail_to(able)),
            [false; 3],
            "{able:?}"
        );
        assert_eq!(
            one_of_each.map(|a| a.may_trail_to(trailers)),
            known,
            "{able:?}"
        );
    }
}

#[test]
fn every_algorithm_agrees_with_its_known_value() {
    for (name, value) in KNOWN {
        let verified = check(&[(name, value)], None, b"123456789")
            .unwrap()
            .unwrap();
        assert_eq!((verified.0.header(), verified.1.as_str()), (name, value));
        assert_eq!(
            check(&[(name, value)], None, b"123456780"),
            Err(Code::BadDigest),
            "{name}"
        );
    }
}

#[test]
fn sha256_and_md5_are_compared() {
    let hash = hex::encode(Sha256::digest(b"hello"));
    assert!(check(&[], Some(&hash), b"hello").is_ok());
    assert_eq!(
        check(&[], Some(&hash), b"jello"),
        Err(Code::XAmzContentSHA256Mismatch)
    );
    let md5 = STANDARD.encode(Md5::digest(b"hello"));
    assert!(check(&[("content-md5", &md5)], None, b"hello").is_ok());
    assert_eq!(
        check(&[("content-md5", &md5)], None, b"jello"),
        Err(Code::BadDigest)
    );
    assert_eq!(
        check(&[("content-md5", "short")], None, b""),
        Err(Code::InvalidDigest)
    );
}

#[test]
fn announcements_that_make_no_sense_are_refused() {
    assert_eq!(
        check(&[("x-amz-checksum-crc32", "AAAA")], None, b""),
        Err(Code::InvalidRequest)
    );
    assert_eq!(
        check(&[KNOWN[0], KNOWN[1]], None, b"123456789"),
        Err(Code::InvalidRequest)
    );
    assert_eq!(
        check(&[("x-amz-trailer", "x-evil")], None, b""),
        Err(Code::InvalidRequest)
    );
    assert_eq!(
        check(&[("x-amz-trailer", "x-amz-checksum-crc32")], None, b""),
        Err(Code::MalformedTrailerError)
    );
}

#[test]
fn a_trailers_value_is_compared() {
    let mut checks =
        Checks::new(&headers(&[("x-amz-trailer", "x-amz-checksum-crc32")]), None).unwrap();
    checks.update(b"123456789");
    assert!(checks.verify(|_| Some("y/Q5Jg==".into())).is_ok());
    let mut checks =
        Checks::new(&headers(&[("x-amz-trailer", "x-amz-checksum-crc32")]), None).unwrap();
    checks.update(b"123456789");
    assert_eq!(
        checks.verify(|_| Some("AAAAAA==".into())).unwrap_err().code,
        Code::BadDigest
    );
}
