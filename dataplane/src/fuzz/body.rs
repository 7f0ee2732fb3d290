//! `aws-chunked` bodies, cut into pieces anyhow.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sigv4::{ChunkSigner, CredentialScope};

use super::{REGION, signing_key};
use crate::chunked::ChunkedDecoder;
use crate::error::Code;

const TRAILER: &str = "x-amz-checksum-crc32";

fn signer() -> ChunkSigner {
    let scope = CredentialScope {
        date: "20260304".into(),
        region: REGION.into(),
        service: "s3".into(),
    };
    let timestamp = "20260304T050607Z".to_owned();
    ChunkSigner::new(signing_key(), timestamp, scope, "0".repeat(64))
}

/// The first byte: what form the body has, and whether it is the rest as it is or made of it; the second: how long the
/// pieces are.
pub fn chunks(input: &[u8]) {
    let [flags, step, rest @ ..] = input else {
        return;
    };
    let (signed, trailer) = (flags & 1 > 0, flags & 2 > 0);
    let step = usize::from(*step) + 1;
    if flags & 4 == 0 {
        as_it_is(rest, signed, trailer, step);
    } else {
        made_of_it(rest, signed, trailer, step, *flags);
    }
}

/// How a body arrives in pieces changes nothing, and what comes out was in it.
fn as_it_is(body: &[u8], signed: bool, trailer: bool, step: usize) {
    let whole = decode(body, signed, trailer, body.len());
    assert_eq!(whole, decode(body, signed, trailer, step));
    assert!(whole.0.len() <= body.len());
    if whole.1.is_ok() {
        let again = encode(&whole.0, 7, signed, trailer);
        assert_eq!(decode(&again, signed, trailer, step), (whole.0, Ok(())));
    }
}

/// A body made by the rules yields what it was made of; with one bit turned it yields the same, or an error.
fn made_of_it(content: &[u8], signed: bool, trailer: bool, step: usize, flags: u8) {
    let size = usize::from(flags >> 3).max(content.len() / 16) + 1;
    let body = encode(content, size, signed, trailer);
    let whole = (content.to_vec(), Ok(()));
    assert_eq!(decode(&body, signed, trailer, step), whole);
    let end = decode(&body[..body.len() - 1], signed, trailer, step).1;
    assert!(end.is_err(), "a body without its end is whole");
    if !signed {
        return;
    }
    let mut turned = body.clone();
    let at = content.iter().map(|b| usize::from(*b)).sum::<usize>() + step * 31;
    let length = turned.len();
    if let Some(byte) = turned.get_mut(at % length) {
        *byte ^= 1 << (flags >> 5);
    }
    let (data, end) = decode(&turned, signed, trailer, step);
    assert!(end.is_err() || data == content, "a forged body is whole");
}

fn decode(body: &[u8], signed: bool, trailer: bool, step: usize) -> (Vec<u8>, Result<(), Code>) {
    let mut decoder = ChunkedDecoder::new(signed.then(signer), trailer);
    let mut out = Vec::new();
    for piece in body.chunks(step.max(1)) {
        let mut input = Bytes::copy_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(data)) => out.extend_from_slice(&data),
                Ok(None) => break,
                Err(error) => return (out, Err(error.code)),
            }
        }
        assert!(input.is_empty(), "what was not taken is lost");
    }
    (out, decoder.finish().map_err(|error| error.code))
}

fn encode(content: &[u8], size: usize, signed: bool, trailer: bool) -> Vec<u8> {
    let mut signer = signer();
    let mut out = Vec::new();
    for chunk in content.chunks(size).chain([&[][..]]) {
        out.extend(format!("{:x}", chunk.len()).bytes());
        if signed {
            let signature = signer.next_chunk(&hex::encode(Sha256::digest(chunk)));
            out.extend(format!(";chunk-signature={signature}").bytes());
        }
        out.extend(b"\r\n");
        out.extend(chunk);
        if !chunk.is_empty() {
            out.extend(b"\r\n");
        }
    }
    if trailer {
        let line = format!("{TRAILER}:AAAAAA==");
        out.extend(format!("{line}\r\n").bytes());
        if signed {
            let hash = Sha256::digest(format!("{line}\n").as_bytes());
            let signature = signer.trailer(&hex::encode(hash));
            out.extend(format!("x-amz-trailer-signature:{signature}\r\n").bytes());
        }
    }
    out.extend(b"\r\n");
    out
}
