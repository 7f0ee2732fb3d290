//! The versions of one object as rows of a table, on the page of an object and on that of one that is deleted.

use controlplane::console::Version;

use crate::fields::encode;
use crate::figures::{Moment, Size};

pub struct VersionRow {
    pub id: String,
    pub latest: bool,
    pub delete_marker: bool,
    pub size: Size,
    pub modified: Option<Moment>,
    pub href: String,
}

/// `key`: encoded.
pub fn rows(bucket: &str, key: &str, versions: Vec<Version>) -> Vec<VersionRow> {
    // One version by itself is the object that the page shows anyway.
    if versions.len() < 2 && versions.iter().all(|version| version.id == "null") {
        return Vec::new();
    }
    let rows = versions.into_iter().map(|version| VersionRow {
        href: format!(
            "/buckets/{bucket}/object?key={key}&version={}",
            encode(&version.id)
        ),
        id: version.id,
        latest: version.latest,
        delete_marker: version.delete_marker,
        size: Size::of(version.size),
        modified: version.modified.map(Moment),
    });
    rows.collect()
}
