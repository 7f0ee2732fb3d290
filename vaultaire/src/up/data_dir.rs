//! The data directory: what is in it, whose it is, and that one `up` at a time uses it.
//! A directory that is not ours, or of another format, is refused and left as it is.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::unistd::{AccessFlags, Uid, User, access};

use crate::private_file;
use crate::settings::Environment;

/// Counts up when a release can no longer read what an older one left.
const FORMAT: &str = "vaultaire data directory, format 1";
/// The master key of the control plane that `up` starts, in the data directory.
pub const MASTER_KEY: &str = "controlplane/master.key";
const FOLDERS: [&str; 4] = ["engine", "controlplane", "nodes", "logs"];

/// A data directory that is locked for this process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// `None` where there is nothing yet, or an empty folder: then [`DataDir::create`] makes one.
    pub fn open_existing(path: &Path) -> anyhow::Result<Option<Self>> {
        let shown = path.display();
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ensure!(
                    path.symlink_metadata().is_err(),
                    "{shown} is a link to nothing: remove it, or choose another with --data-dir."
                );
                return Ok(None);
            }
            found => found.with_context(|| {
                format!(
                    "The data directory {shown} cannot be reached; choose another with --data-dir"
                )
            })?,
        };
        ensure!(
            found.is_dir(),
            "{shown} is not a directory: choose another with --data-dir."
        );
        own(path, found.uid())?;
        access(path, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK).ok().with_context(|| {
            format!("The data directory {shown} cannot be read and written: open it to you (`chmod u+rwx {shown}`), or choose another with --data-dir.")
        })?;
        if is_fresh(path)? {
            return Ok(None);
        }
        match fs::read_to_string(path.join("VERSION")) {
            Ok(text) if text.trim() == FORMAT => {}
            Ok(text) if text.starts_with("vaultaire data directory, format ") => bail!(
                "The data directory {shown} is of another format ({}) than this release reads ({FORMAT}): use the release that made it.",
                text.trim()
            ),
            Ok(_) => bail!(
                "The data directory {shown} is damaged: its file VERSION does not say what it should ({FORMAT})."
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{shown} holds files, but is no data directory of Vaultaire (it has no file VERSION): choose another with --data-dir."
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("{shown}/VERSION cannot be read"));
            }
        }
        Self::lock(path).map(Some)
    }

    /// Makes the directory, mode 0700, or takes an empty one.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let fails =
            || format!("The data directory {shown} cannot be made; choose another with --data-dir");
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(path)
            .with_context(fails)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).with_context(fails)?;
        let dir = Self::lock(path)?;
        private_file::write(&dir.join("VERSION"), format!("{FORMAT}\n").as_bytes())?;
        Ok(dir)
    }

    fn lock(path: &Path) -> anyhow::Result<Self> {
        let path = path.canonicalize()?;
        let name = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .with_context(|| format!("{} cannot be opened", name.display()))?;
        let mut tries = 20;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path, lock }),
                // The kernel may still be clearing away one that was killed.
                Err(TryLockError::WouldBlock) if tries > 0 => {
                    tries -= 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut pid = String::new();
                    let _ = lock.read_to_string(&mut pid);
                    bail!(
                        "Another `vaultaire up` (process {}) runs on the data directory {}: stop it, or choose another with --data-dir.",
                        pid.trim(),
                        path.display()
                    )
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error)
                        .with_context(|| format!("{} cannot be locked", name.display()));
                }
            }
        }
    }

    /// Says in the lock who holds it.
    pub fn write_owner(&self) -> anyhow::Result<()> {
        let mut lock = &self.lock;
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(())
    }

    /// The folders for each part, private to the owner.
    pub fn lay_out(&self) -> anyhow::Result<()> {
        for name in FOLDERS {
            self.make(name)?;
        }
        Ok(())
    }

    pub fn make(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.join(name);
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(folder)
    }

    /// Lets other users pass through, but not look: for Postgres, when it runs as another user.
    pub fn let_through(&self) -> anyhow::Result<()> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o711))?;
        Ok(())
    }

    /// Absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Where mail lies that is not sent.
    pub fn mail(&self, environment: &Environment) -> PathBuf {
        let folder = environment.get("VAULTAIRE_MAIL_DIR");
        folder.map_or_else(|| self.join("mail"), PathBuf::from)
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.join("logs").join(format!("{name}.log"))
    }

    /// Whether secrets in a database may already depend on this directory's master key.
    pub fn was_used(&self) -> bool {
        self.join("control.json").exists() || self.join("postgres").exists()
    }
}

fn own(path: &Path, owner: u32) -> anyhow::Result<()> {
    if Uid::effective().as_raw() == owner {
        return Ok(());
    }
    let name = User::from_uid(Uid::from_raw(owner))
        .ok()
        .flatten()
        .map_or_else(|| owner.to_string(), |user| user.name);
    bail!(
        "The data directory {} belongs to the user {name}: run as that user, or choose another with --data-dir.",
        path.display()
    )
}

/// Empty, or with only what an interrupted [`DataDir::create`] leaves.
fn is_fresh(path: &Path) -> anyhow::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != "lock" && name != "VERSION.new" && name != "tools" {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        DataDir::open_existing(path).unwrap_err().to_string()
    }

    #[test]
    fn what_is_ours_opens_again_and_what_is_not_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/data");
        assert!(DataDir::open_existing(&path).unwrap().is_none());
        assert!(!path.exists(), "looking makes nothing");
        drop(DataDir::create(&path).unwrap());
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        assert!(DataDir::open_existing(&path).unwrap().is_some());

        let foreign = root.path().join("photos");
        fs::create_dir(&foreign).unwrap();
        assert!(
            DataDir::open_existing(&foreign).unwrap().is_none(),
            "an empty folder can become one"
        );
        fs::write(foreign.join("a.jpg"), "a").unwrap();
        assert!(refusal(&foreign).contains("is no data directory of Vaultaire"));
        assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
        assert!(refusal(&foreign.join("a.jpg")).contains("is not a directory"));
    }

    #[test]
    fn another_format_and_a_damaged_marker_are_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(DataDir::create(root.path()).unwrap());
        for (marker, refused) in [
            (
                "vaultaire data directory, format 2\n",
                "is of another format (vaultaire data directory, format 2)",
            ),
            ("", "is damaged"),
            ("\0\0\0", "is damaged"),
        ] {
            fs::write(root.path().join("VERSION"), marker).unwrap();
            assert!(refusal(root.path()).contains(refused), "{marker:?}");
        }
    }

    #[test]
    fn a_second_one_is_refused_while_the_first_lives() {
        let root = tempfile::tempdir().unwrap();
        let first = DataDir::create(root.path()).unwrap();
        first.write_owner().unwrap();
        let expected = format!(
            "Another `vaultaire up` (process {}) runs",
            std::process::id()
        );
        assert!(refusal(root.path()).starts_with(&expected));
        drop(first);
        assert!(DataDir::open_existing(root.path()).unwrap().is_some());
    }

    #[test]
    fn another_users_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let mine = Uid::effective().as_raw();
        assert!(own(root.path(), mine).is_ok());
        assert!(
            own(root.path(), mine + 1)
                .unwrap_err()
                .to_string()
                .contains("belongs to the user")
        );
    }
}
