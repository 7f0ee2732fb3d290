//! The file of a form, on its way: everything up to the delimiter that must end the form, and not one byte more or less
//! than the request's length says. Nothing is held but how much of a delimiter has been seen.

use bytes::{Buf, Bytes};
use memchr::memmem::Finder;

use super::part::{head, malformed};
use super::preamble::delimiter;
use crate::error::{Code, S3Error};

/// What ends a form behind its last delimiter.
const CLOSE: &[u8] = b"--\r\n";
/// How much is read behind the file to tell what is wrong there.
const MAX_TAIL: usize = 1024;

pub struct FileReader {
    /// `\r\n--boundary`: its first byte occurs in it once, so that what may begin it does so in one way only.
    delimiter: Bytes,
    finder: Finder<'static>,
    input: Bytes,
    /// How many bytes of the delimiter have been seen and not passed on.
    matched: usize,
    /// Bytes of content that are still due.
    left: u64,
    /// What stands behind the delimiter, once there was one.
    tail: Option<Vec<u8>>,
}

/// How long a file is whose content and closing delimiter are `rest` bytes. `None` if there is no room for a delimiter.
pub fn content_length(rest: u64, boundary: &str) -> Option<u64> {
    rest.checked_sub((delimiter(boundary).len() + CLOSE.len()) as u64)
}

impl FileReader {
    /// `length`: of the content, from [`content_length`].
    pub fn new(boundary: &str, length: u64) -> Self {
        let delimiter = delimiter(boundary);
        FileReader {
            finder: Finder::new(&delimiter).into_owned(),
            delimiter,
            input: Bytes::new(),
            matched: 0,
            left: length,
            tail: None,
        }
    }

    /// Takes the next piece of the body, after [`FileReader::next`] has had nothing more to give.
    pub fn push(&mut self, piece: Bytes) {
        self.input = piece;
    }

    /// The next piece of content; `None` when another piece of the body is needed.
    pub fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        while !self.input.is_empty() {
            let data = match &mut self.tail {
                Some(tail) => {
                    let taken = self.input.len().min(MAX_TAIL - tail.len().min(MAX_TAIL));
                    tail.extend_from_slice(&self.input.split_to(taken));
                    self.check_tail()?;
                    self.input.clear();
                    return Ok(None);
                }
                None if self.matched > 0 => self.go_on_matching(),
                None => self.search(),
            };
            if !data.is_empty() {
                self.left = self
                    .left
                    .checked_sub(data.len() as u64)
                    .ok_or_else(unclosed)?;
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// At the end of the body: whether the form was whole.
    pub fn finish(&self) -> Result<(), S3Error> {
        match &self.tail {
            Some(tail) if self.left == 0 && tail == CLOSE => Ok(()),
            Some(tail) if tail.starts_with(b"\r\n") => Err(field_behind()),
            _ => Err(unclosed()),
        }
    }

    /// A delimiter may have begun in the piece before: what was kept of it is content after all, or it is whole now.
    fn go_on_matching(&mut self) -> Bytes {
        let wanted = self.delimiter.slice(self.matched..);
        let n = wanted.len().min(self.input.len());
        if wanted.get(..n) != self.input.get(..n) {
            let kept = std::mem::take(&mut self.matched);
            return self.delimiter.slice(..kept);
        }
        self.input.advance(n);
        self.matched += n;
        if self.matched == self.delimiter.len() {
            self.tail = Some(Vec::new());
        }
        Bytes::new()
    }

    /// What of the input is content for sure.
    fn search(&mut self) -> Bytes {
        if let Some(at) = self.finder.find(&self.input) {
            let data = self.input.split_to(at);
            self.input.advance(self.delimiter.len());
            self.tail = Some(Vec::new());
            return data;
        }
        let from = self.input.len().saturating_sub(self.delimiter.len() - 1);
        let end = self.input.get(from..).unwrap_or_default();
        let kept = match memchr::memrchr(b'\r', end) {
            Some(at)
                if self
                    .delimiter
                    .starts_with(end.get(at..).unwrap_or_default()) =>
            {
                end.len() - at
            }
            _ => 0,
        };
        self.matched = kept;
        let mut input = std::mem::take(&mut self.input);
        input.truncate(input.len() - kept);
        input
    }

    /// Refuses what cannot become the end of a form.
    fn check_tail(&self) -> Result<(), S3Error> {
        let tail = self.tail.as_deref().unwrap_or_default();
        if self.left == 0 && CLOSE.starts_with(tail) {
            return Ok(());
        }
        if !b"\r\n".starts_with(tail) && !tail.starts_with(b"\r\n") {
            return Err(unclosed());
        }
        match memchr::memmem::find(tail, b"\r\n\r\n") {
            Some(end) => {
                let part = head(tail.get(2..end).unwrap_or_default())?;
                Err(match part.is_file() {
                    true => Code::IncorrectNumberOfFilesInPostRequest.into(),
                    false => field_behind(),
                })
            }
            None if tail.len() >= MAX_TAIL => Err(field_behind()),
            None => Ok(()),
        }
    }
}

fn unclosed() -> S3Error {
    S3Error::with(
        Code::MalformedPOSTRequest,
        "The body of your POST request is not well-formed multipart/form-data. Behind the file there must be the closing delimiter, an end of line, and nothing else.",
    )
}

/// S3 ignores fields behind the file. Here the file's length is told to the engine before its end has been seen.
fn field_behind() -> S3Error {
    malformed_with(
        "The file must be the last field of the form. A submit button behind it must have no name.",
    )
}

fn malformed_with(message: &'static str) -> S3Error {
    S3Error {
        message: message.into(),
        ..malformed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads the content of a form that is cut into these pieces.
    fn read(pieces: &[&[u8]]) -> Result<Vec<u8>, S3Error> {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        let length = content_length(total as u64, "B").ok_or_else(malformed)?;
        let mut reader = FileReader::new("B", length);
        let mut out = Vec::new();
        for piece in pieces {
            reader.push(Bytes::copy_from_slice(piece));
            while let Some(data) = reader.next()? {
                assert!(!data.is_empty());
                out.extend_from_slice(&data);
            }
        }
        reader.finish()?;
        assert_eq!(out.len() as u64, length);
        Ok(out)
    }

    fn everywhere(form: &[u8], check: impl Fn(Result<Vec<u8>, S3Error>)) {
        for first in 0..=form.len() {
            for second in first..=form.len() {
                check(read(&[
                    &form[..first],
                    &form[first..second],
                    &form[second..],
                ]));
            }
        }
        check(read(&form.chunks(1).collect::<Vec<_>>()));
    }

    #[test]
    fn content_is_the_same_wherever_it_is_cut() {
        for content in [
            "",
            "hello",
            "\r\n",
            "\r\r\n--\r\n-\r\n--",
            "a\r\n--A\r\n--\r\r\n--\r\n",
            "--B--\r\n",
        ] {
            let form = format!("{content}\r\n--B--\r\n");
            everywhere(form.as_bytes(), |read| {
                assert_eq!(read.unwrap(), content.as_bytes())
            });
        }
    }

    #[test]
    fn whatever_stands_behind_the_file_is_refused() {
        let field = "Content-Disposition: form-data; name=\"submit\"\r\n\r\nUpload";
        let file = "Content-Disposition: form-data; name=\"file\"; filename=\"2\"\r\n\r\nx";
        for (form, code) in [
            (
                format!("a\r\n--B\r\n{field}\r\n--B--\r\n"),
                Code::MalformedPOSTRequest,
            ),
            (
                format!("a\r\n--B\r\n{file}\r\n--B--\r\n"),
                Code::IncorrectNumberOfFilesInPostRequest,
            ),
            ("a\r\n--B--".into(), Code::MalformedPOSTRequest),
            ("a\r\n--B--\r\n\r\n".into(), Code::MalformedPOSTRequest),
            ("a\r\n--B--\r\nmore".into(), Code::MalformedPOSTRequest),
            ("a\r\n--B--\r\n--B--\r\n".into(), Code::MalformedPOSTRequest),
            ("a\r\n--BB--\r\n".into(), Code::MalformedPOSTRequest),
            ("a\r\n--B-\r\n\r\n".into(), Code::MalformedPOSTRequest),
            ("a\r\n--A--\r\n".into(), Code::MalformedPOSTRequest),
            ("hello, no end".into(), Code::MalformedPOSTRequest),
            ("a\r\n--B".into(), Code::MalformedPOSTRequest),
            ("".into(), Code::MalformedPOSTRequest),
        ] {
            everywhere(form.as_bytes(), |read| {
                assert_eq!(read.unwrap_err().code, code, "{form:?}")
            });
        }
    }

    #[test]
    fn a_head_behind_the_file_is_not_read_for_ever() {
        let form = format!("a\r\n--B\r\nX: {}", "x".repeat(100_000));
        let mut reader = FileReader::new("B", 100_000);
        let mut failed = false;
        for piece in form.as_bytes().chunks(10) {
            reader.push(Bytes::copy_from_slice(piece));
            failed |= std::iter::from_fn(|| reader.next().transpose()).any(|r| r.is_err());
            assert!(
                reader
                    .tail
                    .as_ref()
                    .is_none_or(|tail| tail.len() <= MAX_TAIL)
            );
            if failed {
                return;
            }
        }
        panic!("it was read to its end");
    }

    proptest! {
        #[test]
        fn any_content_passes(content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'A'), any::<u8>()], 0..300), step in 1usize..50) {
            let form = [&content, &b"\r\n--B--\r\n"[..]].concat();
            prop_assume!(memchr::memmem::find(&form, b"\r\n--B") == Some(content.len()));
            prop_assert_eq!(read(&form.chunks(step).collect::<Vec<_>>()).unwrap(), content);
        }

        #[test]
        fn nothing_else_does(form in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'B')], 0..60), step in 1usize..20) {
            let result = read(&form.chunks(step).collect::<Vec<_>>());
            let whole = form.len() >= 9 && memchr::memmem::find(&form, b"\r\n--B") == Some(form.len() - 9) && form.ends_with(b"\r\n--B--\r\n");
            prop_assert_eq!(result.is_ok(), whole);
        }
    }
}
