//! Files that only their owner may read: written whole or not at all.
//! What is in them must never be passed as an argument of a process, which every user of the machine can read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use anyhow::{Context, ensure};
use rand::TryRng;

/// Writes through a file beside it and a rename, mode 0600.
pub fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    written(path, content, |_| Ok(()))
}

/// As [`write`], in place of a file whose owner and mode stay, so that whoever may read it still may.
pub fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    // Not the link to it, which would be replaced by a file.
    let path = path
        .canonicalize()
        .with_context(|| format!("{} cannot be read", path.display()))?;
    written(&path, content, |file| {
        let before = fs::metadata(&path)?;
        fchown(file, Some(before.uid()), Some(before.gid()))?;
        file.set_permissions(before.permissions())
    })
}

fn written(
    path: &Path,
    content: &[u8],
    prepare: impl FnOnce(&fs::File) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut name = path.file_name().context("a file needs a name")?.to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let _ = fs::remove_file(&beside);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            prepare(&file)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        });
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// The text in the file, without white space around it.
pub fn read(path: &Path) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(
        !text.trim().is_empty(),
        "{} is empty: put it back from a backup.",
        path.display()
    );
    Ok(text.trim().to_owned())
}

/// What the file says, or `made` anew when there is no such file.
pub fn read_or_make(
    path: &Path,
    made: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    if path.exists() {
        return read(path);
    }
    let line = made()?;
    write(path, format!("{line}\n").as_bytes())?;
    Ok(line)
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .context("The operating system gives no random bytes")?;
    Ok(bytes)
}

/// 32 random bytes in hexadecimal.
pub fn random_token() -> anyhow::Result<String> {
    Ok(random::<32>()?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
