//! What this node knows, on its disk: a snapshot and the changes since, each record encrypted, so that a node starts
//! and serves with the control plane gone. A torn last record is dropped; a damaged file is as good as none.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use wire::{Snapshot, ToNode};

const NONCE: usize = 24;
/// Changes are appended until they outgrow the snapshot by this much; then all is written anew.
const SLACK: u64 = 1024 * 1024;

pub struct Cache {
    path: PathBuf,
    cipher: XChaCha20Poly1305,
    /// `None` until there is a snapshot to append to.
    file: Option<File>,
    records: u64,
    snapshot_bytes: u64,
    appended_bytes: u64,
}

impl Cache {
    /// Opens or makes the cache, and reads what it holds: a snapshot first, then changes in order.
    pub fn open(path: &Path, key: &[u8; 32]) -> anyhow::Result<(Cache, Vec<ToNode>)> {
        let mut cache = Cache {
            path: path.to_owned(),
            cipher: XChaCha20Poly1305::new(key.into()),
            file: None,
            records: 0,
            snapshot_bytes: 0,
            appended_bytes: 0,
        };
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(mut file) => file
                .read_to_end(&mut bytes)
                .map(|_| ())
                .with_context(|| format!("{} cannot be read", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((cache, Vec::new()));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be opened", path.display()));
            }
        }
        let (messages, whole) = cache.read(&bytes);
        if messages.is_empty() {
            tracing::warn!(
                "the cached configuration cannot be read; the node waits for the control plane"
            );
            return Ok((cache, messages));
        }
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(whole)?;
        cache.file = Some(file);
        Ok((cache, messages))
    }

    /// The readable records, and where they end.
    fn read(&mut self, mut rest: &[u8]) -> (Vec<ToNode>, u64) {
        let mut messages: Vec<ToNode> = Vec::new();
        let mut whole = 0;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((record, after)) = after.split_at_checked(length) else {
                break;
            };
            let Some(message) = self.decrypt(record) else {
                break;
            };
            if messages.is_empty() != matches!(message, ToNode::Snapshot(_)) {
                break;
            }
            messages.push(message);
            whole += 4 + length as u64;
            if self.records == 0 {
                self.snapshot_bytes = whole;
            }
            self.records += 1;
            rest = after;
        }
        self.appended_bytes = whole - self.snapshot_bytes;
        (messages, whole)
    }

    /// Puts a snapshot in place of everything. On disk when it returns.
    pub fn replace(&mut self, snapshot: Snapshot) -> anyhow::Result<()> {
        // Until all of it is on disk there is nothing to append to: what fails half-way must not be built upon.
        self.file = None;
        let record = self.encrypt(&ToNode::Snapshot(snapshot), 0)?;
        let partial = self.path.with_extension("partial");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&record)?;
        file.sync_all()?;
        std::fs::rename(&partial, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.records = 1;
        self.snapshot_bytes = record.len() as u64;
        self.appended_bytes = 0;
        Ok(())
    }

    /// Adds one change. On disk when it returns. After a failure only [`Cache::replace`] makes the cache whole again.
    pub fn append(&mut self, message: &ToNode) -> anyhow::Result<()> {
        let record = self.encrypt(message, self.records)?;
        let mut file = self
            .file
            .take()
            .context("there is no snapshot to append to")?;
        file.write_all(&record)?;
        file.sync_data()?;
        self.file = Some(file);
        self.records += 1;
        self.appended_bytes += record.len() as u64;
        Ok(())
    }

    /// Whether a change cannot be appended, or a new snapshot would be shorter than what was appended.
    pub fn wants_snapshot(&self) -> bool {
        self.file.is_none() || self.appended_bytes > self.snapshot_bytes + SLACK
    }

    fn encrypt(&self, message: &ToNode, index: u64) -> anyhow::Result<Vec<u8>> {
        let plain = serde_json::to_vec(message)?;
        let nonce: [u8; NONCE] = rand::random();
        let aad = index.to_be_bytes();
        let sealed = self
            .cipher
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: &plain,
                    aad: &aad,
                },
            )
            .map_err(|_| anyhow::anyhow!("a record is too long to encrypt"))?;
        let length = u32::try_from(NONCE + sealed.len()).context("a record is too long")?;
        Ok([&length.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, record: &[u8]) -> Option<ToNode> {
        let (nonce, sealed) = record.split_first_chunk::<NONCE>()?;
        let aad = self.records.to_be_bytes();
        let plain = self
            .cipher
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: sealed,
                    aad: &aad,
                },
            )
            .ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::tests::{document, key, settings};

    fn snapshot() -> Snapshot {
        Snapshot {
            revision: 1,
            settings: settings(1),
            tenants: vec![document(1, 1, vec![key("KEYID", &[])])],
        }
    }

    fn change(revision: i64) -> ToNode {
        ToNode::Tenant(document(2, revision, vec![]))
    }

    fn written(path: &Path) {
        let (mut cache, known) = Cache::open(path, &[1; 32]).unwrap();
        assert!(known.is_empty());
        cache.replace(snapshot()).unwrap();
        cache.append(&change(2)).unwrap();
        cache.append(&change(3)).unwrap();
    }

    #[test]
    fn what_was_written_is_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        written(&path);
        let (mut cache, known) = Cache::open(&path, &[1; 32]).unwrap();
        assert_eq!(known, [ToNode::Snapshot(snapshot()), change(2), change(3)]);
        cache.append(&change(4)).unwrap();
        assert_eq!(Cache::open(&path, &[1; 32]).unwrap().1.len(), 4);
    }

    #[test]
    fn nothing_readable_lies_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        written(&path);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"KEYID"));
        assert!(Cache::open(&path, &[2; 32]).unwrap().1.is_empty());
    }

    #[test]
    fn a_torn_record_is_dropped_and_the_rest_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        written(&path);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let (mut cache, known) = Cache::open(&path, &[1; 32]).unwrap();
        assert_eq!(known, [ToNode::Snapshot(snapshot()), change(2)]);
        cache.append(&change(5)).unwrap();
        assert_eq!(
            Cache::open(&path, &[1; 32]).unwrap().1,
            [ToNode::Snapshot(snapshot()), change(2), change(5)]
        );
    }

    #[test]
    fn records_cannot_be_reordered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        written(&path);
        let bytes = std::fs::read(&path).unwrap();
        let mut ends = vec![0];
        while *ends.last().unwrap() < bytes.len() {
            let at = *ends.last().unwrap();
            ends.push(at + 4 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize);
        }
        let swapped = [
            &bytes[..ends[1]],
            &bytes[ends[2]..],
            &bytes[ends[1]..ends[2]],
        ]
        .concat();
        std::fs::write(&path, swapped).unwrap();
        assert_eq!(
            Cache::open(&path, &[1; 32]).unwrap().1,
            [ToNode::Snapshot(snapshot())]
        );
    }

    /// A disk that fails once: the device that is always full takes the place of the file.
    #[test]
    fn after_a_failed_write_nothing_is_acknowledged_until_all_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        written(&path);
        let (mut cache, _) = Cache::open(&path, &[1; 32]).unwrap();
        cache.file = Some(OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert!(cache.append(&change(4)).is_err());
        assert!(cache.wants_snapshot());
        assert!(cache.append(&change(5)).is_err());
        cache.replace(snapshot()).unwrap();
        assert!(!cache.wants_snapshot());
        cache.append(&change(6)).unwrap();
        let known = Cache::open(&path, &[1; 32]).unwrap().1;
        assert_eq!(known, [ToNode::Snapshot(snapshot()), change(6)]);
    }
}
