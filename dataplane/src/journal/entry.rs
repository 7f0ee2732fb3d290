//! What one entry of the journal says, and how it is written: a kind, then fields of fixed or 7-bit-grouped length.
//! What is written here is read by later versions too: kinds and their fields stay as they are.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wire::RequestClass;

use super::lease;

/// A tenant or a bucket, as 16 bytes; zero where there is none.
pub type Id = u128;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A trial of the disk, or what a newer version wrote. Never seen by readers.
    Nothing,
    /// A request was answered.
    Answered(Answered),
    /// What this node may use of tenants' quotas has changed.
    Lease(crate::leases::Entry),
}

/// One request that counts, and what it changed. With `requests` 0 nobody was answered, but something was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Hours since 1970, UTC.
    pub hour: u32,
    pub tenant: Id,
    pub bucket: Id,
    /// Empty for strangers.
    pub access_key_id: Arc<str>,
    pub class: RequestClass,
    pub requests: u64,
    /// Decoded bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were handed to the client.
    pub bytes_out: u64,
    pub changes: Vec<Change>,
}

/// What became of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An object, or a version of one, came to be.
    Stored {
        bytes: u64,
    },
    /// An object, or a version, is no more. Who finds the same again gives nothing back: `what` says which it was.
    Freed {
        what: u64,
        bytes: u64,
    },
    /// A part of an upload.
    Part {
        upload: u64,
        bytes: u64,
    },
    /// An upload became an object; `None` where its size could not be learned: then it is what its parts were.
    Completed {
        upload: u64,
        bytes: Option<u64>,
    },
    Aborted {
        upload: u64,
    },
}

/// 64 bits that stand for these fields together, on every node alike.
pub fn identity(fields: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

const NOTHING: u8 = 0;
const ANSWERED: u8 = 1;
const LEASE: u8 = 2;

impl Entry {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Entry::Nothing => out.push(NOTHING),
            Entry::Answered(answered) => {
                out.push(ANSWERED);
                answered.encode(out);
            }
            Entry::Lease(entry) => {
                out.push(LEASE);
                lease::encode(entry, out);
            }
        }
    }

    /// `None`: this was never written so.
    pub(super) fn decode(bytes: &[u8]) -> Option<Entry> {
        let (kind, rest) = bytes.split_first()?;
        let mut fields = Fields(rest);
        match *kind {
            ANSWERED => Answered::decode(&mut fields).map(Entry::Answered),
            LEASE => lease::decode(&mut fields).map(Entry::Lease),
            NOTHING => Some(Entry::Nothing),
            kind => {
                tracing::error!(
                    kind,
                    "an entry of the journal is of a kind that this version does not know"
                );
                Some(Entry::Nothing)
            }
        }
    }
}

impl Answered {
    fn encode(&self, out: &mut Vec<u8>) {
        number(out, self.hour.into());
        out.extend_from_slice(&self.tenant.to_le_bytes());
        out.extend_from_slice(&self.bucket.to_le_bytes());
        number(out, self.access_key_id.len() as u64);
        out.extend_from_slice(self.access_key_id.as_bytes());
        out.push(match self.class {
            RequestClass::A => b'a',
            RequestClass::B => b'b',
            RequestClass::Free => b'f',
            RequestClass::Unknown => 0,
        });
        number(out, self.requests);
        number(out, self.bytes_in);
        number(out, self.bytes_out);
        number(out, self.changes.len() as u64);
        for change in &self.changes {
            change.encode(out);
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Answered> {
        let hour = fields.number()?.try_into().ok()?;
        let (tenant, bucket) = (fields.id()?, fields.id()?);
        let length = fields.number()?.try_into().ok()?;
        let access_key_id = str::from_utf8(fields.take(length)?).ok()?.into();
        let class = match fields.byte()? {
            b'a' => RequestClass::A,
            b'b' => RequestClass::B,
            b'f' => RequestClass::Free,
            _ => RequestClass::Unknown,
        };
        let (requests, bytes_in, bytes_out) =
            (fields.number()?, fields.number()?, fields.number()?);
        let changes = (0..fields.number()?)
            .map(|_| Change::decode(fields))
            .collect::<Option<Vec<_>>>()?;
        Some(Answered {
            hour,
            tenant,
            bucket,
            access_key_id,
            class,
            requests,
            bytes_in,
            bytes_out,
            changes,
        })
    }
}

impl Change {
    fn encode(self, out: &mut Vec<u8>) {
        let mut put = |kind: u8, what: Option<u64>, bytes: Option<u64>| {
            out.push(kind);
            if let Some(what) = what {
                out.extend_from_slice(&what.to_le_bytes());
            }
            if let Some(bytes) = bytes {
                number(out, bytes);
            }
        };
        match self {
            Change::Stored { bytes } => put(1, None, Some(bytes)),
            Change::Freed { what, bytes } => put(2, Some(what), Some(bytes)),
            Change::Part { upload, bytes } => put(3, Some(upload), Some(bytes)),
            Change::Completed {
                upload,
                bytes: Some(bytes),
            } => put(4, Some(upload), Some(bytes)),
            Change::Completed {
                upload,
                bytes: None,
            } => put(5, Some(upload), None),
            Change::Aborted { upload } => put(6, Some(upload), None),
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Change> {
        Some(match fields.byte()? {
            1 => Change::Stored {
                bytes: fields.number()?,
            },
            2 => Change::Freed {
                what: fields.hash()?,
                bytes: fields.number()?,
            },
            3 => Change::Part {
                upload: fields.hash()?,
                bytes: fields.number()?,
            },
            4 => Change::Completed {
                upload: fields.hash()?,
                bytes: Some(fields.number()?),
            },
            5 => Change::Completed {
                upload: fields.hash()?,
                bytes: None,
            },
            6 => Change::Aborted {
                upload: fields.hash()?,
            },
            _ => return None,
        })
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that another follows.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What is left to read.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn id(&mut self) -> Option<Id> {
        self.chunk().map(u128::from_le_bytes)
    }

    pub(super) fn hash(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
