//! One file of the journal: a header, then frames of length, checksum and entry. Reading stops at the first frame that
//! is not whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, checksum};

use super::entry::Entry;

const MAGIC: &[u8; 8] = b"VTJRNL01";
pub const HEADER: u64 = MAGIC.len() as u64;
/// Before each entry: its length and its checksum, 4 bytes each, little-endian.
const FRAME: usize = 8;

/// Which segment: its place in the journal, and the process that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub sequence: u64,
    pub boot: u64,
}

/// What a segment holds.
#[derive(Debug, PartialEq)]
pub struct Read {
    pub entries: Vec<Entry>,
    /// Something followed that is no whole entry.
    pub torn: bool,
}

impl Name {
    pub fn new(sequence: u64, boot: u64) -> Name {
        Name { sequence, boot }
    }

    pub fn path(self, dir: &Path, booked: bool) -> PathBuf {
        let state = if booked { "booked" } else { "journal" };
        dir.join(format!("{:016x}-{:016x}.{state}", self.sequence, self.boot))
    }

    /// The segment of a file's name, and whether it is booked.
    fn parse(file_name: &str) -> Option<(Name, bool)> {
        let (stem, state) = file_name.split_once('.')?;
        let (sequence, boot) = stem.split_once('-')?;
        let booked = match state {
            "journal" => false,
            "booked" => true,
            _ => return None,
        };
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        Some((Name::new(number(sequence)?, number(boot)?), booked))
    }
}

/// Every segment in the directory, oldest first.
pub fn list(dir: &Path) -> io::Result<Vec<(Name, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        found.extend(entry?.file_name().to_str().and_then(Name::parse));
    }
    found.sort_unstable();
    Ok(found)
}

/// A new segment, and its length.
pub fn create(dir: &Path, name: Name) -> io::Result<(File, u64)> {
    let path = name.path(dir, false);
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    match file.write_all(MAGIC) {
        Ok(()) => Ok((file, HEADER)),
        Err(error) => {
            // Else the name would be taken when there is room again.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

pub fn frame(out: &mut Vec<u8>, entry: &Entry) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    entry.encode(out);
    if let Some((head, body)) = out
        .get_mut(start..)
        .and_then(|f| f.split_at_mut_checked(FRAME))
    {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let (first, second) = head.split_at_mut(4);
        first.copy_from_slice(&length.to_le_bytes());
        second.copy_from_slice(&sum(body).to_le_bytes());
    }
}

fn sum(bytes: &[u8]) -> u32 {
    // A CRC-32 has no more than 32 bits.
    checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

pub fn read(path: &Path) -> io::Result<Read> {
    Ok(parse(&std::fs::read(path)?))
}

pub fn parse(bytes: &[u8]) -> Read {
    let mut entries = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return Read {
            entries,
            torn: !bytes.is_empty(),
        };
    };
    while let Some((entry, after)) = first(rest) {
        // Whatever a newer version wrote is not for this one.
        if entry != Entry::Nothing {
            entries.push(entry);
        }
        rest = after;
    }
    Read {
        entries,
        torn: !rest.is_empty(),
    }
}

fn first(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (expected, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if sum(body) != u32::from_le_bytes(*expected) {
        return None;
    }
    Some((Entry::decode(body)?, rest))
}
