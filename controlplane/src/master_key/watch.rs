//! What each control plane does by itself: it reads the key file again, seals under what the database says, says what it
//! knows, and sees to it that everything is sealed under that.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use sqlx::types::Json;
use tokio::time::Instant;

use super::{Held, byte, missing, reseal};
use crate::db::master_keys::{self as rows, Running};
use crate::{ControlPlane, Error, MasterKey, Tx, db};

const EVERY: Duration = Duration::from_secs(1);
/// What does not open is not tried again and again.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Who has not said anything for so long does not run.
const SILENCE: TimeDelta = TimeDelta::seconds(20);

/// For ever.
pub(crate) async fn watch(cp: ControlPlane) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(EVERY).await;
        let looked = db::in_time(db::PATIENCE, look(&cp)).await;
        let done = match looked {
            Ok(false) if !cp.held_master_key().rests() => {
                db::in_time(db::PATIENCE_OF_JOBS, reseal::all(&cp)).await
            }
            Ok(_) => Ok(0),
            Err(error) => Err(error),
        };
        if matches!(done, Ok(1..)) {
            let until = Instant::now() + AFTER_FAILURE;
            cp.held_master_key().rest(Some(until));
        }
        // Once, not each second.
        let says = done
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        if !says.is_empty() && says != told {
            tracing::warn!(error = says, "the master key could not be looked after");
        }
        told = says;
    }
}

/// Whether everything is known to be sealed under the version that seals.
pub(super) async fn look(cp: &ControlPlane) -> Result<bool, Error> {
    let mut tx = cp.begin_system().await?;
    let held = cp.held_master_key();
    read_again(cp, held, &mut tx).await;
    // Before the version is read: once this one has said that it seals under a version, it seals under no older one.
    let sealing = rows::sealing(tx.connection()).await?;
    let Some(sealing) = sealing else {
        return Ok(true);
    };
    if let Some(version) = sealing.version.map(byte) {
        let now = held.get();
        let was_behind = held.is_behind();
        let behind = match now.sealing_under(version) {
            Some(_) if now.seals_under() == version => false,
            Some(changed) => {
                held.set(changed);
                tracing::info!(
                    version,
                    "secrets are sealed under this version of the master key from now on"
                );
                false
            }
            None => true,
        };
        held.behind.store(behind, Ordering::Relaxed);
        if behind && !was_behind {
            tracing::error!(
                version,
                "this control plane lacks the master key that seals: put it into its key file"
            );
        }
    }
    report(cp, &mut tx).await?;
    tx.commit().await?;
    Ok(sealing.resealed)
}

/// Says that this one runs, and what it knows.
pub(super) async fn report(cp: &ControlPlane, tx: &mut Tx) -> Result<(), Error> {
    let now = cp.clock().now();
    let master_key = cp.master_key();
    let me = Running {
        id: cp.instance(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: now,
        master_keys: Json(master_key.fingerprints().into_iter().collect()),
        seals_under: master_key.seals_under().into(),
    };
    rows::report(tx, &me, now, now + SILENCE).await
}

/// Says that this one does not run any more.
pub(crate) async fn ended(cp: &ControlPlane) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    rows::ended(&mut tx, cp.instance()).await?;
    tx.commit().await
}

/// The file may have a key more, or one less under which nothing is sealed. What does not do is left.
async fn read_again(cp: &ControlPlane, held: &Held, tx: &mut Tx) {
    let Some(path) = &cp.config().master_key_file else {
        return;
    };
    let text = match tokio::fs::read_to_string(path).await {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) => return held.complain(&format!("{} cannot be read: {error}", path.display())),
    };
    match taken(held, &text, tx).await {
        Ok(None) => held.complain(""),
        Ok(Some(master_key)) => {
            let versions: Vec<u8> = master_key.fingerprints().iter().map(|(v, _)| *v).collect();
            tracing::info!(?versions, "the master key's file was read again");
            held.complain("");
            held.set(master_key);
        }
        Err(error) => held.complain(&format!("{}: {error:#}", path.display())),
    }
}

/// `None`: the file says what it said.
async fn taken(held: &Held, text: &str, tx: &mut Tx) -> anyhow::Result<Option<MasterKey>> {
    let read = MasterKey::parse(text)?;
    let now = held.get();
    let (mut had, mut has) = (now.fingerprints(), read.fingerprints());
    had.sort();
    has.sort();
    if had == has {
        return Ok(None);
    }
    for (version, name) in &had {
        let same = has.iter().find(|(v, _)| v == version);
        ensure!(
            same.is_none_or(|(_, n)| n == name),
            "version {version} is another key than before: a new key needs a new version"
        );
    }
    let read = read
        .sealing_under(now.seals_under())
        .context("it lacks the key under which secrets are sealed")?;
    let missing = missing(tx.connection(), &read).await?;
    ensure!(
        missing.is_empty(),
        "it lacks versions under which something is sealed: {missing:?}"
    );
    Ok(Some(read))
}
