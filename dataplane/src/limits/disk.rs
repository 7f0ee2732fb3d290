//! The shares that outlive a restart: the floor, and whatever is below it. A node whose file is damaged admits nothing until
//! the control plane has told it anew.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::TenantShares;

const FILE: &str = "shares.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub number: i64,
    pub floor: u32,
    pub tenants: Vec<TenantShares>,
}

impl Known {
    pub fn nothing() -> Known {
        Known {
            number: 0,
            floor: 0,
            tenants: vec![],
        }
    }
}

pub struct Disk {
    path: PathBuf,
    written: Option<Known>,
}

impl Disk {
    /// The file, and what it says; `None`: there was none yet.
    pub fn open(dir: &Path) -> (Disk, Option<Known>) {
        let path = dir.join(FILE);
        let known = match std::fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(%error, "the shares on disk cannot be read: nothing is admitted before the control plane has said more");
                Known::nothing()
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(%error, "the shares on disk cannot be read: nothing is admitted before the control plane has said more");
                Some(Known::nothing())
            }
        };
        let disk = Disk {
            path,
            written: None,
        };
        (disk, known)
    }

    /// On disk when it returns.
    pub fn save(&mut self, known: &Known) -> anyhow::Result<()> {
        if self.written.as_ref() == Some(known) {
            return Ok(());
        }
        self.written = None;
        let partial = self.path.with_extension("partial");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&serde_json::to_vec(known)?)?;
        file.sync_data()?;
        std::fs::rename(&partial, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.written = Some(known.clone());
        Ok(())
    }
}
