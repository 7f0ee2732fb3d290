//! Reads a form up to its file, piece by piece, and holds no more of it than S3 allows to stand there. It decides nothing
//! about the fields.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html>

use bytes::Bytes;
use memchr::memmem;

use super::part::{head, malformed};
use super::{Field, Fields};
use crate::error::{Code, S3Error};

/// S3's bound on everything before the file's content, in bytes.
pub const MAX_PREAMBLE: usize = 20 * 1024;
/// As many as a request may have headers.
const MAX_FIELDS: usize = 100;

/// The first line's delimiter has no line before it: this stands in for its end.
const BEFORE: &[u8] = b"\r\n";
const LINE: &[u8] = b"\r\n";
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

pub struct Preamble {
    /// `\r\n--boundary`
    delimiter: Bytes,
    held: Vec<u8>,
    /// Where in `held` begins what is being read.
    at: usize,
    /// Up to where it has been searched for its end.
    searched: usize,
    reading: Reading,
    fields: Vec<Field>,
}

enum Reading {
    FirstDelimiter,
    /// What a delimiter ends with.
    Line,
    Head,
    Value {
        name: String,
    },
}

/// The file begins.
#[derive(Debug)]
pub struct Opened {
    pub fields: Fields,
    pub filename: Option<String>,
    /// Bytes before the file's content.
    pub length: u64,
    /// The beginning of the content, as far as it has come.
    pub content: Bytes,
}

/// What became of the bytes that were pushed.
#[derive(Debug)]
pub enum Step {
    More(Preamble),
    Opened(Opened),
}

impl std::fmt::Debug for Preamble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Preamble of {} bytes", self.held.len())
    }
}

pub fn delimiter(boundary: &str) -> Bytes {
    Bytes::from(format!("\r\n--{boundary}"))
}

impl Preamble {
    pub fn new(boundary: &str) -> Self {
        Preamble {
            delimiter: delimiter(boundary),
            held: BEFORE.to_vec(),
            at: 0,
            searched: 0,
            reading: Reading::FirstDelimiter,
            fields: Vec::new(),
        }
    }

    /// Takes the next piece of the body.
    pub fn push(mut self, piece: &Bytes) -> Result<Step, S3Error> {
        let most = MAX_PREAMBLE + BEFORE.len();
        let taken = piece.len().min(most.saturating_sub(self.held.len()));
        self.held
            .extend_from_slice(piece.get(..taken).unwrap_or_default());
        loop {
            match self.step()? {
                Progress::Moved => {}
                Progress::Blocked if self.held.len() >= most => return Err(too_large()),
                Progress::Blocked => return Ok(Step::More(self)),
                Progress::File(filename) => {
                    // The head of the file ended in this very piece, or it would have been seen before.
                    let behind = self.held.len() - self.at;
                    return Ok(Step::Opened(Opened {
                        fields: Fields(self.fields),
                        filename,
                        length: (self.at - BEFORE.len()) as u64,
                        content: piece.slice(taken.saturating_sub(behind)..),
                    }));
                }
            }
        }
    }

    fn step(&mut self) -> Result<Progress, S3Error> {
        let rest = self.held.get(self.at..).unwrap_or_default();
        match &mut self.reading {
            Reading::FirstDelimiter => match rest.strip_prefix(&*self.delimiter) {
                Some(_) => {
                    self.go_on(self.delimiter.len(), Reading::Line);
                    Ok(Progress::Moved)
                }
                None if self.delimiter.starts_with(rest) => Ok(Progress::Blocked),
                None => Err(malformed()),
            },
            Reading::Line if rest.starts_with(LINE) => {
                self.go_on(LINE.len(), Reading::Head);
                Ok(Progress::Moved)
            }
            // The form ends, and no file was in it.
            Reading::Line if rest.starts_with(b"--") => {
                Err(Code::IncorrectNumberOfFilesInPostRequest.into())
            }
            Reading::Line if LINE.starts_with(rest) || rest == b"-" => Ok(Progress::Blocked),
            Reading::Line => Err(malformed()),
            Reading::Head => {
                let Some(bytes) = self.until(EMPTY_LINE) else {
                    return Ok(Progress::Blocked);
                };
                let part = head(&bytes)?;
                let length = bytes.len() + EMPTY_LINE.len();
                if part.is_file() {
                    self.at += length;
                    return Ok(Progress::File(part.filename));
                }
                self.go_on(length, Reading::Value { name: part.name });
                Ok(Progress::Moved)
            }
            Reading::Value { name } => {
                let name = std::mem::take(name);
                let Some(value) = self.until(&self.delimiter.clone()) else {
                    self.reading = Reading::Value { name };
                    return Ok(Progress::Blocked);
                };
                let length = value.len() + self.delimiter.len();
                self.add(name, value)?;
                self.go_on(length, Reading::Line);
                Ok(Progress::Moved)
            }
        }
    }

    fn go_on(&mut self, length: usize, reading: Reading) {
        self.at += length;
        self.searched = self.at;
        self.reading = reading;
    }

    /// What stands before the next `end`; nothing is searched twice.
    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let unsearched = self.held.get(self.searched..).unwrap_or_default();
        match memmem::find(unsearched, end) {
            Some(offset) => self
                .held
                .get(self.at..self.searched + offset)
                .map(<[u8]>::to_vec),
            None => {
                let again = self.held.len().saturating_sub(end.len() - 1);
                self.searched = self.searched.max(again);
                None
            }
        }
    }

    fn add(&mut self, name: String, value: Vec<u8>) -> Result<(), S3Error> {
        let value = String::from_utf8(value).map_err(|_| malformed())?;
        if self.fields.len() >= MAX_FIELDS {
            return Err(too_large());
        }
        if self.fields.iter().any(|field| field.is(&name)) {
            return Err(S3Error::with(
                Code::InvalidArgument,
                "A field of the form was sent more than once.",
            )
            .detail("ArgumentName", name));
        }
        self.fields.push(Field { name, value });
        Ok(())
    }
}

enum Progress {
    Moved,
    /// More bytes are needed.
    Blocked,
    File(Option<String>),
}

fn too_large() -> S3Error {
    S3Error::new(Code::MaxPostPreDataLengthExceededError)
        .detail("MaxPostPreDataLengthBytes", MAX_PREAMBLE.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORM: &str = "--B-1\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--B\r\n--B-\r\nb\r\n--B-1\r\nContent-Disposition: form-data; name=\"Acl\"\r\nX: y\r\n\r\n\r\n--B-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nhello\r\n--B-1--\r\n";

    /// Pushes in pieces that end where they are told.
    fn read(pieces: &[&[u8]]) -> Result<Option<Opened>, Code> {
        let mut preamble = Preamble::new("B-1");
        let mut pieces = pieces.iter();
        while let Some(piece) = pieces.next() {
            match preamble
                .push(&Bytes::copy_from_slice(piece))
                .map_err(|e| e.code)?
            {
                Step::More(more) => preamble = more,
                Step::Opened(mut opened) => {
                    let rest: Vec<&[u8]> = pieces.copied().collect();
                    opened.content = [&opened.content, &*rest.concat()].concat().into();
                    return Ok(Some(opened));
                }
            }
        }
        Ok(None)
    }

    fn assert_is_the_form(opened: &Opened) {
        let fields: Vec<(&str, &str)> = opened
            .fields
            .0
            .iter()
            .map(|f| (f.name.as_str(), f.value.as_str()))
            .collect();
        assert_eq!(fields, [("key", "a\r\n--B\r\n--B-\r\nb"), ("Acl", "")]);
        assert_eq!(opened.filename.as_deref(), Some("f"));
        assert_eq!(opened.content, "hello\r\n--B-1--\r\n");
        assert_eq!(opened.length as usize, FORM.find("hello").unwrap());
    }

    #[test]
    fn a_form_is_the_same_wherever_it_is_cut() {
        let form = FORM.as_bytes();
        for first in 0..=form.len() {
            for second in first..=form.len() {
                let pieces = [&form[..first], &form[first..second], &form[second..]];
                assert_is_the_form(&read(&pieces).unwrap().unwrap());
            }
        }
        let bytes: Vec<&[u8]> = form.chunks(1).collect();
        assert_is_the_form(&read(&bytes).unwrap().unwrap());
    }

    #[test]
    fn what_is_no_form_is_refused_wherever_it_is_cut() {
        let part = "Content-Disposition: form-data; name=\"a\"\r\n\r\n1";
        for (form, code) in [
            ("x".to_owned(), Code::MalformedPOSTRequest),
            ("\r\n--B-1\r\n".into(), Code::MalformedPOSTRequest),
            ("--B-2\r\n".into(), Code::MalformedPOSTRequest),
            ("--B-1 \r\n".into(), Code::MalformedPOSTRequest),
            ("--B-1-x".into(), Code::MalformedPOSTRequest),
            (
                format!("--B-1\r\n\r\n{part}\r\n\r\n"),
                Code::MalformedPOSTRequest,
            ),
            (
                format!("--B-1\r\n{part}\r\n--B-12"),
                Code::MalformedPOSTRequest,
            ),
            (
                "--B-1--\r\n".into(),
                Code::IncorrectNumberOfFilesInPostRequest,
            ),
            (
                format!("--B-1\r\n{part}\r\n--B-1--\r\n"),
                Code::IncorrectNumberOfFilesInPostRequest,
            ),
            (
                format!(
                    "--B-1\r\n{part}\r\n--B-1\r\n{}\r\n--B-1\r\n",
                    part.replace("\"a\"", "A")
                ),
                Code::InvalidArgument,
            ),
        ] {
            for at in 0..=form.len() {
                let pieces = [&form.as_bytes()[..at], &form.as_bytes()[at..]];
                assert_eq!(read(&pieces).err(), Some(code), "{form:?} at {at}");
            }
        }
    }

    #[test]
    fn what_stands_before_the_file_is_bounded() {
        let form = |bytes: usize| {
            let head = "--B-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
            let tail = "\r\n--B-1\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
            let value = "v".repeat(bytes - head.len() - tail.len());
            [head, &value, tail].concat()
        };
        for step in [1, 1000, 100_000] {
            let pieces = |text: &str| -> Result<Option<Opened>, Code> {
                read(&text.as_bytes().chunks(step).collect::<Vec<_>>())
            };
            let opened = pieces(&form(MAX_PREAMBLE)).unwrap().unwrap();
            assert_eq!(opened.length, 20_480);
            assert_eq!(
                pieces(&form(MAX_PREAMBLE + 1)).err(),
                Some(Code::MaxPostPreDataLengthExceededError)
            );
            let endless = format!("--B-1\r\nContent-Disposition: {}", "x".repeat(30_000));
            assert_eq!(
                pieces(&endless).err(),
                Some(Code::MaxPostPreDataLengthExceededError)
            );
        }
    }

    #[test]
    fn fields_are_counted() {
        let form = |n: usize| {
            let fields: String = (0..n)
                .map(|i| format!("--B-1\r\nContent-Disposition: form-data; name=f{i}\r\n\r\n\r\n"))
                .collect();
            format!("{fields}--B-1\r\nContent-Disposition: form-data; name=file\r\n\r\n")
        };
        let opened = read(&[form(MAX_FIELDS).as_bytes()]).unwrap().unwrap();
        assert_eq!(opened.fields.0.len(), MAX_FIELDS);
        assert_eq!(
            read(&[form(MAX_FIELDS + 1).as_bytes()]).err(),
            Some(Code::MaxPostPreDataLengthExceededError)
        );
    }

    proptest! {
        #[test]
        fn any_field_reads_back(values in proptest::collection::vec("[^\u{0}]{0,40}", 0..8), step in 1usize..50) {
            let delimiter = "\r\n--B-1";
            prop_assume!(values.iter().all(|v| !v.contains(delimiter)));
            let parts: String = values
                .iter()
                .enumerate()
                .map(|(i, v)| format!("--B-1\r\nContent-Disposition: form-data; name=\"f{i}\"\r\n\r\n{v}\r\n"))
                .collect();
            let form = format!("{parts}--B-1\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx");
            let opened = read(&form.as_bytes().chunks(step).collect::<Vec<_>>()).unwrap().unwrap();
            let read: Vec<String> = opened.fields.0.iter().map(|f| f.value.clone()).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1usize..50) {
            let form = [b"--B-1\r\n", &*bytes].concat();
            let _ = read(&form.chunks(step).collect::<Vec<_>>());
        }
    }
}
