//! Exchanging the master key while control planes run. Every control plane knows the new one before it seals anywhere, and the
//! old one is needed until nothing is sealed under it and nobody seals under it.

mod reseal;
mod status;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;
use tokio::time::Instant;

use crate::db::master_keys as rows;
use crate::db::sealed;
use crate::{Actor, ControlPlane, Error, MasterKey, Origin, Tx, audit};

pub use status::{Holder, Status, status};
use status::{older_connections, refuse_finish, refuse_unready, status_of};
pub(crate) use watch::{ended, keep_sealed, watch};

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
    /// One looks at a time: another that began before must not undo what the last one found.
    looking: tokio::sync::Mutex<()>,
}

impl Held {
    pub fn new(master_key: &MasterKey) -> Self {
        Self {
            now: RwLock::new(Arc::new(master_key.clone())),
            behind: AtomicBool::new(false),
            complaint: Mutex::default(),
            rests_until: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
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
    let older = older_connections(cp).await?;
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    rows::lock_sealing(&mut tx).await?;
    let before = status_of(&mut tx, cp, older).await?;
    refuse_unready(&before, version, fingerprint)?;
    if before.version == version {
        if !before.behind.is_empty() {
            rows::set_resealed(&mut tx, false).await?;
            tx.commit().await?;
        }
        return Ok(before);
    }
    for row in rows::list(tx.connection()).await? {
        let (same, known) = (
            byte(row.version) == version,
            row.fingerprint == *fingerprint,
        );
        let message = match (same, known) {
            (true, false) => format!("Version {version} was another key before."),
            (false, true) => format!("It is the key that was version {} before.", row.version),
            _ => continue,
        };
        let message = format!("{message} Take a new key, with a version of its own.");
        return Err(Error::validation("version", message));
    }
    rows::insert(&mut tx, version, fingerprint, cp.clock().now()).await?;
    rows::set_sealing(&mut tx, version).await?;
    let details =
        json!({ "version": version, "fingerprint": fingerprint, "before": before.version });
    let target = version.to_string();
    audit::record(&mut tx, cp, None, "master_key.rotate", &target, details).await?;
    tx.commit().await?;
    watch::look(cp).await?;
    status(cp).await
}

/// Drops every other version: nothing can be sealed under them from then on, and they can go from the key files. Refused while
/// anything is sealed under one, or anybody seals under one.
pub async fn finish(cp: &ControlPlane, actor: Actor, origin: Origin) -> Result<Status, Error> {
    watch::look(cp).await?;
    cp.held_master_key().rest(None);
    for _ in 0..HOLD_TRIES {
        let older = older_connections(cp).await?;
        let mut tx = cp
            .begin_system()
            .await?
            .acting(actor.clone(), origin.clone());
        rows::lock_sealing(&mut tx).await?;
        // Whoever is writing has sealed already: what they write is to be counted.
        if sealed::hold(&mut tx).await? {
            return finish_held(cp, tx, older).await;
        }
        drop(tx);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(Error::Unavailable(
        "Something long is being written. Try again.",
    ))
}

async fn finish_held(cp: &ControlPlane, mut tx: Tx, older: i64) -> Result<Status, Error> {
    let before = status_of(&mut tx, cp, older).await?;
    if !before.can_finish {
        let refused = refuse_finish(&before);
        if !before.behind.is_empty() {
            rows::set_resealed(&mut tx, false).await?;
            tx.commit().await?;
        }
        return Err(refused);
    }
    rows::drop_others(&mut tx, before.version, cp.clock().now()).await?;
    let mut after = before;
    after.dropped.append(&mut after.unfinished);
    after.dropped.sort_unstable();
    after.can_finish = false;
    let details = json!({ "version": after.version, "dropped": after.dropped });
    let target = after.version.to_string();
    audit::record(&mut tx, cp, None, "master_key.finish", &target, details).await?;
    tx.commit().await?;
    Ok(after)
}

/// At the start, in the transaction in which everything else is taken up: goes by the version that seals, says that this
/// one runs, and fails where something that is there would not open.
pub(crate) async fn adopt(cp: &ControlPlane, tx: &mut Tx) -> anyhow::Result<()> {
    let sealing = rows::lock_sealing(tx)
        .await?
        .context("the settings are missing")?;
    let master_key = cp.master_key();
    let names = master_key.fingerprints();
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
    let missing = missing(tx.connection(), &master_key).await?;
    ensure!(
        missing.is_empty(),
        "secrets are sealed under versions of the master key that are not among those given: {}",
        missing.join(", ")
    );
    let sealing = master_key.sealing_under(version).with_context(|| {
        format!("the master key of version {version}, under which secrets are sealed, is not among those given")
    })?;
    cp.held_master_key().set(sealing);
    rows::forget_ended(tx, cp.clock().now()).await?;
    watch::report(cp, tx).await?;
    Ok(())
}

/// The versions that may be needed, with what names them: those that were not dropped. Empty: none was ever said.
pub(crate) async fn needed(conn: &mut PgConnection) -> Result<Vec<(u8, String)>, sqlx::Error> {
    let known = rows::list(conn).await?.into_iter();
    let needed = known.filter(|row| row.dropped_at.is_none());
    Ok(needed
        .map(|row| (byte(row.version), row.fingerprint))
        .collect())
}

/// Those of them that this key lacks, as people read them. Whoever has not heard yet of the one that seals writes under the
/// one before, so that counting what there is would not do.
async fn missing(
    conn: &mut PgConnection,
    master_key: &MasterKey,
) -> Result<Vec<String>, sqlx::Error> {
    let names = master_key.fingerprints();
    let needed = needed(conn).await?.into_iter();
    let missing = needed.filter(|key| !names.contains(key));
    Ok(missing
        .map(|(version, name)| format!("{version} (fingerprint {name})"))
        .collect())
}

/// Fails where one of these values is sealed under a version that this control plane lacks and others know: it cannot be
/// opened here, and is not damaged.
pub(crate) async fn refuse_lacking(
    cp: &ControlPlane,
    tx: &mut Tx,
    sealed: impl Iterator<Item = &[u8]>,
) -> Result<(), Error> {
    let master_key = cp.master_key();
    let versions = sealed.filter_map(|value| value.first().copied());
    let unknown: BTreeSet<u8> = versions.filter(|v| !master_key.has(*v)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known = rows::list(tx.connection()).await?;
    match known.iter().any(|row| unknown.contains(&byte(row.version))) {
        true => Err(Error::Unavailable(
            "This control plane lacks a version of the master key.",
        )),
        false => Ok(()),
    }
}

/// The versions under which anything is sealed.
async fn versions(conn: &mut PgConnection) -> Result<BTreeSet<u8>, sqlx::Error> {
    let counts = sealed::count(conn).await?.into_iter();
    Ok(counts.map(|(_, version, _)| version).collect())
}

/// A version as the database has it, which keeps it within 0 to 255.
fn byte(version: i16) -> u8 {
    u8::try_from(version).unwrap_or_default()
}
