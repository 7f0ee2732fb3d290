//! A browser's upload: a form whose fields say what other requests say in their head. It is read up to its file, and
//! becomes the request that it amounts to; who sent it and whether they may is decided in `gate`, as for any other.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

pub mod file;
pub mod part;
mod policy;
pub mod preamble;
mod reply;
pub mod room;

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use self::file::FileReader;
pub use self::part::is_form;
pub use self::policy::Policy;
pub use self::reply::{Reply, Stored, location};

use self::preamble::{MAX_PREAMBLE, Opened, Preamble, Step};
use crate::authenticate::refuse_other_mechanisms;
use crate::error::{Code, S3Error};
use crate::node::Node;
use crate::patience::Waiting;
use crate::request::S3Request;
use crate::source::{Source, Upload};
use crate::xml;

/// Fields that are headers of the upload, besides `x-amz-*`.
const HEADERS: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
];

/// Fields that belong to the signature.
const SIGNATURE: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-signature",
];

/// What would make another upload of it, if it were a header.
const NO_FIELDS: &[&str] = &[
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
];

#[derive(Debug, Clone)]
pub struct Field {
    /// As it was sent.
    pub name: String,
    pub value: String,
}

impl Field {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The fields before the file; no two have the same name.
#[derive(Debug)]
pub struct Fields(pub Vec<Field>);

impl Fields {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|field| field.is(name))
            .map(|field| field.value.as_str())
    }
}

/// A form that has been read up to its file.
pub struct Form {
    /// With `${filename}` replaced.
    pub fields: Fields,
    /// Of the file, in bytes.
    pub length: u64,
    _place: room::Place,
}

/// A request as it goes to the gate.
pub struct Arrived {
    pub request: Box<S3Request>,
    pub form: Option<Form>,
    pub body: Source,
}

/// Reads the form up to its file. Nothing is believed yet, and no more held than [`MAX_PREAMBLE`].
///
/// Refused: a second way of authenticating, no length, no room, and what is no form with one file and a key.
pub async fn read(
    node: &Node,
    request: Box<S3Request>,
    mut body: Upload,
) -> Result<Arrived, S3Error> {
    refuse_other_mechanisms(&request)?;
    let content_type = request.header("content-type")?.unwrap_or_default();
    let boundary = part::boundary(content_type)?;
    let announced = request
        .header("content-length")?
        .ok_or(Code::MissingContentLength)?;
    let announced: u64 = announced.parse().map_err(|_| Code::InvalidArgument)?;
    let Some(place) = node.form_room.enter(request.peer) else {
        return Err(S3Error::new(Code::SlowDown).retry_after(1));
    };
    let mut preamble = Preamble::new(&boundary);
    let mut waiting = Waiting::new(node.patience.body);
    let opened = loop {
        let piece = body.piece(&mut waiting).await;
        let piece = piece.ok_or_else(part::malformed)??;
        match preamble.push(&piece)? {
            Step::More(more) => preamble = more,
            Step::Opened(opened) => break opened,
        }
    };
    let length = announced
        .checked_sub(opened.length)
        .and_then(|rest| file::content_length(rest, &boundary))
        .ok_or_else(part::malformed)?;
    let Opened {
        fields,
        filename,
        content,
        ..
    } = opened;
    let fields = expand(fields, filename.as_deref())?;
    let key = fields
        .get("key")
        .filter(|key| !key.is_empty())
        .ok_or(Code::UserKeyMustBeSpecified)?
        .to_owned();
    let request = request.into_upload(key, headers(&fields, length)?)?;
    let mut file = FileReader::new(&boundary, length);
    file.push(content);
    Ok(Arrived {
        request,
        form: Some(Form {
            fields,
            length,
            _place: place,
        }),
        body: Source::File(Box::new(file), body),
    })
}

/// Puts the file's name into the fields that ask for it: what a policy is compared with is what came of it. Without a
/// filename, S3 leaves the variable as it is.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html>
pub fn expand(mut fields: Fields, filename: Option<&str>) -> Result<Fields, S3Error> {
    const VARIABLE: &str = "${filename}";
    let Some(path) = filename else {
        return Ok(fields);
    };
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut total = 0;
    for field in &mut fields.0 {
        // A name in each of a thousand variables would be much from little.
        total += field.value.len() + field.value.matches(VARIABLE).count() * name.len();
        if total > 2 * MAX_PREAMBLE {
            return Err(Code::MaxPostPreDataLengthExceededError.into());
        }
        if !field.is("policy") {
            field.value = field.value.replace(VARIABLE, name);
        }
    }
    Ok(fields)
}

/// The headers that the fields amount to. What they may say is decided in `headers`, as for any upload.
pub fn headers(fields: &Fields, length: u64) -> Result<HeaderMap, S3Error> {
    let mut headers = HeaderMap::new();
    for field in &fields.0 {
        let name = field.name.to_ascii_lowercase();
        let (name, value) = match name.as_str() {
            "acl" => ("x-amz-acl", field.value.clone()),
            "tagging" => ("x-amz-tagging", tagging(&field.value)?),
            signature if SIGNATURE.contains(&signature) => continue,
            other if NO_FIELDS.contains(&other) => {
                return Err(S3Error::new(Code::NotImplemented).detail("Field", other));
            }
            other if other.starts_with("x-amz-") || HEADERS.contains(&other) => {
                (other, field.value.clone())
            }
            _ => continue,
        };
        let unusable = || {
            S3Error::with(
                Code::InvalidArgument,
                "A field of the form cannot be a header.",
            )
            .detail("ArgumentName", &field.name)
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
        let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| unusable())?;
        // `acl` and `x-amz-acl` are two fields and one header.
        if headers.insert(name, value).is_some() {
            return Err(unusable());
        }
    }
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("binary/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(headers)
}

/// The tags of a form are XML; those of a header are a query.
fn tagging(document: &str) -> Result<String, S3Error> {
    let root = xml::parse(document.as_bytes()).map_err(|_| Code::MalformedXML)?;
    fn encode(text: Option<&str>) -> std::borrow::Cow<'_, str> {
        sigv4::uri_encode(text.unwrap_or_default().as_bytes(), true)
    }
    let tags: Vec<String> = root
        .all("TagSet")
        .flat_map(|set| set.all("Tag"))
        .map(|tag| {
            format!(
                "{}={}",
                encode(tag.value("Key")),
                encode(tag.value("Value"))
            )
        })
        .collect();
    Ok(tags.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(
            pairs
                .iter()
                .map(|(name, value)| Field {
                    name: (*name).into(),
                    value: (*value).into(),
                })
                .collect(),
        )
    }

    #[test]
    fn the_files_name_goes_into_the_fields() {
        for (filename, key) in [
            (Some("a.txt"), "u/a.txt"),
            (Some("C:\\Program Files\\a.txt"), "u/a.txt"),
            (Some("/home/me/a.txt"), "u/a.txt"),
            (Some("${filename}"), "u/${filename}"),
            (Some(""), "u/"),
            (None, "u/${filename}"),
        ] {
            let form = fields(&[("key", "u/${filename}"), ("policy", "${filename}")]);
            let expanded = expand(form, filename).unwrap();
            assert_eq!(expanded.get("KEY"), Some(key), "{filename:?}");
            assert_eq!(expanded.get("policy"), Some("${filename}"));
        }
    }

    #[test]
    fn a_name_cannot_multiply() {
        let key = "${filename}".repeat(900);
        let with = |n: usize| expand(fields(&[("key", &key)]), Some(&"n".repeat(n)));
        assert!(with(20).is_ok());
        assert_eq!(
            with(9000).unwrap_err().code,
            Code::MaxPostPreDataLengthExceededError
        );
    }

    #[test]
    fn fields_become_headers() {
        let form = fields(&[
            ("Key", "k"),
            ("ACL", "private"),
            ("Content-Type", "image/png"),
            ("X-Amz-Meta-Colour", " r\u{e9}d "),
            ("x-amz-date", "20260304T050607Z"),
            (
                "tagging",
                "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag><Tag><Key>c</Key></Tag></TagSet></Tagging>",
            ),
            ("submit", "Upload"),
        ]);
        let headers = headers(&form, 7).unwrap();
        let mut said: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        said.sort_unstable();
        assert_eq!(
            said,
            [
                ("content-length", &b"7"[..]),
                ("content-type", b"image/png"),
                ("x-amz-acl", b"private"),
                ("x-amz-meta-colour", "r\u{e9}d".as_bytes()),
                ("x-amz-tagging", b"a%20b=1%262&c="),
            ]
        );
        let plain = super::headers(&fields(&[]), 0).unwrap();
        assert_eq!(plain["content-type"], "binary/octet-stream");
    }

    #[test]
    fn fields_that_cannot_be_headers_are_refused() {
        for (form, code) in [
            (
                fields(&[("x-amz-meta-a", "1\r\nx-evil: 2")]),
                Code::InvalidArgument,
            ),
            (fields(&[("x-amz-meta-a b", "1")]), Code::InvalidArgument),
            (
                fields(&[("acl", "private"), ("x-amz-acl", "private")]),
                Code::InvalidArgument,
            ),
            (
                fields(&[("X-Amz-Copy-Source", "/b/k")]),
                Code::NotImplemented,
            ),
            (
                fields(&[("x-amz-trailer", "x-amz-checksum-crc32")]),
                Code::NotImplemented,
            ),
            (fields(&[("tagging", "no XML")]), Code::MalformedXML),
        ] {
            assert_eq!(headers(&form, 0).unwrap_err().code, code, "{form:?}");
        }
    }
}
