//! ListMultipartUploads: keys and markers in the tenant's terms, upload ids sealed.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>

use http::Method;

use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::listing::{Encoding, KeyReader, at_most, common_prefixes};
use crate::place::Place;
use crate::seal::Owner;
use crate::upstream::EngineRequest;
use crate::xml::{Element, XmlWriter};

/// Stands before a sealed id whose engine goes on by upload ids alone, and takes a key marker for a filter. No engine's
/// id begins so.
const ID_ALONE: char = '\u{1}';

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let query = &call.request.query;
    let encoding = Encoding::parse(query.single("encoding-type")?)?;
    let most = at_most(query.single("max-uploads")?, "max-uploads", 1000)?;
    let prefix = query.single("prefix")?.unwrap_or("");
    let delimiter = query.single("delimiter")?.unwrap_or("");
    let key_marker = query.single("key-marker")?.unwrap_or("");
    let id_marker = query.single("upload-id-marker")?.unwrap_or("");

    let mut request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
        .query("uploads", "")
        .query("encoding-type", "url")
        .query("max-uploads", most.to_string())
        .query("prefix", place.boundary(prefix));
    if !delimiter.is_empty() {
        request = request.query("delimiter", delimiter);
    }
    for (name, value) in markers(&call, place, key_marker, id_marker)? {
        request = request.query(name, value);
    }
    let reachable = place.may_begin(prefix) && most > 0;
    let answer = match reachable {
        true => call.ask(request).await?.1,
        false => Element::default(),
    };

    let mut out = XmlWriter::s3("ListMultipartUploadsResult");
    out.text("Bucket", call.bucket_name()?);
    out.text("KeyMarker", &encoding.write(key_marker));
    out.text("UploadIdMarker", id_marker);
    out.text("Prefix", &encoding.write(prefix));
    if !delimiter.is_empty() {
        out.text("Delimiter", &encoding.write(delimiter));
    }
    out.number("MaxUploads", most);
    if encoding == Encoding::Url {
        out.text("EncodingType", "url");
    }
    write(&call, place, &answer, encoding, &mut out)?;
    out.close("ListMultipartUploadsResult");
    Ok(xml(out.finish()))
}

/// Where the engine is to go on. An id without a key says nothing.
fn markers(
    call: &Call,
    place: Place<'_>,
    key: &str,
    sealed: &str,
) -> Result<Vec<(&'static str, String)>, S3Error> {
    if key.is_empty() {
        return Ok(vec![]);
    }
    let key_marker = ("key-marker", place.boundary(key));
    if sealed.is_empty() {
        return Ok(vec![key_marker]);
    }
    let id = open(call, place, key, sealed)?;
    Ok(match id.strip_prefix(ID_ALONE) {
        Some(alone) => vec![("upload-id-marker", alone.to_owned())],
        None => vec![key_marker, ("upload-id-marker", id)],
    })
}

fn open(call: &Call, place: Place<'_>, key: &str, sealed: &str) -> Result<String, S3Error> {
    let owner = Owner::Upload {
        bucket_id: &place.bucket.id,
        key,
    };
    let invalid = || S3Error::with(Code::InvalidArgument, "Invalid uploadId marker");
    call.shared.sealer.open(owner, sealed).ok_or_else(invalid)
}

fn write(
    call: &Call,
    place: Place<'_>,
    answer: &Element,
    encoding: Encoding,
    out: &mut XmlWriter,
) -> Result<(), S3Error> {
    let keys = KeyReader::new(place, answer);
    let seal = |key: &str, id: &str| {
        call.seal(
            Owner::Upload {
                bucket_id: &place.bucket.id,
                key,
            },
            id,
        )
    };
    let truncated = answer.value("IsTruncated") == Some("true");
    out.text("IsTruncated", if truncated { "true" } else { "false" });
    if truncated && let Some((key, id)) = next_markers(&keys, answer)? {
        out.text("NextKeyMarker", &encoding.write(&key));
        if let Some(id) = id {
            out.text("NextUploadIdMarker", &seal(&key, &id)?);
        }
    }
    for upload in answer.all("Upload") {
        let key = keys.key(upload.value("Key").unwrap_or(""))?;
        out.open("Upload");
        out.text("Key", &encoding.write(&key));
        out.text(
            "UploadId",
            &seal(&key, upload.value("UploadId").unwrap_or(""))?,
        );
        for role in ["Initiator", "Owner"] {
            out.open(role);
            out.text("ID", call.identity.tenant.id());
            out.text("DisplayName", call.identity.tenant.id());
            out.close(role);
        }
        out.text("StorageClass", "STANDARD");
        out.text("Initiated", upload.value("Initiated").unwrap_or(""));
        for name in ["ChecksumAlgorithm", "ChecksumType"] {
            out.copy(upload, name);
        }
        out.close("Upload");
    }
    for prefix in common_prefixes(&keys, answer)? {
        out.open("CommonPrefixes");
        out.text("Prefix", &encoding.write(&prefix));
        out.close("CommonPrefixes");
    }
    Ok(())
}

/// Key and unsealed upload id behind which the next page begins.
fn next_markers(
    keys: &KeyReader<'_>,
    answer: &Element,
) -> Result<Option<(String, Option<String>)>, S3Error> {
    let said = |name: &str| answer.value(name).filter(|text| !text.is_empty());
    let last = answer
        .all("Upload")
        .last()
        .and_then(|upload| upload.value("Key"));
    let last = last.map(|key| keys.key(key)).transpose()?;
    let id = said("NextUploadIdMarker").map(str::to_owned);
    Ok(match (said("NextKeyMarker"), last) {
        // Some engines do not encode this one element: then it is read as it is.
        (Some(marker), Some(key)) if keys.place.strip(marker) == Some(key.as_str()) => {
            Some((key, id))
        }
        (Some(marker), _) => Some((keys.key(marker)?, id)),
        (None, Some(key)) => id.map(|id| (key, Some(format!("{ID_ALONE}{id}")))),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::tests::{document, settings};
    use crate::xml::parse;

    fn next(elements: &str) -> Option<(String, Option<String>)> {
        let settings = settings(1);
        let mut document = document(1, 1, vec![]);
        document.buckets[0].placement.prefix = "p/".into();
        let place = Place {
            bucket: &document.buckets[0],
            engine: &settings.engines[0],
        };
        let xml = format!("<R>{elements}<Upload><Key>p/a+b</Key></Upload></R>");
        let answer = parse(xml.as_bytes()).unwrap();
        next_markers(&KeyReader::new(place, &answer), &answer).unwrap()
    }

    #[test]
    fn the_next_page_begins_where_the_engine_says() {
        let some = |key: &str, id: Option<&str>| Some((key.to_owned(), id.map(str::to_owned)));
        let url = "<EncodingType>url</EncodingType>";
        let both =
            "<NextKeyMarker>p/a%2Bb</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>";
        assert_eq!(next(&format!("{url}{both}")), some("a+b", Some("1")));
        let key = "<NextKeyMarker>p/a+b</NextKeyMarker>";
        assert_eq!(next(key), some("a+b", None));
        let id = "<NextKeyMarker/><NextUploadIdMarker>1</NextUploadIdMarker>";
        assert_eq!(next(id), some("a+b", Some("\u{1}1")));
        assert_eq!(next(""), None);
    }
}
