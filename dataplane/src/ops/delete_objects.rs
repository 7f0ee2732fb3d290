//! DeleteObjects: each key of the batch is decided and answered on its own.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use std::collections::{HashMap, HashSet};

use http::Method;

use super::settings::pass_bypass;
use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::gate::check_key_scope;
use crate::listing::KeyReader;
use crate::place::Place;
use crate::upstream::EngineRequest;
use crate::xml::{Element, XmlWriter, parse};

const MAX_KEYS: usize = 1000;
/// 1,000 keys of 1,024 characters, each escaped to the longest.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

pub struct Batch {
    quiet: bool,
    pub targets: Vec<Target>,
}

/// An object, or one version of it, as the client named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub key: String,
    version_id: Option<String>,
}

/// What became of one.
struct Fate {
    target: Target,
    outcome: Outcome,
}

type Outcome = Result<Deleted, S3Error>;

#[derive(Default)]
struct Deleted {
    /// Whether a delete marker was made, or taken away.
    delete_marker: bool,
    /// Sealed.
    delete_marker_version_id: Option<String>,
}

pub async fn perform(mut call: Box<Call>) -> Answer {
    call.place()?;
    let document = call.document(MAX_DOCUMENT).await?;
    let batch = read(&document)?;
    let place = call.place()?;
    let scope = &call.identity.access_key().ok_or(Code::AccessDenied)?.scope;
    let mut fates = Vec::with_capacity(batch.targets.len());
    let mut allowed = Vec::new();
    for target in batch.targets {
        let decided = check_key_scope(scope, &target.key)
            .and_then(|()| in_engine_terms(&call, place, &target));
        match decided {
            Ok(engine) => allowed.push((target, engine)),
            Err(error) => fates.push(Fate {
                target,
                outcome: Err(error),
            }),
        }
    }
    if !allowed.is_empty() {
        fates.extend(delete(&call, place, allowed).await?);
    }
    Ok(xml(write(&fates, batch.quiet)))
}

fn in_engine_terms(call: &Call, place: Place<'_>, target: &Target) -> Result<Target, S3Error> {
    let version_id = match &target.version_id {
        None => None,
        // As S3 has it: a version that cannot be is one that is not there.
        Some(id) => Some(
            call.open_version(place, &target.key, id)
                .map_err(|_| Code::NoSuchVersion)?,
        ),
    };
    Ok(Target {
        key: place.key(&target.key)?,
        version_id,
    })
}

pub fn read(document: &[u8]) -> Result<Batch, S3Error> {
    let root = parse(document).map_err(|_| Code::MalformedXML)?;
    if root.name != "Delete" {
        return Err(Code::MalformedXML.into());
    }
    let mut targets = Vec::new();
    for object in root.all("Object") {
        if ["ETag", "LastModifiedTime", "Size"]
            .iter()
            .any(|name| object.child(name).is_some())
        {
            return Err(S3Error::with(
                Code::NotImplemented,
                "Conditions within a batch of deletions are not implemented.",
            ));
        }
        let key = object.value("Key").filter(|key| !key.is_empty());
        targets.push(Target {
            key: key.ok_or(Code::MalformedXML)?.to_owned(),
            version_id: object
                .value("VersionId")
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        });
    }
    if targets.is_empty() || targets.len() > MAX_KEYS {
        return Err(Code::MalformedXML.into());
    }
    Ok(Batch {
        quiet: root
            .value("Quiet")
            .is_some_and(|text| text.trim() == "true"),
        targets,
    })
}

/// `allowed`: each in the client's terms and in the engine's.
async fn delete(
    call: &Call,
    place: Place<'_>,
    allowed: Vec<(Target, Target)>,
) -> Result<Vec<Fate>, S3Error> {
    let mut document = XmlWriter::s3("Delete");
    for (_, engine) in &allowed {
        document.open("Object");
        document.text("Key", &engine.key);
        if let Some(id) = &engine.version_id {
            document.text("VersionId", id);
        }
        document.close("Object");
    }
    document.close("Delete");
    let mut request = EngineRequest::new(place.engine, Method::POST, place.engine_bucket())
        .query("delete", "")
        .document(document.finish())?;
    pass_bypass(call, &mut request)?;
    let targets = allowed.iter().map(|(_, engine)| engine);
    let before = call
        .look_at_all(
            place,
            targets.map(|engine| (engine.key.as_str(), engine.version_id.as_deref())),
        )
        .await;
    let (_, answer) = call.ask(request).await?;
    let mut outcomes = outcomes(call, place, &answer, &allowed)?;
    let removed = allowed
        .iter()
        .zip(before)
        .filter_map(
            |((_, engine), before)| match outcomes.get(engine)?.as_ref().ok()? {
                _ if engine.version_id.is_some() => before.removed(),
                deleted if deleted.delete_marker => None,
                _ => before.replaced(None),
            },
        );
    call.changes.done(removed.collect::<Vec<_>>());
    // Asked twice for the same, an engine may answer once.
    let mut seen = HashSet::new();
    let mut fates = Vec::with_capacity(allowed.len());
    for (target, engine) in allowed {
        if seen.insert(engine.clone()) {
            // Silence is not success.
            let outcome = outcomes.remove(&engine);
            let outcome = outcome.unwrap_or_else(|| Err(Code::InternalError.into()));
            fates.push(Fate { target, outcome });
        }
    }
    Ok(fates)
}

/// What the engine says of each, in the engine's terms.
fn outcomes(
    call: &Call,
    place: Place<'_>,
    answer: &Element,
    asked: &[(Target, Target)],
) -> Result<HashMap<Target, Outcome>, S3Error> {
    let keys = KeyReader::new(place, answer);
    let asked: HashSet<&Target> = asked.iter().map(|(_, engine)| engine).collect();
    let mut told = HashMap::new();
    for child in &answer.children {
        if !["Deleted", "Error"].contains(&child.name.as_str()) {
            continue;
        }
        let key = keys.key(child.value("Key").unwrap_or(""))?;
        // Engines differ in where they name the version, and some name one where none was asked for.
        let named = ["VersionId", "DeleteMarkerVersionId"].map(|name| child.value(name));
        let engine = [named[0], named[1], None]
            .map(|version_id| Target {
                key: place.boundary(&key),
                version_id: version_id.filter(|id| !id.is_empty()).map(str::to_owned),
            })
            .into_iter()
            .find(|target| asked.contains(target));
        let Some(engine) = engine.or_else(|| only(&asked, &place.boundary(&key))) else {
            continue;
        };
        let outcome = if child.name == "Deleted" {
            Ok(deleted(call, place, &key, child)?)
        } else {
            Err(match child.value("Code") {
                Some("AccessDenied") => S3Error::from(Code::AccessDenied),
                Some("NoSuchVersion") => Code::NoSuchVersion.into(),
                _ => Code::InternalError.into(),
            })
        };
        told.insert(engine, outcome);
    }
    Ok(told)
}

/// What was asked of this key, if it was one thing: then an answer about the key is about that.
fn only(asked: &HashSet<&Target>, engine_key: &str) -> Option<Target> {
    let mut of_key = asked.iter().filter(|target| target.key == engine_key);
    match (of_key.next(), of_key.next()) {
        (Some(target), None) => Some((*target).clone()),
        _ => None,
    }
}

fn deleted(
    call: &Call,
    place: Place<'_>,
    key: &str,
    element: &Element,
) -> Result<Deleted, S3Error> {
    if !place.is_dedicated() {
        return Ok(Deleted::default());
    }
    let marker = element
        .value("DeleteMarkerVersionId")
        .filter(|id| !id.is_empty());
    Ok(Deleted {
        delete_marker: element.value("DeleteMarker") == Some("true"),
        delete_marker_version_id: marker
            .map(|id| call.seal_version(place, key, id))
            .transpose()?,
    })
}

fn write(fates: &[Fate], quiet: bool) -> String {
    let mut out = XmlWriter::s3("DeleteResult");
    for Fate { target, outcome } in fates {
        let element = match outcome {
            Ok(_) if quiet => continue,
            Ok(_) => "Deleted",
            Err(_) => "Error",
        };
        out.open(element);
        out.text("Key", &target.key);
        if let Some(id) = &target.version_id {
            out.text("VersionId", id);
        }
        match outcome {
            Ok(deleted) => {
                if deleted.delete_marker {
                    out.text("DeleteMarker", "true");
                }
                if let Some(id) = &deleted.delete_marker_version_id {
                    out.text("DeleteMarkerVersionId", id);
                }
            }
            Err(error) => {
                out.text("Code", error.code.as_str());
                out.text("Message", &error.message);
            }
        }
        out.close(element);
    }
    out.close("DeleteResult");
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(key: &str, version_id: Option<&str>) -> Target {
        Target {
            key: key.into(),
            version_id: version_id.map(str::to_owned),
        }
    }

    #[test]
    fn conditions_are_not_passed_over() {
        let document = "<Delete><Object><Key>k</Key><ETag>e</ETag></Object></Delete>";
        let code = read(document.as_bytes()).err().map(|error| error.code);
        assert_eq!(code, Some(Code::NotImplemented));
    }

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
        assert_eq!(batch.targets, [target("a&b", None)]);
        let document = b"<Delete><Object><Key>a</Key><VersionId>v</VersionId></Object></Delete>";
        assert_eq!(read(document).unwrap().targets, [target("a", Some("v"))]);
    }

    #[test]
    fn a_thousand_keys_are_the_most() {
        assert_eq!(read(batch(1000).as_bytes()).unwrap().targets.len(), 1000);
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
            Fate {
                target: target("a", None),
                outcome: Ok(Deleted::default()),
            },
            Fate {
                target: target("b", None),
                outcome: Err(Code::AccessDenied.into()),
            },
        ];
        assert!(!write(&fates, true).contains("<Deleted>"));
        assert!(write(&fates, false).contains("<Deleted><Key>a</Key></Deleted>"));
        assert!(write(&fates, true).contains("<Error><Key>b</Key><Code>AccessDenied</Code>"));
    }
}
