//! Reads an engine's listings into plain entries, with every key brought back into the tenant's terms. What is not
//! under the place's prefix is never passed on.

use std::borrow::Cow;

use crate::error::{Code, S3Error};
use crate::place::Place;
use crate::upstream::{failed, unreadable};
use crate::xml::{self, Element, Piece, XmlWriter};

/// How keys are written in the answer: as they are, or percent-encoded because the client asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    /// Reads `encoding-type`.
    pub fn parse(value: Option<&str>) -> Result<Encoding, S3Error> {
        match value {
            None | Some("") => Ok(Encoding::Plain),
            Some("url") => Ok(Encoding::Url),
            Some(_) => Err(S3Error::with(
                Code::InvalidArgument,
                "Invalid Encoding Method specified in Request",
            )),
        }
    }

    pub fn write(self, text: &str) -> Cow<'_, str> {
        match self {
            Encoding::Plain => Cow::Borrowed(text),
            Encoding::Url => sigv4::uri_encode(text.as_bytes(), false),
        }
    }
}

/// Keys of an engine's answer, which was asked for `encoding-type=url` and may or may not have heard it.
pub struct KeyReader<'a> {
    pub place: Place<'a>,
    encoded: bool,
}

impl<'a> KeyReader<'a> {
    pub fn new(place: Place<'a>, answer: &Element) -> Self {
        KeyReader {
            place,
            encoded: answer.value("EncodingType") == Some("url"),
        }
    }

    /// The tenant's key. Anything else in the answer means that the engine cannot be trusted with this listing.
    pub fn key(&self, text: &str) -> Result<String, S3Error> {
        let decoded = self.raw(text)?;
        match self.place.strip(&decoded) {
            Some(key) => Ok(key.to_owned()),
            None => {
                tracing::error!(
                    engine = self.place.engine.id,
                    "an engine listed what is outside the bucket"
                );
                Err(Code::InternalError.into())
            }
        }
    }

    fn raw<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, S3Error> {
        if !self.encoded || !text.contains(['+', '%']) || !may_be_encoded(text) {
            return Ok(Cow::Borrowed(text));
        }
        crate::request::decode(&text.replace('+', " "))
            .map(Cow::Owned)
            .map_err(|_| Code::InternalError.into())
    }
}

/// Whether two hexadecimal digits follow every `%`. Some engines say that they encode and leave single elements as they
/// are, as moto 5.2 does with the prefixes of ListObjects: no encoder writes the others.
fn may_be_encoded(text: &str) -> bool {
    let mut pieces = text.split('%');
    pieces.next();
    pieces.all(|behind| {
        let mut bytes = behind.bytes();
        let mut digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        digit() && digit()
    })
}

/// One page of a listing, in the tenant's terms.
#[derive(Debug, Default)]
pub struct Page {
    pub objects: Vec<Object>,
    pub common_prefixes: Vec<String>,
    pub is_truncated: bool,
    /// How many entries the engine says that it lists at most.
    pub max_keys: Option<usize>,
    /// V1: where the next page begins.
    pub next_marker: Option<String>,
    /// V2: the engine's own token, unsealed.
    pub next_token: Option<String>,
}

#[derive(Debug, Default)]
pub struct Object {
    pub key: String,
    pub last_modified: String,
    pub etag: String,
    pub size: String,
    pub checksum_algorithms: Vec<String>,
    pub checksum_type: Option<String>,
}

impl Object {
    pub fn read(key: String, entry: &Element) -> Object {
        let text = |name: &str| entry.value(name).unwrap_or("").to_owned();
        Object {
            key,
            last_modified: text("LastModified"),
            etag: text("ETag"),
            size: text("Size"),
            checksum_algorithms: entry
                .all("ChecksumAlgorithm")
                .map(|e| e.text.clone())
                .collect(),
            checksum_type: entry.value("ChecksumType").map(str::to_owned),
        }
    }

    /// What listings say of the content, in S3's order.
    pub fn write_content(&self, out: &mut XmlWriter) {
        out.text("ETag", &self.etag);
        for algorithm in &self.checksum_algorithms {
            out.text("ChecksumAlgorithm", algorithm);
        }
        if let Some(kind) = &self.checksum_type {
            out.text("ChecksumType", kind);
        }
        out.text("Size", &self.size);
        out.text("StorageClass", "STANDARD");
    }
}

/// Reads an engine's ListObjects answer, either version, straight into a page.
pub fn read_objects(place: Place<'_>, document: &[u8]) -> Result<Page, S3Error> {
    let mut answer = Answer::default();
    xml::read(document, |piece| answer.take(piece))
        .map_err(|_| unreadable(&"not an XML document"))?;
    if answer.is_error {
        return Err(failed(&answer.code));
    }
    let keys = KeyReader {
        place,
        encoded: answer.encoded,
    };
    let mut page = answer.page;
    for object in &mut page.objects {
        object.key = keys.key(&object.key)?;
    }
    for prefix in &mut page.common_prefixes {
        *prefix = keys.key(prefix)?;
    }
    if page.is_truncated {
        page.next_marker = next_marker(&keys, page.next_marker.as_deref(), &page);
    } else {
        (page.next_marker, page.next_token) = (None, None);
    }
    Ok(page)
}

/// An engine's answer while it is read: keys are still as the engine wrote them, for how that is may be said last.
#[derive(Default)]
struct Answer {
    depth: usize,
    is_error: bool,
    code: String,
    encoded: bool,
    page: Page,
    /// The entry that is open, whatever it will turn out to be.
    entry: Object,
    prefix: Option<String>,
}

impl Answer {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Open(name) => {
                self.is_error |= self.depth == 0 && name == "Error";
                self.depth += 1;
            }
            Piece::Close(name, text) => {
                match self.depth {
                    2 => self.take_child(name, text),
                    3 => self.take_field(name, text),
                    _ => {}
                }
                self.depth -= 1;
            }
        }
    }

    fn take_child(&mut self, name: &str, text: &str) {
        match name {
            "Contents" => self.page.objects.push(std::mem::take(&mut self.entry)),
            "CommonPrefixes" => self.page.common_prefixes.extend(self.prefix.take()),
            "IsTruncated" => self.page.is_truncated = text == "true",
            "MaxKeys" => self.page.max_keys = text.parse().ok(),
            "EncodingType" => self.encoded = text == "url",
            "NextContinuationToken" => self.page.next_token = Some(text.to_owned()),
            "NextMarker" => self.page.next_marker = Some(text.to_owned()),
            "Code" => text.clone_into(&mut self.code),
            _ => {}
        }
        self.entry = Object::default();
        self.prefix = None;
    }

    /// Of `Contents` or `CommonPrefixes`: no field of the one is called as one of the other.
    fn take_field(&mut self, name: &str, text: &str) {
        let entry = &mut self.entry;
        match name {
            "Key" => text.clone_into(&mut entry.key),
            "LastModified" => text.clone_into(&mut entry.last_modified),
            "ETag" => text.clone_into(&mut entry.etag),
            "Size" => text.clone_into(&mut entry.size),
            "ChecksumAlgorithm" => entry.checksum_algorithms.push(text.to_owned()),
            "ChecksumType" => entry.checksum_type = Some(text.to_owned()),
            "Prefix" => self.prefix = Some(text.to_owned()),
            _ => {}
        }
    }
}

/// Where the next page begins: the engine's word, if that is what it listed last, or the folder of that name: where `a`
/// and `a/b` both exist, engines that keep folders go on behind `a` at `a/`. Some engines do not encode this one element,
/// so that both readings are tried.
fn next_marker(keys: &KeyReader<'_>, marker: Option<&str>, page: &Page) -> Option<String> {
    let object = page.objects.last().map(|o| o.key.as_str());
    let prefix = page.common_prefixes.last().map(String::as_str);
    let listed_last =
        |key: &str| Some(key) == object || key.strip_suffix('/') == object || Some(key) == prefix;
    let marker = marker.unwrap_or("");
    let readings = [
        keys.key(marker).ok(),
        keys.place.strip(marker).map(str::to_owned),
    ];
    readings
        .into_iter()
        .flatten()
        .find(|key| listed_last(key))
        .or_else(|| object.max(prefix).map(str::to_owned))
}

pub fn common_prefixes(keys: &KeyReader<'_>, answer: &Element) -> Result<Vec<String>, S3Error> {
    answer
        .all("CommonPrefixes")
        .filter_map(|e| e.value("Prefix"))
        .map(|prefix| keys.key(prefix))
        .collect()
}

/// `max-keys` and its like: what is missing or larger is `most`.
pub fn at_most(value: Option<&str>, name: &str, most: u32) -> Result<u32, S3Error> {
    match value {
        None | Some("") => Ok(most),
        Some(text) => match text.parse::<i64>() {
            Ok(n) if n >= 0 => Ok(u32::try_from(n).unwrap_or(most).min(most)),
            _ => Err(S3Error::with(
                Code::InvalidArgument,
                format!("Provided {name} not an integer or within integer range"),
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::tests::{document, settings};

    fn read(prefix: &str, xml: &str) -> Result<Page, Code> {
        let settings = settings(1);
        let mut document = document(1, 1, vec![]);
        document.buckets[0].placement.prefix = prefix.into();
        let place = Place {
            bucket: &document.buckets[0],
            engine: &settings.engines[0],
        };
        read_objects(place, xml.as_bytes()).map_err(|error| error.code)
    }

    #[test]
    fn keys_come_back_without_the_place() {
        let page = read(
            "t/1/2/",
            "<L><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
             <Contents><Key>t/1/2/a+b%2B</Key><Size>3</Size></Contents>\
             <CommonPrefixes><Prefix>t/1/2/d/</Prefix></CommonPrefixes></L>",
        )
        .unwrap();
        assert_eq!(page.objects[0].key, "a b+");
        assert_eq!(page.common_prefixes, ["d/"]);
        assert_eq!(page.next_marker.as_deref(), Some("d/"));
    }

    #[test]
    fn a_marker_is_read_as_what_was_listed() {
        let next = |key: &str, marker: &str| {
            let xml = format!(
                "<L><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
                 <Contents><Key>{key}</Key></Contents><NextMarker>{marker}</NextMarker></L>"
            );
            read("p/", &xml).unwrap().next_marker
        };
        assert_eq!(
            next("p/per%25cent", "p/per%25cent").as_deref(),
            Some("per%cent")
        );
        assert_eq!(
            next("p/per%25cent", "p/per%cent").as_deref(),
            Some("per%cent")
        );
        assert_eq!(next("p/a", "p/a/").as_deref(), Some("a/"));
        assert_eq!(
            next("p/a+b</Key></Contents><Contents><Key>p/a%2Bb", "p/a+b").as_deref(),
            Some("a+b")
        );
        assert_eq!(next("p/a", "p/a/b").as_deref(), Some("a"));
        assert_eq!(next("p/a", "p/b").as_deref(), Some("a"));
        assert_eq!(next("p/a", "elsewhere").as_deref(), Some("a"));
        assert_eq!(next("p/a", "").as_deref(), Some("a"));
    }

    #[test]
    fn what_cannot_be_encoded_is_taken_as_it_is() {
        let prefixes = |prefix: &str| {
            let xml = format!(
                "<L><EncodingType>url</EncodingType>\
                 <CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes></L>"
            );
            read("t/1/2/", &xml).map(|page| page.common_prefixes)
        };
        for (prefix, expected) in [
            ("t/1/2/b%", "b%"),
            ("t/1/2/b%2", "b%2"),
            ("t/1/2/b%zz+c", "b%zz+c"),
            ("t/1/2/b%é", "b%é"),
            ("t/1/2/b%25", "b%"),
            ("t/1/2/b+%2B", "b +"),
        ] {
            assert_eq!(prefixes(prefix).unwrap(), [expected], "{prefix}");
        }
        // It may have been encoded, and comes to nothing that S3 takes for a key.
        assert_eq!(prefixes("t/1/2/b%FF"), Err(Code::InternalError));
        assert_eq!(prefixes("t/1/3/b%"), Err(Code::InternalError));
    }

    #[test]
    fn an_engine_that_lists_other_places_is_not_believed() {
        assert_eq!(
            read("t/1/2/", "<L><Contents><Key>t/1/3/x</Key></Contents></L>").unwrap_err(),
            Code::InternalError
        );
        let prefixes = "<L><CommonPrefixes><Prefix>t/1/</Prefix></CommonPrefixes></L>";
        assert_eq!(read("t/1/2/", prefixes).unwrap_err(), Code::InternalError);
        assert!(read("", prefixes).is_ok());
    }

    #[test]
    fn what_is_said_of_an_object_is_read_wherever_it_stands() {
        let page = read(
            "p/",
            "<?xml version=\"1.0\"?><L xmlns=\"urn:x\"><Prefix>p/</Prefix><Key>no</Key><Contents><Owner><ID>no</ID></Owner>\
             <ETag>&quot;e&quot;</ETag><Size>3</Size><Key>p/%26a+&amp;</Key><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>\
             <LastModified>then</LastModified></Contents><Contents><Key>p/b</Key></Contents>\
             <NextContinuationToken>t</NextContinuationToken><EncodingType>url</EncodingType></L>",
        )
        .unwrap();
        let [a, b] = page.objects.as_slice() else {
            panic!("{:?}", page.objects);
        };
        assert_eq!((a.key.as_str(), a.etag.as_str()), ("&a &", "\"e\""));
        assert_eq!((a.size.as_str(), a.last_modified.as_str()), ("3", "then"));
        assert_eq!(a.checksum_algorithms, ["SHA1"]);
        assert_eq!((b.key.as_str(), b.etag.as_str()), ("b", ""));
        assert!(b.checksum_algorithms.is_empty());
        assert_eq!(page.next_token, None, "the page is the last");
    }

    #[test]
    fn an_error_instead_of_a_listing_is_an_error() {
        let error = |code: &str| read("", &format!("<Error><Code>{code}</Code></Error>"));
        assert_eq!(error("NoSuchVersion").unwrap_err(), Code::NoSuchVersion);
        assert_eq!(error("NoSuchBucket").unwrap_err(), Code::InternalError);
        assert_eq!(read("", "<L><Contents>").unwrap_err(), Code::InternalError);
        assert!(read("", "<L><Code>NoSuchVersion</Code></L>").is_ok());
    }

    #[test]
    fn counts_are_bounded() {
        assert_eq!(at_most(None, "max-keys", 1000).unwrap(), 1000);
        assert_eq!(at_most(Some("5000000000"), "max-keys", 1000).unwrap(), 1000);
        assert_eq!(at_most(Some("7"), "max-keys", 1000).unwrap(), 7);
        assert!(at_most(Some("-1"), "max-keys", 1000).is_err());
        assert!(at_most(Some("x"), "max-keys", 1000).is_err());
    }
}
