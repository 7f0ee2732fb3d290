//! `/buckets/{bucket}/object`: one object, its preview, versions, and a link to hand on.
//! A preview is an image from the data plane's origin, or text that the page escapes: nothing of a customer's runs here.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Duration;
use controlplane::Error;
use controlplane::buckets::Bucket;
use controlplane::console::{self, LockMode, ObjectHead, Signer};
use http::StatusCode;
use serde::Deserialize;

use crate::App;
use crate::failure::{Failure, page};
use crate::fields::{Pairs, encode};
use crate::figures::{Moment, Size};
use crate::forgery::MemberForm;
use crate::pages::buckets::objects::{Crumb, crumbs, folder_of};
use crate::pages::buckets::versions::{VersionRow, rows};
use crate::pages::buckets::{Head, Tab, find, signer};
use crate::pages::{Here, Shell};
use crate::session::Member;

/// How long a page's own requests may be used.
const OWN_LIFE: Duration = Duration::minutes(15);
/// Of text, in bytes.
const PREVIEW: u64 = 64 * 1024;
/// Images beyond it are not shown unasked.
const LARGEST_IMAGE: u64 = 20 * 1000 * 1000;
const IMAGES: [&str; 6] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/svg+xml",
];
/// What people may choose for a link: value and words.
const LIFETIMES: [(&str, &str, Duration); 4] = [
    ("1h", "1 hour", Duration::hours(1)),
    ("12h", "12 hours", Duration::hours(12)),
    ("1d", "1 day", Duration::days(1)),
    ("7d", "7 days", Duration::days(7)),
];

#[derive(Template)]
#[template(path = "pages/buckets/object.html")]
struct ObjectPage<'a> {
    shell: Shell<'a>,
    head: Head<'a>,
    crumbs: Vec<Crumb>,
    name: &'a str,
    key: &'a str,
    version: Option<&'a str>,
    size: Size,
    bytes: u64,
    modified: Option<Moment>,
    object: &'a ObjectHead,
    /// Until when it cannot be deleted, and how strictly.
    locked: Option<(Moment, &'a str)>,
    preview: Preview,
    download: String,
    versions: Vec<VersionRow>,
    lifetimes: &'a [(&'a str, &'a str, Duration)],
    link: Option<Link>,
    restored: bool,
    may_write: bool,
}

/// The page of an object that a delete marker hides.
#[derive(Template)]
#[template(path = "pages/buckets/deleted_object.html")]
struct DeletedObjectPage<'a> {
    shell: Shell<'a>,
    head: Head<'a>,
    crumbs: Vec<Crumb>,
    name: &'a str,
    key: &'a str,
    versions: Vec<VersionRow>,
    may_write: bool,
}

enum Preview {
    Image(String),
    Text { text: String, cut: bool },
    None,
}

struct Link {
    url: String,
    until: Moment,
}

#[derive(Deserialize)]
pub struct ObjectQuery {
    key: String,
    version: Option<String>,
    #[serde(default)]
    done: String,
}

pub async fn show(
    State(app): State<App>,
    Path(bucket): Path<String>,
    Query(query): Query<ObjectQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let bucket = find(&app, &member, &bucket).await?;
    shown(&app, &member, &bucket, &query, None).await
}

/// Makes a link that anybody may open until its time is over.
pub async fn link(
    State(app): State<App>,
    Path(bucket): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    let bucket = find(&app, &member, &bucket).await?;
    let chosen = LIFETIMES
        .iter()
        .find(|(value, _, _)| *value == fields.get("lifetime"));
    let (_, _, lifetime) = chosen.ok_or(Failure::from(StatusCode::UNPROCESSABLE_ENTITY))?;
    let query = ObjectQuery {
        key: fields.get("key").to_owned(),
        version: Some(fields.get("version").to_owned()).filter(|version| !version.is_empty()),
        done: String::new(),
    };
    let tx = member.begin(&app).await?;
    let signer = console::link_signer(tx, &app.cp, &bucket.name).await?;
    let now = app.cp.clock().now();
    let version: Vec<(&str, &str)> = query
        .version
        .iter()
        .map(|id| ("versionId", id.as_str()))
        .collect();
    let link = Link {
        url: signer.presign(
            now,
            "GET",
            &bucket.name,
            Some(&query.key),
            &version,
            *lifetime,
        ),
        until: Moment(now + *lifetime),
    };
    shown(&app, &member, &bucket, &query, Some(link)).await
}

/// Sends the browser to the data plane, which says that it is a file to be saved.
pub async fn download(
    State(app): State<App>,
    Path(bucket): Path<String>,
    Query(query): Query<ObjectQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let bucket = find(&app, &member, &bucket).await?;
    let signer = signer(&app, &member).await?;
    let name = query
        .key
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or("object");
    let disposition = format!("attachment; filename*=UTF-8''{}", encode(name));
    let mut asked = vec![("response-content-disposition", disposition.as_str())];
    if let Some(version) = &query.version {
        asked.push(("versionId", version));
    }
    let now = app.cp.clock().now();
    let url = signer.presign(now, "GET", &bucket.name, Some(&query.key), &asked, OWN_LIFE);
    Ok(Redirect::to(&url).into_response())
}

async fn shown(
    app: &App,
    member: &Member,
    bucket: &Bucket,
    query: &ObjectQuery,
    link: Option<Link>,
) -> Result<Response, Failure> {
    let signer = signer(app, member).await?;
    let version = query.version.as_deref();
    // Where the engine keeps no versions there are none to be shown.
    let versions = signer
        .versions(&bucket.name, &query.key)
        .await
        .unwrap_or_default();
    let may_write = console::may_write(member.session.role);
    let key = encode(&query.key);
    let name = query.key.strip_prefix(folder_of(&query.key));
    let name = name.unwrap_or(&query.key);
    let hidden = versions.first().is_some_and(|newest| newest.delete_marker);
    let object = match signer.head(&bucket.name, &query.key, version).await {
        Err(Error::NotFound(_) | Error::BadRequest(_)) if hidden && version.is_none() => {
            return page(&DeletedObjectPage {
                shell: Shell::new(&member.session, Here::Buckets),
                head: Head::new(bucket, Tab::Objects),
                crumbs: crumbs(&bucket.name, folder_of(&query.key)),
                name,
                key: &query.key,
                versions: rows(&bucket.name, &key, versions),
                may_write,
            });
        }
        // A HEAD has no body, so that the reason of a refusal is not known.
        Err(Error::BadRequest(_)) => return Err(Error::NotFound("object").into()),
        head => head?,
    };
    let preview = preview(app, &signer, bucket, query, &object).await;
    let suffix = version.map_or(String::new(), |id| format!("&version={}", encode(id)));
    page(&ObjectPage {
        shell: Shell::new(&member.session, Here::Buckets),
        head: Head::new(bucket, Tab::Objects),
        crumbs: crumbs(&bucket.name, folder_of(&query.key)),
        name,
        key: &query.key,
        version,
        size: Size::of(object.size),
        bytes: object.size,
        modified: object.modified.map(Moment),
        preview,
        download: format!("/buckets/{}/download?key={key}{suffix}", bucket.name),
        versions: rows(&bucket.name, &key, versions),
        lifetimes: &LIFETIMES,
        link,
        locked: object
            .kept
            .map(|kept| (Moment(kept.until), word(kept.mode))),
        restored: query.done == "restored",
        may_write,
        object: &object,
    })
}

fn word(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Governance => "governance",
        LockMode::Compliance => "compliance",
    }
}

async fn preview(
    app: &App,
    signer: &Signer,
    bucket: &Bucket,
    query: &ObjectQuery,
    object: &ObjectHead,
) -> Preview {
    let kind = object
        .content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let version = query.version.as_deref();
    if IMAGES.contains(&kind) && object.size <= LARGEST_IMAGE {
        let version: Vec<(&str, &str)> = version.iter().map(|id| ("versionId", *id)).collect();
        let now = app.cp.clock().now();
        let url = signer.presign(
            now,
            "GET",
            &bucket.name,
            Some(&query.key),
            &version,
            OWN_LIFE,
        );
        return Preview::Image(url);
    }
    if !is_text(kind, &query.key) || object.size == 0 {
        return Preview::None;
    }
    match signer
        .read(&bucket.name, &query.key, version, PREVIEW)
        .await
    {
        Ok(bytes) if !bytes.contains(&0) => Preview::Text {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            cut: object.size > PREVIEW,
        },
        _ => Preview::None,
    }
}

fn is_text(kind: &str, key: &str) -> bool {
    const KINDS: [&str; 6] = [
        "application/json",
        "application/xml",
        "application/javascript",
        "application/x-yaml",
        "application/toml",
        "application/x-sh",
    ];
    const ENDINGS: [&str; 12] = [
        "txt", "md", "csv", "log", "json", "yaml", "yml", "toml", "xml", "ini", "sql", "rs",
    ];
    let ending = key.rsplit_once('.').map_or("", |(_, ending)| ending);
    let unnamed = kind.is_empty() || kind.ends_with("octet-stream");
    kind.starts_with("text/") || KINDS.contains(&kind) || (unnamed && ENDINGS.contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_by_its_kind_or_else_by_its_ending() {
        assert!(is_text("text/html", "a.html"));
        assert!(is_text("application/json", "a"));
        assert!(is_text("application/octet-stream", "logs/a.log"));
        assert!(!is_text("application/octet-stream", "a.bin"));
        assert!(!is_text("application/zip", "a.txt"));
    }
}
