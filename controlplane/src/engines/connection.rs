//! Connections to engines, one for each, made anew when its row has changed. Every use looks at the row, so that what
//! another control plane has changed holds here at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;

use crate::engine::Engine;
use crate::secrets::Purpose;
use crate::{ControlPlane, EngineConfig, Error, db};

/// By engine: what the connection was made of.
#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<String, (Source, Arc<Engine>)>>);

#[derive(PartialEq, Eq)]
struct Source {
    endpoint: String,
    region: String,
    access_key_id: String,
    /// As it is sealed: each sealing looks different.
    secret: Vec<u8>,
    placement: String,
    pool_bucket: Option<String>,
}

impl Source {
    fn of(row: &db::engines::Row) -> Self {
        Self {
            endpoint: row.endpoint.clone(),
            region: row.region.clone(),
            access_key_id: row.access_key_id.clone(),
            secret: row.secret.clone(),
            placement: row.placement.clone(),
            pool_bucket: row.pool_bucket.clone(),
        }
    }
}

/// The engine of this id, as its row is now.
pub(crate) async fn connection(cp: &ControlPlane, id: &str) -> Result<Arc<Engine>, Error> {
    let mut tx = cp.begin_system().await?;
    let row = db::engines::get(&mut tx, id).await?;
    drop(tx);
    let row = row.with_context(|| format!("there is no engine {id}"))?;
    let source = Source::of(&row);
    let kept = &cp.connections().0;
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    match kept.get(id) {
        Some((made_of, engine)) if *made_of == source => Ok(engine.clone()),
        _ => {
            let engine = Arc::new(Engine::new(&config_of(cp, &row)?)?);
            kept.insert(id.to_owned(), (source, engine.clone()));
            Ok(engine)
        }
    }
}

pub(super) fn config_of(cp: &ControlPlane, row: &db::engines::Row) -> anyhow::Result<EngineConfig> {
    let master_key = cp.master_key();
    let secret = master_key
        .open(Purpose::EngineSecret, &row.id, &row.secret)
        .with_context(|| format!("the secret of the engine {}", row.id))?;
    Ok(EngineConfig {
        endpoint: row.endpoint.clone(),
        region: row.region.clone(),
        access_key_id: row.access_key_id.clone(),
        secret_access_key: String::from_utf8(secret.to_vec())
            .context("an engine's secret is not text")?,
        placement: row.placement.parse().map_err(anyhow::Error::msg)?,
        pool_bucket: row.pool_bucket.clone(),
    })
}
