//! What is read back of what was written, whole or damaged.

use wire::Snapshot;

use super::*;
use crate::tenants::tests::{document, key, settings};

fn snapshot() -> Vec<ToNode> {
    let snapshot = Snapshot {
        revision: 1,
        settings: settings(1),
        tenants: vec![
            document(1, 1, vec![key("KEYID", &[])]),
            document(3, 1, vec![]),
        ],
    };
    snapshot.messages("epoch", 1)
}

fn change(revision: i64) -> ToNode {
    ToNode::Tenant(document(2, revision, vec![]))
}

fn text(message: &ToNode) -> Vec<u8> {
    serde_json::to_vec(message).unwrap()
}

fn open(path: &Path) -> (Cache, Vec<ToNode>) {
    let mut known = Vec::new();
    let cache = Cache::open(path, &[1; 32], |message| known.push(message)).unwrap();
    (cache, known)
}

fn replace(cache: &mut Cache) {
    let messages = snapshot();
    let (begin, rest) = messages.split_first().unwrap();
    let (end, pages) = rest.split_last().unwrap();
    let generation = cache.begin(&text(begin)).unwrap();
    for page in pages {
        cache.add(generation, &text(page)).unwrap();
    }
    cache.finish(generation, &text(end)).unwrap();
}

fn written(path: &Path) {
    let (mut cache, known) = open(path);
    assert!(known.is_empty());
    replace(&mut cache);
    cache.append(&text(&change(2))).unwrap();
    cache.append(&text(&change(3))).unwrap();
}

fn then(changes: &[i64]) -> Vec<ToNode> {
    let changes = changes.iter().map(|revision| change(*revision));
    snapshot().into_iter().chain(changes).collect()
}

/// Where each record ends, after the file's name.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![NAME];
    while *ends.last().unwrap() < bytes.len() {
        let at = *ends.last().unwrap();
        ends.push(at + 4 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize);
    }
    ends
}

#[test]
fn what_was_written_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let (mut cache, known) = open(&path);
    assert_eq!(known, then(&[2, 3]));
    cache.append(&text(&change(4))).unwrap();
    assert_eq!(open(&path).1, then(&[2, 3, 4]));
}

#[test]
fn nothing_readable_lies_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"KEYID"));
    Cache::open(&path, &[2; 32], |message| panic!("{message:?}")).unwrap();
}

#[test]
fn a_torn_record_is_dropped_and_the_rest_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let (mut cache, known) = open(&path);
    assert_eq!(known, then(&[2]));
    cache.append(&text(&change(5))).unwrap();
    assert_eq!(open(&path).1, then(&[2, 5]));
}

#[test]
fn half_a_snapshot_is_as_good_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..ends(&bytes)[3]]).unwrap();
    let (mut cache, known) = open(&path);
    assert_eq!(known, snapshot()[..3]);
    assert!(!cache.is_whole() && cache.append(&text(&change(2))).is_err());
    replace(&mut cache);
    assert_eq!(open(&path).1, snapshot());
}

#[test]
fn records_cannot_be_reordered_or_taken_from_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let bytes = std::fs::read(&path).unwrap();
    let at = ends(&bytes);
    let swapped = [&bytes[..at[4]], &bytes[at[5]..], &bytes[at[4]..at[5]]].concat();
    std::fs::write(&path, swapped).unwrap();
    assert_eq!(open(&path).1, snapshot());
    std::fs::remove_file(&path).unwrap();
    written(&path);
    let other = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..at[5]], &other[at[5]..]].concat()).unwrap();
    assert_eq!(open(&path).1, then(&[2]));
}

#[test]
fn what_changes_while_a_snapshot_is_written_is_in_the_old_file_and_behind_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let (mut cache, _) = open(&path);
    let messages = snapshot();
    let generation = cache.begin(&text(&messages[0])).unwrap();
    cache.add(generation, &text(&messages[1])).unwrap();
    cache.append(&text(&change(4))).unwrap();
    assert_eq!(open(&path).1, then(&[2, 3, 4]), "until all of it is there");
    cache.add(generation, &text(&messages[2])).unwrap();
    cache.finish(generation, &text(&messages[3])).unwrap();
    assert_eq!(open(&path).1, then(&[4]));
    cache.append(&text(&change(5))).unwrap();
    assert_eq!(open(&path).1, then(&[4, 5]));
}

#[test]
fn a_snapshot_that_was_given_up_for_another_cannot_be_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let (mut cache, _) = open(&path);
    let old = cache.begin(&text(&snapshot()[0])).unwrap();
    let new = cache.begin(&text(&snapshot()[0])).unwrap();
    assert!(cache.add(old, &text(&snapshot()[1])).is_err());
    cache.add(new, &text(&snapshot()[1])).unwrap();
    cache.give_up(new);
    assert!(cache.finish(new, &text(&snapshot()[3])).is_err());
    assert_eq!(open(&path).1, then(&[2, 3]));
}

/// A disk that fails once: the device that is always full takes the place of the file.
#[test]
fn after_a_failed_write_nothing_is_acknowledged_until_all_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    written(&path);
    let (mut cache, _) = open(&path);
    cache.current.as_mut().unwrap().file =
        OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(cache.append(&text(&change(4))).is_err());
    assert!(cache.wants_snapshot() && !cache.is_whole());
    assert!(cache.append(&text(&change(5))).is_err());
    replace(&mut cache);
    assert!(!cache.wants_snapshot() && cache.is_whole());
    cache.append(&text(&change(6))).unwrap();
    assert_eq!(open(&path).1, then(&[6]));
}
