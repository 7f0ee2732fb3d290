//! The walk against a model of an engine that lists folder by folder, in pages of a few entries.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

/// Sorts as SeaweedFS does: by names within folders, so that `/` is the lowest of all bytes. As there, a page that ends
/// with an object is said to be the last if only the folder of the object's name would follow.
struct Folders {
    keys: Vec<String>,
    page: usize,
    /// What is listed at most, however much is asked for.
    most: usize,
    asked: AtomicUsize,
}

fn folder_order(key: &str) -> Vec<u8> {
    key.bytes().map(|b| if b == b'/' { 0 } else { b }).collect()
}

impl Folders {
    fn new(keys: &BTreeSet<String>, page: usize) -> Self {
        let mut keys: Vec<String> = keys.iter().cloned().collect();
        keys.sort_by_key(|key| folder_order(key));
        Folders {
            keys,
            page,
            most: page,
            asked: AtomicUsize::new(0),
        }
    }

    fn page(&self, prefix: &str, folders: bool, start: &Start) -> Page {
        let mut names: Vec<(String, bool)> = Vec::new();
        for key in self.keys.iter().filter(|key| key.starts_with(prefix)) {
            let name = match fold(key, prefix, "/").filter(|_| folders) {
                Some(folder) => (folder, true),
                None => (key.clone(), false),
            };
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        let from = match start {
            Start::Beginning => 0,
            // Behind a name is behind the folder of that name, too.
            Start::After(after) => names
                .iter()
                .position(|(name, folder)| {
                    let name = if *folder {
                        name.trim_end_matches('/')
                    } else {
                        name
                    };
                    folder_order(name) > folder_order(after)
                })
                .unwrap_or(names.len()),
            Start::Token(at) => at.parse().unwrap(),
        };
        let end = names.len().min(from + self.page.min(self.most));
        let last = names[from..end].last().map(|(name, _)| format!("{name}/"));
        let forgotten = |(name, _): &(String, bool)| {
            last.as_ref().is_some_and(|folder| name.starts_with(folder))
        };
        let mut page = Page {
            is_truncated: !names[end..].iter().all(forgotten),
            max_keys: Some(self.page.min(self.most)),
            ..Page::default()
        };
        page.next_token = page.is_truncated.then(|| end.to_string());
        for (name, folder) in &names[from..end] {
            if *folder {
                page.common_prefixes.push(name.clone());
            } else {
                page.objects.push(object(name));
            }
        }
        page
    }
}

fn object(key: &str) -> Object {
    Object {
        key: key.to_owned(),
        last_modified: String::new(),
        etag: String::new(),
        size: String::new(),
        checksum_algorithms: vec![],
        checksum_type: None,
    }
}

impl Source for Folders {
    fn page_size(&self) -> usize {
        self.page
    }

    fn fetch<'f>(&'f self, prefix: &'f str, folders: bool, start: Start) -> Fetched<'f> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let page = self.page(prefix, folders, &start);
        Box::pin(async move { Ok(page) })
    }
}

/// What S3 would answer.
fn expected(keys: &BTreeSet<String>, prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
    let mut all: Vec<String> = keys
        .iter()
        .filter(|key| key.starts_with(prefix))
        .map(|key| match delimiter.is_empty() {
            true => key.clone(),
            false => fold(key, prefix, delimiter).unwrap_or(key.clone()),
        })
        .filter(|key| key.as_str() > after)
        .collect();
    all.dedup();
    all
}

fn listed(
    keys: &BTreeSet<String>,
    page: usize,
    prefix: &str,
    delimiter: &str,
    limit: usize,
) -> Vec<String> {
    listed_from(&Folders::new(keys, page), prefix, delimiter, limit)
}

fn wanted<'a>(prefix: &'a str, delimiter: &'a str, after: &'a str) -> Wanted<'a> {
    Wanted {
        prefix,
        delimiter,
        after,
        continued: false,
    }
}

/// Page after page, to the end.
fn listed_from(source: &Folders, prefix: &str, delimiter: &str, limit: usize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (mut out, mut after) = (Vec::new(), String::new());
    loop {
        let page = Wanted {
            continued: !out.is_empty(),
            ..wanted(prefix, delimiter, &after)
        };
        let entries = runtime.block_on(list(source, page, limit)).unwrap();
        assert!(entries.len() <= limit);
        let Some(last) = entries.last() else {
            return out;
        };
        after = last.key().to_owned();
        out.extend(entries.iter().map(|entry| entry.key().to_owned()));
        assert!(out.len() < 1000, "no end");
    }
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn a_folder_comes_where_s3_has_it() {
    let keys = set(&[
        "a/1", "a/2", "a b", "a-b", "a.txt", "a0", "b", "b/x", "b/y/z",
    ]);
    for page in 1..12 {
        for limit in 1..12 {
            let flat = listed(&keys, page, "", "", limit);
            assert_eq!(
                flat,
                expected(&keys, "", "", ""),
                "page {page}, limit {limit}"
            );
            let folded = listed(&keys, page, "", "/", limit);
            assert_eq!(
                folded,
                ["a b", "a-b", "a.txt", "a/", "a0", "b", "b/"],
                "page {page}, limit {limit}"
            );
        }
    }
}

#[test]
fn a_start_within_a_folder_leaves_nothing_out() {
    let keys = set(&["a/1", "a/2", "a b", "a-b/c", "a.txt", "b"]);
    for after in [
        "", "a", "a ", "a b", "a-", "a-b", "a-b/c", "a.txt", "a/", "a/1", "a/2", "b", "c",
    ] {
        let source = Folders::new(&keys, 2);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let entries = runtime
            .block_on(list(&source, wanted("", "", after), 100))
            .unwrap();
        let got: Vec<&str> = entries.iter().map(Entry::key).collect();
        assert_eq!(got, expected(&keys, "", "", after), "after {after:?}");
    }
}

/// How often the engine is asked for the first page behind `after`.
fn requests(source: &Folders, page: Wanted<'_>, limit: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let before = source.asked.load(Ordering::Relaxed);
    let entries = runtime.block_on(list(source, page, limit)).unwrap();
    assert!(!entries.is_empty());
    source.asked.load(Ordering::Relaxed) - before
}

#[test]
fn what_fits_a_page_is_read_once() {
    let keys: BTreeSet<String> = (0..10).map(|n| format!("list/{n:03}")).collect();
    let source = Folders::new(&keys, 11);
    for prefix in ["", "list/"] {
        for delimiter in ["", "/", "0"] {
            let page = wanted(prefix, delimiter, "");
            // As many as a client's page holds, and one more that would show that there is another.
            assert_eq!(requests(&source, page, 11), 1, "{prefix:?} {delimiter:?}");
        }
    }
    let stops_short = Folders {
        most: 10,
        ..Folders::new(&keys, 11)
    };
    assert!(
        requests(&stops_short, wanted("list/", "", ""), 11) > 1,
        "a page that is just full is believed"
    );
}

#[test]
fn a_large_folder_is_read_once_for_each_page() {
    let keys: BTreeSet<String> = (0..30).map(|n| format!("list/{n:03}")).collect();
    let source = Folders::new(&keys, 11);
    for delimiter in ["", "/"] {
        let first = wanted("list/", delimiter, "");
        assert_eq!(requests(&source, first, 11), 1);
        let second = Wanted {
            after: "list/009",
            continued: true,
            ..first
        };
        // The other looks for what a folder `list/009/` would hold.
        assert_eq!(requests(&source, second, 11), 2);
    }
}

/// An engine that lists a folder in itself, or that says the same page again and again.
struct Astray {
    again: bool,
    asked: AtomicUsize,
}

impl Source for Astray {
    fn page_size(&self) -> usize {
        2
    }

    fn fetch<'f>(&'f self, prefix: &'f str, folders: bool, _: Start) -> Fetched<'f> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(asked < 100, "it is asked for ever");
        let page = Page {
            common_prefixes: vec![prefix.to_owned()],
            is_truncated: self.again || !folders,
            next_token: (self.again || !folders).then(|| "t".to_owned()),
            ..Page::default()
        };
        Box::pin(async move { Ok(page) })
    }
}

#[test]
fn an_engine_that_goes_in_circles_is_left() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let walked = |again| {
        let source = Astray {
            again,
            asked: Default::default(),
        };
        let entries = runtime.block_on(list(&source, wanted("a/", "", ""), 100));
        entries.map(|e| e.len()).map_err(|error| error.code)
    };
    assert_eq!(walked(false), Ok(0));
    assert_eq!(walked(true), Err(Code::InternalError));
}

proptest! {
    #[test]
    fn every_page_is_as_s3_would_have_it(
        keys in proptest::collection::btree_set("[ab .-]{1,2}(/[ab .-]{1,2}){0,2}", 0..40),
        page in 1usize..8,
        limit in 1usize..10,
        prefix in "([ab]{0,1}/{0,1}[ab.]{0,1}){0,1}",
        delimiter in prop_oneof![Just(""), Just("/"), Just("b"), Just("-")],
    ) {
        let got = listed(&keys, page, &prefix, delimiter, limit);
        prop_assert_eq!(got, expected(&keys, &prefix, delimiter, ""));
    }

    #[test]
    fn an_engine_that_stops_short_is_read_to_the_end(
        keys in proptest::collection::btree_set("[ab .-]{1,2}(/[ab .-]{1,2}){0,2}", 0..40),
        most in 1usize..8,
        limit in 1usize..10,
        delimiter in prop_oneof![Just(""), Just("/"), Just("b")],
    ) {
        let source = Folders { most, ..Folders::new(&keys, 8) };
        let got = listed_from(&source, "", delimiter, limit);
        prop_assert_eq!(got, expected(&keys, "", delimiter, ""));
    }
}
