//! Listings in S3's order over engines that list folder by folder. Such an engine puts `a/1` before `a b`, because it
//! sorts names within folders, where S3 sorts whole keys; a client that compares two listings, as `aws s3 sync --delete`
//! does, would take what comes late for missing. This walks the folders and puts each where S3 has it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use crate::error::{Code, S3Error};
use crate::listing::{Object, Page};

/// Where a page begins.
#[derive(Debug, Clone)]
pub enum Start {
    Beginning,
    /// Behind this key, in the engine's order.
    After(String),
    /// Where the page before said.
    Token(String),
}

pub type Fetched<'f> = Pin<Box<dyn Future<Output = Result<Page, S3Error>> + Send + 'f>>;

/// One page of an engine's listing, in the tenant's terms.
pub trait Source: Sync {
    /// How many entries of a page are asked for.
    fn page_size(&self) -> usize;
    /// With `folders`, what lies deeper than one level is folded at `/`.
    fn fetch<'f>(&'f self, prefix: &'f str, folders: bool, start: Start) -> Fetched<'f>;
}

#[derive(Debug)]
pub enum Entry {
    Object(Object),
    CommonPrefix(String),
}

impl Entry {
    /// What the next page has to come after.
    pub fn key(&self) -> &str {
        match self {
            Entry::Object(object) => &object.key,
            Entry::CommonPrefix(prefix) => prefix,
        }
    }
}

/// What is listed: of which keys, folded at what, and behind what.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub prefix: &'a str,
    pub delimiter: &'a str,
    /// Keys and common prefixes are greater than this.
    pub after: &'a str,
    /// This goes on a page before, so that there is more under the prefix than that page held.
    pub continued: bool,
}

/// The first `limit` entries, in byte order.
pub async fn list(
    source: &dyn Source,
    wanted: Wanted<'_>,
    limit: usize,
) -> Result<Vec<Entry>, S3Error> {
    let Wanted {
        prefix, delimiter, ..
    } = wanted;
    if delimiter.is_empty() || delimiter == "/" {
        return walk(source, wanted, limit).await;
    }
    let mut entries = Vec::new();
    let mut after = wanted.after.to_owned();
    let mut continued = wanted.continued;
    while entries.len() < limit {
        let flat = Wanted {
            delimiter: "",
            after: &after,
            continued,
            ..wanted
        };
        let some = walk(source, flat, source.page_size()).await?;
        continued = some.len() >= source.page_size();
        for entry in some {
            if entries.len() == limit {
                break;
            }
            if entry.key() <= after.as_str() {
                continue;
            }
            match fold(entry.key(), prefix, delimiter) {
                None => {
                    entry.key().clone_into(&mut after);
                    entries.push(entry);
                }
                Some(common) if common.as_str() <= after.as_str() => {
                    entry.key().clone_into(&mut after)
                }
                Some(common) => {
                    // Behind everything that begins so.
                    after = format!("{common}{}", char::MAX);
                    entries.push(Entry::CommonPrefix(common));
                }
            }
        }
        if !continued {
            break;
        }
    }
    Ok(entries)
}

/// The common prefix that a key is folded into: up to the first delimiter behind the prefix.
fn fold(key: &str, prefix: &str, delimiter: &str) -> Option<String> {
    let at = key.strip_prefix(prefix)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
        .map(str::to_owned)
}

enum Item {
    Object(Object),
    /// A folder, and whether the engine said that it is there.
    Folder {
        seen: bool,
    },
}

fn walk<'f>(
    source: &'f dyn Source,
    wanted: Wanted<'f>,
    limit: usize,
) -> Pin<Box<dyn Future<Output = Result<Vec<Entry>, S3Error>> + Send + 'f>> {
    Box::pin(async move {
        let Wanted { prefix, after, .. } = wanted;
        if limit == 0 || (after > prefix && !after.starts_with(prefix)) {
            return Ok(Vec::new());
        }
        let fold_folders = !wanted.delimiter.is_empty();
        let mut level = Level::new(prefix, after, fold_folders);
        let mut more = None;
        // Behind a whole page there is more than fits one.
        if !wanted.continued || limit < source.page_size() {
            let page = source.fetch(prefix, false, Start::Beginning).await?;
            // A page that is just full may have lost what comes behind it.
            if !page.is_truncated && !is_full(&page, source) {
                return Ok(sorted(page.objects, prefix, after, limit, fold_folders));
            }
            more = level.take_flat(page);
        }
        let mut out = Vec::new();
        loop {
            let more = match more.take() {
                Some(more) => more,
                None => level.read(source).await?,
            };
            while let Some((key, item)) = level.next(more) {
                match item {
                    Item::Object(object) => out.push(Entry::Object(object)),
                    Item::Folder { seen } if fold_folders => {
                        if seen || is_anything_in(source, &key).await? {
                            out.push(Entry::CommonPrefix(key));
                        }
                    }
                    Item::Folder { .. } => {
                        let within = Wanted {
                            prefix: &key,
                            continued: false,
                            ..wanted
                        };
                        out.extend(walk(source, within, limit - out.len()).await?);
                    }
                }
                if out.len() >= limit {
                    return Ok(out);
                }
            }
            if !more {
                return Ok(out);
            }
        }
    })
}

async fn is_anything_in(source: &dyn Source, folder: &str) -> Result<bool, S3Error> {
    let page = source.fetch(folder, false, Start::Beginning).await?;
    Ok(!page.objects.is_empty())
}

/// Whether there was no room for more. An engine may give fewer than it is asked for, and says so.
fn is_full(page: &Page, source: &dyn Source) -> bool {
    let most = page.max_keys.unwrap_or(usize::MAX).min(source.page_size());
    page.objects.len() + page.common_prefixes.len() >= most
}

/// Few enough to sort at once.
fn sorted(
    mut objects: Vec<Object>,
    prefix: &str,
    after: &str,
    limit: usize,
    fold_folders: bool,
) -> Vec<Entry> {
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    let mut entries: Vec<Entry> = Vec::new();
    for object in objects {
        let entry = match fold(&object.key, prefix, "/").filter(|_| fold_folders) {
            Some(common) => Entry::CommonPrefix(common),
            None => Entry::Object(object),
        };
        if entry.key() > after && entries.last().is_none_or(|last| last.key() != entry.key()) {
            entries.push(entry);
        }
        if entries.len() == limit {
            break;
        }
    }
    entries
}

/// One folder's entries, or those whose names begin in one way, each held back until nothing can come before it.
struct Level<'a> {
    prefix: &'a str,
    after: &'a str,
    fold_folders: bool,
    /// By whole key; a folder's ends in `/`.
    pending: BTreeMap<String, Item>,
    start: Start,
    /// The last name that the engine has listed: all others are greater.
    reached: String,
    /// The last key that was given out.
    given: String,
}

impl<'a> Level<'a> {
    fn new(prefix: &'a str, after: &'a str, fold_folders: bool) -> Self {
        let mut level = Level {
            prefix,
            after,
            fold_folders,
            pending: BTreeMap::new(),
            start: Start::Beginning,
            reached: String::new(),
            given: String::new(),
        };
        let folder = prefix.rfind('/').map_or(0, |at| at + 1);
        let Some(rest) = after.get(folder..).filter(|_| after.starts_with(prefix)) else {
            return level;
        };
        let name = rest.split('/').next().unwrap_or("");
        if name.is_empty() {
            return level;
        }
        // The engine goes on behind this name. It leaves out folders that it lists earlier than S3 does: those whose
        // names begin this one, where a byte below `/` follows.
        for at in (1..=name.len()).filter(|at| name.is_char_boundary(*at)) {
            let behind = name.as_bytes().get(at).is_none_or(|next| *next < b'/');
            let end = folder + at;
            if behind
                && end >= prefix.len()
                && let Some(key) = after.get(..end)
            {
                level.add_folder(format!("{key}/"), false);
            }
        }
        level.start = Start::After(after.get(..folder + name.len()).unwrap_or(after).to_owned());
        level
    }

    fn add_folder(&mut self, key: String, seen: bool) {
        // A folder in which the last page ended is gone on with, unless it was folded into one entry.
        let open = !self.fold_folders && self.after.starts_with(&key);
        // One that lies no deeper would be walked for ever.
        let deeper = key.len() > self.prefix.len();
        if deeper && (key.as_str() > self.after || open) && key > self.given {
            match self.pending.get_mut(&key) {
                Some(Item::Folder { seen: known }) => *known |= seen,
                _ => drop(self.pending.insert(key, Item::Folder { seen })),
            }
        }
    }

    /// Takes a page of all that is under the prefix for the first of this level, if nothing in it lies deeper, and tells
    /// whether there are others.
    fn take_flat(&mut self, page: Page) -> Option<bool> {
        let prefix = self.prefix;
        let deeper = |object: &Object| fold(&object.key, prefix, "/").is_some();
        let last = page.objects.iter().map(|object| &object.key).max()?;
        // What the engine gives out goes on in all that is under the prefix, and not in this level.
        let behind_last = Start::After(last.clone());
        if page.objects.iter().any(deeper) || matches!(self.start, Start::After(_)) {
            return None;
        }
        self.take(page, true);
        self.start = behind_last;
        Some(true)
    }

    /// Reads one more page, and tells whether there are others.
    async fn read(&mut self, source: &dyn Source) -> Result<bool, S3Error> {
        let mut page = source.fetch(self.prefix, true, self.start.clone()).await?;
        let next = page.next_token.take().filter(|_| page.is_truncated);
        let full = is_full(&page, source);
        self.take(page, full);
        let more = next.is_some();
        if let Some(token) = next {
            // An engine that goes on where it was has no end.
            if matches!(&self.start, Start::Token(before) if *before == token) {
                return Err(Code::InternalError.into());
            }
            self.start = Start::Token(token);
        }
        Ok(more)
    }

    fn take(&mut self, page: Page, full: bool) {
        let folders = page
            .common_prefixes
            .iter()
            .map(|key| key.trim_end_matches('/'));
        let names = page
            .objects
            .iter()
            .map(|object| object.key.as_str())
            .chain(folders);
        if let Some(last) = names.max() {
            last.clone_into(&mut self.reached);
        }
        if full {
            // Some engines forget the folder of the page's last name.
            self.add_folder(format!("{}/", self.reached), false);
        }
        for key in page.common_prefixes {
            self.add_folder(key, true);
        }
        for object in page.objects {
            if object.key.as_str() > self.after && object.key > self.given {
                self.pending
                    .insert(object.key.clone(), Item::Object(object));
            }
        }
    }

    /// The next entry that nothing unread can come before.
    fn next(&mut self, more: bool) -> Option<(String, Item)> {
        let first = self.pending.first_entry()?;
        if more && first.key().as_str() > self.reached.as_str() {
            return None;
        }
        let (key, item) = first.remove_entry();
        key.clone_into(&mut self.given);
        Some((key, item))
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
