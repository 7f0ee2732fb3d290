//! Computes what the client said about its body while the body streams by, and compares at the end.

use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use http::HeaderMap;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};
use wire::{EngineCapabilities, Rule};

use crate::error::{Code, S3Error};

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
    Sha512,
    Md5,
    XxHash64,
    XxHash3,
    XxHash128,
}

impl Algorithm {
    pub const ALL: [Algorithm; 10] = [
        Algorithm::Crc32,
        Algorithm::Crc32c,
        Algorithm::Crc64Nvme,
        Algorithm::Sha1,
        Algorithm::Sha256,
        Algorithm::Sha512,
        Algorithm::Md5,
        Algorithm::XxHash64,
        Algorithm::XxHash3,
        Algorithm::XxHash128,
    ];

    pub fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
            Algorithm::Sha512 => "x-amz-checksum-sha512",
            Algorithm::Md5 => "x-amz-checksum-md5",
            Algorithm::XxHash64 => "x-amz-checksum-xxhash64",
            Algorithm::XxHash3 => "x-amz-checksum-xxhash3",
            Algorithm::XxHash128 => "x-amz-checksum-xxhash128",
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
            Algorithm::Sha512 => "ChecksumSHA512",
            Algorithm::Md5 => "ChecksumMD5",
            Algorithm::XxHash64 => "ChecksumXXHASH64",
            Algorithm::XxHash3 => "ChecksumXXHASH3",
            Algorithm::XxHash128 => "ChecksumXXHASH128",
        }
    }

    /// What it is called where a request says which one it wants: `CRC64NVME`.
    pub fn name(self) -> &'static str {
        self.element().trim_start_matches("Checksum")
    }

    pub fn from_name(name: &str) -> Option<Algorithm> {
        let mut all = Algorithm::ALL.into_iter();
        all.find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
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
            Algorithm::Crc64Nvme | Algorithm::XxHash64 | Algorithm::XxHash3 => 8,
            Algorithm::Md5 | Algorithm::XxHash128 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    /// Whether it is one of those that S3 had at first.
    fn is_first(self) -> bool {
        use Algorithm::*;
        matches!(self, Crc32 | Crc32c | Sha1 | Sha256)
    }

    /// Whether an engine verifies, stores and returns it.
    pub fn is_kept_by(self, able: EngineCapabilities) -> bool {
        match self {
            Algorithm::Crc64Nvme => able.keeps_crc64nvme(),
            _ if self.is_first() => able.checksums,
            _ => able.newer_checksums,
        }
    }

    /// Whether an engine may be told of it: one that locks knows the first ones, whatever it makes of them, since S3 wants a
    /// checksum with what may be locked.
    pub fn is_known_to(self, able: EngineCapabilities) -> bool {
        self.is_kept_by(able) || able.object_lock && self.is_first()
    }

    /// Whether an engine understands it in a trailer, which was tried with one of the first.
    pub fn may_trail_to(self, able: EngineCapabilities) -> bool {
        able.trailers && (self.is_kept_by(able) || self.is_first())
    }
}

enum Running {
    Crc32(Crc),
    Crc64(Crc),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
    Md5(Md5),
    XxHash64(XxHash64),
    XxHash3(Box<XxHash3_64>),
    XxHash128(Box<XxHash3_128>),
}

impl Running {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Running::Crc32(Crc::new(CrcAlgorithm::Crc32IsoHdlc)),
            Algorithm::Crc32c => Running::Crc32(Crc::new(CrcAlgorithm::Crc32Iscsi)),
            Algorithm::Crc64Nvme => Running::Crc64(Crc::new(CrcAlgorithm::Crc64Nvme)),
            Algorithm::Sha1 => Running::Sha1(Sha1::new()),
            Algorithm::Sha256 => Running::Sha256(Sha256::new()),
            Algorithm::Sha512 => Running::Sha512(Sha512::new()),
            Algorithm::Md5 => Running::Md5(Md5::new()),
            Algorithm::XxHash64 => Running::XxHash64(XxHash64::with_seed(0)),
            Algorithm::XxHash3 => Running::XxHash3(Box::default()),
            Algorithm::XxHash128 => Running::XxHash128(Box::default()),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Running::Crc32(crc) | Running::Crc64(crc) => crc.update(data),
            Running::Sha1(hash) => hash.update(data),
            Running::Sha256(hash) => hash.update(data),
            Running::Sha512(hash) => hash.update(data),
            Running::Md5(hash) => hash.update(data),
            Running::XxHash64(hash) => hash.write(data),
            Running::XxHash3(hash) => hash.write(data),
            Running::XxHash128(hash) => hash.write(data),
        }
    }

    /// Numbers come with their highest byte first.
    fn finish(self) -> String {
        match self {
            Running::Crc32(crc) => STANDARD.encode((crc.finalize() as u32).to_be_bytes()),
            Running::Crc64(crc) => STANDARD.encode(crc.finalize().to_be_bytes()),
            Running::Sha1(hash) => STANDARD.encode(hash.finalize()),
            Running::Sha256(hash) => STANDARD.encode(hash.finalize()),
            Running::Sha512(hash) => STANDARD.encode(hash.finalize()),
            Running::Md5(hash) => STANDARD.encode(hash.finalize()),
            Running::XxHash64(hash) => STANDARD.encode(hash.finish().to_be_bytes()),
            Running::XxHash3(hash) => STANDARD.encode(hash.finish().to_be_bytes()),
            Running::XxHash128(hash) => STANDARD.encode(hash.finish_128().to_be_bytes()),
        }
    }

    /// Whether it keeps a core busy for about as long as the network keeps it.
    fn takes_time(&self) -> bool {
        match self {
            Running::Crc32(_)
            | Running::Crc64(_)
            | Running::XxHash64(_)
            | Running::XxHash3(_)
            | Running::XxHash128(_) => false,
            Running::Sha1(_) | Running::Sha256(_) | Running::Sha512(_) | Running::Md5(_) => true,
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

    /// Whether they keep a core busy for about as long as the network keeps it: CRCs and their like do not.
    pub fn take_time(&self) -> bool {
        let checksum = self.checksum.as_ref();
        self.sha256.is_some()
            || self.md5.is_some()
            || checksum.is_some_and(|(running, _)| running.takes_time())
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
#[path = "integrity_tests.rs"]
mod tests;
