//! Documents that an engine keeps about a bucket or an object: versioning, tags, lifecycle, lock, encryption. They are
//! read here and written anew, so that nothing passes whose meaning is not known.

use http::{Method, Response, StatusCode};
use wire::EngineCapabilities;

use super::features::{cannot, needs_own_bucket};
use super::{Answer, Call, empty, xml};
use crate::error::{Code, S3Error};
use crate::operation::Operation;
use crate::upstream::{Denial, EngineRequest};
use crate::xml::{Element, XmlWriter, parse};

/// A lifecycle configuration of 1,000 rules is the largest.
const MAX_DOCUMENT: u64 = 1024 * 1024;

pub struct Subresource {
    query: &'static str,
    root: &'static str,
    /// Every element that may stand below the root.
    elements: &'static [&'static str],
    able: fn(&EngineCapabilities) -> bool,
    /// What the engine lacks, if it lacks it.
    name: &'static str,
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html>
const VERSIONING: Subresource = Subresource {
    query: "versioning",
    root: "VersioningConfiguration",
    elements: &["Status"],
    able: |engine| engine.versioning,
    name: "versioning",
};

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html>
const BUCKET_TAGGING: Subresource = Subresource {
    query: "tagging",
    root: "Tagging",
    elements: &["TagSet", "Tag", "Key", "Value"],
    able: |engine| engine.bucket_tagging,
    name: "bucket tags",
};

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html>
const OBJECT_TAGGING: Subresource = Subresource {
    able: |engine| engine.object_tagging,
    name: "object tags",
    ..BUCKET_TAGGING
};

/// Without transitions: there is one storage class.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html>
const LIFECYCLE: Subresource = Subresource {
    query: "lifecycle",
    root: "LifecycleConfiguration",
    elements: &[
        "AbortIncompleteMultipartUpload",
        "And",
        "Date",
        "Days",
        "DaysAfterInitiation",
        "Expiration",
        "ExpiredObjectDeleteMarker",
        "Filter",
        "ID",
        "Key",
        "NewerNoncurrentVersions",
        "NoncurrentDays",
        "NoncurrentVersionExpiration",
        "ObjectSizeGreaterThan",
        "ObjectSizeLessThan",
        "Prefix",
        "Rule",
        "Status",
        "Tag",
        "Value",
    ],
    able: |engine| engine.lifecycle,
    name: "lifecycle rules",
};

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html>
const LOCK_CONFIGURATION: Subresource = Subresource {
    query: "object-lock",
    root: "ObjectLockConfiguration",
    elements: &[
        "Days",
        "DefaultRetention",
        "Mode",
        "ObjectLockEnabled",
        "Rule",
        "Years",
    ],
    able: |engine| engine.object_lock,
    name: "object lock",
};

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html>
const RETENTION: Subresource = Subresource {
    query: "retention",
    root: "Retention",
    elements: &["Mode", "RetainUntilDate"],
    ..LOCK_CONFIGURATION
};

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html>
const LEGAL_HOLD: Subresource = Subresource {
    query: "legal-hold",
    root: "LegalHold",
    elements: &["Status"],
    ..LOCK_CONFIGURATION
};

/// Without keys of a key service.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html>
const ENCRYPTION: Subresource = Subresource {
    query: "encryption",
    root: "ServerSideEncryptionConfiguration",
    elements: &[
        "ApplyServerSideEncryptionByDefault",
        "BucketKeyEnabled",
        "Rule",
        "SSEAlgorithm",
    ],
    able: |engine| engine.bucket_encryption,
    name: "bucket encryption",
};

pub fn subresource(operation: Operation) -> Result<Subresource, S3Error> {
    use Operation::*;
    Ok(match operation {
        GetBucketVersioning | PutBucketVersioning => VERSIONING,
        GetBucketTagging | PutBucketTagging | DeleteBucketTagging => BUCKET_TAGGING,
        GetObjectTagging | PutObjectTagging | DeleteObjectTagging => OBJECT_TAGGING,
        GetBucketLifecycleConfiguration
        | PutBucketLifecycleConfiguration
        | DeleteBucketLifecycle => LIFECYCLE,
        GetObjectLockConfiguration | PutObjectLockConfiguration => LOCK_CONFIGURATION,
        GetObjectRetention | PutObjectRetention => RETENTION,
        GetObjectLegalHold | PutObjectLegalHold => LEGAL_HOLD,
        GetBucketEncryption | PutBucketEncryption | DeleteBucketEncryption => ENCRYPTION,
        _ => return Err(Code::InternalError.into()),
    })
}

pub async fn get(call: Box<Call>) -> Answer {
    let subresource = subresource(call.operation)?;
    if let Some(answer) = never_configured(&call)? {
        return Ok(answer);
    }
    let request = request(&call, &subresource, Method::GET)?;
    let (headers, answer) = call
        .ask(request)
        .await
        .map_err(|error| explain(&call, error))?;
    // Engines name the root as they like; one that did not understand the question lists the bucket.
    if answer.name.starts_with("List") {
        return Err(Code::InternalError.into());
    }
    let mut out = XmlWriter::s3(subresource.root);
    write(&mut out, &answer, subresource.elements);
    out.close(subresource.root);
    let mut response = xml(out.finish());
    if call.request.key.is_some() {
        call.answer_version(call.place()?, &headers, response.headers_mut())?;
    }
    Ok(response)
}

pub async fn put(mut call: Box<Call>) -> Answer {
    let subresource = subresource(call.operation)?;
    request(&call, &subresource, Method::PUT)?;
    let document = call.document(MAX_DOCUMENT).await?;
    let document = rewrite(&document, &subresource)?;
    let mut request = request(&call, &subresource, Method::PUT)?.document(document)?;
    pass_bypass(&call, &mut request)?;
    call.standing()?.check()?;
    let answer = call
        .send(request)
        .await
        .map_err(|error| explain(&call, error))?;
    let mut response = empty(StatusCode::OK);
    version(&call, answer.headers(), &mut response)?;
    Ok(response)
}

/// The client's document as it goes on.
pub fn rewrite(document: &[u8], subresource: &Subresource) -> Result<String, S3Error> {
    let root = parse(document).map_err(|_| Code::MalformedXML)?;
    if root.name != subresource.root {
        return Err(Code::MalformedXML.into());
    }
    check(&root, subresource)?;
    let mut out = XmlWriter::s3(subresource.root);
    write(&mut out, &root, subresource.elements);
    out.close(subresource.root);
    Ok(out.finish())
}

pub async fn delete(call: Box<Call>) -> Answer {
    let subresource = subresource(call.operation)?;
    let request = request(&call, &subresource, Method::DELETE)?;
    let answer = call
        .send(request)
        .await
        .map_err(|error| explain(&call, error))?;
    let mut response = empty(StatusCode::NO_CONTENT);
    version(&call, answer.headers(), &mut response)?;
    Ok(response)
}

fn version(
    call: &Call,
    from: &http::HeaderMap,
    response: &mut Response<crate::body::Content>,
) -> Result<(), S3Error> {
    if call.request.key.is_some() {
        call.answer_version(call.place()?, from, response.headers_mut())?;
    }
    Ok(())
}

fn explain(call: &Call, error: S3Error) -> S3Error {
    match call.place() {
        Ok(place) if call.request.key.is_some() => call.explain_version(place, error),
        _ => error,
    }
}

/// Whether the question can be answered at once: what an engine cannot do was never switched on.
fn never_configured(call: &Call) -> Result<Option<Response<crate::body::Content>>, S3Error> {
    use Operation::*;
    let place = call.place()?;
    let able = place.engine.capabilities;
    let own = place.is_dedicated();
    match call.operation {
        GetBucketVersioning if !(own && able.versioning) => {
            let mut out = XmlWriter::document();
            out.namespaced_text(VERSIONING.root, "");
            Ok(Some(xml(out.finish())))
        }
        GetBucketTagging if !(own && able.bucket_tagging) => Err(Code::NoSuchTagSet.into()),
        GetBucketLifecycleConfiguration if !(own && able.lifecycle) => {
            Err(Code::NoSuchLifecycleConfiguration.into())
        }
        GetBucketEncryption if !(own && able.bucket_encryption) => {
            Err(Code::ServerSideEncryptionConfigurationNotFoundError.into())
        }
        GetObjectLockConfiguration if !(own && able.object_lock) => {
            Err(Code::ObjectLockConfigurationNotFoundError.into())
        }
        GetObjectRetention | GetObjectLegalHold if !(own && able.object_lock) => {
            Err(S3Error::with(
                Code::InvalidRequest,
                "Bucket is missing Object Lock Configuration",
            ))
        }
        _ => Ok(None),
    }
}

fn request<'a>(
    call: &'a Call,
    subresource: &Subresource,
    method: Method,
) -> Result<EngineRequest<'a>, S3Error> {
    let place = call.place()?;
    if subresource.query != OBJECT_TAGGING.query || call.request.key.is_none() {
        needs_own_bucket(place)?;
    }
    if !(subresource.able)(&place.engine.capabilities) {
        return Err(cannot(subresource.name));
    }
    let mut request = EngineRequest::new(place.engine, method, place.engine_bucket())
        .query(subresource.query, "");
    if [RETENTION.query, LEGAL_HOLD.query].contains(&subresource.query) {
        request.denial = Denial::Locked;
    }
    match &call.request.key {
        None => Ok(request),
        Some(key) => call.pass_version(place, request.key(place.key(key)?)),
    }
}

/// Whoever may do everything may shorten a retention in GOVERNANCE mode.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-managing-bypass>
pub fn pass_bypass(call: &Call, request: &mut EngineRequest<'_>) -> Result<(), S3Error> {
    const BYPASS: &str = "x-amz-bypass-governance-retention";
    let asked = call
        .request
        .header(BYPASS)?
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !asked {
        return Ok(());
    }
    let key = call.identity.access_key().ok_or(Code::AccessDenied)?;
    crate::gate::authorise_bypass(key)?;
    request.headers.set(BYPASS, "true")
}

/// Refuses elements that are not known, and values that would promise what is not kept.
fn check(element: &Element, subresource: &Subresource) -> Result<(), S3Error> {
    for child in &element.children {
        if !subresource.elements.contains(&child.name.as_str()) {
            if child.name == "MfaDelete" && child.text.trim() == "Disabled" {
                continue;
            }
            let known_to_s3 = ["Transition", "NoncurrentVersionTransition", "MfaDelete"];
            return Err(if known_to_s3.contains(&child.name.as_str()) {
                S3Error::with(
                    Code::NotImplemented,
                    format!("{} is not implemented.", child.name),
                )
            } else {
                Code::MalformedXML.into()
            });
        }
        if child.name == "SSEAlgorithm" && child.text.trim() != "AES256" {
            return Err(S3Error::with(
                Code::NotImplemented,
                "Of the encryption algorithms, AES256 is implemented.",
            ));
        }
        check(child, subresource)?;
    }
    Ok(())
}

fn write(out: &mut XmlWriter, element: &Element, known: &[&str]) {
    for child in &element.children {
        if !known.contains(&child.name.as_str()) {
            continue;
        }
        if child.children.is_empty() {
            out.text(&child.name, &child.text);
        } else {
            out.open(&child.name);
            write(out, child, known);
            out.close(&child.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(document: &str, subresource: &Subresource) -> Option<Code> {
        check(&parse(document.as_bytes()).unwrap(), subresource)
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn only_what_is_known_passes() {
        let tags =
            "<Tagging><TagSet><Tag><Key>a</Key><Value>&lt;b</Value></Tag></TagSet></Tagging>";
        assert_eq!(checked(tags, &BUCKET_TAGGING), None);
        let mut out = XmlWriter::s3("Tagging");
        write(
            &mut out,
            &parse(tags.as_bytes()).unwrap(),
            BUCKET_TAGGING.elements,
        );
        out.close("Tagging");
        assert!(
            out.finish().ends_with(
                "<TagSet><Tag><Key>a</Key><Value>&lt;b</Value></Tag></TagSet></Tagging>"
            )
        );
        for (document, subresource, code) in [
            (
                "<Tagging><Evil/></Tagging>",
                &BUCKET_TAGGING,
                Code::MalformedXML,
            ),
            (
                "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>",
                &VERSIONING,
                Code::NotImplemented,
            ),
            (
                "<LifecycleConfiguration><Rule><Transition/></Rule></LifecycleConfiguration>",
                &LIFECYCLE,
                Code::NotImplemented,
            ),
            (
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
                &ENCRYPTION,
                Code::NotImplemented,
            ),
        ] {
            assert_eq!(checked(document, subresource), Some(code), "{document}");
        }
        let without_mfa = "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>";
        assert_eq!(checked(without_mfa, &VERSIONING), None);
        let aes = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
        assert_eq!(checked(aes, &ENCRYPTION), None);
    }
}
