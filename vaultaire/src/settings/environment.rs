//! The environment as settings are read from it: text, or the content of the file that `NAME_FILE` names.
//! Which settings there are stands in [`SETTINGS`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::SETTINGS;
use crate::doctor::UnknownSetting;
use crate::private_file;

/// The process's environment, or a test's.
pub struct Environment(HashMap<String, String>);

impl Environment {
    pub fn of_process() -> Self {
        // A value that is no Unicode counts as not set: no setting of ours can be such.
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// The value of a listed setting; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(
            SETTINGS.iter().any(|(listed, _)| *listed == name),
            "{name} is not in SETTINGS"
        );
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }

    /// What is set, looks like a setting of ours, and is none; with the one that it looks like most.
    pub fn unknown(&self) -> Vec<UnknownSetting> {
        let ours = |name: &&String| {
            name.starts_with("VAULTAIRE_") && !SETTINGS.iter().any(|(known, _)| known == *name)
        };
        let mut unknown: Vec<&String> = self.0.keys().filter(ours).collect();
        unknown.sort();
        let unknown = unknown.into_iter().map(|name| UnknownSetting {
            name: name.clone(),
            meant: most_alike(name),
        });
        unknown.collect()
    }

    /// Those that hold a secret: `NAME_FILE` stands for `NAME`.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let files = SETTINGS.iter().filter_map(|(name, _)| {
            let stands_for = name.strip_suffix("_FILE")?;
            SETTINGS
                .iter()
                .any(|(known, _)| *known == stands_for)
                .then(|| self.get(name))?
        });
        files.map(PathBuf::from).collect()
    }

    pub fn require(&self, name: &str) -> anyhow::Result<&str> {
        self.get(name).with_context(|| {
            format!("{name} is not set (vaultaire/settings.md says what it is for).")
        })
    }

    /// `NAME_FILE`'s content or `NAME`'s value.
    pub fn secret(&self, name: &str) -> anyhow::Result<Option<String>> {
        let file = format!("{name}_FILE");
        match (self.get(&file), self.get(name)) {
            (Some(_), Some(_)) => bail!("Both {name} and {file} are set; set one."),
            (Some(path), None) => private_file::read(Path::new(path)).map(Some),
            (None, value) => Ok(value.map(str::to_owned)),
        }
    }

    pub fn require_secret(&self, name: &str) -> anyhow::Result<String> {
        self.secret(name)?
            .with_context(|| format!("Neither {name} nor {name}_FILE is set."))
    }
}

/// A slip or two of the pen, or a part of the name that is another.
fn most_alike(name: &str) -> Option<&'static str> {
    let known = SETTINGS.iter().map(|(known, _)| *known);
    let known = known.filter(|known| known.starts_with("VAULTAIRE_"));
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
pub fn test_environment(pairs: &[(&str, &str)]) -> Environment {
    Environment(
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    )
}
