//! What this node knows, on its disk: a snapshot and the changes since, as records, each encrypted, so that a node starts
//! and serves with the control plane gone. A torn last record is dropped; a file with half a snapshot is as good as none.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use wire::ToNode;

const NONCE: usize = 24;
/// A name of each file, so that no record can be moved from one to another.
const NAME: usize = 16;
/// Longer than any message of the stream.
const MAX_RECORD: usize = 128 * 1024 * 1024;
/// Changes are appended until they outgrow the snapshot by this much; then all is written anew.
const SLACK: u64 = 1024 * 1024;

/// Records are messages of the stream, as text.
pub struct Cache {
    path: PathBuf,
    cipher: XChaCha20Poly1305,
    /// `None` until there is a snapshot to append to.
    current: Option<Log>,
    snapshot_bytes: u64,
    /// What is to take the place of the current one, as soon as it is all there.
    next: Option<Next>,
    generation: u64,
}

struct Log {
    file: File,
    name: [u8; NAME],
    records: u64,
    bytes: u64,
}

struct Next {
    log: Log,
    generation: u64,
    /// Changes since it was begun, which belong behind it.
    since: Vec<Vec<u8>>,
}

impl Cache {
    /// Opens or makes the cache, and tells what it holds: the messages of a snapshot first, then changes in order. Half a
    /// snapshot may be told and be followed by nothing.
    pub fn open(
        path: &Path,
        key: &[u8; 32],
        mut tell: impl FnMut(ToNode),
    ) -> anyhow::Result<Cache> {
        let mut cache = Cache {
            path: path.to_owned(),
            cipher: XChaCha20Poly1305::new(key.into()),
            current: None,
            snapshot_bytes: 0,
            next: None,
            generation: 0,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(cache),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be opened", path.display()));
            }
        };
        let Some(log) = cache.read(file, &mut tell)? else {
            tracing::warn!(
                "the cached configuration cannot be read; the node waits for the control plane"
            );
            return Ok(cache);
        };
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(log.bytes)?;
        cache.current = Some(Log { file, ..log });
        Ok(cache)
    }

    /// The readable records. `None`: there is no whole snapshot among them.
    fn read(&mut self, file: File, tell: &mut impl FnMut(ToNode)) -> anyhow::Result<Option<Log>> {
        let mut reader = BufReader::with_capacity(1 << 20, file.try_clone()?);
        let mut name = [0; NAME];
        if reader.read_exact(&mut name).is_err() {
            return Ok(None);
        }
        let mut log = Log {
            file,
            name,
            records: 0,
            bytes: NAME as u64,
        };
        let mut whole = false;
        while let Some(record) = next_record(&mut reader) {
            let Some(plain) = self.decrypt(&log, &record) else {
                break;
            };
            let Ok(message) = serde_json::from_slice::<ToNode>(&plain) else {
                break;
            };
            let begins = matches!(message, ToNode::SnapshotBegin(_));
            if begins != (log.records == 0) {
                break;
            }
            log.records += 1;
            log.bytes += 4 + record.len() as u64;
            if matches!(message, ToNode::SnapshotEnd { .. }) {
                whole = true;
                self.snapshot_bytes = log.bytes;
            }
            tell(message);
        }
        Ok(Some(log).filter(|_| whole))
    }

    /// Begins to write a snapshot, beside what is there. Whatever else was being written is given up. The number must be
    /// given again: it tells whether this one was given up.
    pub fn begin(&mut self, begin: &[u8]) -> anyhow::Result<u64> {
        self.next = None;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path.with_extension("partial"))?;
        let mut log = Log {
            file,
            name: rand::random(),
            records: 0,
            bytes: NAME as u64,
        };
        log.file.write_all(&log.name)?;
        log.write(&self.cipher, begin)?;
        self.generation += 1;
        self.next = Some(Next {
            log,
            generation: self.generation,
            since: Vec::new(),
        });
        Ok(self.generation)
    }

    /// Adds a page to the snapshot that was begun.
    pub fn add(&mut self, generation: u64, page: &[u8]) -> anyhow::Result<()> {
        let mut next = self.take_next(generation)?;
        next.log.write(&self.cipher, page)?;
        self.next = Some(next);
        Ok(())
    }

    /// What was written of it so far, to be synced while others go on.
    pub fn unsynced(&self) -> anyhow::Result<File> {
        let next = self.next.as_ref().context("the snapshot was given up")?;
        Ok(next.log.file.try_clone()?)
    }

    /// Puts the snapshot that was begun in place of everything. On disk when it returns.
    pub fn finish(&mut self, generation: u64, end: &[u8]) -> anyhow::Result<()> {
        let mut next = self.take_next(generation)?;
        next.log.write(&self.cipher, end)?;
        let snapshot_bytes = next.log.bytes;
        for change in &next.since {
            next.log.write(&self.cipher, change)?;
        }
        next.log.file.sync_all()?;
        std::fs::rename(self.path.with_extension("partial"), &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.current = Some(next.log);
        self.snapshot_bytes = snapshot_bytes;
        Ok(())
    }

    fn take_next(&mut self, generation: u64) -> anyhow::Result<Next> {
        let next = self
            .next
            .take_if(|next| next.generation == generation)
            .context("the snapshot was given up")?;
        Ok(next)
    }

    /// Gives up the snapshot that was begun; what is there stays.
    pub fn give_up(&mut self, generation: u64) {
        self.next.take_if(|next| next.generation == generation);
    }

    /// What is there is not what the node knows, and cannot be built upon.
    pub fn forget(&mut self) {
        self.current = None;
        self.next = None;
    }

    /// Adds one change. On disk when it returns. After a failure only a snapshot makes the cache whole again.
    pub fn append(&mut self, change: &[u8]) -> anyhow::Result<()> {
        if let Some(next) = &mut self.next {
            next.since.push(change.to_vec());
        }
        let mut log = self
            .current
            .take()
            .context("there is no snapshot to append to")?;
        log.write(&self.cipher, change)?;
        log.file.sync_data()?;
        self.current = Some(log);
        Ok(())
    }

    /// Whether there is something to append to.
    pub fn is_whole(&self) -> bool {
        self.current.is_some()
    }

    /// Whether a new snapshot would be shorter than what was appended, and none is being written.
    pub fn wants_snapshot(&self) -> bool {
        let long = |log: &Log| log.bytes > 2 * self.snapshot_bytes + SLACK;
        self.next.is_none() && self.current.as_ref().is_none_or(long)
    }

    fn decrypt(&self, log: &Log, record: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = record.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: sealed,
            aad: &log.place(),
        };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

impl Log {
    /// Where the next record is: it opens nowhere else.
    fn place(&self) -> Vec<u8> {
        [&self.name[..], &self.records.to_be_bytes()].concat()
    }

    fn write(&mut self, cipher: &XChaCha20Poly1305, plain: &[u8]) -> anyhow::Result<()> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: &self.place(),
        };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| anyhow::anyhow!("a record is too long to encrypt"))?;
        ensure!(NONCE + sealed.len() <= MAX_RECORD, "a record is too long");
        let length = u32::try_from(NONCE + sealed.len())?;
        let record = [&length.to_be_bytes()[..], &nonce, &sealed].concat();
        self.file.write_all(&record)?;
        self.records += 1;
        self.bytes += record.len() as u64;
        Ok(())
    }
}

/// `None`: there is no whole record any more.
fn next_record(reader: &mut impl std::io::Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    if length > MAX_RECORD {
        return None;
    }
    let mut record = Vec::new();
    let read = reader.take(length as u64).read_to_end(&mut record).ok()?;
    (read == length).then_some(record)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
