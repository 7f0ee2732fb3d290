//! Decodes `aws-chunked` bodies as they stream, and verifies the chain of chunk signatures. It holds no chunk: data
//! is handed on as it comes, and a wrong signature at a chunk's end makes the whole body fail.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};
use sigv4::ChunkSigner;
use wire::Rule;

use crate::error::{Code, S3Error};

/// The longest chunk header: 16 digits of size and a signature.
const MAX_CHUNK_HEADER: usize = 256;
/// The longest trailer section.
const MAX_TRAILER: usize = 4096;

enum State {
    Header,
    Data {
        left: u64,
        signature: Option<String>,
    },
    DataEnd,
    Trailer,
    Done,
}

pub struct ChunkedDecoder {
    state: State,
    line: Vec<u8>,
    signer: Option<ChunkSigner>,
    hash: Sha256,
    expects_trailer: bool,
    trailers: Vec<(String, String)>,
    trailer_bytes: usize,
}

impl ChunkedDecoder {
    /// With a signer every chunk must bear a signature; without one, none.
    pub fn new(signer: Option<ChunkSigner>, expects_trailer: bool) -> Self {
        ChunkedDecoder {
            state: State::Header,
            line: Vec::new(),
            signer,
            hash: Sha256::new(),
            expects_trailer,
            trailers: Vec::new(),
            trailer_bytes: 0,
        }
    }

    /// Takes from `input` until there is a piece of data; `None` when more input is needed, or none will matter.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        loop {
            match &mut self.state {
                State::Header => {
                    let Some(line) = self.take_line(input, MAX_CHUNK_HEADER, malformed_chunk)?
                    else {
                        return Ok(None);
                    };
                    self.chunk_header(&line)?;
                }
                State::Data { left: 0, .. } => self.end_of_chunk()?,
                State::Data { left, .. } => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let take = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(input.len());
                    *left -= take as u64;
                    let data = input.split_to(take);
                    if self.signer.is_some() {
                        self.hash.update(&data);
                    }
                    return Ok(Some(data));
                }
                State::DataEnd => {
                    let Some(line) = self.take_line(input, 2, malformed_chunk)? else {
                        return Ok(None);
                    };
                    if !line.is_empty() {
                        return Err(malformed_chunk());
                    }
                    self.state = State::Header;
                }
                State::Trailer => {
                    let Some(line) = self.take_line(input, MAX_TRAILER, malformed_trailer)? else {
                        return Ok(None);
                    };
                    self.trailer_line(&line)?;
                }
                State::Done if input.is_empty() => return Ok(None),
                State::Done => return Err(malformed_chunk()),
            }
        }
    }

    /// To be asked when the body has ended.
    pub fn finish(&self) -> Result<(), S3Error> {
        match self.state {
            State::Done => Ok(()),
            State::Trailer if self.expects_trailer => Err(malformed_trailer()),
            _ => Err(Code::IncompleteBody.into()),
        }
    }

    /// Lower-case names and trimmed values, once the body has ended.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// A line without its CRLF. What is incomplete is kept for the next call.
    fn take_line(
        &mut self,
        input: &mut Bytes,
        most: usize,
        too_long: fn() -> S3Error,
    ) -> Result<Option<Vec<u8>>, S3Error> {
        while input.has_remaining() {
            let byte = input.get_u8();
            self.line.push(byte);
            if byte == b'\n' {
                let mut line = std::mem::take(&mut self.line);
                line.pop();
                // A bare line feed is no line end here: what one reader takes for two lines, another takes for one.
                return if line.pop() == Some(b'\r') {
                    Ok(Some(line))
                } else {
                    Err(too_long())
                };
            }
            if self.line.len() > most {
                return Err(too_long());
            }
        }
        Ok(None)
    }

    fn chunk_header(&mut self, line: &[u8]) -> Result<(), S3Error> {
        let text = std::str::from_utf8(line).map_err(|_| malformed_chunk())?;
        let (size, extension) = match text.split_once(';') {
            Some((size, extension)) => (size, Some(extension)),
            None => (text, None),
        };
        if size.is_empty() || size.len() > 16 || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed_chunk());
        }
        let left = u64::from_str_radix(size, 16).map_err(|_| malformed_chunk())?;
        let signature = extension
            .and_then(|text| text.strip_prefix("chunk-signature="))
            .map(str::to_owned);
        if self.signer.is_some() && signature.is_none() {
            return Err(malformed_chunk());
        }
        self.hash = Sha256::new();
        if left > 0 {
            self.state = State::Data { left, signature };
            return Ok(());
        }
        self.verify_chunk(signature.as_deref())?;
        self.state = State::Trailer;
        Ok(())
    }

    fn end_of_chunk(&mut self) -> Result<(), S3Error> {
        if let State::Data { signature, .. } = std::mem::replace(&mut self.state, State::DataEnd) {
            self.verify_chunk(signature.as_deref())?;
        }
        Ok(())
    }

    fn verify_chunk(&mut self, claimed: Option<&str>) -> Result<(), S3Error> {
        let Some(signer) = &mut self.signer else {
            return Ok(());
        };
        let digest = hex::encode(std::mem::take(&mut self.hash).finalize());
        let expected = signer.next_chunk(&digest);
        match claimed {
            Some(claimed) if sigv4::signatures_equal(claimed, &expected) => Ok(()),
            _ => Err(S3Error::new(Code::SignatureDoesNotMatch).by(Rule::Signature)),
        }
    }

    fn trailer_line(&mut self, line: &[u8]) -> Result<(), S3Error> {
        if line.is_empty() {
            self.verify_trailer()?;
            self.state = State::Done;
            return Ok(());
        }
        self.trailer_bytes += line.len();
        let text = std::str::from_utf8(line).map_err(|_| malformed_trailer())?;
        let (name, value) = text.split_once(':').ok_or_else(malformed_trailer)?;
        if !self.expects_trailer || name.is_empty() || self.trailer_bytes > MAX_TRAILER {
            return Err(malformed_trailer());
        }
        self.trailers
            .push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(())
    }

    fn verify_trailer(&mut self) -> Result<(), S3Error> {
        if !self.expects_trailer {
            return Ok(());
        }
        let Some(signer) = &mut self.signer else {
            return Ok(());
        };
        let signed: String = self
            .trailers
            .iter()
            .filter(|(name, _)| name != "x-amz-trailer-signature")
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let expected = signer.trailer(&hex::encode(Sha256::digest(signed.as_bytes())));
        match self.trailer("x-amz-trailer-signature") {
            Some(claimed) if sigv4::signatures_equal(claimed, &expected) => Ok(()),
            Some(_) => Err(S3Error::new(Code::SignatureDoesNotMatch).by(Rule::Signature)),
            None => Err(malformed_trailer()),
        }
    }
}

fn malformed_chunk() -> S3Error {
    S3Error::with(
        Code::IncompleteBody,
        "The aws-chunked body is not well-formed.",
    )
}

fn malformed_trailer() -> S3Error {
    Code::MalformedTrailerError.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sigv4::CredentialScope;

    fn signer() -> ChunkSigner {
        let scope = CredentialScope {
            date: "20130524".into(),
            region: "us-east-1".into(),
            service: "s3".into(),
        };
        let key =
            sigv4::derive_signing_key(crate::tenants::tests::SECRET, "20130524", "us-east-1", "s3");
        ChunkSigner::new(key, "20130524T000000Z".into(), scope, "0".repeat(64))
    }

    fn encode(chunks: &[&[u8]], signed: bool, trailer: Option<(&str, &str)>) -> Vec<u8> {
        let mut signer = signer();
        let mut out = Vec::new();
        for chunk in chunks.iter().chain([&&b""[..]]) {
            let signature = signer.next_chunk(&hex::encode(Sha256::digest(chunk)));
            out.extend(format!("{:x}", chunk.len()).bytes());
            if signed {
                out.extend(format!(";chunk-signature={signature}").bytes());
            }
            out.extend(b"\r\n");
            out.extend(*chunk);
            if !chunk.is_empty() {
                out.extend(b"\r\n");
            }
        }
        if let Some((name, value)) = trailer {
            out.extend(format!("{name}:{value}\r\n").bytes());
            if signed {
                let hash = hex::encode(Sha256::digest(format!("{name}:{value}\n").as_bytes()));
                out.extend(
                    format!("x-amz-trailer-signature:{}\r\n", signer.trailer(&hash)).bytes(),
                );
            }
        }
        out.extend(b"\r\n");
        out
    }

    /// Decodes in pieces of `step` bytes.
    fn decode(
        body: &[u8],
        signed: bool,
        trailer: bool,
        step: usize,
    ) -> Result<(Vec<u8>, ChunkedDecoder), Code> {
        let mut decoder = ChunkedDecoder::new(signed.then(signer), trailer);
        let mut out = Vec::new();
        for piece in body.chunks(step.max(1)) {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(data) = decoder.decode(&mut input).map_err(|e| e.code)? {
                out.extend_from_slice(&data);
            }
        }
        decoder.finish().map_err(|e| e.code)?;
        Ok((out, decoder))
    }

    const TRAILER: (&str, &str) = ("x-amz-checksum-crc32", "AAAAAA==");

    #[test]
    fn all_four_forms_decode() {
        for (signed, trailer) in [(true, None), (true, Some(TRAILER)), (false, Some(TRAILER))] {
            let body = encode(&[b"hello ", b"world"], signed, trailer);
            for step in [1, 3, 1000] {
                let (data, decoder) = decode(&body, signed, trailer.is_some(), step).unwrap();
                assert_eq!(data, b"hello world");
                assert_eq!(
                    decoder.trailer("x-amz-checksum-crc32"),
                    trailer.map(|(_, value)| value)
                );
            }
        }
    }

    #[test]
    fn every_flipped_byte_of_a_signed_body_is_noticed() {
        let body = encode(&[b"hello ", b"world"], true, Some(TRAILER));
        for at in 0..body.len() {
            let mut bad = body.clone();
            bad[at] ^= 1;
            assert!(decode(&bad, true, true, 1000).is_err(), "byte {at}");
        }
        assert!(decode(&body, true, true, 1000).is_ok());
    }

    #[test]
    fn errors_bear_their_codes() {
        let signed = encode(&[b"hello"], true, None);
        let forged = String::from_utf8(signed.clone())
            .unwrap()
            .replacen("hello", "jello", 1);
        assert_eq!(
            decode(forged.as_bytes(), true, false, 9).err(),
            Some(Code::SignatureDoesNotMatch)
        );
        assert_eq!(
            decode(&signed[..signed.len() - 2], true, false, 9).err(),
            Some(Code::IncompleteBody)
        );
        assert_eq!(
            decode(b"0\r\na:b\r\n", false, true, 9).err(),
            Some(Code::MalformedTrailerError)
        );
        assert_eq!(
            decode(&signed[..20], true, false, 9).err(),
            Some(Code::IncompleteBody)
        );
        assert_eq!(
            decode(b"0\r\nnonsense\r\n\r\n", false, true, 9).err(),
            Some(Code::MalformedTrailerError)
        );
        assert_eq!(
            decode(b"0\r\na:b\r\n\r\n", false, false, 9).err(),
            Some(Code::MalformedTrailerError)
        );
        assert_eq!(
            decode(b"5\nhello\r\n", false, true, 9).err(),
            Some(Code::IncompleteBody)
        );
        assert_eq!(
            decode(b"-5\r\n", false, true, 9).err(),
            Some(Code::IncompleteBody)
        );
        assert_eq!(
            decode(b"0\r\n\r\nmore", false, true, 99).err(),
            Some(Code::IncompleteBody)
        );
        assert_eq!(
            decode(b"5\r\nhello\r\n0\r\n\r\n", true, false, 9).err(),
            Some(Code::IncompleteBody)
        );
    }

    proptest! {
        #[test]
        fn no_input_panics_and_none_grows_memory(body in proptest::collection::vec(any::<u8>(), 0..600), step in 1usize..64) {
            let _ = decode(&body, false, true, step);
            let _ = decode(&body, true, true, step);
        }

        #[test]
        fn any_chunking_decodes(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..6), step in 1usize..80) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let (data, _) = decode(&encode(&slices, true, Some(TRAILER)), true, true, step).unwrap();
            prop_assert_eq!(data, chunks.concat());
        }
    }
}
