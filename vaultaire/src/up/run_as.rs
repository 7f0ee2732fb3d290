//! As whom a child runs, and that it dies with the supervisor: the words put before its command line.
//! `setpriv` sets the parent-death signal after it changed the user, for that change clears the signal.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use anyhow::bail;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User, chown};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAs {
    /// The supervisor's own user.
    Same,
    /// Another user; the supervisor is root.
    User { uid: u32, gid: u32 },
    /// Root on the disk, but nobody inside: a user namespace, for a program that refuses root where no other user can
    /// reach its files.
    Namespace,
}

const NOBODY: u32 = 65534;

impl RunAs {
    /// `[setpriv …, --]`: what comes before the program. `orphaned` is sent when the supervisor is gone.
    pub fn prefix(self, orphaned: Signal) -> Vec<OsString> {
        let mut words: Vec<String> = Vec::new();
        if self == RunAs::Namespace {
            words.push("unshare".to_owned());
            words.push("--user".to_owned());
            words.push(format!("--map-user={NOBODY}"));
            words.push(format!("--map-group={NOBODY}"));
        }
        words.push("setpriv".to_owned());
        words.push(format!(
            "--pdeathsig={}",
            orphaned.as_str().trim_start_matches("SIG")
        ));
        if let RunAs::User { uid, gid } = self {
            words.extend([
                format!("--reuid={uid}"),
                format!("--regid={gid}"),
                "--clear-groups".to_owned(),
            ]);
        }
        words.push("--".to_owned());
        words.into_iter().map(OsString::from).collect()
    }

    /// Makes the file or folder this user's.
    pub fn own(self, path: &Path) -> anyhow::Result<()> {
        if let RunAs::User { uid, gid } = self {
            chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(())
    }

    /// Whether this user can reach the program and search the folder.
    async fn reaches(self, program: &Path, folder: &Path) -> bool {
        let mut words = self.prefix(Signal::SIGKILL).into_iter();
        let Some(first) = words.next() else {
            return false;
        };
        // The folder itself may be closed as yet: it is opened for passing through once this user is chosen.
        let status = tokio::process::Command::new(first)
            .args(words)
            .args(["sh", "-c", "test -x \"$1\" && test -x \"$2\"", "sh"])
            .args([program, folder])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        status.await.is_ok_and(|status| status.success())
    }
}

/// As whom Postgres can run, which refuses root. `owner` is the owner of its cluster, if there is one already.
/// `parent` is the folder in which the data directory lies.
pub async fn for_postgres(
    owner: Option<u32>,
    program: &Path,
    parent: &Path,
) -> anyhow::Result<RunAs> {
    if !Uid::effective().is_root() {
        return Ok(RunAs::Same);
    }
    let user = match owner {
        Some(0) => None,
        Some(uid) => Some(
            User::from_uid(Uid::from_raw(uid))?.map_or((uid, uid), |user| (uid, user.gid.as_raw())),
        ),
        None => Some(unprivileged()?),
    };
    if let Some((uid, gid)) = user {
        let run_as = RunAs::User { uid, gid };
        if run_as.reaches(program, parent).await {
            return Ok(run_as);
        }
    }
    if matches!(owner, None | Some(0)) && RunAs::Namespace.reaches(program, parent).await {
        return Ok(RunAs::Namespace);
    }
    bail!(
        "Postgres does not run as root, and no other user can reach {} and {}: choose a data directory that is open to \
         all for passing through (such as one under /var/lib), or run `vaultaire up` as an ordinary user.",
        parent.display(),
        program.display()
    )
}

fn unprivileged() -> anyhow::Result<(u32, u32)> {
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok((user.uid.as_raw(), user.gid.as_raw()));
        }
    }
    Ok((NOBODY, NOBODY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_death_signal_comes_after_the_change_of_user_that_would_clear_it() {
        let words = RunAs::User { uid: 7, gid: 8 }.prefix(Signal::SIGQUIT);
        assert_eq!(
            words,
            [
                "setpriv",
                "--pdeathsig=QUIT",
                "--reuid=7",
                "--regid=8",
                "--clear-groups",
                "--"
            ]
        );
        let words = RunAs::Namespace.prefix(Signal::SIGKILL);
        assert_eq!(
            words,
            [
                "unshare",
                "--user",
                "--map-user=65534",
                "--map-group=65534",
                "setpriv",
                "--pdeathsig=KILL",
                "--"
            ]
        );
    }
}
