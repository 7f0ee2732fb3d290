//! Computes what the client said about its body while the body streams by, and compares at the end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use http::HeaderMap;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use wire::Rule;

use crate::error::{Code, S3Error};

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub const ALL: [Algorithm; 5] = [
        Algorithm::Crc32,
        Algorithm::Crc32c,
        Algorithm::Crc64Nvme,
        Algorithm::Sha1,
        Algorithm::Sha256,
    ];

    pub fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The element's name in XML.
    pub fn element(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "ChecksumCRC32",
            Algorithm::Crc32c => "ChecksumCRC32C",
            Algorithm::Crc64Nvme => "ChecksumCRC64NVME",
            Algorithm::Sha1 => "ChecksumSHA1",
            Algorithm::Sha256 => "ChecksumSHA256",
        }
    }

    pub fn from_header(name: &str) -> Option<Algorithm> {
        let begins = name.starts_with("x-amz-checksum-");
        let all = Algorithm::ALL.into_iter();
        all.filter(|_| begins)
            .find(|algorithm| algorithm.header() == name)
    }

    /// Bytes of the checksum itself.
    pub fn size(self) -> usize {
        match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }
}

enum Running {
    Crc32(Crc),
    Crc64(Crc),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Running {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Running::Crc32(Crc::new(CrcAlgorithm::Crc32IsoHdlc)),
            Algorithm::Crc32c => Running::Crc32(Crc::new(CrcAlgorithm::Crc32Iscsi)),
            Algorithm::Crc64Nvme => Running::Crc64(Crc::new(CrcAlgorithm::Crc64Nvme)),
            Algorithm::Sha1 => Running::Sha1(Sha1::new()),
            Algorithm::Sha256 => Running::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Running::Crc32(crc) | Running::Crc64(crc) => crc.update(data),
            Running::Sha1(hash) => hash.update(data),
            Running::Sha256(hash) => hash.update(data),
        }
    }

    fn finish(self) -> String {
        match self {
            Running::Crc32(crc) => STANDARD.encode((crc.finalize() as u32).to_be_bytes()),
            Running::Crc64(crc) => STANDARD.encode(crc.finalize().to_be_bytes()),
            Running::Sha1(hash) => STANDARD.encode(hash.finalize()),
            Running::Sha256(hash) => STANDARD.encode(hash.finalize()),
        }
    }
}

/// The checksum that a request announces: its value in a header, or to come in the trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    pub algorithm: Algorithm,
    /// Base64; `None` when the trailer will say it.
    pub value: Option<String>,
}

/// Reads the `x-amz-checksum-*` and `x-amz-trailer` headers.
pub fn announced(headers: &HeaderMap) -> Result<Option<Announced>, S3Error> {
    let mut found = None;
    for (name, value) in headers {
        let announced = if let Some(algorithm) = Algorithm::from_header(name.as_str()) {
            let value = value
                .to_str()
                .map_err(|_| Code::InvalidDigest)?
                .trim()
                .to_owned();
            let long_enough = STANDARD
                .decode(&value)
                .is_ok_and(|bytes| bytes.len() == algorithm.size());
            if !long_enough {
                return Err(S3Error::with(
                    Code::InvalidRequest,
                    format!("Value for {name} header is invalid."),
                ));
            }
            Announced {
                algorithm,
                value: Some(value),
            }
        } else if name == "x-amz-trailer" {
            let trailer = value
                .to_str()
                .map_err(|_| Code::MalformedTrailerError)?
                .trim();
            let algorithm =
                Algorithm::from_header(&trailer.to_ascii_lowercase()).ok_or_else(|| {
                    S3Error::with(
                        Code::InvalidRequest,
                        "The value specified in the x-amz-trailer header is not supported",
                    )
                })?;
            Announced {
                algorithm,
                value: None,
            }
        } else {
            continue;
        };
        if found.replace(announced).is_some() {
            return Err(S3Error::with(
                Code::InvalidRequest,
                "Expecting a single x-amz-checksum- header.",
            ));
        }
    }
    Ok(found)
}

/// Everything that a body is compared with.
#[derive(Default)]
pub struct Checks {
    sha256: Option<(Sha256, String)>,
    md5: Option<(Md5, Vec<u8>)>,
    checksum: Option<(Running, Announced)>,
}

impl Checks {
    /// `sha256`: the hash that the client signed, lower-case hexadecimal.
    pub fn new(headers: &HeaderMap, sha256: Option<&str>) -> Result<Checks, S3Error> {
        let md5 = match headers.get("content-md5") {
            None => None,
            Some(value) => {
                let expected = STANDARD
                    .decode(value.as_bytes().trim_ascii())
                    .map_err(|_| Code::InvalidDigest)?;
                if expected.len() != 16 {
                    return Err(Code::InvalidDigest.into());
                }
                Some((Md5::new(), expected))
            }
        };
        Ok(Checks {
            sha256: sha256.map(|hash| (Sha256::new(), hash.to_owned())),
            md5,
            checksum: announced(headers)?
                .map(|announced| (Running::new(announced.algorithm), announced)),
        })
    }

    /// Whether they keep a core busy for about as long as the network keeps it: all but the CRCs do.
    pub fn take_time(&self) -> bool {
        let hashes = |(running, _): &(Running, Announced)| {
            matches!(running, Running::Sha1(_) | Running::Sha256(_))
        };
        self.sha256.is_some() || self.md5.is_some() || self.checksum.as_ref().is_some_and(hashes)
    }

    pub fn update(&mut self, data: &[u8]) {
        if let Some((hash, _)) = &mut self.sha256 {
            hash.update(data);
        }
        if let Some((hash, _)) = &mut self.md5 {
            hash.update(data);
        }
        if let Some((running, _)) = &mut self.checksum {
            running.update(data);
        }
    }

    /// Compares. The answer is the checksum, base64, whoever said it. `trailer` gives a trailer's value by name.
    pub fn verify(
        &mut self,
        trailer: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<(Algorithm, String)>, S3Error> {
        if let Some((hash, expected)) = self.sha256.take() {
            let computed = hex::encode(hash.finalize());
            if computed != expected {
                return Err(S3Error::new(Code::XAmzContentSHA256Mismatch)
                    .by(Rule::PayloadHash)
                    .detail("ClientComputedContentSHA256", expected)
                    .detail("S3ComputedContentSHA256", computed));
            }
        }
        if let Some((hash, expected)) = self.md5.take()
            && hash.finalize().as_slice() != expected
        {
            return Err(S3Error::with(
                Code::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            )
            .by(Rule::PayloadHash));
        }
        let Some((running, announced)) = self.checksum.take() else {
            return Ok(None);
        };
        let name = announced.algorithm.header();
        let expected = match announced.value {
            Some(value) => value,
            None => trailer(name).ok_or(Code::MalformedTrailerError)?,
        };
        let computed = running.finish();
        if computed != expected {
            return Err(S3Error::with(
                Code::BadDigest,
                format!("The {name} you specified did not match the calculated checksum."),
            )
            .by(Rule::PayloadHash));
        }
        Ok(Some((announced.algorithm, computed)))
    }
}

#[cfg(test)]
mod tests {
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
    const KNOWN: [(&str, &str); 5] = [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-checksum-crc32c", "4waSgw=="),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
        ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (
            "x-amz-checksum-sha256",
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ),
    ];

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
}
