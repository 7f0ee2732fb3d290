//! Browsers' forms, in pieces, and the policies in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::now;
use crate::error::{Code, S3Error};
use crate::form::file::{FileReader, content_length};
use crate::form::preamble::{Opened, Preamble, Step};
use crate::form::{Field, Fields, Policy, expand, headers, part};

const BOUNDARY: &str = "----B7";

/// A form as it was understood.
#[derive(Debug, PartialEq)]
struct Read {
    fields: Vec<(String, String)>,
    filename: Option<String>,
    before: u64,
    file: Vec<u8>,
}

/// The first byte: how long the pieces are; the rest: the body. In whatever pieces it comes, it says the same.
pub fn body(input: &[u8]) {
    let [step, body @ ..] = input else {
        return;
    };
    let whole = read(body, body.len());
    let pieces = read(body, usize::from(*step) + 1);
    assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok());
    let Ok(form) = whole else {
        return;
    };
    let before = usize::try_from(form.before).unwrap_or(usize::MAX);
    let behind = body.get(before..).unwrap_or_default();
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    assert_eq!(behind, [&form.file, end.as_bytes()].concat());
    assert!(!contains(&form.file, &end.as_bytes()[..end.len() - 4]));
    let fields = form.fields.into_iter();
    let fields = Fields(fields.map(|(name, value)| Field { name, value }).collect());
    let length = form.file.len() as u64;
    let said = fields.0.clone();
    if let Ok(expanded) = expand(fields, form.filename.as_deref()) {
        assert_eq!(expanded.0.len(), said.len());
        policy_of(&expanded, length);
        let _ = headers(&expanded, length);
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn read(body: &[u8], step: usize) -> Result<Read, Code> {
    let code = |error: S3Error| error.code;
    let mut pieces = body.chunks(step.max(1)).map(Bytes::copy_from_slice);
    let mut preamble = Preamble::new(BOUNDARY);
    let opened = loop {
        let piece = pieces.next().ok_or(Code::MalformedPOSTRequest)?;
        match preamble.push(&piece).map_err(code)? {
            Step::More(more) => preamble = more,
            Step::Opened(opened) => break opened,
        }
    };
    let Opened {
        fields,
        filename,
        length: before,
        content,
    } = opened;
    let length = (body.len() as u64)
        .checked_sub(before)
        .and_then(|rest| content_length(rest, BOUNDARY))
        .ok_or(Code::MalformedPOSTRequest)?;
    let mut reader = FileReader::new(BOUNDARY, length);
    let mut file = Vec::new();
    for piece in std::iter::once(content).chain(pieces) {
        reader.push(piece);
        while let Some(data) = reader.next().map_err(code)? {
            file.extend_from_slice(&data);
            assert!(
                file.len() as u64 <= length,
                "more than the form has room for"
            );
        }
    }
    reader.finish().map_err(code)?;
    assert_eq!(file.len() as u64, length);
    Ok(Read {
        fields: fields.0.into_iter().map(|f| (f.name, f.value)).collect(),
        filename,
        before,
        file,
    })
}

/// The first line: a Content-Type; the rest: a policy before its Base64.
pub fn policy(input: &[u8]) {
    let mut parts = input.splitn(2, |b| *b == b'\n');
    if let Ok(content_type) = std::str::from_utf8(parts.next().unwrap_or_default())
        && part::is_form(content_type)
        && let Ok(boundary) = part::boundary(content_type)
    {
        assert!((1..=70).contains(&boundary.len()) && !boundary.contains(['\r', '\n']));
    }
    let document = STANDARD.encode(parts.next().unwrap_or_default());
    let field = |name: &str, value: &str| Field {
        name: name.into(),
        value: value.into(),
    };
    let fields = vec![
        field("key", "user/photo.jpg"),
        field("Content-Type", "image/jpeg"),
        field("x-amz-meta-a", "b"),
        field("policy", &document),
    ];
    policy_of(&Fields(fields), 5);
}

/// A policy is for its bucket, its time and the fields that it names.
fn policy_of(fields: &Fields, length: u64) {
    let Ok(policy) = Policy::parse(fields.get("policy").unwrap_or_default()) else {
        return;
    };
    let may = |fields: &Fields, now| policy.check(fields, "photos", length, now).is_ok();
    assert!(!may(fields, DateTime::<Utc>::MAX_UTC), "it never expires");
    let names_it = format!("{policy:?}")
        .to_ascii_lowercase()
        .contains("unheard-of");
    if may(fields, now()) && !names_it {
        let mut more = Fields(fields.0.clone());
        more.0.push(Field {
            name: "X-Amz-Meta-Unheard-Of".into(),
            value: "1".into(),
        });
        assert!(!may(&more, now()), "a field that no condition names");
    }
}
