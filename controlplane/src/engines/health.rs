//! A look at each engine every half minute: whether it answers, how soon, and since when that is so.
//! It decides nothing: requests go to an engine whatever was found.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::Instrument as _;

use crate::engine::brief;
use crate::{ControlPlane, Error, db};

const EVERY: Duration = Duration::from_secs(30);
/// Longer than an engine is waited for.
const WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    pub checked_at: DateTime<Utc>,
    /// It answered, and took the credentials.
    pub reachable: bool,
    /// Since when it is, or is not.
    pub since: DateTime<Utc>,
    /// Of the last answer to a small question.
    pub latency_millis: Option<u32>,
    /// The last one, kept when all is well again.
    pub last_error: Option<String>,
    pub last_error_at: Option<DateTime<Utc>>,
}

/// One control plane looks.
pub(crate) async fn watch(cp: ControlPlane) {
    loop {
        if let Err(error) = db::in_time(WITHIN, look_at_all(&cp)).await {
            tracing::warn!(%error, "engines could not be looked at");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look_at_all(cp: &ControlPlane) -> Result<(), Error> {
    // Not of the pool's: a connection that goes back to it would keep the lock if this ended early.
    let mut conn = cp.pool().acquire().await?.detach();
    if !db::engine_health::try_lock(&mut conn).await? {
        return Ok(());
    }
    let mut tx = cp.begin_system().await?;
    let rows = db::engines::list(tx.connection()).await?;
    drop(tx);
    let looks = rows.iter().map(|row| look(cp, &row.id));
    for looked in futures_util::future::join_all(looks).await {
        looked?;
    }
    // With the connection goes the lock.
    Ok(sqlx::Connection::close(conn).await?)
}

/// Looks now, and notes what was found.
pub(super) async fn look(cp: &ControlPlane, id: &str) -> Result<(), Error> {
    let looking = async { cp.engine(id).await?.look().await };
    let found: anyhow::Result<_> = looking.instrument(telemetry::job("engine.look")).await;
    let found = found
        .map(|look| u32::try_from(look.latency.as_millis()).unwrap_or(u32::MAX))
        .map_err(|error| brief(&error));
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let told = found.as_ref().map(|millis| *millis).map_err(String::as_str);
    let before = db::engine_health::note(&mut tx, id, now, told).await?;
    tx.commit().await?;
    match (before, told) {
        (Some(true) | None, Err(error)) => {
            tracing::error!(engine = id, error, "the engine cannot be used");
        }
        (Some(false), Ok(_)) => tracing::info!(engine = id, "the engine can be used again"),
        _ => {}
    }
    Ok(())
}
