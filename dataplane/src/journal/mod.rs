//! What this node has answered, on its disk before the answer ends: an append-only file of checksummed entries, closed
//! every second and sent as one numbered batch. It decides nothing, and forgets nothing that was not booked.
//!
//! An entry is appended by one `write` without `fsync`: killing the process loses nothing, a power cut may. What is
//! torn was not answered, and is dropped when read.
//!
//! Another kind of entry: a variant of [`Entry`], with a number of its own in `entry.rs` (`encode`, `decode`) that is
//! never used again. Whoever must know them at start gets each, in the order in which they were written, from
//! [`Journal::open`]. Sequences grow over the whole life of the data directory, so that a checkpoint can say
//! "everything before segment n", with the n that [`Journal::rotate`] answered. Segments that were booked stay until
//! [`Journal::keep_from`] says a higher number.

mod entry;
mod lease;
mod segment;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use entry::{Answered, Change, Entry, Id, identity};
pub use segment::{Name, Read};

/// A segment is closed when it has grown to this, so that one batch fits into one message.
const FULL: u64 = 512 * 1024;

/// The journal cannot be written: nothing may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub struct Unwritable;

pub struct Journal {
    dir: PathBuf,
    /// Of this process: with the sequence it names a batch, even where a data directory was lost and made anew.
    boot: u64,
    active: Mutex<Active>,
    /// Every other segment on disk.
    closed: Mutex<Closed>,
    /// Held for as long as this lives: another process must not take what is written here for finished.
    _lock: File,
    /// An entry could not be written, and none was since.
    failed: AtomicBool,
}

/// The segment that is written to.
struct Active {
    sequence: u64,
    file: File,
    length: u64,
    /// What was half written could not be taken back: nothing more may be written behind it.
    torn: bool,
}

struct Closed {
    /// And whether it is booked.
    segments: BTreeMap<Name, bool>,
    keep_from: u64,
}

/// Whether the journal in `dir`, which nobody has open, holds what is not booked.
pub fn has_unbooked(dir: &Path) -> io::Result<bool> {
    for (name, booked) in segment::list(dir)? {
        if !booked && !segment::read(&name.path(dir, booked))?.entries.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Journal {
    /// Opens or makes the journal in `dir`, and tells `replay` every readable entry in order, with the sequence of its
    /// segment. Fails with `WouldBlock` while another process has it open. Segments that are booked are removed if they are before `keep_from`; `u64::MAX` keeps none.
    pub fn open(
        dir: &Path,
        boot: u64,
        keep_from: u64,
        mut replay: impl FnMut(u64, Entry),
    ) -> io::Result<Journal> {
        std::fs::create_dir_all(dir)?;
        let lock = lock_file(&dir.join("lock"))?;
        let found = segment::list(dir)?;
        let next = found.last().map_or(1, |(name, _)| name.sequence + 1);
        let (file, length) = segment::create(dir, Name::new(next, boot))?;
        let mut segments = BTreeMap::new();
        for (name, booked) in found {
            let read = segment::read(&name.path(dir, booked))?;
            if read.torn {
                tracing::warn!(
                    sequence = name.sequence,
                    entries = read.entries.len(),
                    "what follows the last whole entry of a journal segment is dropped"
                );
            }
            let booked = booked || read.entries.is_empty();
            read.entries
                .into_iter()
                .for_each(|entry| replay(name.sequence, entry));
            segments.insert(name, booked);
        }
        let journal = Journal {
            dir: dir.to_owned(),
            boot,
            active: Mutex::new(Active {
                sequence: next,
                file,
                length,
                torn: false,
            }),
            closed: Mutex::new(Closed {
                segments,
                keep_from,
            }),
            _lock: lock,
            failed: AtomicBool::new(false),
        };
        journal.keep_from(keep_from);
        Ok(journal)
    }

    /// 16 hexadecimal digits.
    pub fn boot(&self) -> String {
        format!("{:016x}", self.boot)
    }

    /// Writes the entry down. When this has returned, killing the process does not lose it.
    pub fn append(&self, entry: &Entry) -> Result<(), Unwritable> {
        self.append_all(std::slice::from_ref(entry))
    }

    /// All of them or none, in one piece.
    pub fn append_all(&self, entries: &[Entry]) -> Result<(), Unwritable> {
        let mut frames = Vec::with_capacity(128 * entries.len());
        for entry in entries {
            segment::frame(&mut frames, entry);
        }
        let written = lock(&self.active).write(&frames);
        if let Err(error) = &written
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "the journal cannot be written: requests are refused");
        }
        written.map_err(|_| Unwritable)
    }

    /// Whether the last entry could be written. While it could not, requests are refused before they do anything.
    pub fn is_writable(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// Tries to write again after a failure.
    pub fn probe(&self) {
        if self.is_writable() {
            return;
        }
        if lock(&self.active).torn && self.rotate().is_err() {
            return;
        }
        let mut frame = Vec::new();
        segment::frame(&mut frame, &Entry::Nothing);
        if lock(&self.active).write(&frame).is_ok() {
            self.failed.store(false, Ordering::Relaxed);
            tracing::info!("the journal can be written again");
        }
    }

    /// Whether the segment that is written to is large enough for one batch.
    pub fn is_full(&self) -> bool {
        lock(&self.active).length >= FULL
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.active).length <= segment::HEADER
    }

    /// Closes the segment that is written to, and begins the next, whose sequence is answered: whatever was appended
    /// before is in segments before it.
    pub fn rotate(&self) -> io::Result<u64> {
        // Taken first, so that segments are closed one after the other.
        let mut closed = lock(&self.closed);
        let next = lock(&self.active).sequence + 1;
        let (file, length) = segment::create(&self.dir, Name::new(next, self.boot))?;
        let begun = Active {
            sequence: next,
            file,
            length,
            torn: false,
        };
        let ended = std::mem::replace(&mut *lock(&self.active), begun);
        let name = Name::new(ended.sequence, self.boot);
        let empty = ended.length <= segment::HEADER;
        closed.segments.insert(name, empty);
        if empty {
            closed.sweep(&self.dir);
        }
        Ok(next)
    }

    /// The closed segments that are not booked, oldest first.
    pub fn unbooked(&self) -> Vec<Name> {
        let closed = lock(&self.closed);
        let unbooked = closed.segments.iter().filter(|(_, booked)| !**booked);
        unbooked.map(|(name, _)| *name).collect()
    }

    /// What a closed segment holds: the same at every call.
    pub fn read(&self, name: Name) -> io::Result<Read> {
        segment::read(&name.path(&self.dir, false))
    }

    /// The control plane has this batch.
    pub fn booked(&self, name: Name) {
        let mut closed = lock(&self.closed);
        match closed.segments.get_mut(&name) {
            Some(booked) if !*booked => *booked = true,
            _ => return,
        }
        let renamed = std::fs::rename(name.path(&self.dir, false), name.path(&self.dir, true));
        if let Err(error) = renamed {
            tracing::error!(%error, "a booked journal segment could not be marked: it will be sent again");
        }
        closed.sweep(&self.dir);
    }

    /// Booked segments before this one are needed no more.
    pub fn keep_from(&self, sequence: u64) {
        let mut closed = lock(&self.closed);
        closed.keep_from = sequence;
        closed.sweep(&self.dir);
    }
}

impl Active {
    fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::other("the segment is torn"));
        }
        match self.file.write_all(frames) {
            Ok(()) => {
                self.length += frames.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.torn = self.file.set_len(self.length).is_err();
                Err(error)
            }
        }
    }
}

impl Closed {
    fn sweep(&mut self, dir: &Path) {
        let keep_from = self.keep_from;
        self.segments.retain(|name, booked| {
            if !*booked || name.sequence >= keep_from {
                return true;
            }
            for booked in [false, true] {
                match std::fs::remove_file(name.path(dir, booked)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!(%error, "a booked journal segment could not be removed");
                    }
                    _ => {}
                }
            }
            false
        });
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
