//! CompleteMultipartUpload: the list of parts is read and written anew for the engine.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use http::Method;
use wire::EngineCapabilities;

use super::get_object::part_number;
use super::quota::Wanted;
use super::versions::version;
use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::headers::answer_about_encryption;
use crate::integrity::Algorithm;
use crate::journal::Change;
use crate::upstream::EngineRequest;
use crate::usage::look::{self, Look, same};
use crate::xml::{XmlWriter, parse};

const MAX_PARTS: usize = 10_000;
/// 10,000 parts with every element that one can have.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    number: u32,
    etag: String,
    checksums: Vec<(Algorithm, String)>,
}

pub async fn perform(mut call: Box<Call>) -> Answer {
    // The checksum headers of this request are about the object, not about the document.
    let described: Vec<_> = call
        .request
        .headers
        .iter()
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    for algorithm in Algorithm::ALL {
        call.request.headers.remove(algorithm.header());
    }
    // Nothing of the document is read for an upload that is not there.
    call.upload_id(call.place()?)?;
    let parts = read(&call.document(MAX_DOCUMENT).await?)?;
    let place = call.place()?;
    let key = call.key()?;
    let able = place.engine.capabilities;
    let (engine_key, upload_id) = (place.key(key)?, call.upload_id(place)?);
    let upload = look::upload(place, &engine_key, &upload_id);
    let mut request = EngineRequest::new(place.engine, Method::POST, place.engine_bucket())
        .key(engine_key.clone())
        .query("uploadId", upload_id)
        .document(write(&parts, able))?;
    call.pass_conditions(&mut request)?;
    call.pass_customer_key(&mut request)?;
    let described = described
        .into_iter()
        .filter_map(|(name, value)| Some((Algorithm::from_header(name.as_str())?, name, value)));
    let (kept, lost): (Vec<_>, Vec<_>) =
        described.partition(|(algorithm, ..)| algorithm.is_kept_by(able));
    let mut of_parts = parts.iter().flat_map(|part| &part.checksums);
    let loses = !lost.is_empty() || of_parts.any(|(known, _)| !known.is_kept_by(able));
    if able.checksums {
        request
            .headers
            .pass(&call.request, &["x-amz-mp-object-size"]);
        // Of an upload whose algorithm the engine was not told of it cannot know the type either.
        if !loses {
            request
                .headers
                .pass(&call.request, &["x-amz-checksum-type"]);
        }
    }
    let kept = kept.into_iter().map(|(_, name, value)| (name, value));
    request.headers.0.extend(kept);
    // Its bytes are its parts'.
    call.reserve(Wanted {
        bytes: 0,
        objects: 1,
        upload,
    })
    .await?;
    let before = call.look(place, &engine_key, None).await;
    let bytes = None;
    call.changes
        .asked(Change::Completed { upload, bytes }, None);
    let asked = call.ask(request).await;
    let (headers, answer) = asked.inspect_err(|error| call.changes.failed(error))?;
    let etag = answer.value("ETag").unwrap_or_default();
    let bytes = size(call.look(place, &engine_key, version(&headers)).await, etag);
    // Asked again, some engines answer again: what is there then is what was made at first.
    let replaced = before.unless(etag).replaced(version(&headers));
    let completed = Change::Completed { upload, bytes };
    call.changes
        .done(std::iter::once(completed).chain(replaced));
    call.standing()?.check()?;

    let mut out = XmlWriter::s3("CompleteMultipartUploadResult");
    let path = sigv4::uri_encode(call.request.path.as_bytes(), false);
    out.text("Location", &call.request.address(&path));
    out.text("Bucket", call.bucket_name()?);
    out.text("Key", key);
    out.text("ETag", answer.value("ETag").unwrap_or(""));
    for algorithm in Algorithm::ALL {
        out.copy(&answer, algorithm.element());
    }
    out.copy(&answer, "ChecksumType");
    out.close("CompleteMultipartUploadResult");
    let mut response = xml(out.finish());
    answer_about_encryption(&headers, response.headers_mut());
    call.answer_version(place, &headers, response.headers_mut())?;
    Ok(response)
}

/// How large the new object is, if it is still the one that was found.
fn size(after: Look, etag: &str) -> Option<u64> {
    match after {
        Look::Found(found) if same(&found.etag, etag) => Some(found.bytes),
        _ => None,
    }
}

pub fn read(document: &[u8]) -> Result<Vec<Part>, S3Error> {
    let root = parse(document).map_err(|_| Code::MalformedXML)?;
    if root.name != "CompleteMultipartUpload" {
        return Err(Code::MalformedXML.into());
    }
    let mut parts: Vec<Part> = Vec::new();
    for part in root.all("Part") {
        let number = part_number(part.value("PartNumber").unwrap_or("").trim())
            .map_err(|_| Code::InvalidPart)?;
        let etag = part
            .value("ETag")
            .filter(|etag| !etag.is_empty())
            .ok_or(Code::MalformedXML)?
            .to_owned();
        // One that was sent twice may be named twice: the engine says which of them counts.
        if parts.last().is_some_and(|last| last.number > number) {
            return Err(Code::InvalidPartOrder.into());
        }
        let checksums = Algorithm::ALL
            .into_iter()
            .filter_map(|algorithm| Some((algorithm, part.value(algorithm.element())?.to_owned())))
            .collect();
        parts.push(Part {
            number,
            etag,
            checksums,
        });
    }
    if parts.is_empty() || parts.len() > MAX_PARTS {
        return Err(Code::MalformedXML.into());
    }
    Ok(parts)
}

pub fn write(parts: &[Part], able: EngineCapabilities) -> String {
    let mut out = XmlWriter::s3("CompleteMultipartUpload");
    for part in parts {
        out.open("Part");
        out.number("PartNumber", part.number);
        out.text("ETag", &part.etag);
        let kept = |(algorithm, _): &&(Algorithm, String)| algorithm.is_kept_by(able);
        for (algorithm, value) in part.checksums.iter().filter(kept) {
            out.text(algorithm.element(), value);
        }
        out.close("Part");
    }
    out.close("CompleteMultipartUpload");
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(parts: &str) -> Option<Code> {
        read(format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").as_bytes())
            .err()
            .map(|e| e.code)
    }

    #[test]
    fn parts_come_in_order() {
        let part = |n: &str| format!("<Part><PartNumber>{n}</PartNumber><ETag>e</ETag></Part>");
        assert_eq!(code(&[part("1"), part("3")].concat()), None);
        assert_eq!(
            code(&[part("3"), part("1")].concat()),
            Some(Code::InvalidPartOrder)
        );
        assert_eq!(code(&[part("1"), part("1")].concat()), None);
        assert_eq!(code(&part("0")), Some(Code::InvalidPart));
        assert_eq!(code(""), Some(Code::MalformedXML));
        assert_eq!(
            code("<Part><PartNumber>1</PartNumber></Part>"),
            Some(Code::MalformedXML)
        );
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let crc = "<ChecksumCRC32>AAAA</ChecksumCRC32>";
        let xxhash = "<ChecksumXXHASH3>BBBB</ChecksumXXHASH3>";
        let part = "<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag>";
        let xml = format!(
            "<CompleteMultipartUpload>{part}{crc}<Evil>x</Evil>{xxhash}</Part></CompleteMultipartUpload>"
        );
        let parts = read(xml.as_bytes()).unwrap();
        for (checksums, newer_checksums) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let able = EngineCapabilities {
                checksums,
                newer_checksums,
                ..EngineCapabilities::default()
            };
            let kept = [(checksums, crc), (newer_checksums, xxhash)];
            let kept: String = kept
                .iter()
                .filter(|(kept, _)| *kept)
                .map(|(_, e)| *e)
                .collect();
            let expected = format!("{part}{kept}</Part>");
            assert!(write(&parts, able).contains(&expected), "{able:?}");
        }
    }
}
