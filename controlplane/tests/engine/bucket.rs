//! A bucket of the engine: what it lists, and what it keeps beside the objects.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::object::Version;
use super::{Asked, Lack, refuse};

/// What every object here is said to hold.
pub const OBJECT_BYTES: u64 = 7;

/// Kept as they came, and returned so.
const KEPT: [&str; 3] = ["lifecycle", "tagging", "encryption"];

/// When every bucket and object here is said to have been made.
const MADE_AT: &str = "2026-03-01T11:59:00.000Z";

#[derive(Clone)]
pub struct Bucket {
    /// Oldest version first.
    pub(super) objects: BTreeMap<String, Vec<Version>>,
    pub uploads: BTreeSet<String>,
    pub versioned: bool,
    /// Versioning was on, and new versions are `null` now.
    pub suspended: bool,
    pub locked: bool,
    kept: BTreeMap<&'static str, Bytes>,
    pub(super) last_version: u32,
    pub created_at: String,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            uploads: BTreeSet::new(),
            versioned: false,
            suspended: false,
            locked: false,
            kept: BTreeMap::new(),
            last_version: 0,
            created_at: MADE_AT.to_owned(),
        }
    }
}

impl Bucket {
    pub(super) fn made(asked: &Asked) -> Self {
        let wanted = asked.header("x-amz-bucket-object-lock-enabled") == Some("true");
        let locked = wanted && asked.abilities.object_lock;
        Self {
            versioned: locked,
            locked,
            ..Self::default()
        }
    }

    /// Of what is there now, without old versions.
    pub fn keys(&self) -> Vec<&str> {
        let there = |versions: &&Vec<Version>| versions.last().is_some_and(|v| !v.marker);
        let keys = self.objects.iter().filter(|(_, versions)| there(versions));
        keys.map(|(key, _)| key.as_str()).collect()
    }

    pub fn put(&mut self, key: &str) {
        self.add(key, Version::default());
    }

    /// As a deletion without a version.
    pub fn remove(&mut self, key: &str) {
        if self.versioned {
            self.add(key, Version::marker());
        } else {
            self.objects.remove(key);
        }
    }

    /// Everything, old versions too.
    pub fn purge(&mut self) {
        self.objects.clear();
    }

    pub(super) fn encrypts(&self) -> bool {
        self.kept.contains_key("encryption")
    }

    pub(super) fn add(&mut self, key: &str, mut version: Version) -> String {
        self.last_version += 1;
        let versions = self.objects.entry(key.to_owned()).or_default();
        if self.versioned && !self.suspended {
            version.id = format!("v{}", self.last_version);
        } else {
            version.id = "null".to_owned();
            versions.retain(|version| version.id != "null");
        }
        let id = version.id.clone();
        versions.push(version);
        id
    }

    pub(super) fn answer(&mut self, asked: &Asked) -> Response {
        let ignored = asked.lack == Lack::Ignored && !asked.is_able();
        if let Some(name) = KEPT.into_iter().find(|name| asked.has(name) && !ignored) {
            return self.answer_kept(asked, name);
        }
        match asked.method {
            Method::PUT if asked.has("versioning") => {
                self.versioned = asked.says("<Status>Enabled</Status>");
                StatusCode::OK.into_response()
            }
            Method::GET if asked.has("versions") && !ignored => {
                self.list_versions(asked.value("prefix"))
            }
            Method::GET if asked.has("uploads") => self.list_uploads(asked.value("prefix")),
            Method::GET if asked.value("delimiter") == "/" => {
                self.list_folders(asked.value("prefix"))
            }
            Method::GET => self.list_keys(asked.value("prefix")),
            Method::HEAD => StatusCode::OK.into_response(),
            _ => refuse(StatusCode::BAD_REQUEST, "InvalidRequest"),
        }
    }

    fn answer_kept(&mut self, asked: &Asked, name: &'static str) -> Response {
        match asked.method {
            Method::PUT => {
                self.kept.insert(name, asked.body.clone());
                StatusCode::OK.into_response()
            }
            Method::DELETE => {
                self.kept.remove(name);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => match self.kept.get(name) {
                Some(kept) => kept.clone().into_response(),
                None => refuse(StatusCode::NOT_FOUND, "NoSuchConfiguration"),
            },
        }
    }

    fn list_keys(&self, prefix: &str) -> Response {
        let keys = self.keys().into_iter().filter(|k| k.starts_with(prefix));
        let contents: String = keys
            .map(|k| {
                let at = &self.created_at;
                format!("<Contents><Key>{k}</Key><Size>{OBJECT_BYTES}</Size><LastModified>{at}</LastModified></Contents>")
            })
            .collect();
        format!("<ListBucketResult>{contents}<IsTruncated>false</IsTruncated></ListBucketResult>")
            .into_response()
    }

    fn list_folders(&self, prefix: &str) -> Response {
        let rests = self
            .keys()
            .into_iter()
            .filter_map(|k| k.strip_prefix(prefix));
        let folders: BTreeSet<&str> = rests.filter_map(|k| Some(k.split_once('/')?.0)).collect();
        let folders = folders.into_iter();
        let folders: String = folders
            .map(|f| format!("<CommonPrefixes><Prefix>{prefix}{f}/</Prefix></CommonPrefixes>"))
            .collect();
        format!("<ListBucketResult>{folders}<IsTruncated>false</IsTruncated></ListBucketResult>")
            .into_response()
    }

    fn list_uploads(&self, prefix: &str) -> Response {
        let keys = self.uploads.iter().filter(|k| k.starts_with(prefix));
        let uploads: String = keys
            .map(|k| format!("<Upload><Key>{k}</Key><UploadId>u</UploadId></Upload>"))
            .collect();
        format!("<ListMultipartUploadsResult>{uploads}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
            .into_response()
    }

    fn list_versions(&self, prefix: &str) -> Response {
        let mut text = String::new();
        for (key, versions) in self.objects.iter().filter(|(k, _)| k.starts_with(prefix)) {
            for version in versions.iter().rev() {
                let element = if version.marker {
                    "DeleteMarker"
                } else {
                    "Version"
                };
                let id = &version.id;
                text.push_str(&format!(
                    "<{element}><Key>{key}</Key><VersionId>{id}</VersionId></{element}>"
                ));
            }
        }
        format!("<ListVersionsResult>{text}<IsTruncated>false</IsTruncated></ListVersionsResult>")
            .into_response()
    }
}
