//! Exchanging the master key while control planes run. Every control plane knows the new one before it seals anywhere, and the
//! old one is needed until nothing is sealed under it and nobody seals under it.

mod reseal;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use crate::db::master_keys as rows;
use crate::db::sealed::{self, COLUMNS};
use crate::{Actor, ControlPlane, Error, MasterKey, Origin, Tx, audit};

pub(crate) use watch::{ended, watch};

/// Others wait behind a lock that is waited for. Less than Postgres's `deadlock_timeout`, so that it is never another that
/// has to give up.
const HOLD_WITHIN_MILLIS: u32 = 500;
const HOLD_TRIES: usize = 5;

/// The master key as this process has it at the moment.
pub(crate) struct Held {
    now: RwLock<Arc<MasterKey>>,
    /// It cannot open what others seal.
    behind: AtomicBool,
    /// What is wrong with the key file.
    complaint: Mutex<String>,
    /// What did not open is not tried again before then.
    rests_until: Mutex<Option<Instant>>,
}

impl Held {
    pub fn new(master_key: &MasterKey) -> Self {
        Self {
            now: RwLock::new(Arc::new(master_key.clone())),
            behind: AtomicBool::new(false),
            complaint: Mutex::default(),
            rests_until: Mutex::default(),
        }
    }

    pub fn get(&self) -> Arc<MasterKey> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, master_key: MasterKey) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(master_key);
    }

    /// Logged once, not at each look; empty: nothing is wrong.
    fn complain(&self, of: &str) {
        let mut before = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *before != of && !of.is_empty() {
            tracing::error!(
                "the master key's file is not taken up, the keys read from it before are used: {of}"
            );
        }
        of.clone_into(&mut before);
    }

    fn rest(&self, until: Option<Instant>) {
        *self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn rests(&self) -> bool {
        let until = self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }
}

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

/// Needs a system transaction.
pub async fn status(tx: &mut Tx, cp: &ControlPlane) -> Result<Status, Error> {
    // As the login's user: another role is not told what connections are called.
    let mut own = cp.pool().acquire().await?;
    let older = rows::connections_of_older_releases(&mut own).await?;
    drop(own);
    let conn = tx.connection();
    let known = rows::list(conn).await?;
    let (version, fingerprint) = sealing(conn, &known).await?;
    let mut counts: BTreeMap<u8, u64> = BTreeMap::new();
    let mut behind = BTreeMap::new();
    for column in COLUMNS {
        for (under, count) in sealed::count(conn, column).await? {
            *counts.entry(under).or_default() += count;
            if under != version {
                *behind.entry(column.name()).or_default() += count;
            }
        }
    }
    let control_planes = running(conn, cp).await?;
    let (dropped, others): (Vec<_>, Vec<_>) = known
        .iter()
        .filter(|row| byte(row.version) != version)
        .partition(|row| row.dropped_at.is_some());
    let resealed = rows::sealing(tx.connection()).await?;
    let settled = resealed.is_some_and(|sealing| sealing.resealed)
        && behind.is_empty()
        && control_planes.iter().all(|one| one.seals_under == version);
    Ok(Status {
        version,
        fingerprint,
        can_finish: !others.is_empty() && settled && older == 0,
        unfinished: others.iter().map(|row| byte(row.version)).collect(),
        sealed: counts,
        behind,
        control_planes,
        older_connections: older.unsigned_abs(),
        dropped: dropped.iter().map(|row| byte(row.version)).collect(),
    })
}

/// Which version is to seal.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Without it the newest that this control plane knows.
    #[serde(default)]
    pub version: Option<u8>,
}

/// Seals under the key of this version from now on, and everything that is there anew. Refused while a control plane runs
/// that does not know it, and for a version that was dropped.
pub async fn rotate(
    cp: &ControlPlane,
    wish: Wish,
    actor: Actor,
    origin: Origin,
) -> Result<Status, Error> {
    watch::look(cp).await?;
    cp.held_master_key().rest(None);
    let names: BTreeMap<u8, String> = cp.master_key().fingerprints().into_iter().collect();
    let newest = names.keys().next_back().copied();
    let version = wish.version.or(newest).unwrap_or_default();
    let fingerprint = names.get(&version).ok_or_else(|| {
        let message = "This control plane was given no master key of this version.";
        Error::validation("version", message)
    })?;
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    rows::lock_sealing(&mut tx).await?;
    let before = status(&mut tx, cp).await?;
    refuse_unready(&before, version, fingerprint)?;
    if before.version == version {
        if !before.behind.is_empty() {
            rows::set_resealed(&mut tx, false).await?;
            tx.commit().await?;
        }
        return Ok(before);
    }
    rows::insert(&mut tx, version, fingerprint, cp.clock().now()).await?;
    let known = rows::list(tx.connection()).await?;
    let known = known.iter().find(|row| byte(row.version) == version);
    if known.is_none_or(|row| row.fingerprint != *fingerprint) {
        let message = format!(
            "Version {version} was another key before. Give the new key a version of its own."
        );
        return Err(Error::validation("version", message));
    }
    rows::set_sealing(&mut tx, version).await?;
    let details =
        json!({ "version": version, "fingerprint": fingerprint, "before": before.version });
    let target = version.to_string();
    audit::record(&mut tx, cp, None, "master_key.rotate", &target, details).await?;
    tx.commit().await?;
    watch::look(cp).await?;
    let mut tx = cp.begin_system().await?;
    status(&mut tx, cp).await
}

fn refuse_unready(now: &Status, version: u8, fingerprint: &str) -> Result<(), Error> {
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

/// Drops every other version: nothing can be sealed under them from then on, and they can go from the key files. Refused while
/// anything is sealed under one, or anybody seals under one.
pub async fn finish(cp: &ControlPlane, actor: Actor, origin: Origin) -> Result<Status, Error> {
    watch::look(cp).await?;
    cp.held_master_key().rest(None);
    for _ in 0..HOLD_TRIES {
        let mut tx = cp
            .begin_system()
            .await?
            .acting(actor.clone(), origin.clone());
        rows::lock_sealing(&mut tx).await?;
        // Whoever is writing has sealed already: what they write is to be counted.
        if let Err(error) = sealed::hold(&mut tx, HOLD_WITHIN_MILLIS).await {
            tracing::debug!(%error, "the tables with sealed values are busy");
            drop(tx);
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        return finish_held(cp, tx).await;
    }
    Err(Error::Unavailable(
        "Something long is being written. Try again.",
    ))
}

async fn finish_held(cp: &ControlPlane, mut tx: Tx) -> Result<Status, Error> {
    let before = status(&mut tx, cp).await?;
    if !before.can_finish {
        let refused = refuse_finish(&before);
        if !before.behind.is_empty() {
            rows::set_resealed(&mut tx, false).await?;
            tx.commit().await?;
        }
        return Err(refused);
    }
    rows::drop_others(&mut tx, before.version, cp.clock().now()).await?;
    let after = status(&mut tx, cp).await?;
    let details = json!({ "version": after.version, "dropped": after.dropped });
    let target = after.version.to_string();
    audit::record(&mut tx, cp, None, "master_key.finish", &target, details).await?;
    tx.commit().await?;
    Ok(after)
}

fn refuse_finish(now: &Status) -> Error {
    let elsewhere: Vec<String> = now
        .control_planes
        .iter()
        .filter(|one| one.seals_under != now.version)
        .map(|one| one.id.to_string())
        .collect();
    let conflict = |code, message| Error::Conflict { code, message };
    if now.older_connections > 0 {
        return older_releases();
    }
    if !elsewhere.is_empty() {
        let message = format!(
            "The old master key is still needed: these control planes seal under it: {}. Try again in a few seconds.",
            elsewhere.join(", ")
        );
        return conflict("control_planes_behind", message);
    }
    if now.unfinished.is_empty() {
        let message = format!("There is no other version than {} to drop.", now.version);
        return conflict("no_rotation", message);
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
    let message = format!(
        "The old master key is still needed. {found}. Try again when `vaultaire master-key status` says `can finish`."
    );
    conflict("old_key_in_use", message)
}

fn older_releases() -> Error {
    let message = "A control plane of an older release is connected to the database, and cannot be told of another master \
                   key. Upgrade every control plane first.";
    Error::Conflict {
        code: "older_releases",
        message: message.to_owned(),
    }
}

/// At the start, in the transaction in which everything else is taken up: goes by the version that seals, says that this
/// one runs, and fails where something that is there would not open.
pub(crate) async fn adopt(cp: &ControlPlane, tx: &mut Tx) -> anyhow::Result<()> {
    let sealing = rows::lock_sealing(tx)
        .await?
        .context("the settings are missing")?;
    let master_key = cp.master_key();
    let names = master_key.fingerprints();
    let missing = missing(tx.connection(), &master_key).await?;
    ensure!(
        missing.is_empty(),
        "something is sealed under versions of the master key that are not among those given: {missing:?}"
    );
    let version = sealing.version.map_or(master_key.seals_under(), byte);
    if sealing.version.is_none() {
        let used = versions(tx.connection()).await?;
        let now = cp.clock().now();
        for (known, name) in &names {
            if used.contains(known) || *known == version {
                rows::insert(tx, *known, name, now).await?;
            }
        }
        rows::set_sealing(tx, version).await?;
    }
    for row in rows::list(tx.connection()).await? {
        let other = names
            .iter()
            .any(|(known, name)| *known == byte(row.version) && *name != row.fingerprint);
        ensure!(
            !other || row.dropped_at.is_some(),
            "the master key is not the one that this database was set up with: version {} has another fingerprint than {}",
            row.version,
            row.fingerprint
        );
    }
    let sealing = master_key.sealing_under(version).with_context(|| {
        format!("the master key of version {version}, under which secrets are sealed, is not among those given")
    })?;
    cp.held_master_key().set(sealing);
    watch::report(cp, tx).await?;
    Ok(())
}

/// The versions under which anything is sealed.
pub(crate) async fn versions(conn: &mut PgConnection) -> Result<BTreeSet<u8>, sqlx::Error> {
    let mut versions = BTreeSet::new();
    for column in COLUMNS {
        versions.extend(sealed::count(conn, column).await?.into_keys());
    }
    Ok(versions)
}

/// The versions under which something is sealed, and that this key lacks. A value that bears a version that never was is
/// damaged, and not counted: one such must not keep a control plane from starting.
async fn missing(
    conn: &mut PgConnection,
    master_key: &MasterKey,
) -> Result<BTreeSet<u8>, sqlx::Error> {
    let used = versions(conn).await?;
    let names = master_key.fingerprints();
    let lacking = rows::list(conn).await?.into_iter().filter_map(|row| {
        let version = byte(row.version);
        let known = names.iter().any(|(known, _)| *known == version);
        (used.contains(&version) && !known).then_some(version)
    });
    Ok(lacking.collect())
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

/// The version that seals, and what names it.
async fn sealing(conn: &mut PgConnection, known: &[rows::Row]) -> Result<(u8, String), Error> {
    let sealing = rows::sealing(conn).await?;
    let version = sealing.and_then(|sealing| sealing.version);
    let row = known.iter().find(|row| Some(row.version) == version);
    let row = row.context("no master key was taken up")?;
    Ok((byte(row.version), row.fingerprint.clone()))
}

/// A version as the database has it, which keeps it within 0 to 255.
fn byte(version: i16) -> u8 {
    u8::try_from(version).unwrap_or_default()
}
