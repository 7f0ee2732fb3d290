//! ListObjectVersions. Where versioning never was switched on, every object is its only version, `null`, and the list
//! is made from the listing of objects.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>

use std::pin::Pin;

use http::Method;

use super::list_objects::Asked;
use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::listing::{KeyReader, Object, common_prefixes};
use crate::place::Place;
use crate::upstream::EngineRequest;
use crate::xml::{Element, XmlWriter};

/// One line of the answer, in the tenant's terms.
struct Entry {
    key: String,
    /// Sealed.
    version_id: String,
    engine_id: String,
    is_latest: bool,
    last_modified: String,
    /// `None`: a delete marker.
    object: Option<Object>,
}

#[derive(Default)]
struct Page {
    entries: Vec<Entry>,
    common_prefixes: Vec<String>,
    /// Key and version id, sealed.
    next: Option<(String, Option<String>)>,
}

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let asked = Asked::read(&call)?;
    let query = &call.request.query;
    let key_marker = query.single("key-marker")?.unwrap_or("");
    let version_marker = query
        .single("version-id-marker")?
        .filter(|id| !id.is_empty());
    if version_marker.is_some() && key_marker.is_empty() {
        return Err(S3Error::with(
            Code::InvalidArgument,
            "A version-id marker cannot be specified without a key marker.",
        ));
    }
    let page = if !asked.can_find(place) {
        Page::default()
    } else if is_versioned(&call, place).await? {
        let version_marker = version_marker
            .map(|id| call.open_version(place, key_marker, id))
            .transpose()?;
        versions(&call, place, &asked, key_marker, version_marker).await?
    } else {
        objects(&call, place, &asked, key_marker).await?
    };

    let mut out = XmlWriter::s3("ListVersionsResult");
    asked.write_head(&mut out, call.bucket_name()?, page.next.is_some());
    out.text("KeyMarker", &asked.encoding.write(key_marker));
    out.text(
        "VersionIdMarker",
        query.single("version-id-marker")?.unwrap_or(""),
    );
    if let Some((key, version)) = &page.next {
        out.text("NextKeyMarker", &asked.encoding.write(key));
        if let Some(version) = version {
            out.text("NextVersionIdMarker", version);
        }
    }
    for entry in &page.entries {
        write(&mut out, &asked, entry, call.identity.tenant.id());
    }
    for prefix in &page.common_prefixes {
        out.open("CommonPrefixes");
        out.text("Prefix", &asked.encoding.write(prefix));
        out.close("CommonPrefixes");
    }
    out.close("ListVersionsResult");
    Ok(xml(out.finish()))
}

/// Whether versioning was ever switched on.
async fn is_versioned(call: &Call, place: Place<'_>) -> Result<bool, S3Error> {
    if !place.is_dedicated() || !place.engine.capabilities.versioning {
        return Ok(false);
    }
    let request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
        .query("versioning", "");
    let (_, answer) = call.ask(request).await?;
    Ok(answer.value("Status").is_some())
}

async fn objects(
    call: &Call,
    place: Place<'_>,
    asked: &Asked<'_>,
    key_marker: &str,
) -> Result<Page, S3Error> {
    let page = asked.after(call, place, key_marker).await?;
    let next = page.next_marker.filter(|_| page.is_truncated);
    let entries = page.objects.into_iter().map(|object| Entry {
        key: object.key.clone(),
        version_id: "null".to_owned(),
        engine_id: "null".to_owned(),
        is_latest: true,
        last_modified: object.last_modified.clone(),
        object: Some(object),
    });
    Ok(Page {
        next: next.map(|key| {
            let of_object = !page.common_prefixes.contains(&key);
            (key, of_object.then(|| "null".to_owned()))
        }),
        entries: entries.collect(),
        common_prefixes: page.common_prefixes,
    })
}

/// The engine's own list.
async fn versions(
    call: &Call,
    place: Place<'_>,
    asked: &Asked<'_>,
    key_marker: &str,
    version_marker: Option<String>,
) -> Result<Page, S3Error> {
    let mut walk = Walk {
        call,
        place,
        key_marker,
        version_marker: version_marker.as_deref(),
        enough: asked.most as usize + 1,
        found: Vec::new(),
    };
    let truncated = if place.engine.capabilities.byte_order {
        let question = Question {
            prefix: asked.prefix,
            delimiter: asked.delimiter,
            from_marker: true,
            most: asked.most,
        };
        let (lines, truncated) = walk.ask(question).await?;
        walk.found = lines;
        truncated
    } else {
        walk.go(asked.prefix, asked.delimiter).await?;
        false
    };
    let mut lines = walk.found;
    let truncated = truncated || lines.len() > asked.most as usize;
    lines.truncate(asked.most as usize);
    let mut page = Page {
        next: lines.last().filter(|_| truncated).map(|last| match last {
            Line::Entry(entry) => (entry.key.clone(), Some(entry.version_id.clone())),
            Line::Prefix(prefix) => (prefix.clone(), None),
        }),
        ..Page::default()
    };
    for line in lines {
        match line {
            Line::Entry(entry) => page.entries.push(*entry),
            Line::Prefix(prefix) => page.common_prefixes.push(prefix),
        }
    }
    Ok(page)
}

enum Line {
    Entry(Box<Entry>),
    Prefix(String),
}

impl Line {
    fn key(&self) -> &str {
        match self {
            Line::Entry(entry) => &entry.key,
            Line::Prefix(prefix) => prefix,
        }
    }
}

struct Question<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    from_marker: bool,
    most: u32,
}

/// An engine that sorts folder by folder loses entries between its pages, because it goes on in another order than the
/// one in which it lists. It is asked for whole folders instead: what comes in one page is whole.
struct Walk<'a> {
    call: &'a Call,
    place: Place<'a>,
    key_marker: &'a str,
    /// The engine's id.
    version_marker: Option<&'a str>,
    /// How many lines are looked for.
    enough: usize,
    found: Vec<Line>,
}

impl Walk<'_> {
    fn go<'f>(
        &'f mut self,
        prefix: &'f str,
        delimiter: &'f str,
    ) -> Pin<Box<dyn Future<Output = Result<(), S3Error>> + Send + 'f>> {
        const PAGE: u32 = 1000;
        Box::pin(async move {
            let question = |delimiter, from_marker| Question {
                prefix,
                delimiter,
                from_marker,
                most: PAGE,
            };
            let (mut lines, mut truncated) = self.ask(question(delimiter, false)).await?;
            let mut open_folders = false;
            if truncated && delimiter.is_empty() {
                (lines, truncated) = self.ask(question("/", false)).await?;
                open_folders = !truncated;
            }
            if truncated {
                // More in one folder than a page holds: what the engine makes of it.
                (lines, _) = self.ask(question(delimiter, true)).await?;
            }
            // Stable, so that a key's versions stay newest first.
            lines.sort_by(|a, b| a.key().cmp(b.key()));
            let lines = self.behind_marker(lines, open_folders);
            for line in lines {
                if self.found.len() >= self.enough {
                    break;
                }
                match line {
                    Line::Prefix(folder) if open_folders => self.go(&folder, delimiter).await?,
                    line => self.found.push(line),
                }
            }
            Ok(())
        })
    }

    /// Without what the pages before had. Where the marker's version is gone, its key comes again rather than not at all.
    fn behind_marker(&self, lines: Vec<Line>, open_folders: bool) -> Vec<Line> {
        let marker = self.key_marker;
        let of_marker = |line: &Line| match line {
            Line::Entry(entry) => entry.key == marker && self.version_marker.is_some(),
            Line::Prefix(_) => false,
        };
        let marked = lines.iter().position(|line| match line {
            Line::Entry(entry) => {
                of_marker(line) && Some(entry.engine_id.as_str()) == self.version_marker
            }
            Line::Prefix(_) => false,
        });
        let keep = |(at, line): (usize, Line)| {
            let behind = match &line {
                line if of_marker(line) => marked.is_none_or(|marked| at > marked),
                Line::Prefix(folder) if open_folders && marker.starts_with(folder.as_str()) => true,
                line => line.key() > marker,
            };
            behind.then_some(line)
        };
        lines.into_iter().enumerate().filter_map(keep).collect()
    }

    /// One page of the engine's, and whether it says that there is more.
    async fn ask(&self, question: Question<'_>) -> Result<(Vec<Line>, bool), S3Error> {
        let place = self.place;
        let mut request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
            .query("versions", "")
            .query("encoding-type", "url")
            .query("max-keys", question.most.to_string())
            .query("prefix", place.boundary(question.prefix));
        if !question.delimiter.is_empty() {
            request = request.query("delimiter", question.delimiter);
        }
        if question.from_marker && !self.key_marker.is_empty() {
            request = request.query("key-marker", place.boundary(self.key_marker));
            if let Some(id) = self.version_marker {
                request = request.query("version-id-marker", id);
            }
        }
        let (_, answer) = self.call.ask(request).await?;
        let keys = KeyReader::new(place, &answer);
        let mut lines = Vec::new();
        for element in &answer.children {
            match element.name.as_str() {
                "Version" | "DeleteMarker" => {
                    lines.push(Line::Entry(Box::new(self.read(&keys, element)?)))
                }
                _ => {}
            }
        }
        let prefixes = common_prefixes(&keys, &answer)?;
        lines.extend(prefixes.into_iter().map(Line::Prefix));
        lines.sort_by(|a, b| a.key().cmp(b.key()));
        Ok((lines, answer.value("IsTruncated") == Some("true")))
    }

    fn read(&self, keys: &KeyReader<'_>, element: &Element) -> Result<Entry, S3Error> {
        let key = keys.key(element.value("Key").unwrap_or(""))?;
        let object = Object::read(key.clone(), element);
        let engine_id = element.value("VersionId").unwrap_or("").to_owned();
        Ok(Entry {
            version_id: self.call.seal_version(self.place, &key, &engine_id)?,
            engine_id,
            key,
            is_latest: element.value("IsLatest") == Some("true"),
            last_modified: object.last_modified.clone(),
            object: (element.name == "Version").then_some(object),
        })
    }
}

fn write(out: &mut XmlWriter, asked: &Asked<'_>, entry: &Entry, owner: &str) {
    let name = match entry.object {
        Some(_) => "Version",
        None => "DeleteMarker",
    };
    out.open(name);
    out.text("Key", &asked.encoding.write(&entry.key));
    out.text("VersionId", &entry.version_id);
    out.text("IsLatest", if entry.is_latest { "true" } else { "false" });
    out.text("LastModified", &entry.last_modified);
    if let Some(object) = &entry.object {
        object.write_content(out);
    }
    out.open("Owner");
    out.text("ID", owner);
    out.text("DisplayName", owner);
    out.close("Owner");
    out.close(name);
}
