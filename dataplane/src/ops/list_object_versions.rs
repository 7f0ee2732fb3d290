//! ListObjectVersions. Where versioning never was switched on, every object is its only version, `null`, and the list
//! is made from the listing of objects.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>

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
    version_id: String,
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

pub async fn perform(call: Call) -> Answer {
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

/// The engine's own list. One that sorts folder by folder puts its pages together wrongly, so that it is asked for the
/// longest page that it gives, and what the client asked for is cut from that.
async fn versions(
    call: &Call,
    place: Place<'_>,
    asked: &Asked<'_>,
    key_marker: &str,
    version_marker: Option<String>,
) -> Result<Page, S3Error> {
    let most = if place.engine.capabilities.byte_order {
        asked.most
    } else {
        1000
    };
    let mut request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
        .query("versions", "")
        .query("encoding-type", "url")
        .query("max-keys", most.to_string())
        .query("prefix", place.boundary(asked.prefix));
    if !asked.delimiter.is_empty() {
        request = request.query("delimiter", asked.delimiter);
    }
    if !key_marker.is_empty() {
        request = request.query("key-marker", place.boundary(key_marker));
    }
    if let Some(id) = version_marker {
        request = request.query("version-id-marker", id);
    }
    let (_, answer) = call.ask(request).await?;
    read(call, place, &answer, asked.most as usize)
}

fn read(call: &Call, place: Place<'_>, answer: &Element, most: usize) -> Result<Page, S3Error> {
    let keys = KeyReader::new(place, answer);
    let mut entries = Vec::new();
    for element in &answer.children {
        let deleted = match element.name.as_str() {
            "Version" => false,
            "DeleteMarker" => true,
            _ => continue,
        };
        let key = keys.key(element.value("Key").unwrap_or(""))?;
        let object = Object::read(key.clone(), element);
        let version_id = element.value("VersionId").unwrap_or("");
        entries.push(Entry {
            version_id: call.seal_version(place, &key, version_id)?,
            key,
            is_latest: element.value("IsLatest") == Some("true"),
            last_modified: object.last_modified.clone(),
            object: (!deleted).then_some(object),
        });
    }
    let mut common_prefixes = common_prefixes(&keys, answer)?;
    // Each list is in order by itself; stable, so that a key's versions stay newest first.
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    common_prefixes.sort();
    let mut truncated = answer.value("IsTruncated") == Some("true");
    let mut last = None;
    let (mut kept, mut kept_prefixes) = (Vec::new(), Vec::new());
    let (mut entries, mut prefixes) = (
        entries.into_iter().peekable(),
        common_prefixes.into_iter().peekable(),
    );
    loop {
        let prefix_first = match (entries.peek(), prefixes.peek()) {
            (Some(entry), Some(prefix)) => prefix < &entry.key,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => break,
        };
        if kept.len() + kept_prefixes.len() == most {
            truncated = true;
            break;
        }
        if prefix_first {
            let prefix = prefixes.next().unwrap_or_default();
            last = Some((prefix.clone(), None));
            kept_prefixes.push(prefix);
        } else if let Some(entry) = entries.next() {
            last = Some((entry.key.clone(), Some(entry.version_id.clone())));
            kept.push(entry);
        }
    }
    Ok(Page {
        entries: kept,
        common_prefixes: kept_prefixes,
        next: last.filter(|_| truncated),
    })
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
