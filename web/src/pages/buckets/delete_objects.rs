//! `POST /buckets/{bucket}/delete-objects`: shows what would go, asks, and deletes objects, folders, or one version.
//! What could not be had back is deleted only by whoever has typed its name.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::console::{Signer, Versioning};
use http::StatusCode;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::{Pairs, encode};
use crate::forgery::MemberForm;
use crate::pages::buckets::objects::{folder_href, folder_of};
use crate::pages::buckets::{Head, Tab, find, may_write, signer};
use crate::pages::{Here, Shell};

/// Of one folder at once.
const FOLDER: i32 = 1000;
/// Longer names than this are nobody's to type.
const LONGEST_NAME: usize = 100;

#[derive(Template)]
#[template(path = "pages/buckets/delete_objects.html")]
struct DeleteObjectsPage<'a> {
    shell: Shell<'a>,
    head: Head<'a>,
    keys: &'a [String],
    folders: &'a [String],
    version: &'a str,
    /// Whether that version is a delete marker.
    marker: bool,
    prefix: &'a str,
    /// What is to be typed; nothing where all of it can be had back.
    name: Option<&'a str>,
    typed: &'a str,
    errors: FormErrors,
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
    let marker = !version.is_empty() && fields.is_set("marker");
    let name = match marker || version.is_empty() && keeps(&signer, &bucket.name).await {
        true => None,
        false => Some(name(&bucket.name, &keys, &folders)),
    };
    let typed = fields.get("typed").trim();
    let confirmed = fields.is_set("confirmed");
    let known = name.is_none_or(|name| name == typed);
    if confirmed && known {
        return delete(&signer, &bucket.name, &keys, &folders, version, prefix).await;
    }
    let errors = match confirmed {
        true => FormErrors::on("typed", "That is not its name."),
        false => FormErrors::default(),
    };
    let (inside, more) = beneath(&signer, &bucket.name, &folders).await?;
    let shown = page(&DeleteObjectsPage {
        shell: Shell::new(&member.session, Here::Buckets),
        head: Head::new(&bucket, Tab::Objects),
        back: folder_href(&bucket.name, prefix),
        inside: inside.len(),
        more,
        keys: &keys,
        folders: &folders,
        version,
        marker,
        prefix,
        name,
        typed,
        errors,
    })?;
    Ok(match confirmed {
        true => (StatusCode::UNPROCESSABLE_ENTITY, shown).into_response(),
        false => shown,
    })
}

/// Whether what is deleted stays as an old version. In doubt it does not.
async fn keeps(signer: &Signer, bucket: &str) -> bool {
    matches!(signer.versioning(bucket).await, Ok(Versioning::Enabled))
}

/// Of one thing its own, of several the bucket's; the bucket's also where nobody could type the other.
fn name<'a>(bucket: &'a str, keys: &'a [String], folders: &'a [String]) -> &'a str {
    let own = match (keys, folders) {
        ([one], []) | ([], [one]) => one.strip_prefix(folder_of(one)).unwrap_or(one).trim(),
        _ => return bucket,
    };
    let typeable =
        !own.is_empty() && own.len() <= LONGEST_NAME && !own.chars().any(char::is_control);
    if typeable { own } else { bucket }
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

#[cfg(test)]
mod tests {

    #[test]
    fn one_thing_is_named_by_itself_and_several_by_their_bucket() {
        let name = |keys: &[&str], folders: &[&str]| {
            let own = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
            super::name("vaults", &own(keys), &own(folders)).to_owned()
        };
        assert_eq!(name(&["a/notes.txt"], &[]), "notes.txt");
        assert_eq!(name(&[], &["a/2026/"]), "2026/");
        assert_eq!(name(&["a", "b"], &[]), "vaults");
        assert_eq!(name(&["a"], &["b/"]), "vaults");
        for untypeable in [" ", "a\u{7}", "a/ ", &"x".repeat(101)] {
            assert_eq!(name(&[untypeable], &[]), "vaults", "{untypeable:?}");
        }
    }
}
