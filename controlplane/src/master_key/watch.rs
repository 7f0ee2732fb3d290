//! What each control plane does by itself: it reads the key file again, seals under what the database says, says what it
//! knows, and sees to it that everything is sealed under that.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use sqlx::types::Json;
use tokio::time::Instant;
use tracing::Instrument as _;

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
    let mut told = Once::default();
    loop {
        tokio::time::sleep(EVERY).await;
        told.tell(db::in_time(db::PATIENCE, look(&cp)).await.map(drop));
    }
}

/// For ever; beside [`watch`], which must not wait for it.
pub(crate) async fn keep_sealed(cp: ControlPlane) {
    let mut told = Once::default();
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        let held = cp.held_master_key();
        let due = match db::in_time(db::PATIENCE, is_due(&cp)).await {
            Ok(Due::Now) => !held.rests() && !held.is_behind(),
            // Whoever wrote late, or is of an older release, may have left something.
            Ok(Due::NowAndThen) => last.elapsed() > AFTER_FAILURE && !held.is_behind(),
            Ok(Due::Never) => false,
            Err(error) => {
                told.tell(Err(error));
                false
            }
        };
        if !due {
            continue;
        }
        // Before it begins: whoever asks for it meanwhile has it done again at once, whatever this one finds.
        held.rest(Some(Instant::now() + AFTER_FAILURE));
        let resealing = reseal::all(&cp).instrument(telemetry::job("master_key.reseal"));
        let done = db::in_time(db::PATIENCE_OF_JOBS, resealing).await;
        last = Instant::now();
        if !matches!(done, Ok(Some(1..))) {
            held.rest(None);
        }
        told.tell(done.map(drop));
    }
}

enum Due {
    Now,
    NowAndThen,
    Never,
}

async fn is_due(cp: &ControlPlane) -> Result<Due, Error> {
    let mut tx = cp.begin_system().await?;
    let sealing = rows::sealing(tx.connection()).await?;
    Ok(match sealing {
        Some(sealing) if !sealing.resealed => Due::Now,
        Some(sealing) if sealing.unfinished => Due::NowAndThen,
        _ => Due::Never,
    })
}

/// An error that is the same each second is told once.
#[derive(Default)]
struct Once(String);

impl Once {
    fn tell(&mut self, done: Result<(), Error>) {
        let says = done
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        if !says.is_empty() && says != self.0 {
            tracing::warn!(error = says, "the master key could not be looked after");
        }
        self.0 = says;
    }
}

/// Takes up what the key file and the database say.
pub(super) async fn look(cp: &ControlPlane) -> Result<(), Error> {
    let held = cp.held_master_key();
    let _one_at_a_time = held.looking.lock().await;
    let fewer = read_again(cp, held).await;
    let mut tx = cp.begin_system().await?;
    if let Some(read) = fewer {
        take_fewer(held, read, &mut tx).await;
    }
    let sealing = rows::sealing(tx.connection()).await?;
    let Some(version) = sealing.and_then(|sealing| sealing.version).map(byte) else {
        return Ok(());
    };
    let now = held.get();
    let was_behind = held.is_behind();
    let sealing = now.sealing_under(version);
    held.behind.store(sealing.is_none(), Ordering::Relaxed);
    match sealing {
        Some(_) if now.seals_under() == version => {}
        Some(changed) => {
            held.set(changed);
            tracing::info!(
                version,
                "secrets are sealed under this version of the master key from now on"
            );
        }
        None if was_behind => {}
        None => tracing::error!(
            version,
            "this control plane lacks the master key that seals: put it into its key file"
        ),
    }
    report(cp, &mut tx).await?;
    tx.commit().await
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
    rows::report(tx, &me, now + SILENCE).await
}

/// Says that this one does not run any more.
pub(crate) async fn ended(cp: &ControlPlane) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    rows::ended(&mut tx, cp.instance()).await?;
    tx.commit().await
}

/// Reads the file. What is only more than before is taken up at once, whether the database answers or not; what lacks
/// something that was there before is given back.
async fn read_again(cp: &ControlPlane, held: &Held) -> Option<MasterKey> {
    let path = cp.config().master_key_file.as_ref()?;
    let read = match tokio::fs::read_to_string(path).await {
        Ok(text) => MasterKey::parse(&zeroize::Zeroizing::new(text)).map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            held.complain(&format!("{}: {error:#}", path.display()));
            return None;
        }
    };
    let now = held.get();
    let (had, has) = (now.fingerprints(), read.fingerprints());
    if !had.iter().all(|key| has.contains(key)) {
        return Some(read);
    }
    held.complain("");
    if has.len() > had.len()
        && let Some(more) = read.sealing_under(now.seals_under())
    {
        take(held, more);
    }
    None
}

fn take(held: &Held, master_key: MasterKey) {
    let versions: Vec<u8> = master_key.fingerprints().iter().map(|(v, _)| *v).collect();
    tracing::info!(?versions, "the master key's file was read again");
    held.set(master_key);
}

/// What lacks something that may be needed is not taken up.
async fn take_fewer(held: &Held, read: MasterKey, tx: &mut Tx) {
    match may_take(held, read, tx).await {
        Ok(fewer) => {
            held.complain("");
            take(held, fewer);
        }
        Err(error) => held.complain(&format!("{error:#}")),
    }
}

async fn may_take(held: &Held, read: MasterKey, tx: &mut Tx) -> anyhow::Result<MasterKey> {
    // Nobody says meanwhile that another version seals, because this one knows it.
    rows::lock_sealing(tx).await?;
    let missing = missing(tx.connection(), &read).await?;
    ensure!(
        missing.is_empty(),
        "it lacks versions under which secrets may be sealed: {}",
        missing.join(", ")
    );
    read.sealing_under(held.get().seals_under())
        .context("it lacks the key under which secrets are sealed")
}
