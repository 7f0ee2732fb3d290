//! `POST /buckets/{bucket}/delete-objects`: shows what would go, asks, and deletes objects, folders, or one version.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::console::Signer;
use http::StatusCode;

use crate::App;
use crate::failure::{Failure, page};
use crate::fields::{Pairs, encode};
use crate::forgery::MemberForm;
use crate::pages::buckets::objects::{folder_href, folder_of};
use crate::pages::buckets::{Head, Tab, find, may_write, signer};
use crate::pages::{Here, Shell};

/// Of one folder at once.
const FOLDER: i32 = 1000;

#[derive(Template)]
#[template(path = "pages/buckets/delete_objects.html")]
struct DeleteObjectsPage<'a> {
    shell: Shell<'a>,
    head: Head<'a>,
    keys: &'a [String],
    folders: &'a [String],
    version: &'a str,
    prefix: &'a str,
    /// How many objects the folders hold; more than can be deleted at once where `more`.
    inside: usize,
    more: bool,
    back: String,
}

pub async fn submit(
    State(app): State<App>,
    Path(bucket): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let bucket = find(&app, &member, &bucket).await?;
    let (keys, folders) = (fields.all("key"), fields.all("folder"));
    let (version, prefix) = (fields.get("version"), fields.get("prefix"));
    if keys.is_empty() && folders.is_empty() {
        let sentence = "Nothing was chosen. Go back and mark what is to be deleted.";
        return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, sentence));
    }
    let signer = signer(&app, &member).await?;
    if fields.is_set("confirmed") {
        return delete(&signer, &bucket.name, &keys, &folders, version, prefix).await;
    }
    let (inside, more) = beneath(&signer, &bucket.name, &folders).await?;
    page(&DeleteObjectsPage {
        shell: Shell::new(&member.session, Here::Buckets),
        head: Head::new(&bucket, Tab::Objects),
        back: folder_href(&bucket.name, prefix),
        inside: inside.len(),
        more,
        keys: &keys,
        folders: &folders,
        version,
        prefix,
    })
}

async fn beneath(
    signer: &Signer,
    bucket: &str,
    folders: &[String],
) -> Result<(BTreeSet<String>, bool), Failure> {
    let (mut inside, mut more) = (BTreeSet::new(), false);
    // A folder is a prefix that ends in a slash: an empty one would be the whole bucket.
    for folder in folders.iter().filter(|folder| folder.ends_with('/')) {
        let (keys, cut) = signer.keys_beneath(bucket, folder, FOLDER).await?;
        inside.extend(keys);
        more |= cut;
    }
    Ok((inside, more))
}

async fn delete(
    signer: &Signer,
    bucket: &str,
    keys: &[String],
    folders: &[String],
    version: &str,
    prefix: &str,
) -> Result<Response, Failure> {
    if let ([key], false) = (keys, version.is_empty()) {
        signer.delete(bucket, key, Some(version)).await?;
        let folder = folder_href(bucket, folder_of(key));
        return Ok(Redirect::to(&deleted(&folder)).into_response());
    }
    let (mut all, _) = beneath(signer, bucket, folders).await?;
    all.extend(keys.iter().cloned());
    let all: Vec<String> = all.into_iter().collect();
    let left = signer.delete_all(bucket, &all).await?;
    if left > 0 {
        let sentence = format!(
            "{left} of {} could not be deleted: they may be locked.",
            all.len()
        );
        return Err(Failure::new(StatusCode::CONFLICT, &sentence));
    }
    let folder = match prefix {
        "" => format!("/buckets/{bucket}"),
        prefix => format!("/buckets/{bucket}?prefix={}", encode(prefix)),
    };
    Ok(Redirect::to(&deleted(&folder)).into_response())
}

fn deleted(folder: &str) -> String {
    let glue = if folder.contains('?') { '&' } else { '?' };
    format!("{folder}{glue}deleted=1")
}
