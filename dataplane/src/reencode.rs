//! Writes a body in `aws-chunked` for engines that understand trailers, so that a checksum that came last goes on.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::integrity::Algorithm;

/// The chunk size in which a body with a trailer is handed on.
const CHUNK: u64 = 64 * 1024;

/// Writes the body as `STREAMING-UNSIGNED-PAYLOAD-TRAILER`, in chunks of [`CHUNK`] cut from what passes, uncopied.
pub struct Reencode {
    pub algorithm: Algorithm,
    sent: u64,
    queue: VecDeque<Bytes>,
}

impl Reencode {
    pub fn new(algorithm: Algorithm) -> Self {
        Reencode {
            algorithm,
            sent: 0,
            queue: VecDeque::new(),
        }
    }

    pub fn pop(&mut self) -> Option<Bytes> {
        self.queue.pop_front()
    }

    /// The next piece that goes out, in parts, `length` being that of the whole body.
    pub fn push(&mut self, mut data: Bytes, length: u64) {
        while !data.is_empty() {
            let within = self.sent % CHUNK;
            if within == 0 {
                let size = CHUNK.min(length - self.sent);
                self.queue.push_back(Bytes::from(format!("{size:x}\r\n")));
            }
            let take = data.len().min((CHUNK - within) as usize);
            self.queue.push_back(data.split_to(take));
            self.sent += take as u64;
            if self.sent.is_multiple_of(CHUNK) || self.sent == length {
                self.queue.push_back(Bytes::from_static(b"\r\n"));
            }
        }
    }

    /// The last chunk, and the trailer.
    pub fn close(&mut self, value: &str) {
        self.queue.push_back(Bytes::from(format!(
            "0\r\n{}:{value}\r\n\r\n",
            self.algorithm.header()
        )));
    }

    /// Bytes of the whole encoded body.
    pub fn encoded_length(&self, length: u64) -> u64 {
        let chunk = |size: u64| format!("{size:x}").len() as u64 + 2 + size + 2;
        let (full, last) = (length / CHUNK, length % CHUNK);
        let checksum = self.algorithm.size().div_ceil(3) as u64 * 4;
        let tail = 3 + self.algorithm.header().len() as u64 + 1 + checksum + 4;
        full * chunk(CHUNK) + if last > 0 { chunk(last) } else { 0 } + tail
    }
}
