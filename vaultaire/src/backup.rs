//! `vaultaire backup` and `vaultaire restore`: the files and the databases; what is in a backup, the control plane's crate
//! decides. A backup that is not whole never bears its name.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use controlplane::MasterKey;
use controlplane::backup::{self, Nodes, Report};
use serde_json::json;

use crate::admin::{print, print_json};
use crate::cli::{BackupArguments, RestoreArguments};
use crate::settings::Environment;
use crate::up::{database, progress};

pub async fn write(arguments: &BackupArguments, environment: &Environment) -> anyhow::Result<()> {
    let BackupArguments {
        file,
        data_dir,
        json,
    } = arguments;
    if *json {
        progress::keep_quiet();
    }
    if file.symlink_metadata().is_ok() {
        bail!("{} is there already: choose another name.", file.display());
    }
    let key = parse(&database::master_key(data_dir, environment)?)?;
    let report = database::with_existing(data_dir, environment, async |url| {
        let unfinished = Unfinished::create(file).await?;
        let to = tokio::io::BufWriter::with_capacity(1 << 20, unfinished.open.try_clone().await?);
        let report = backup::write(url, &key, to).await?;
        unfinished.finish(file).await?;
        Ok(report)
    });
    let report = report.await.context("The backup could not be made")?;
    say(&report, file, *json, "The database is in")
}

pub async fn restore(
    arguments: &RestoreArguments,
    environment: &Environment,
) -> anyhow::Result<()> {
    let RestoreArguments {
        file,
        data_dir,
        hold_nodes,
        json,
    } = arguments;
    if *json {
        progress::keep_quiet();
    }
    let text = database::master_key(data_dir, environment)?;
    let key = parse(&text)?;
    // Before anything is made for it.
    let refused = "The backup cannot be restored";
    backup::check(&key, file).await.context(refused)?;
    let nodes = match hold_nodes {
        true => Nodes::Wait,
        false => Nodes::Follow,
    };
    let report = database::with_new(data_dir, &text, environment, async |url| {
        backup::restore(url, &key, file, nodes).await
    });
    let report = report.await.context(refused)?;
    say(&report, file, *json, "The database was restored from")
}

fn parse(text: &str) -> anyhow::Result<MasterKey> {
    MasterKey::parse(text).context("The master key cannot be read")
}

fn say(report: &Report, file: &Path, json: bool, what: &str) -> anyhow::Result<()> {
    if json {
        return print_json(&json!({ "file": file, "backup": report }));
    }
    let head = &report.head;
    let rows: u64 = report.rows.values().sum();
    let keys: Vec<String> = head
        .master_keys
        .iter()
        .map(|key| format!("version {}, fingerprint {}", key.version, key.fingerprint))
        .collect();
    print(&format!(
        "{what} {}: {rows} rows of {} tables as of {}, revision {}.\nIt needs the master key {}.\n",
        file.display(),
        report.rows.len(),
        head.taken_at.to_rfc3339(),
        head.revision,
        keys.join(" and ")
    ))?;
    match report.broken_audit_entries {
        Some(1..) => print(
            "The audit log did not hold when the backup was made: see `vaultaire audit verify`.\n",
        ),
        _ => Ok(()),
    }
}

/// A file that goes when it does not get its name.
struct Unfinished {
    path: PathBuf,
    open: tokio::fs::File,
}

impl Unfinished {
    async fn create(file: &Path) -> anyhow::Result<Self> {
        let mut path = file.as_os_str().to_owned();
        path.push(".unfinished");
        let path = PathBuf::from(path);
        let fails = || format!("{} cannot be written", path.display());
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(fails);
            }
            _ => {}
        }
        let mut options = tokio::fs::OpenOptions::new();
        let open = options.write(true).create_new(true).mode(0o600).open(&path);
        let open = open.await.with_context(fails)?;
        Ok(Self { path, open })
    }

    async fn finish(self, file: &Path) -> anyhow::Result<()> {
        self.open.sync_all().await?;
        // Not `rename`, which would replace a file that has come in the meantime.
        tokio::fs::hard_link(&self.path, file)
            .await
            .with_context(|| format!("{} cannot be written", file.display()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
