//! Entries about leases, as they stand in the journal.

use wire::Resource;

use super::entry::{Fields, number};
use crate::leases::{Claim, Entry, Key, Leased};

const OPENED: u8 = 1;
const GRANTED: u8 = 2;
const RESERVED: u8 = 3;
const SETTLED: u8 = 4;
const KEPT: u8 = 5;
const RETURNED: u8 = 6;

pub(super) fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let mut begin = |kind: u8, ledger: u128| {
        out.push(kind);
        out.extend_from_slice(&ledger.to_le_bytes());
    };
    match *entry {
        Entry::Opened { ledger } => begin(OPENED, ledger),
        Entry::Granted { ledger, key, total } => {
            begin(GRANTED, ledger);
            put_key(out, key);
            number(out, total);
        }
        Entry::Reserved { ledger, id, claim } => {
            begin(RESERVED, ledger);
            number(out, id);
            put_claim(out, claim);
        }
        Entry::Settled {
            ledger,
            id,
            claim,
            kept,
        } => {
            begin(if kept { KEPT } else { SETTLED }, ledger);
            number(out, id);
            put_claim(out, claim);
        }
        Entry::Returned {
            ledger,
            id,
            key,
            amount,
        } => {
            begin(RETURNED, ledger);
            number(out, id);
            put_key(out, key);
            number(out, amount);
        }
    }
}

pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Entry> {
    let (kind, ledger) = (fields.byte()?, fields.id()?);
    Some(match kind {
        OPENED => Entry::Opened { ledger },
        GRANTED => Entry::Granted {
            ledger,
            key: take_key(fields)?,
            total: fields.number()?,
        },
        RESERVED => Entry::Reserved {
            ledger,
            id: fields.number()?,
            claim: take_claim(fields)?,
        },
        SETTLED | KEPT => Entry::Settled {
            ledger,
            id: fields.number()?,
            claim: take_claim(fields)?,
            kept: kind == KEPT,
        },
        RETURNED => Entry::Returned {
            ledger,
            id: fields.number()?,
            key: take_key(fields)?,
            amount: fields.number()?,
        },
        _ => return None,
    })
}

fn put_key(out: &mut Vec<u8>, key: Key) {
    out.extend_from_slice(&key.tenant.to_le_bytes());
    out.push(match key.resource {
        Resource::StoredBytes => 1,
        Resource::Objects => 2,
        Resource::EgressBytes => 3,
        Resource::Unknown => 0,
    });
    number(out, key.period.into());
}

fn take_key(fields: &mut Fields<'_>) -> Option<Key> {
    Some(Key {
        tenant: fields.id()?,
        resource: match fields.byte()? {
            1 => Resource::StoredBytes,
            2 => Resource::Objects,
            3 => Resource::EgressBytes,
            _ => Resource::Unknown,
        },
        period: fields.number()?.try_into().ok()?,
    })
}

fn put_claim(out: &mut Vec<u8>, claim: Claim) {
    out.extend_from_slice(&claim.tenant.to_le_bytes());
    out.extend_from_slice(&claim.bucket.to_le_bytes());
    number(out, claim.hour.into());
    number(out, claim.bytes);
    number(out, claim.objects);
    number(out, claim.egress);
    number(out, claim.period.into());
    out.extend_from_slice(&claim.upload.to_le_bytes());
    let leased = claim.leased;
    out.push(u8::from(leased.bytes) | u8::from(leased.objects) << 1 | u8::from(leased.egress) << 2);
}

fn take_claim(fields: &mut Fields<'_>) -> Option<Claim> {
    Some(Claim {
        tenant: fields.id()?,
        bucket: fields.id()?,
        hour: fields.number()?.try_into().ok()?,
        bytes: fields.number()?,
        objects: fields.number()?,
        egress: fields.number()?,
        period: fields.number()?.try_into().ok()?,
        upload: fields.hash()?,
        leased: {
            let bits = fields.byte()?;
            Leased {
                bytes: bits & 1 != 0,
                objects: bits & 2 != 0,
                egress: bits & 4 != 0,
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        let key = Key {
            tenant: 7,
            resource: Resource::EgressBytes,
            period: 202603,
        };
        let claim = Claim {
            tenant: u128::MAX,
            bucket: 2,
            hour: 490_000,
            bytes: u64::MAX,
            objects: 1,
            egress: 300,
            period: 202603,
            upload: 9,
            leased: Leased {
                bytes: true,
                objects: false,
                egress: true,
            },
        };
        let ledger = 5;
        let settled = |kept| Entry::Settled {
            ledger,
            id: 300,
            claim,
            kept,
        };
        for entry in [
            Entry::Opened { ledger },
            Entry::Granted {
                ledger,
                key,
                total: 1 << 40,
            },
            Entry::Reserved {
                ledger,
                id: 1,
                claim,
            },
            settled(true),
            settled(false),
            Entry::Returned {
                ledger,
                id: 2,
                key,
                amount: 3,
            },
        ] {
            let entry = journal::Entry::Lease(entry);
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            assert_eq!(journal::Entry::decode(&bytes), Some(entry));
        }
    }
}
