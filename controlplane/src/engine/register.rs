//! Enters the engine and the settings in the database at every start, and tells nodes where something changed.

use anyhow::Context;
use sqlx::types::Json;
use zeroize::Zeroizing;

use crate::secrets::Purpose;
use crate::{ControlPlane, Tx, db};

/// There is one engine so far.
pub(crate) const ENGINE_ID: &str = "main";
/// What the token keys are bound to when they are sealed.
pub(crate) const SETTINGS_ROW: &str = "settings";

/// Fails when the master key is not the one that the database's secrets are sealed under.
pub(crate) async fn register(cp: &ControlPlane) -> anyhow::Result<()> {
    let mut tx = cp.begin_system().await?;
    let settings = settings(cp, &mut tx).await?;
    let origins = cp.config().dashboard_origins().join(" ");
    let settings = db::settings::set_dashboard_origin(&mut tx, &origins).await? || settings;
    let engine = engine(cp, &mut tx).await?;
    if settings || engine {
        db::revision::next_for_settings(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Whether anything changed.
async fn settings(cp: &ControlPlane, tx: &mut Tx) -> anyhow::Result<bool> {
    let master_key = &cp.config().master_key;
    let region = cp.config().region.as_str();
    let token_key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let sealed = master_key.seal(Purpose::TokenKeys, SETTINGS_ROW, token_key.as_slice())?;
    if db::settings::insert(tx, region, &sealed).await? {
        return Ok(true);
    }
    let row = db::settings::get(tx.connection())
        .await?
        .context("the settings are missing")?;
    master_key
        .open(Purpose::TokenKeys, SETTINGS_ROW, &row.token_keys)
        .context("the master key is not the one that this database was set up with")?;
    let changed = db::settings::set_region(tx, region).await?;
    if changed {
        // Signing keys are for a region: every node needs all of them anew.
        db::nodes::forget_keys(tx).await?;
    }
    Ok(changed)
}

/// Whether anything changed.
async fn engine(cp: &ControlPlane, tx: &mut Tx) -> anyhow::Result<bool> {
    let master_key = &cp.config().master_key;
    let config = &cp.config().engine;
    let known = db::engines::lock(tx, ENGINE_ID).await?;
    let mut row = db::engines::Row {
        id: ENGINE_ID.to_owned(),
        endpoint: config.endpoint.clone(),
        region: config.region.clone(),
        access_key_id: config.access_key_id.clone(),
        secret: Vec::new(),
        placement: config.placement.as_str().to_owned(),
        pool_bucket: config.pool_bucket.clone(),
        capabilities: Json::default(),
    };
    if let Some(known) = known {
        let secret = master_key.open(Purpose::EngineSecret, ENGINE_ID, &known.secret)?;
        let same_account = known.access_key_id == row.access_key_id
            && secret.as_slice() == config.secret_access_key.as_bytes();
        if same_account
            && known.endpoint == row.endpoint
            && known.region == row.region
            && known.placement == row.placement
            && known.pool_bucket == row.pool_bucket
        {
            return Ok(false);
        }
        // An engine may move, and its account may be exchanged; with both it is another one.
        let same_engine =
            (same_account || known.endpoint == row.endpoint) && known.placement == row.placement;
        if same_engine {
            row.capabilities = known.capabilities;
        }
    }
    let secret = config.secret_access_key.as_bytes();
    row.secret = master_key.seal(Purpose::EngineSecret, ENGINE_ID, secret)?;
    db::engines::upsert(tx, &row).await?;
    Ok(true)
}
