//! The engines that there are: rows that the operator adds, and the one of the environment. Secrets come in and never go
//! out; what nodes are told of an engine is made in `push`.

mod connection;
mod health;
mod new;
mod rotate;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json;
use wire::{EngineCapabilities, Revision};

pub use health::Health;
pub use new::New;
pub use rotate::{Credentials, NodeOfRotation, Rotation, finish, go_back, rotate};

pub(crate) use connection::{Connections, connection};
pub(crate) use health::watch;

use new::{capacity, check_name, configuration, word};

use crate::engine::{ENGINE_ID, Engine, advise, probe_once};
use crate::ids::TenantId;
use crate::plane::APPLY_TIMEOUT;
use crate::said::said;
use crate::secrets::Purpose;
use crate::{
    Actor, ControlPlane, EngineConfig, Error, Origin, PendingNode, Tx, audit, db, tenants,
};

/// As the operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    pub id: String,
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub placement: String,
    pub pool_bucket: Option<String>,
    /// Where new buckets go of tenants of which nothing else was said.
    pub is_default: bool,
    /// `active`, or `disabled`: no new buckets.
    pub status: &'static str,
    /// `environment` or `operator`.
    pub source: &'static str,
    pub created_at: DateTime<Utc>,
    /// `None`: it is not known what it can do.
    pub probed_at: Option<DateTime<Utc>>,
    pub capabilities: EngineCapabilities,
    /// Buckets that are placed there.
    pub buckets: u64,
    /// Tenants whose new buckets go there by the operator's word.
    pub tenants: u64,
    /// As far as is booked.
    pub stored_bytes: u64,
    pub objects: u64,
    pub capacity_bytes: Option<u64>,
    /// What is left of the capacity, where it is known.
    pub free_bytes: Option<u64>,
    /// `None`: nobody has looked yet.
    pub health: Option<Health>,
    /// Credentials that are being exchanged.
    pub rotation: Option<Rotation>,
}

/// What is not said stays.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// An inner `None`: it is not known.
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub capacity_bytes: Option<Option<u64>>,
    /// `true`: this one from now on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// By id. Needs a system transaction.
pub async fn list(tx: &mut Tx, cp: &ControlPlane) -> Result<Vec<View>, Error> {
    let nodes = cp.known_nodes().await?;
    let mut held = db::engines::held(tx).await?;
    let tenants = db::engines::tenants(tx).await?;
    let mut health = db::engine_health::list(tx).await?;
    let rows = db::engines::list(tx.connection()).await?.into_iter();
    let views = rows.map(|row| {
        let held = held.remove(&row.id).unwrap_or_default();
        let tenants = tenants.get(&row.id).copied().unwrap_or(0);
        view(row.clone(), held, tenants, health.remove(&row.id), &nodes)
    });
    Ok(views.collect())
}

/// Needs a system transaction.
pub async fn get(tx: &mut Tx, cp: &ControlPlane, id: &str) -> Result<View, Error> {
    let found = list(tx, cp).await?.into_iter().find(|view| view.id == id);
    found.ok_or(Error::NotFound("engine"))
}

fn view(
    row: db::engines::Row,
    held: db::engines::Held,
    tenants: i64,
    health: Option<Health>,
    nodes: &[(PendingNode, Revision)],
) -> View {
    let stored_bytes = held.bytes.max(0).unsigned_abs();
    let capacity_bytes = row.capacity_bytes.map(i64::unsigned_abs);
    View {
        rotation: Rotation::of(&row, nodes),
        status: match row.disabled_at {
            None => "active",
            Some(_) => "disabled",
        },
        source: match row.id == ENGINE_ID {
            true => "environment",
            false => "operator",
        },
        id: row.id,
        endpoint: row.endpoint,
        region: row.region,
        access_key_id: row.access_key_id,
        placement: row.placement,
        pool_bucket: row.pool_bucket,
        is_default: row.is_default,
        created_at: row.created_at,
        probed_at: row.probed_at,
        capabilities: row.capabilities.0,
        buckets: held.buckets.unsigned_abs(),
        tenants: tenants.unsigned_abs(),
        stored_bytes,
        objects: held.objects.max(0).unsigned_abs(),
        capacity_bytes,
        free_bytes: capacity_bytes.map(|bytes| bytes.saturating_sub(stored_bytes)),
        health,
    }
}

/// Tries the engine out, and refuses with what does not work and how to mend it; then nodes are told of it.
pub async fn add(cp: &ControlPlane, new: New, actor: Actor, origin: Origin) -> Result<View, Error> {
    let id = check_name(&new.name)?;
    let capacity_bytes = capacity(new.capacity_bytes)?;
    let config = configuration(new)?;
    let mut tx = cp.begin_system().await?;
    if db::engines::get(&mut tx, &id).await?.is_some() {
        return Err(exists(&id));
    }
    drop(tx);
    let capabilities = probe_new(&config).await?;

    let now = cp.clock().now();
    let secret = config.secret_access_key.as_bytes();
    let master_key = cp.master_key();
    let row = db::engines::Row {
        secret: master_key.seal(Purpose::EngineSecret, &id, secret)?,
        id: id.clone(),
        endpoint: config.endpoint,
        region: config.region,
        access_key_id: config.access_key_id,
        placement: config.placement.as_str().to_owned(),
        pool_bucket: config.pool_bucket,
        capabilities: Json(capabilities),
        probed_at: Some(now),
        is_default: false,
        capacity_bytes,
        disabled_at: None,
        created_at: now,
        environment: None,
        superseded: None,
        old_access_key_id: None,
        old_secret: None,
        rotated_at: None,
        rotation_revision: None,
    };
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    if !db::engines::insert(&mut tx, &row).await? {
        return Err(exists(&id));
    }
    let details = json!({
        "endpoint": row.endpoint, "region": row.region, "access_key_id": row.access_key_id,
        "placement": row.placement, "pool_bucket": row.pool_bucket,
    });
    audit::record(&mut tx, cp, None, "engine.add", &id, details).await?;
    let revision = db::revision::next_for_settings(&mut tx).await?;
    tx.commit().await?;
    cp.wait_applied(revision, APPLY_TIMEOUT).await;
    health::look(cp, &id).await?;
    let mut tx = cp.begin_system().await?;
    get(&mut tx, cp, &id).await
}

/// What the engine can do, and nothing of it is kept. Refused as [`add`] refuses.
pub async fn try_out(new: New) -> Result<EngineCapabilities, Error> {
    check_name(&new.name)?;
    capacity(new.capacity_bytes)?;
    probe_new(&configuration(new)?).await
}

async fn probe_new(config: &EngineConfig) -> Result<EngineCapabilities, Error> {
    let engine = Engine::new(config)
        .map_err(|error| Error::validation("endpoint", format!("{error:#}.")))?;
    let found = engine.probe(EngineCapabilities::default()).await;
    found.map_err(|error| advise(config, &error))
}

/// How many tenants' new buckets go to the default engine, as nothing else was said of them. Needs a system transaction.
pub async fn tenants_of_default(tx: &mut Tx) -> Result<u64, Error> {
    Ok(db::engines::tenants_of_default(tx).await?.unsigned_abs())
}

/// Tries it out anew.
pub async fn probe(
    cp: &ControlPlane,
    id: &str,
    actor: Actor,
    origin: Origin,
) -> Result<View, Error> {
    let mut tx = cp.begin_system().await?;
    let row = db::engines::get(&mut tx, id).await?;
    let row = row.ok_or(Error::NotFound("engine"))?;
    drop(tx);
    let config = connection::config_of(cp, &row)?;
    if let Err(error) = probe_once(cp, id).await {
        health::look(cp, id).await?;
        return Err(Error::Conflict {
            code: "engine_failed",
            message: advise(&config, &error).message(),
        });
    }
    health::look(cp, id).await?;
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    let view = get(&mut tx, cp, id).await?;
    let details = json!({ "capabilities": view.capabilities });
    audit::record(&mut tx, cp, None, "engine.probe", id, details).await?;
    tx.commit().await?;
    Ok(view)
}

/// Needs a system transaction.
pub async fn set(tx: &mut Tx, cp: &ControlPlane, id: &str, change: Change) -> Result<(), Error> {
    let row = locked(tx, id).await?;
    if let Some(bytes) = change.capacity_bytes {
        db::engines::set_capacity(tx, id, capacity(bytes)?).await?;
    }
    if change.default && !row.is_default {
        if row.disabled_at.is_some() {
            return Err(disabled(id));
        }
        db::engines::set_default(tx, id).await?;
    }
    let details = serde_json::to_value(&change).map_err(|error| Error::Internal(error.into()))?;
    audit::record(tx, cp, None, "engine.set", id, details).await
}

/// No new buckets go there; what is there is served as before. Refused while new buckets would go there by default or
/// by a tenant's setting. Needs a system transaction.
pub async fn disable(tx: &mut Tx, cp: &ControlPlane, id: &str) -> Result<(), Error> {
    let row = locked(tx, id).await?;
    if row.disabled_at.is_some() {
        return Ok(());
    }
    refuse_in_use(tx, &row).await?;
    let now = cp.clock().now();
    db::engines::set_disabled(tx, id, Some(now)).await?;
    audit::record(tx, cp, None, "engine.disable", id, json!({})).await
}

/// Needs a system transaction.
pub async fn enable(tx: &mut Tx, cp: &ControlPlane, id: &str) -> Result<(), Error> {
    if locked(tx, id).await?.disabled_at.is_none() {
        return Ok(());
    }
    db::engines::set_disabled(tx, id, None).await?;
    audit::record(tx, cp, None, "engine.enable", id, json!({})).await
}

/// Forgets an engine on which no bucket is placed. Needs a system transaction; the revision in which nodes hear of it.
pub async fn remove(tx: &mut Tx, cp: &ControlPlane, id: &str) -> Result<Revision, Error> {
    let row = locked(tx, id).await?;
    if id == ENGINE_ID {
        return Err(Error::Conflict {
            code: "engine_of_the_environment",
            message: "This engine comes from the environment, and would be back at the next start. Disable it instead."
                .to_owned(),
        });
    }
    refuse_in_use(tx, &row).await?;
    let held = db::engines::held(tx).await?;
    if let Some(held) = held.get(id) {
        let buckets = held.buckets;
        let message = format!(
            "{buckets} buckets are placed on it, also those of deleted accounts that are kept."
        );
        return Err(Error::Conflict {
            code: "engine_in_use",
            message,
        });
    }
    db::engines::forget_tenants(tx, id).await?;
    db::engines::delete(tx, id).await?;
    let details = json!({ "endpoint": row.endpoint });
    audit::record(tx, cp, None, "engine.remove", id, details).await?;
    db::revision::next_for_settings(tx).await
}

/// Where the tenant's new buckets go from now on; `None`: to the default engine. What it has stays where it is. Needs a
/// system transaction.
pub async fn set_of_tenant(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
    engine: Option<&str>,
) -> Result<(), Error> {
    // A tenant is locked before an engine, as where buckets are made.
    let before = tenants::lock(tx, tenant).await?.engine;
    if let Some(id) = engine {
        let row = db::engines::lock(tx, id)
            .await?
            .ok_or_else(|| Error::validation("engine", format!("There is no engine `{id}`.")))?;
        if row.disabled_at.is_some() {
            return Err(Error::validation("engine", disabled(id).message()));
        }
    }
    if before.as_deref() == engine {
        return Ok(());
    }
    db::tenants::set_engine(tx, tenant, engine).await?;
    let details = json!({ "engine": engine, "before": before });
    audit::record(tx, cp, Some(tenant), "tenant.set_engine", "", details).await
}

pub(super) async fn locked(tx: &mut Tx, id: &str) -> Result<db::engines::Row, Error> {
    let row = db::engines::lock(tx, id).await?;
    row.ok_or(Error::NotFound("engine"))
}

async fn refuse_in_use(tx: &mut Tx, row: &db::engines::Row) -> Result<(), Error> {
    let tenants = db::engines::tenants(tx).await?;
    let tenants = tenants.get(&row.id).copied().unwrap_or(0);
    let message = if row.is_default {
        "New buckets go there by default: make another engine the default first."
    } else if tenants > 0 {
        "New buckets of some tenants go there: give these tenants another engine first."
    } else {
        return Ok(());
    };
    Err(Error::Conflict {
        code: "engine_in_use",
        message: match row.is_default {
            true => message.to_owned(),
            false => format!("{message} They are {tenants}."),
        },
    })
}

fn exists(id: &str) -> Error {
    Error::validation("name", format!("There is an engine `{id}` already."))
}

fn disabled(id: &str) -> Error {
    Error::Conflict {
        code: "engine_disabled",
        message: format!("The engine {id} is disabled: enable it first."),
    }
}
