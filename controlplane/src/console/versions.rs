//! What was overwritten or deleted where versioning is on, and how it is had back.
//! Version ids are the data plane's own, sealed for their object; nothing here looks into them.

use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use chrono::{DateTime, Utc};
use sigv4::uri_encode;

use super::Signer;
use super::objects::{refused, time};
use crate::Error;

/// Of one answer: old versions come along, and are passed over.
const PAGE: i32 = 500;
/// So many answers are looked through at once, however few deleted objects are in them.
const MOST_PAGES: usize = 10;
/// Enough for one look.
const ENOUGH: usize = 100;

/// Of up to 5 GiB, S3's limit.
const COPY: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub struct Version {
    pub id: String,
    pub latest: bool,
    /// A mark that the object was deleted at that time, rather than a version of it.
    pub delete_marker: bool,
    pub size: u64,
    pub modified: Option<DateTime<Utc>>,
}

/// An object that is hidden by a delete marker.
#[derive(Debug, Clone)]
pub struct DeletedObject {
    pub key: String,
    /// The marker's version id.
    pub marker: String,
    pub deleted: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Default)]
pub struct Deleted {
    pub objects: Vec<DeletedObject>,
    /// Key and version after which to go on, if there is more to look through.
    pub next: Option<(String, String)>,
}

impl Signer {
    /// The object's versions and delete markers, newest first, one page of them.
    pub async fn versions(&self, bucket: &str, key: &str) -> Result<Vec<Version>, Error> {
        let request = self.client.list_object_versions().bucket(bucket);
        let page = request.prefix(key).max_keys(200).send().await;
        let page = page.map_err(refused)?;
        let versions = page.versions().iter();
        let versions = versions
            .filter(|version| version.key.as_deref() == Some(key))
            .map(|version| Version {
                id: version.version_id.clone().unwrap_or_default(),
                latest: version.is_latest == Some(true),
                delete_marker: false,
                size: u64::try_from(version.size.unwrap_or_default()).unwrap_or_default(),
                modified: time(version.last_modified.as_ref()),
            });
        let markers = page.delete_markers().iter();
        let markers = markers
            .filter(|marker| marker.key.as_deref() == Some(key))
            .map(|marker| Version {
                id: marker.version_id.clone().unwrap_or_default(),
                latest: marker.is_latest == Some(true),
                delete_marker: true,
                size: 0,
                modified: time(marker.last_modified.as_ref()),
            });
        let mut all: Vec<Version> = versions.chain(markers).collect();
        all.sort_by_key(|version| {
            (
                std::cmp::Reverse(version.latest),
                std::cmp::Reverse(version.modified),
            )
        });
        Ok(all)
    }

    /// Objects beneath the prefix whose newest version is a delete marker, in the order of their keys.
    pub async fn deleted(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<(String, String)>,
    ) -> Result<Deleted, Error> {
        let mut found = Deleted {
            next: after,
            ..Deleted::default()
        };
        for _ in 0..MOST_PAGES {
            let (key, version) = found.next.take().unzip();
            let request = self.client.list_object_versions().bucket(bucket);
            let request = request.prefix(prefix).max_keys(PAGE);
            let version = version.filter(|version| !version.is_empty());
            let request = request.set_key_marker(key).set_version_id_marker(version);
            let page = request.send().await.map_err(refused)?;
            let markers = page.delete_markers().iter();
            let latest = markers.filter(|marker| marker.is_latest == Some(true));
            found.objects.extend(latest.filter_map(|marker| {
                Some(DeletedObject {
                    key: marker.key.clone()?,
                    marker: marker.version_id.clone()?,
                    deleted: time(marker.last_modified.as_ref()),
                })
            }));
            let more = page.is_truncated == Some(true);
            let version = page.next_version_id_marker.unwrap_or_default();
            found.next = page
                .next_key_marker
                .filter(|_| more)
                .map(|key| (key, version));
            if found.next.is_none() || found.objects.len() >= ENOUGH {
                break;
            }
        }
        Ok(found)
    }

    /// Makes that version the current one: a copy of it becomes the newest, and nothing is lost.
    pub async fn restore(&self, bucket: &str, key: &str, version: &str) -> Result<(), Error> {
        let source = format!(
            "{bucket}/{}?versionId={}",
            uri_encode(key.as_bytes(), false),
            uri_encode(version.as_bytes(), true)
        );
        let request = self.client.copy_object().bucket(bucket).key(key);
        let copied = request.copy_source(source).customize();
        let copied = copied.config_override(patient()).send().await;
        copied.map_err(refused)?;
        Ok(())
    }
}

/// The engine copies before it answers.
fn patient() -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder().operation_timeout(COPY);
    aws_sdk_s3::Config::builder().timeout_config(timeouts.build())
}
