//! How far an exchange of the master key is, and what must wait for that.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::byte;
use crate::db::master_keys as rows;
use crate::db::sealed;
use crate::{ControlPlane, Error, Tx};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version that seals.
    pub version: u8,
    /// 16 hexadecimal digits, which tell the key from others and tell nothing else of it.
    pub fingerprint: String,
    /// By version of the key: how many values are sealed under it.
    pub sealed: BTreeMap<u8, u64>,
    /// By column (`access_keys.secret`), those that are not under the version that seals.
    pub behind: BTreeMap<String, u64>,
    pub control_planes: Vec<Holder>,
    /// Connections to the database of control planes of releases that do not know of this.
    pub older_connections: u64,
    /// Versions that sealed before, and are to be dropped.
    pub unfinished: Vec<u8>,
    /// None of these is needed any more.
    pub can_finish: bool,
    /// Versions that were dropped: they can go from the key files.
    pub dropped: Vec<u8>,
}

/// A control plane that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub id: Uuid,
    /// Of the program.
    pub program: String,
    pub started_at: DateTime<Utc>,
    /// The versions that it knows, with their fingerprints.
    pub master_keys: BTreeMap<u8, String>,
    pub seals_under: u8,
}

impl Holder {
    fn knows(&self, version: u8, fingerprint: &str) -> bool {
        let known = self.master_keys.get(&version);
        known.is_some_and(|known| known == fingerprint)
    }
}

/// As of now.
pub async fn status(cp: &ControlPlane) -> Result<Status, Error> {
    let older = older_connections(cp).await?;
    let mut tx = cp.begin_system().await?;
    status_of(&mut tx, cp, older).await
}

/// As the login's user: another role is not told what connections are called. Not while a transaction holds others up, who
/// may have every connection.
pub(super) async fn older_connections(cp: &ControlPlane) -> Result<i64, Error> {
    let mut own = cp.pool().acquire().await?;
    Ok(rows::connections_of_older_releases(&mut own).await?)
}

pub(super) async fn status_of(tx: &mut Tx, cp: &ControlPlane, older: i64) -> Result<Status, Error> {
    let conn = tx.connection();
    let known = rows::list(conn).await?;
    let sealing = rows::sealing(conn).await?;
    let sealing = sealing.context("the settings are missing")?;
    let row = known
        .iter()
        .find(|row| Some(row.version) == sealing.version);
    let row = row.context("no master key was taken up")?;
    let version = byte(row.version);
    let mut counts: BTreeMap<u8, u64> = BTreeMap::new();
    let mut behind = BTreeMap::new();
    for (column, under, count) in sealed::count(conn).await? {
        *counts.entry(under).or_default() += count;
        if under != version {
            *behind.entry(column.name()).or_default() += count;
        }
    }
    let control_planes = running(conn, cp).await?;
    let (dropped, others): (Vec<_>, Vec<_>) = known
        .iter()
        .filter(|row| byte(row.version) != version)
        .partition(|row| row.dropped_at.is_some());
    let settled = sealing.resealed
        && behind.is_empty()
        && control_planes.iter().all(|one| one.seals_under == version);
    Ok(Status {
        version,
        fingerprint: row.fingerprint.clone(),
        can_finish: !others.is_empty() && settled && older == 0,
        unfinished: others.iter().map(|row| byte(row.version)).collect(),
        sealed: counts,
        behind,
        control_planes,
        older_connections: older.unsigned_abs(),
        dropped: dropped.iter().map(|row| byte(row.version)).collect(),
    })
}

pub(super) fn refuse_unready(now: &Status, version: u8, fingerprint: &str) -> Result<(), Error> {
    if now.dropped.contains(&version) {
        let message = format!("Version {version} was dropped. Give the new key another version.");
        return Err(Error::validation("version", message));
    }
    if now.older_connections > 0 {
        return Err(older_releases());
    }
    let lacking: Vec<String> = now
        .control_planes
        .iter()
        .filter(|one| !one.knows(version, fingerprint))
        .map(|one| one.id.to_string())
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let message = format!(
        "These control planes run, and do not know the master key of version {version} with the fingerprint {fingerprint}: {}. \
         Put it into their key files too, and try again.",
        lacking.join(", ")
    );
    Err(Error::Conflict {
        code: "control_planes_behind",
        message,
    })
}

pub(super) fn refuse_finish(now: &Status) -> Error {
    let elsewhere: Vec<String> = now
        .control_planes
        .iter()
        .filter(|one| one.seals_under != now.version)
        .map(|one| one.id.to_string())
        .collect();
    if now.older_connections > 0 {
        return older_releases();
    }
    if !elsewhere.is_empty() {
        return Error::Conflict {
            code: "control_planes_behind",
            message: format!(
                "The old master key is still needed: these control planes seal under it: {}. Try again in a few seconds.",
                elsewhere.join(", ")
            ),
        };
    }
    if now.unfinished.is_empty() {
        return Error::Conflict {
            code: "no_rotation",
            message: format!("There is no other version than {} to drop.", now.version),
        };
    }
    let columns: Vec<String> = now
        .behind
        .iter()
        .map(|(column, count)| format!("{count} in {column}"))
        .collect();
    let found = match columns.is_empty() {
        true => "It is being looked whether anything is sealed under it".to_owned(),
        false => format!("Under it are sealed: {}", columns.join(", ")),
    };
    Error::Conflict {
        code: "old_key_in_use",
        message: format!(
            "The old master key is still needed. {found}. Try again when `vaultaire master-key status` says `can finish`."
        ),
    }
}

fn older_releases() -> Error {
    let message = "A control plane of an older release is connected to the database, and cannot be told of another master \
                   key. Upgrade every control plane first.";
    Error::Conflict {
        code: "older_releases",
        message: message.to_owned(),
    }
}

async fn running(conn: &mut PgConnection, cp: &ControlPlane) -> Result<Vec<Holder>, sqlx::Error> {
    let running = rows::running(conn, cp.clock().now()).await?;
    let holders = running.into_iter().map(|row| Holder {
        id: row.id,
        program: row.version,
        started_at: row.started_at,
        master_keys: row.master_keys.0,
        seals_under: byte(row.seals_under),
    });
    Ok(holders.collect())
}
