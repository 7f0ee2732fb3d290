//! XML: the reader, the writer, and the documents of each operation.

use wire::EngineCapabilities;

use super::{PREFIXES, bucket, settings};
use crate::listing::read_objects;
use crate::operation::Operation;
use crate::ops::settings::{rewrite, subresource};
use crate::ops::{acl, complete_multipart_upload, cors, create_bucket, delete_objects};
use crate::place::Place;
use crate::xml::{Element, XmlWriter, parse};

const MAX_DEPTH: usize = 17;

/// A document. What is read and written anew reads back the same.
pub fn xml(input: &[u8]) {
    listed(input);
    if let Ok(root) = parse(input) {
        assert!(depth(&root) <= MAX_DEPTH);
        if plain_names(&root) {
            let mut out = XmlWriter::document();
            write(&mut out, &root);
            let written = out.finish();
            let again = parse(written.as_bytes());
            assert_eq!(again, Ok(without_mixed_text(root)), "{written}");
        }
    }
    if let Ok(rules) = cors::read(input) {
        let again = cors::read(cors::write(&rules).as_bytes());
        assert_eq!(again.map_err(|error| error.code), Ok(rules));
    }
    if let Ok(parts) = complete_multipart_upload::read(input) {
        let able = EngineCapabilities {
            checksums: true,
            newer_checksums: true,
            ..EngineCapabilities::default()
        };
        let written = complete_multipart_upload::write(&parts, able);
        let again = complete_multipart_upload::read(written.as_bytes());
        assert_eq!(again.map_err(|error| error.code), Ok(parts));
    }
    if let Ok(public) = acl::read(input, "owner") {
        let again = acl::read(acl::write("owner", public).as_bytes(), "owner");
        assert_eq!(again.map_err(|error| error.code), Ok(public));
    }
    if let Ok(batch) = delete_objects::read(input) {
        assert!((1..=1000).contains(&batch.targets.len()));
        assert!(batch.targets.iter().all(|target| !target.key.is_empty()));
    }
    let _ = create_bucket::check_location(input, "us-east-1");
    for subresource in Operation::ALL.iter().filter_map(|o| subresource(*o).ok()) {
        if let Ok(written) = rewrite(input, &subresource) {
            let again = rewrite(written.as_bytes(), &subresource);
            assert_eq!(again.map_err(|error| error.code), Ok(written));
        }
    }
}

/// As a listing of an engine's: what comes of it lies in the bucket, and the next page begins behind something.
fn listed(answer: &[u8]) {
    for prefix in PREFIXES {
        let (settings, bucket) = (settings(), bucket("photos", prefix));
        let place = Place {
            bucket: &bucket,
            engine: &settings.engines[0],
        };
        let Ok(page) = read_objects(place, answer) else {
            continue;
        };
        let keys = page.objects.iter().map(|object| object.key.as_str());
        let last = keys.chain(page.common_prefixes.iter().map(String::as_str));
        let something = last.count() > 0;
        assert!(page.next_marker.is_none() || page.is_truncated);
        assert!(page.next_marker.is_some() || !(page.is_truncated && something));
    }
}

fn depth(element: &Element) -> usize {
    1 + element.children.iter().map(depth).max().unwrap_or(0)
}

/// The writer writes names that stand in the code, and no others.
fn plain_names(element: &Element) -> bool {
    element.name.starts_with(|c: char| c.is_ascii_alphabetic())
        && element.name.bytes().all(|b| b.is_ascii_alphanumeric())
        && element.children.iter().all(plain_names)
}

fn write(out: &mut XmlWriter, element: &Element) {
    if element.children.is_empty() {
        return out.text(&element.name, &element.text);
    }
    out.open(&element.name);
    for child in &element.children {
        write(out, child);
    }
    out.close(&element.name);
}

/// S3's documents have text in leaves alone.
fn without_mixed_text(mut element: Element) -> Element {
    if !element.children.is_empty() {
        element.text.clear();
    }
    element.children = element
        .children
        .into_iter()
        .map(without_mixed_text)
        .collect();
    element
}
