//! The little syntax of forms: the boundary in Content-Type, and the head of one part. Read strictly: what two readers
//! could understand differently is refused.
//! Source: <https://www.rfc-editor.org/rfc/rfc7578>, <https://www.rfc-editor.org/rfc/rfc2046#section-5.1>

use crate::error::{Code, S3Error};

/// The longest boundary, in bytes.
/// Source: <https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1>
const MAX_BOUNDARY: usize = 70;

/// What the head of a part says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// As it was sent, with the path that some browsers put before it.
    pub filename: Option<String>,
}

impl Part {
    /// S3 knows the file by this name alone, whatever other parts have a filename.
    pub fn is_file(&self) -> bool {
        self.name.eq_ignore_ascii_case("file")
    }
}

pub fn malformed() -> S3Error {
    Code::MalformedPOSTRequest.into()
}

/// Whether a Content-Type is that of a form.
pub fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// The boundary that a Content-Type names. Refused: none, two, one too long or with characters that none may have.
pub fn boundary(content_type: &str) -> Result<String, S3Error> {
    let (_, mut parameters) = parameters(content_type)?;
    let boundary = take(&mut parameters, "boundary")?.ok_or_else(malformed)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    if (1..=MAX_BOUNDARY).contains(&boundary.len())
        && boundary.bytes().all(allowed)
        && !boundary.ends_with(' ')
    {
        Ok(boundary)
    } else {
        Err(malformed())
    }
}

/// The head of a part, without the empty line that ends it.
pub fn head(bytes: &[u8]) -> Result<Part, S3Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let mut disposition = None;
    for line in text.split("\r\n") {
        // A folded line, or one that pretends to be two.
        if line.starts_with([' ', '\t']) || line.contains(|c: char| c.is_control() && c != '\t') {
            return Err(malformed());
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some()
        {
            return Err(malformed());
        }
    }
    let (kind, mut parameters) = parameters(disposition.ok_or_else(malformed)?)?;
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(malformed());
    }
    Ok(Part {
        name: take(&mut parameters, "name")?
            .filter(|name| !name.is_empty())
            .ok_or_else(malformed)?,
        filename: take(&mut parameters, "filename")?,
    })
}

type Parameters = Vec<(String, String)>;

/// The only value of a parameter.
fn take(parameters: &mut Parameters, name: &str) -> Result<Option<String>, S3Error> {
    let mut found = parameters.extract_if(.., |(n, _)| n.eq_ignore_ascii_case(name));
    let first = found.next();
    if found.next().is_some() {
        return Err(malformed());
    }
    Ok(first.map(|(_, value)| value))
}

/// Takes `kind; name=value; name="value"` apart.
fn parameters(text: &str) -> Result<(&str, Parameters), S3Error> {
    let (kind, mut rest) = text.split_once(';').unwrap_or((text, ""));
    let mut parameters = Parameters::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok((kind.trim(), parameters));
        }
        let (name, behind) = rest.split_once('=').ok_or_else(malformed)?;
        let (value, behind) = match behind.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let (value, behind) = unquote(quoted)?;
                let behind = behind.trim_start();
                let next = behind.strip_prefix(';');
                (
                    value,
                    next.or(behind.is_empty().then_some(""))
                        .ok_or_else(malformed)?,
                )
            }
            None => {
                let (value, behind) = behind.split_once(';').unwrap_or((behind, ""));
                (value.trim().to_owned(), behind)
            }
        };
        parameters.push((name.trim().to_owned(), value));
        rest = behind;
    }
}

/// The value of a quoted string, and what stands behind it. A backslash escapes a quote and itself; elsewhere it is one:
/// old browsers send `C:\file` as it is.
fn unquote(text: &str) -> Result<(String, &str), S3Error> {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok((value, chars.as_str())),
            '\\' => match chars.clone().next() {
                Some(escaped @ ('"' | '\\')) => {
                    chars.next();
                    value.push(escaped);
                }
                _ => value.push(c),
            },
            _ => value.push(c),
        }
    }
    Err(malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_read_and_bounded() {
        let long = |n: usize| format!("multipart/form-data; boundary={}", "b".repeat(n));
        for (text, expected) in [
            ("multipart/form-data; boundary=x-1".to_owned(), Some("x-1")),
            (
                "Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"".into(),
                Some("a b"),
            ),
            (
                "multipart/form-data;boundary=----WebKitFormBoundaryA;".into(),
                Some("----WebKitFormBoundaryA"),
            ),
            (long(70), Some(&*"b".repeat(70))),
            (long(71), None),
            (long(0), None),
            ("multipart/form-data".into(), None),
            ("multipart/form-data; boundary=a; boundary=a".into(), None),
            ("multipart/form-data; boundary=\"a ".into(), None),
            ("multipart/form-data; boundary=\"a \"".into(), None),
            ("multipart/form-data; boundary=\"a\" b".into(), None),
            ("multipart/form-data; boundary=a\u{e9}".into(), None),
            ("multipart/form-data; boundary=\"a\r\nb\"".into(), None),
        ] {
            assert_eq!(boundary(&text).ok().as_deref(), expected, "{text}");
        }
        assert!(is_form("MULTIPART/form-data ; boundary=x"));
        assert!(!is_form("multipart/form-database"));
        assert!(!is_form("application/x-www-form-urlencoded"));
    }

    #[test]
    fn heads_name_their_part() {
        let part = |name: &str, filename: Option<&str>| {
            Some(Part {
                name: name.into(),
                filename: filename.map(Into::into),
            })
        };
        for (text, expected) in [
            (
                "Content-Disposition: form-data; name=\"key\"",
                part("key", None),
            ),
            ("content-disposition:form-data;name=key", part("key", None)),
            (
                "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".txt\"",
                part("file", Some("a \"b\".txt")),
            ),
            (
                "Content-Disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a;b=c.txt\"",
                part("file", Some("C:\\dir\\a;b=c.txt")),
            ),
            (
                "Content-Disposition: form-data; filename=\"\"; name=\"file\"",
                part("file", Some("")),
            ),
            ("Content-Disposition: form-data", None),
            ("Content-Disposition: form-data; name=\"\"", None),
            ("Content-Disposition: form-data; name=\"a", None),
            ("Content-Disposition: form-data; name=\"a\"b", None),
            (
                "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
                None,
            ),
            ("Content-Disposition: form-data; name", None),
            ("Content-Disposition: file; name=\"file\"", None),
            (
                "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
                None,
            ),
            ("Content-Disposition: form-data;\r\n name=a", None),
            ("Content-Disposition: form-data; name=\"a\nb\"", None),
            ("Content-Type: text/plain", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(head(text.as_bytes()).ok(), expected, "{text}");
        }
        assert!(head(b"Content-Disposition: form-data; name=\"\xff\"").is_err());
    }
}
