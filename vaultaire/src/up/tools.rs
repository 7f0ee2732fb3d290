//! Where the programs of others are: Postgres, `weed`, `setpriv`.
//! It looks and runs nothing but `postgres --version`; installing is the business of `scripts/install-tools`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::settings::Environment;

const OLDEST_POSTGRES: u32 = 15;

pub struct Tools {
    folders: Vec<PathBuf>,
    path: Vec<PathBuf>,
    postgres_bin: Option<PathBuf>,
    system: PathBuf,
}

/// A Postgres that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Folder of `postgres` and `initdb`.
    pub bin: PathBuf,
    pub major: u32,
}

impl Tools {
    pub fn new(environment: &Environment, data_dir: &Path) -> Self {
        let named = environment.get("VAULTAIRE_TOOLS").map(PathBuf::from);
        Self {
            folders: named
                .into_iter()
                .chain([data_dir.join("tools"), PathBuf::from(".tools")])
                .collect(),
            path: environment
                .get("PATH")
                .map(|path| std::env::split_paths(path).collect())
                .unwrap_or_default(),
            postgres_bin: environment.get("VAULTAIRE_POSTGRES_BIN").map(PathBuf::from),
            system: PathBuf::from("/usr/lib/postgresql"),
        }
    }

    pub fn require_setpriv(&self) -> anyhow::Result<()> {
        match self.in_path("setpriv") {
            Some(_) => Ok(()),
            None => bail!("`setpriv` was not found: install it with `apt-get install util-linux`."),
        }
    }

    pub fn weed(&self) -> anyhow::Result<PathBuf> {
        let found = self
            .folders
            .iter()
            .map(|folder| folder.join("weed"))
            .find(|path| is_program(path));
        found.or_else(|| self.in_path("weed")).map(|path| std::path::absolute(&path).unwrap_or(path)).context(
            "The embedded engine's program `weed` was not found: run `scripts/install-tools run`, name its folder in \
             VAULTAIRE_TOOLS, or use an engine of your own with VAULTAIRE_ENGINE_ENDPOINT.",
        )
    }

    /// The system's newest, else the wheel's; or the one of the major version that an existing cluster needs.
    pub fn postgres(&self, needed: Option<u32>) -> anyhow::Result<Postgres> {
        let mut found = self.all_postgres().into_iter();
        match needed {
            Some(major) => found.find(|one| one.major == major).with_context(|| {
                format!(
                    "The database in the data directory was made by Postgres {major}, which was not found: install it \
                     (`apt-get install postgresql-{major}`), or name its folder of programs in VAULTAIRE_POSTGRES_BIN."
                )
            }),
            None => found.find(|one| one.major >= OLDEST_POSTGRES).context(
                "No Postgres of version 15 or later was found: run `apt-get install postgresql` or \
                 `scripts/install-tools run`, or use a database of your own with DATABASE_URL.",
            ),
        }
    }

    /// In the order of preference: the system keeps its own up to date.
    fn all_postgres(&self) -> Vec<Postgres> {
        if let Some(bin) = &self.postgres_bin {
            return postgres_at(bin).into_iter().collect();
        }
        let versions = std::fs::read_dir(&self.system)
            .into_iter()
            .flatten()
            .flatten();
        let mut all: Vec<Postgres> = versions
            .filter_map(|version| postgres_at(&version.path().join("bin")))
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.major));
        all.extend(
            self.folders
                .iter()
                .filter_map(|folder| postgres_at(&folder.join("postgres/bin"))),
        );
        all
    }

    fn in_path(&self, name: &str) -> Option<PathBuf> {
        self.path
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| is_program(path))
    }
}

fn postgres_at(bin: &Path) -> Option<Postgres> {
    let bin = std::path::absolute(bin).ok()?;
    if !is_program(&bin.join("initdb")) {
        return None;
    }
    let said = std::process::Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let major = major(&String::from_utf8_lossy(&said.stdout))?;
    Some(Postgres { bin, major })
}

/// 15 of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    number
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder with an `initdb` and a `postgres` that says its version.
    fn pretend(bin: &Path, version: &str) {
        fs::create_dir_all(bin).unwrap();
        for (name, text) in [
            ("initdb", String::new()),
            (
                "postgres",
                format!("echo 'postgres (PostgreSQL) {version}'"),
            ),
        ] {
            fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn tools(root: &Path) -> Tools {
        Tools {
            folders: vec![root.join("tools")],
            path: vec![],
            postgres_bin: None,
            system: root.join("system"),
        }
    }

    #[test]
    fn the_systems_newest_postgres_is_taken_but_an_existing_cluster_decides() {
        let root = tempfile::tempdir().unwrap();
        pretend(
            &root.path().join("system/15/bin"),
            "15.18 (Debian 15.18-0+deb12u1)",
        );
        pretend(&root.path().join("system/17/bin"), "16.9");
        pretend(&root.path().join("tools/postgres/bin"), "18beta1");
        let tools = tools(root.path());
        assert_eq!(
            tools.postgres(None).unwrap().major,
            16,
            "the system's newest"
        );
        assert_eq!(
            tools.postgres(Some(15)).unwrap().bin,
            root.path().join("system/15/bin")
        );
        assert_eq!(
            tools.postgres(Some(18)).unwrap().bin,
            root.path().join("tools/postgres/bin")
        );
        let gone = tools.postgres(Some(14)).unwrap_err().to_string();
        assert!(
            gone.starts_with(
                "The database in the data directory was made by Postgres 14, which was not found"
            ),
            "{gone}"
        );
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        pretend(&root.path().join("system/13/bin"), "13.2");
        let tools = tools(root.path());
        assert!(
            tools
                .postgres(None)
                .unwrap_err()
                .to_string()
                .contains("apt-get install postgresql")
        );
        assert!(
            tools
                .weed()
                .unwrap_err()
                .to_string()
                .contains("scripts/install-tools run")
        );
        assert!(
            tools
                .require_setpriv()
                .unwrap_err()
                .to_string()
                .contains("apt-get install util-linux")
        );
    }
}
