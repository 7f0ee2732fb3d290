//! Enters the environment's engine and the settings in the database at every start, and tells nodes where something
//! changed. What the operator has set since stays, as long as the environment says what it said before.

use anyhow::Context;
use sqlx::types::Json;
use zeroize::Zeroizing;

use crate::secrets::Purpose;
use crate::{ControlPlane, EngineConfig, MasterKey, Tx, db, master_key};

/// The engine of the environment.
pub(crate) const ENGINE_ID: &str = "main";
/// What the token keys are bound to when they are sealed.
pub(crate) const SETTINGS_ROW: &str = "settings";

/// Fails when the master key is not the one that the database's secrets are sealed under.
pub(crate) async fn register(cp: &ControlPlane) -> anyhow::Result<()> {
    let mut tx = cp.begin_system().await?;
    let settings = settings(cp, &mut tx).await?;
    master_key::adopt(cp, &mut tx).await?;
    let origins = cp.config().dashboard_origins().join(" ");
    let settings = db::settings::set_dashboard_origin(&mut tx, &origins).await? || settings;
    let engine = engine(cp, &mut tx).await?;
    if settings || engine != Taken::Same {
        let revision = db::revision::next_for_settings(&mut tx).await?;
        if engine == Taken::OtherCredentials {
            db::engines::set_rotation_revision(&mut tx, ENGINE_ID, revision).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Whether anything changed.
async fn settings(cp: &ControlPlane, tx: &mut Tx) -> anyhow::Result<bool> {
    let master_key = cp.master_key();
    let region = cp.config().region.as_str();
    if db::settings::get(tx.connection()).await?.is_none() {
        let token_key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let sealed = master_key.seal(Purpose::TokenKeys, SETTINGS_ROW, token_key.as_slice())?;
        if db::settings::insert(tx, region, &sealed).await? {
            return Ok(true);
        }
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

/// What was taken over from the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Same,
    Other,
    /// The same engine, asked by another key: nodes may have the one before for a while.
    OtherCredentials,
}

async fn engine(cp: &ControlPlane, tx: &mut Tx) -> anyhow::Result<Taken> {
    let master_key = cp.master_key();
    let config = &cp.config().engine;
    let said = said(config);
    let bound_to = environment_row(ENGINE_ID);
    let environment = master_key.seal(Purpose::EngineSecret, &bound_to, said.as_bytes())?;
    let secret = config.secret_access_key.as_bytes();
    let secret = master_key.seal(Purpose::EngineSecret, ENGINE_ID, secret)?;
    let Some(known) = db::engines::lock(tx, ENGINE_ID).await? else {
        let row = db::engines::Row {
            id: ENGINE_ID.to_owned(),
            endpoint: config.endpoint.clone(),
            region: config.region.clone(),
            access_key_id: config.access_key_id.clone(),
            secret,
            placement: config.placement.as_str().to_owned(),
            pool_bucket: config.pool_bucket.clone(),
            capabilities: Json::default(),
            probed_at: None,
            is_default: false,
            capacity_bytes: None,
            disabled_at: None,
            created_at: cp.clock().now(),
            environment: Some(environment),
            superseded: None,
            old_access_key_id: None,
            old_secret: None,
            rotated_at: None,
            rotation_revision: None,
        };
        db::engines::insert(tx, &row).await?;
        return Ok(Taken::Other);
    };
    let known_secret = master_key.open(Purpose::EngineSecret, ENGINE_ID, &known.secret)?;
    let before = match &known.environment {
        Some(before) => Some(master_key.open(Purpose::EngineSecret, &bound_to, before)?),
        None => None,
    };
    if before
        .as_ref()
        .is_some_and(|before| before.as_slice() == said.as_bytes())
    {
        return Ok(Taken::Same);
    }
    let same_account = known.access_key_id == config.access_key_id
        && known_secret.as_slice() == config.secret_access_key.as_bytes();
    let mut superseded = Superseded::open(&master_key, &known)?;
    if !same_account
        && superseded
            .0
            .iter()
            .any(|old| old.as_slice() == said.as_bytes())
    {
        tracing::warn!(
            "VAULTAIRE_ENGINE_ACCESS_KEY_ID and VAULTAIRE_ENGINE_SECRET_ACCESS_KEY are older ones, which were replaced since; the newer ones are used. To go back to these, say so: vaultaire engine rotate main"
        );
        return Ok(Taken::Same);
    }
    superseded.add(before, &said);
    let superseded = superseded.seal(&master_key)?;
    if same_account
        && known.endpoint == config.endpoint
        && known.region == config.region
        && known.placement == config.placement.as_str()
        && known.pool_bucket == config.pool_bucket
    {
        db::engines::set_environment(tx, ENGINE_ID, &environment, superseded.as_deref()).await?;
        return Ok(Taken::Same);
    }
    // An engine may move, and its account may be exchanged; with both it is another one.
    let same_engine = (same_account || known.endpoint == config.endpoint)
        && known.placement == config.placement.as_str();
    let exchanged = same_engine && !same_account;
    let row = db::engines::Row {
        endpoint: config.endpoint.clone(),
        region: config.region.clone(),
        access_key_id: config.access_key_id.clone(),
        secret,
        placement: config.placement.as_str().to_owned(),
        pool_bucket: config.pool_bucket.clone(),
        capabilities: match same_engine {
            true => known.capabilities,
            false => Json::default(),
        },
        probed_at: known.probed_at.filter(|_| same_engine),
        environment: Some(environment),
        superseded,
        old_access_key_id: exchanged.then(|| known.access_key_id.clone()),
        old_secret: exchanged.then(|| known.secret.clone()),
        rotated_at: exchanged.then(|| cp.clock().now()),
        rotation_revision: None,
        ..known
    };
    db::engines::set_configuration(tx, &row).await?;
    Ok(match exchanged {
        true => Taken::OtherCredentials,
        false => Taken::Other,
    })
}

/// What the environment said before, which a control plane may still be started with: the newest last.
struct Superseded(Vec<Zeroizing<Vec<u8>>>);

impl Superseded {
    /// Older ones are forgotten.
    const AT_MOST: usize = 20;

    fn open(master_key: &MasterKey, known: &db::engines::Row) -> anyhow::Result<Self> {
        let Some(sealed) = &known.superseded else {
            return Ok(Self(Vec::new()));
        };
        let opened = master_key.open(Purpose::EngineSecret, &superseded_row(&known.id), sealed)?;
        let words: Vec<String> = serde_json::from_slice(&opened)?;
        let words = words
            .into_iter()
            .map(|said| Zeroizing::new(said.into_bytes()));
        Ok(Self(words.collect()))
    }

    /// `said` took the place of `before`, and is itself a word of today.
    fn add(&mut self, before: Option<Zeroizing<Vec<u8>>>, said: &str) {
        self.0.retain(|old| old.as_slice() != said.as_bytes());
        self.0.extend(before);
        let surplus = self.0.len().saturating_sub(Self::AT_MOST);
        self.0.drain(..surplus);
    }

    fn seal(&self, master_key: &MasterKey) -> anyhow::Result<Option<Vec<u8>>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let words: Vec<&str> = self
            .0
            .iter()
            .map(|said| std::str::from_utf8(said))
            .collect::<Result<_, _>>()?;
        let plain = Zeroizing::new(serde_json::to_vec(&words)?);
        let row = superseded_row(ENGINE_ID);
        Ok(Some(master_key.seal(
            Purpose::EngineSecret,
            &row,
            &plain,
        )?))
    }
}

/// What [`Superseded`] is bound to when it is sealed.
pub(crate) fn superseded_row(engine: &str) -> String {
    format!("{engine}/superseded")
}

/// What the environment's words about an engine are bound to when they are sealed.
pub(crate) fn environment_row(engine: &str) -> String {
    format!("{engine}/environment")
}

/// Everything that the environment says of its engine, in a form that can be compared.
fn said(config: &EngineConfig) -> Zeroizing<String> {
    let all = serde_json::json!([
        config.endpoint,
        config.region,
        config.access_key_id,
        config.secret_access_key,
        config.placement.as_str(),
        config.pool_bucket,
    ]);
    Zeroizing::new(all.to_string())
}
