//! CopyObject and UploadPartCopy. The source is a read, authorised as one, in the same tenant.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use http::{HeaderMap, HeaderValue, Method};

use super::create_multipart_upload::keeps_checksum;
use super::get_object::part_number;
use super::quota::{self, Wanted};
use super::versions::{SOURCE_VERSION_ID, version};
use super::{Answer, Call, xml};
use crate::copy_source;
use crate::error::{Code, S3Error};
use crate::gate::authorise_copy_source;
use crate::headers::{SSE, SSE_C, SSE_C_SOURCE, answer_about_encryption};
use crate::integrity::Algorithm;
use crate::journal::Change;
use crate::operation::Effect;
use crate::place::Place;
use crate::upstream::EngineRequest;
use crate::usage::look::{self, Look, same};
use crate::xml::{Element, XmlWriter};

const SOURCE_CONDITIONS: &[&str] = &[
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
];

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let key = call.key()?;
    let source = source(&call, place)?;
    let directive = call
        .request
        .header("x-amz-metadata-directive")?
        .unwrap_or("COPY");
    if !["COPY", "REPLACE"].contains(&directive) {
        return Err(S3Error::with(
            Code::InvalidArgument,
            "Unknown metadata directive.",
        ));
    }
    let mut request =
        EngineRequest::new(place.engine, Method::PUT, place.engine_bucket()).key(place.key(key)?);
    if source.path == engine_path(place, key)? && directive == "COPY" && !changes_storage(&call) {
        return Err(S3Error::with(
            Code::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    request.headers.set("x-amz-copy-source", &source.path)?;
    request.headers.set("x-amz-metadata-directive", directive)?;
    request.headers.pass(&call.request, SOURCE_CONDITIONS);
    request
        .headers
        .pass(&call.request, &["x-amz-tagging-directive"]);
    call.pass_conditions(&mut request)?;
    call.pass_demands(&mut request)?;
    call.pass_source_key(&mut request)?;
    if keeps_checksum(&call, place.engine.capabilities)? {
        request
            .headers
            .pass(&call.request, &["x-amz-checksum-algorithm"]);
    }
    if directive == "REPLACE" {
        request.headers.pass_object(&call.request)?;
    }
    let (headers, answer) = copy(&call, place, &source, request).await?;
    call.standing()?.check()?;
    let mut response = xml(result("CopyObjectResult", &answer));
    let to = response.headers_mut();
    answer_about_encryption(&headers, to);
    call.answer_version(place, &headers, to)?;
    source.answer_version(&call, &headers, to)?;
    Ok(response)
}

/// Copies, and says what that changed: the source tells how much is stored.
async fn copy(
    call: &Call,
    place: Place<'_>,
    source: &Source<'_>,
    mut request: EngineRequest<'_>,
) -> Result<(HeaderMap, Element), S3Error> {
    let engine_key = place.key(call.key()?)?;
    let (from, before) = tokio::join!(source.look(call), call.look(place, &engine_key, None));
    let bytes = source.promised(call, &from, &mut request).await?;
    call.reserve(Wanted {
        bytes,
        objects: 1,
        upload: 0,
    })
    .await?;
    call.changes.asked(Change::Stored { bytes }, None);
    let asked = call.ask(request).await;
    let (headers, answer) = asked.inspect_err(|error| call.changes.failed(error))?;
    let mut stored = bytes;
    // The source may have become another one in between.
    if !matches!(&from, Look::Found(found) if same(&found.etag, answer.value("ETag").unwrap_or_default()))
    {
        let after = call.look(place, &engine_key, version(&headers)).await;
        stored = stored.max(after.bytes().unwrap_or(0));
    }
    let replaced = before.replaced(version(&headers));
    let stored = Change::Stored { bytes: stored };
    call.changes.done(std::iter::once(stored).chain(replaced));
    Ok((headers, answer))
}

/// Copying an object onto itself means something if it is stored otherwise afterwards.
fn changes_storage(call: &Call) -> bool {
    SSE_C
        .iter()
        .chain(&[SSE])
        .any(|name| call.request.headers.contains_key(*name))
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
pub async fn part(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let number = part_number(call.request.query.single("partNumber")?.unwrap_or(""))?;
    let (engine_key, upload_id) = (place.key(call.key()?)?, call.upload_id(place)?);
    let upload = look::upload(place, &engine_key, &upload_id);
    let mut request = EngineRequest::new(place.engine, Method::PUT, place.engine_bucket())
        .key(engine_key)
        .query("partNumber", number.to_string())
        .query("uploadId", upload_id);
    let source = source(&call, place)?;
    request.headers.set("x-amz-copy-source", &source.path)?;
    request.headers.pass(&call.request, SOURCE_CONDITIONS);
    call.pass_customer_key(&mut request)?;
    call.pass_source_key(&mut request)?;
    let bytes = match call.request.header("x-amz-copy-source-range")? {
        Some(range) => {
            let length = length_of_range(range).ok_or_else(|| {
                S3Error::with(
                    Code::InvalidArgument,
                    "The x-amz-copy-source-range value must be of the form bytes=first-last",
                )
            })?;
            request.headers.set("x-amz-copy-source-range", range)?;
            length
        }
        None => {
            let from = source.look(&call).await;
            source.promised(&call, &from, &mut request).await?
        }
    };
    call.reserve(Wanted {
        bytes,
        objects: 0,
        upload,
    })
    .await?;
    let change = Change::Part { upload, bytes };
    call.changes.asked(change, None);
    let asked = call.ask(request).await;
    let (headers, answer) = asked.inspect_err(|error| call.changes.failed(error))?;
    call.changes.done([change]);
    call.standing()?.check()?;
    let mut response = xml(result("CopyPartResult", &answer));
    let to = response.headers_mut();
    answer_about_encryption(&headers, to);
    source.answer_version(&call, &headers, to)?;
    Ok(response)
}

struct Source<'a> {
    place: Place<'a>,
    key: String,
    /// As the client named it.
    version_id: Option<String>,
    /// The same in the engine's terms.
    engine_version: Option<String>,
    /// As the engine reads it in `x-amz-copy-source`.
    path: String,
}

/// The source in the engine's terms, once it is sure that the key may read it.
fn source<'a>(call: &'a Call, target: Place<'_>) -> Result<Source<'a>, S3Error> {
    let source = copy_source::parse(call.request.header("x-amz-copy-source")?.unwrap_or(""))?;
    let key = call.identity.access_key().ok_or(Code::AccessDenied)?;
    authorise_copy_source(key, &source.bucket, &source.key)?;
    let place = call.place_of(&source.bucket, Effect::Read)?;
    if place.engine.id != target.engine.id {
        return Err(S3Error::with(
            Code::NotImplemented,
            "Copying between storage engines is not implemented.",
        ));
    }
    let mut path = engine_path(place, &source.key)?;
    let engine_version = match &source.version_id {
        Some(id) => Some(call.open_version(place, &source.key, id)?),
        None => None,
    };
    if let Some(id) = &engine_version {
        path.push_str("?versionId=");
        path.push_str(&sigv4::uri_encode(id.as_bytes(), true));
    }
    Ok(Source {
        place,
        key: source.key,
        version_id: source.version_id,
        engine_version,
        path,
    })
}

impl Source<'_> {
    /// How much will be copied. Where the tenant has a quota it must be known, and the copy is pinned to it.
    async fn promised(
        &self,
        call: &Call,
        from: &Look,
        request: &mut EngineRequest<'_>,
    ) -> Result<u64, S3Error> {
        if !call.is_limited() {
            return Ok(from.bytes().unwrap_or(0));
        }
        let source = match from {
            Look::Found(found) => quota::Source {
                bytes: found.bytes,
                etag: found.etag.clone(),
            },
            // The engine's own word on it is the copy's answer.
            _ => {
                let version = self.engine_version.as_deref();
                call.source_of_copy(self.place, &self.key, version).await?
            }
        };
        call.pin(request, &source)?;
        Ok(source.bytes)
    }

    async fn look(&self, call: &Call) -> Look {
        let Ok(engine_key) = self.place.key(&self.key) else {
            return Look::Unknown;
        };
        let version = self.engine_version.as_deref();
        call.look_with(self.place, &engine_key, version, SSE_C_SOURCE)
            .await
    }

    /// Which version was copied: the engine's word, or else the one that was asked for.
    fn answer_version(
        &self,
        call: &Call,
        from: &HeaderMap,
        to: &mut HeaderMap,
    ) -> Result<(), S3Error> {
        if let Some(id) = &self.version_id {
            let value = HeaderValue::from_str(id).map_err(|_| Code::InvalidArgument)?;
            to.insert(SOURCE_VERSION_ID, value);
        }
        call.answer_source_version(self.place, &self.key, from, to)
    }
}

fn engine_path(place: Place<'_>, key: &str) -> Result<String, S3Error> {
    let key = place.key(key)?;
    Ok(format!(
        "/{}/{}",
        place.engine_bucket(),
        sigv4::uri_encode(key.as_bytes(), false)
    ))
}

/// Of `bytes=first-last`; where the last is before the first the engine says so.
fn length_of_range(text: &str) -> Option<u64> {
    let number = |s: &str| {
        let digits = !s.is_empty() && s.len() <= 19 && s.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| s.parse::<u64>().ok()).flatten()
    };
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    Some((last + 1).saturating_sub(first))
}

fn result(name: &str, answer: &Element) -> String {
    let mut out = XmlWriter::s3(name);
    out.text("LastModified", answer.value("LastModified").unwrap_or(""));
    let etag = answer.value("ETag").unwrap_or("");
    // Some engines leave out the quotation marks that S3 and its clients expect.
    let quoted = if etag.starts_with('"') {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    };
    out.text("ETag", &quoted);
    for algorithm in Algorithm::ALL {
        out.copy(answer, algorithm.element());
    }
    out.copy(answer, "ChecksumType");
    out.close(name);
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_two_numbers() {
        assert_eq!(length_of_range("bytes=0-9"), Some(10));
        assert_eq!(length_of_range("bytes=9-0"), Some(0));
        for text in [
            "0-9",
            "bytes=-9",
            "bytes=0-",
            "bytes=a-b",
            "bytes=0-9,10-12",
            "bytes=0-9\r\nx: y",
        ] {
            assert_eq!(length_of_range(text), None, "{text}");
        }
    }
}
