//! The ledger as it was at one place of the journal, so that what is before that place need not be kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::Period;

use super::{Entry, Leases, Ledger};

pub const EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Everything in segments before this one is in the ledger.
    pub from: u64,
    pub ledger: Ledger,
}

impl Checkpoint {
    /// As it was last saved; an empty one where there is none. One that is damaged is as good as none: the node then
    /// begins a new ledger.
    pub fn load(path: &Path) -> Checkpoint {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(%error, "the account of this node's leases is damaged");
                Checkpoint::default()
            }),
            Err(_) => Checkpoint::default(),
        }
    }

    /// The next entry of the journal, in its segment.
    pub fn replay(&mut self, sequence: u64, entry: &Entry) {
        if sequence >= self.from {
            self.ledger.apply(entry);
        }
    }

    fn save(&self, path: &Path) -> io::Result<()> {
        let partial = path.with_extension("partial");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Leases {
    /// Saves the ledger and lets go of the journal before it. `month` is the present one.
    pub fn save(&self, month: Period) {
        let checkpoint = {
            let mut state = self.lock();
            // Under the ledger's lock: all that was written of it is before the new segment.
            let from = match self.journal.rotate() {
                Ok(from) => from,
                Err(error) => {
                    tracing::warn!(%error, "the journal could not be rotated");
                    return;
                }
            };
            if state.unsaved == 0 {
                drop(state);
                return self.journal.keep_from(from);
            }
            state.unsaved = 0;
            // Late answers of the month before are still to be settled.
            state.ledger.forget_before(month.saturating_sub(1));
            Checkpoint {
                from,
                ledger: state.ledger.clone(),
            }
        };
        match checkpoint.save(&self.checkpoint) {
            Ok(()) => self.journal.keep_from(checkpoint.from),
            Err(error) => {
                self.lock().unsaved += 1;
                tracing::error!(%error, "the account of this node's leases could not be saved");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_what_is_damaged_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        assert_eq!(Checkpoint::load(&path).from, 0);
        let mut checkpoint = Checkpoint::default();
        checkpoint.replay(1, &Entry::Opened { ledger: 5 });
        checkpoint.from = 3;
        checkpoint.replay(2, &Entry::Opened { ledger: 6 });
        checkpoint.save(&path).unwrap();
        let loaded = Checkpoint::load(&path);
        assert_eq!((loaded.from, loaded.ledger.id()), (3, 5));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Checkpoint::load(&path).ledger.id(), 0);
    }
}
