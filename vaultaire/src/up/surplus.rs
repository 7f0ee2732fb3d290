//! Data planes of an earlier `up` that ran more of them: they would keep their part of every tenant's limits for days.
//! They leave the fleet, and their folders go; one that still owes usage, or runs elsewhere, stays and is named.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dataplane::LeftBehind;
use reqwest::StatusCode;

use super::planes::{Planes, http};
use super::progress::say;
use crate::private_file;
use crate::settings::reachable;

impl Planes<'_> {
    /// Takes every data plane that has a folder, and is not among those that run, out of the fleet.
    pub async fn remove_surplus(&self) -> anyhow::Result<()> {
        for (number, folder) in beyond(&self.dir.join("nodes"), self.addresses.s3.len())? {
            let Some(left) = dataplane::left_behind(&folder)
                .with_context(|| format!("Data plane {number} cannot be removed"))?
            else {
                continue;
            };
            let removed = !left.owes_usage && self.remove(&left).await?;
            if removed {
                fs::remove_dir_all(&folder)
                    .with_context(|| format!("{} cannot be removed", folder.display()))?;
            }
            say(&sentence(number, &left, removed));
        }
        Ok(())
    }

    /// `false`: it runs elsewhere.
    async fn remove(&self, left: &LeftBehind) -> anyhow::Result<bool> {
        let url = format!(
            "{}/api/v1/admin/nodes/{}",
            reachable(self.addresses.http),
            left.node_id
        );
        let token = private_file::read(&self.secrets.admin_token)?;
        let answer = http()?.delete(url).bearer_auth(token).send().await?;
        match answer.status() {
            StatusCode::CONFLICT => Ok(false),
            // Somebody has removed it before.
            StatusCode::NOT_FOUND => Ok(true),
            _ => {
                let answer = answer.error_for_status();
                answer.context("The control plane does not let a data plane go")?;
                Ok(true)
            }
        }
    }
}

fn sentence(number: usize, left: &LeftBehind, removed: bool) -> String {
    let why = match (removed, left.owes_usage) {
        (true, _) => return format!("  Data plane {number}: removed from the fleet"),
        (false, true) => "it has usage that is not booked yet: run it once more",
        (false, false) => "it is connected from elsewhere",
    };
    format!(
        "  Data plane {number}: not started, and keeps its part of tenants' limits, for {why} (or `vaultaire node remove {}`)",
        left.node_id
    )
}

/// Folders with a number above `count`, in order.
fn beyond(nodes: &Path, count: usize) -> anyhow::Result<Vec<(usize, PathBuf)>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(nodes).with_context(|| format!("{} cannot be read", nodes.display()))?
    {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        found.extend(
            number
                .filter(|number| *number > count)
                .map(|number| (number, entry.path())),
        );
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_wanted_number_is_found_in_order() {
        let nodes = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3", "10", "old"] {
            fs::create_dir(nodes.path().join(name)).unwrap();
        }
        let numbers = |count| {
            let found = beyond(nodes.path(), count).unwrap();
            found
                .into_iter()
                .map(|(number, _)| number)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(2), [3, 10]);
        assert_eq!(numbers(10), [] as [usize; 0]);
    }
}
