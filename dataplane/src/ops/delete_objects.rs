//! DeleteObjects: each key of the batch is decided and answered on its own.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use md5::{Digest, Md5};
use sha2::Sha256;

use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::gate::check_key_scope;
use crate::listing::KeyReader;
use crate::place::Place;
use crate::upstream::{EngineBody, EngineRequest};
use crate::xml::{Element, XmlWriter, parse};

const MAX_KEYS: usize = 1000;
/// 1,000 keys of 1,024 characters, each escaped to the longest.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

struct Batch {
    quiet: bool,
    keys: Vec<String>,
}

/// What became of one key.
enum Fate {
    Deleted(String),
    Failed(String, S3Error),
}

impl Fate {
    fn key(&self) -> &str {
        match self {
            Fate::Deleted(key) | Fate::Failed(key, _) => key,
        }
    }
}

pub async fn perform(mut call: Call) -> Answer {
    call.place()?;
    let document = call.document(MAX_DOCUMENT).await?;
    let batch = read(&document)?;
    let place = call.place()?;
    let scope = &call.identity.access_key().ok_or(Code::AccessDenied)?.scope;
    let mut fates = Vec::with_capacity(batch.keys.len());
    let mut allowed = Vec::new();
    for key in batch.keys {
        let decided = check_key_scope(scope, &key).and_then(|()| place.key(&key));
        match decided {
            Ok(engine_key) => allowed.push(engine_key),
            Err(error) => fates.push(Fate::Failed(key, error)),
        }
    }
    if !allowed.is_empty() {
        fates.extend(delete(&call, place, &allowed).await?);
    }
    Ok(xml(write(&fates, batch.quiet)))
}

fn read(document: &[u8]) -> Result<Batch, S3Error> {
    let root = parse(document).map_err(|_| Code::MalformedXML)?;
    if root.name != "Delete" {
        return Err(Code::MalformedXML.into());
    }
    let mut keys = Vec::new();
    for object in root.all("Object") {
        if object
            .children
            .iter()
            .any(|child| child.name == "VersionId" && !child.text.is_empty())
        {
            return Err(S3Error::with(
                Code::NotImplemented,
                "Deleting a version is not implemented.",
            ));
        }
        match object.value("Key") {
            Some(key) if !key.is_empty() => keys.push(key.to_owned()),
            _ => return Err(Code::MalformedXML.into()),
        }
    }
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(Code::MalformedXML.into());
    }
    Ok(Batch {
        quiet: root
            .value("Quiet")
            .is_some_and(|text| text.trim() == "true"),
        keys,
    })
}

async fn delete(
    call: &Call,
    place: Place<'_>,
    engine_keys: &[String],
) -> Result<Vec<Fate>, S3Error> {
    let mut document = XmlWriter::s3("Delete");
    for key in engine_keys {
        document.open("Object");
        document.text("Key", key);
        document.close("Object");
    }
    document.close("Delete");
    let body = Bytes::from(document.finish());
    let mut request =
        EngineRequest::new(place.engine, Method::POST, place.engine_bucket()).query("delete", "");
    request
        .headers
        .set("content-md5", &STANDARD.encode(Md5::digest(&body)))?;
    request.headers.set("content-type", "application/xml")?;
    request.payload_hash = hex::encode(Sha256::digest(&body));
    request.body = EngineBody::Full(body);
    let (_, answer) = call.ask(request).await?;
    let mut fates = fates(place, &answer)?;
    // Silence is not success.
    let told: HashSet<&str> = fates.iter().map(Fate::key).collect();
    let untold: Vec<Fate> = engine_keys
        .iter()
        .filter_map(|key| place.strip(key))
        .filter(|key| !told.contains(key))
        .map(|key| Fate::Failed(key.to_owned(), Code::InternalError.into()))
        .collect();
    fates.extend(untold);
    Ok(fates)
}

fn fates(place: Place<'_>, answer: &Element) -> Result<Vec<Fate>, S3Error> {
    let keys = KeyReader::new(place, answer);
    let mut fates = Vec::new();
    for child in &answer.children {
        let key = keys.key(child.value("Key").unwrap_or(""));
        match child.name.as_str() {
            "Deleted" => fates.push(Fate::Deleted(key?)),
            "Error" => {
                let code = match child.value("Code") {
                    Some("AccessDenied") => Code::AccessDenied,
                    _ => Code::InternalError,
                };
                fates.push(Fate::Failed(key?, code.into()));
            }
            _ => {}
        }
    }
    Ok(fates)
}

fn write(fates: &[Fate], quiet: bool) -> String {
    let mut out = XmlWriter::s3("DeleteResult");
    for fate in fates {
        match fate {
            Fate::Deleted(_) if quiet => {}
            Fate::Deleted(key) => {
                out.open("Deleted");
                out.text("Key", key);
                out.close("Deleted");
            }
            Fate::Failed(key, error) => {
                out.open("Error");
                out.text("Key", key);
                out.text("Code", error.code.as_str());
                out.text("Message", &error.message);
                out.close("Error");
            }
        }
    }
    out.close("DeleteResult");
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(n: usize) -> String {
        format!(
            "<Delete>{}</Delete>",
            "<Object><Key>k</Key></Object>".repeat(n)
        )
    }

    #[test]
    fn a_batch_is_read() {
        let batch = read(
            b"<Delete xmlns=\"x\"><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object></Delete>",
        )
        .unwrap();
        assert!(batch.quiet);
        assert_eq!(batch.keys, ["a&b"]);
    }

    #[test]
    fn a_thousand_keys_are_the_most() {
        assert_eq!(read(batch(1000).as_bytes()).unwrap().keys.len(), 1000);
        for document in [
            batch(1001),
            batch(0),
            "<Delete><Object/></Delete>".into(),
            "<X/>".into(),
            "<Delete>".into(),
        ] {
            assert_eq!(
                read(document.as_bytes()).err().map(|e| e.code),
                Some(Code::MalformedXML)
            );
        }
    }

    #[test]
    fn quiet_says_only_what_failed() {
        let fates = [
            Fate::Deleted("a".into()),
            Fate::Failed("b".into(), Code::AccessDenied.into()),
        ];
        assert!(!write(&fates, true).contains("<Deleted>"));
        assert!(write(&fates, false).contains("<Deleted><Key>a</Key></Deleted>"));
        assert!(write(&fates, true).contains("<Error><Key>b</Key><Code>AccessDenied</Code>"));
    }
}
