//! `/buckets/{bucket}`: one folder of a bucket, with its objects and the way to upload more.
//! The list is asked of the data plane; the files themselves go between browser and data plane alone.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use chrono::Duration;
use controlplane::Error;
use controlplane::buckets::Bucket;
use controlplane::console::{self, Form, Listing};
use controlplane::usage;
use serde::Deserialize;

use crate::App;
use crate::failure::{Failure, page};
use crate::fields::encode;
use crate::figures::{Moment, Size, count};
use crate::pages::buckets::{Head, Tab, find, signer};
use crate::pages::{Here, Shell};
use crate::session::Member;

/// Objects and folders on one page.
const PAGE: i32 = 100;
/// How long the form for uploads without scripts may be sent.
const FORM_LIFE: Duration = Duration::hours(1);

#[derive(Template)]
#[template(path = "pages/buckets/objects.html")]
struct ObjectsPage<'a> {
    shell: Shell<'a>,
    head: Head<'a>,
    prefix: &'a str,
    search: &'a str,
    crumbs: Vec<Crumb>,
    folders: Vec<FolderRow>,
    objects: Vec<ObjectRow>,
    next: Option<String>,
    is_first: bool,
    may_write: bool,
    /// Why there is no list.
    unavailable: Option<String>,
    notice: Option<&'static str>,
    /// Of the whole bucket, old versions and unfinished uploads included.
    stored: Size,
    stored_objects: String,
    upload: Option<Form>,
}

/// A folder on the way to this one.
pub struct Crumb {
    pub name: String,
    pub href: String,
}

struct FolderRow {
    name: String,
    prefix: String,
    href: String,
}

struct ObjectRow {
    name: String,
    key: String,
    href: String,
    download: String,
    size: Size,
    modified: Option<Moment>,
}

#[derive(Deserialize, Default)]
pub struct ObjectsQuery {
    /// The folder: empty, or with a slash at its end.
    #[serde(default)]
    prefix: String,
    /// What names in the folder begin with.
    #[serde(default)]
    search: String,
    after: Option<String>,
    #[serde(default)]
    created: String,
    #[serde(default)]
    deleted: String,
    /// S3 adds it where a browser's form has uploaded an object.
    etag: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    Path(bucket): Path<String>,
    Query(query): Query<ObjectsQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let bucket = find(&app, &member, &bucket).await?;
    let mut tx = member.begin(&app).await?;
    let stored = usage::of_buckets(&mut tx).await?;
    tx.commit().await?;
    let stored = stored.get(&bucket.id).copied().unwrap_or_default();
    let signer = signer(&app, &member).await?;
    let from = format!("{}{}", query.prefix, query.search);
    let listed = signer
        .list(&bucket.name, &from, query.after.as_deref(), PAGE)
        .await;
    let (listing, unavailable) = match listed {
        Ok(listing) => (listing, None),
        Err(error) => (Listing::default(), Some(reason(error)?)),
    };
    let may_write = console::may_write(member.session.role);
    let now = app.cp.clock().now();
    let back = format!(
        "{}{}",
        app.cp.config().public_url,
        folder_href(&bucket.name, &query.prefix)
    );
    let upload = may_write.then(|| signer.form(now, &bucket.name, &query.prefix, &back, FORM_LIFE));
    page(&ObjectsPage {
        shell: Shell::new(&member.session, Here::Buckets),
        head: Head::new(&bucket, Tab::Objects),
        crumbs: crumbs(&bucket.name, &query.prefix),
        folders: folders(&bucket, &query.prefix, &listing),
        objects: objects(&bucket, &query.prefix, &listing),
        next: listing.next.map(|after| {
            let folder = folder_href(&bucket.name, &query.prefix);
            let glue = if folder.contains('?') { '&' } else { '?' };
            format!(
                "{folder}{glue}search={}&after={}",
                encode(&query.search),
                encode(&after)
            )
        }),
        is_first: query.after.is_none(),
        may_write,
        unavailable,
        stored: Size::of(stored.stored_bytes),
        stored_objects: count(stored.objects),
        notice: notice(&query),
        upload,
        prefix: &query.prefix,
        search: &query.search,
    })
}

fn notice(query: &ObjectsQuery) -> Option<&'static str> {
    match (query.created.as_str(), query.deleted.as_str(), &query.etag) {
        ("1", _, _) => Some("The bucket is ready. Every node knows it."),
        ("folder", _, _) => Some("The folder is there."),
        (_, "1", _) => Some("Deleted."),
        (_, _, Some(_)) => Some("Uploaded."),
        _ => None,
    }
}

/// What the page says in place of what the data plane did not give; the page itself is shown.
pub fn reason(error: Error) -> Result<String, Failure> {
    match error {
        Error::Unavailable(_) | Error::BadRequest(_) | Error::S3 { .. } | Error::NotFound(_) => {
            Ok(error.message())
        }
        other => Err(other.into()),
    }
}

pub fn folder_href(bucket: &str, prefix: &str) -> String {
    match prefix {
        "" => format!("/buckets/{bucket}"),
        prefix => format!("/buckets/{bucket}?prefix={}", encode(prefix)),
    }
}

/// The folder that the key lies in: empty, or with a slash at its end.
pub fn folder_of(key: &str) -> &str {
    let inner = key.strip_suffix('/').unwrap_or(key);
    inner
        .rfind('/')
        .map_or("", |at| key.get(..=at).unwrap_or_default())
}

pub fn crumbs(bucket: &str, prefix: &str) -> Vec<Crumb> {
    let ends = prefix.match_indices('/').map(|(at, _)| at + 1);
    let mut from = 0;
    let mut crumbs = Vec::new();
    for end in ends {
        let (Some(name), Some(whole)) = (prefix.get(from..end - 1), prefix.get(..end)) else {
            continue;
        };
        from = end;
        crumbs.push(Crumb {
            name: shown(name),
            href: folder_href(bucket, whole),
        });
    }
    crumbs
}

/// A name with nothing in it is still something to click on.
fn shown(name: &str) -> String {
    match name {
        "" => "(no name)".to_owned(),
        name => name.to_owned(),
    }
}

fn folders(bucket: &Bucket, prefix: &str, listing: &Listing) -> Vec<FolderRow> {
    let rows = listing.folders.iter().map(|folder| FolderRow {
        name: shown(
            folder
                .strip_prefix(prefix)
                .unwrap_or(folder)
                .trim_end_matches('/'),
        ),
        href: folder_href(&bucket.name, folder),
        prefix: folder.clone(),
    });
    rows.collect()
}

fn objects(bucket: &Bucket, prefix: &str, listing: &Listing) -> Vec<ObjectRow> {
    let rows = listing.objects.iter().map(|object| {
        let key = encode(&object.key);
        ObjectRow {
            name: shown(object.key.strip_prefix(prefix).unwrap_or(&object.key)),
            href: format!("/buckets/{}/object?key={key}", bucket.name),
            download: format!("/buckets/{}/download?key={key}", bucket.name),
            key: object.key.clone(),
            size: Size::of(object.size),
            modified: object.modified.map(Moment),
        }
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_on_the_way_is_a_crumb() {
        let made: Vec<_> = crumbs("b", "a/ü//c/")
            .into_iter()
            .map(|c| (c.name, c.href))
            .collect();
        let expected = [
            ("a", "/buckets/b?prefix=a%2F"),
            ("ü", "/buckets/b?prefix=a%2F%C3%BC%2F"),
            ("(no name)", "/buckets/b?prefix=a%2F%C3%BC%2F%2F"),
            ("c", "/buckets/b?prefix=a%2F%C3%BC%2F%2Fc%2F"),
        ];
        assert_eq!(made, expected.map(|(n, h)| (n.to_owned(), h.to_owned())));
        assert!(crumbs("b", "").is_empty());
    }

    #[test]
    fn a_key_lies_in_a_folder() {
        for (key, folder) in [
            ("a", ""),
            ("a/b", "a/"),
            ("a/b/", "a/"),
            ("/x", "/"),
            ("ü/x", "ü/"),
        ] {
            assert_eq!(folder_of(key), folder, "{key}");
        }
    }
}
