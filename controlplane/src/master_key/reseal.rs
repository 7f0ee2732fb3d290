//! Seals anew what is under another version of the master key. Whoever is interrupted has done what is done.

use super::byte;
use crate::db::master_keys as rows;
use crate::db::sealed::{self, COLUMNS, Column};
use crate::{ControlPlane, Error, MasterKey, Tx};

/// In one transaction.
const AT_ONCE: i64 = 500;

/// Goes through everything once; how many values do not open. `None`: it did not see everything, because it is another
/// control plane's turn, or another version seals by now. One control plane does it at a time.
pub(super) async fn all(cp: &ControlPlane) -> Result<Option<usize>, Error> {
    let master_key = cp.master_key();
    let mut unopened = 0;
    for column in COLUMNS {
        let mut after = String::new();
        loop {
            match some(cp, &master_key, column, &mut after, &mut unopened).await? {
                Done::Some => {}
                Done::Column => break,
                Done::NotOurs => return Ok(None),
            }
        }
    }
    settle(cp).await?;
    Ok(Some(unopened))
}

enum Done {
    /// There may be more.
    Some,
    Column,
    NotOurs,
}

/// The next few of a column, after the one bound to `after`.
async fn some(
    cp: &ControlPlane,
    master_key: &MasterKey,
    column: &Column,
    after: &mut String,
    unopened: &mut usize,
) -> Result<Done, Error> {
    let mut tx = cp.begin_system().await?;
    let version = master_key.seals_under();
    if !sealed::take_turn(&mut tx).await? || sealing(&mut tx).await? != Some(version) {
        return Ok(Done::NotOurs);
    }
    let values = sealed::others(&mut tx, column, version, after, AT_ONCE).await?;
    let Some(last) = values.last() else {
        // One that is dropped ends some time later: until then the turn would be taken for the next column.
        tx.commit().await?;
        return Ok(Done::Column);
    };
    after.clone_from(&last.bound_to);
    let mut anew = Vec::with_capacity(values.len());
    for value in &values {
        match master_key.open(column.purpose, &value.bound_to, &value.sealed) {
            Ok(plain) => {
                let sealed = master_key.seal(column.purpose, &value.bound_to, &plain)?;
                anew.push((value, sealed));
            }
            Err(error) => {
                *unopened += 1;
                tracing::error!(
                    column = column.name(),
                    row = value.bound_to,
                    error = format!("{error:#}"),
                    "a sealed value does not open, and keeps the old master key in use"
                );
            }
        }
    }
    sealed::replace(&mut tx, column, &anew).await?;
    tx.commit().await?;
    Ok(Done::Some)
}

/// The version that the database says, as this transaction sees it.
async fn sealing(tx: &mut Tx) -> Result<Option<u8>, Error> {
    let sealing = rows::sealing(tx.connection()).await?;
    Ok(sealing.and_then(|sealing| sealing.version).map(byte))
}

/// Says that nothing is left to do, when that is so.
async fn settle(cp: &ControlPlane) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    if !sealed::take_turn(&mut tx).await? {
        return Ok(());
    }
    let known = rows::sealing(tx.connection()).await?;
    let known = known.filter(|known| !known.resealed);
    let Some(version) = known.and_then(|known| known.version).map(byte) else {
        return Ok(());
    };
    // Whoever has not noticed yet may add some.
    let running = rows::running(tx.connection(), cp.clock().now()).await?;
    let elsewhere = running.iter().any(|one| byte(one.seals_under) != version);
    if elsewhere || is_left(&mut tx, version).await? {
        return Ok(());
    }
    drop(tx);
    let mut tx = cp.begin_system().await?;
    rows::lock_sealing(&mut tx).await?;
    // What was sealed before and is not committed is to be counted too.
    if sealing(&mut tx).await? != Some(version)
        || !sealed::hold(&mut tx).await?
        || is_left(&mut tx, version).await?
    {
        return Ok(());
    }
    rows::set_resealed(&mut tx, true).await?;
    tx.commit().await?;
    tracing::info!(
        version,
        "everything is sealed under this version of the master key"
    );
    Ok(())
}

async fn is_left(tx: &mut Tx, version: u8) -> Result<bool, Error> {
    let used = super::versions(tx.connection()).await?;
    Ok(used.iter().any(|under| *under != version))
}
