//! Exchanging an engine's credentials while requests run: the new ones are tried, nodes are told, and the old ones are
//! known until every node that may serve has said that it has the new ones. The engine must take both for that time.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wire::Revision;

use super::{connection, get, locked, word};
use crate::engine::{Engine, advise};
use crate::ids::NodeId;
use crate::plane::APPLY_TIMEOUT;
use crate::secrets::Purpose;
use crate::{Actor, ControlPlane, EngineConfig, Error, Origin, PendingNode, audit, db, engines};

/// Buckets of tenants that the new credentials must reach: the newest ones.
const LOOK_INTO: i64 = 20;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// Credentials that are being exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rotation {
    pub old_access_key_id: String,
    pub since: Option<DateTime<Utc>>,
    /// In which nodes hear of the new ones.
    pub revision: Revision,
    /// Every node that may serve has the new ones: the old ones can be forgotten.
    pub can_finish: bool,
    pub nodes: Vec<NodeOfRotation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeOfRotation {
    pub node_id: NodeId,
    pub s3_address: String,
    pub connected: bool,
    /// It has said that it signs with the new ones.
    pub has_new: bool,
}

impl Rotation {
    pub(super) fn of(
        row: &db::engines::Row,
        nodes: &[(PendingNode, Revision)],
    ) -> Option<Rotation> {
        let old_access_key_id = row.old_access_key_id.clone()?;
        // Told with the very commit that keeps the old ones; without a number nobody can have heard.
        let revision = row.rotation_revision.unwrap_or(Revision::MAX);
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(node, applied)| NodeOfRotation {
                node_id: node.node_id,
                s3_address: node.s3_address.clone(),
                connected: node.connected,
                has_new: *applied >= revision,
            })
            .collect();
        Some(Rotation {
            old_access_key_id,
            since: row.rotated_at,
            revision,
            can_finish: nodes.iter().all(|node| node.has_new),
            nodes,
        })
    }
}

/// Tries the new credentials, tells nodes, and waits up to a second for them.
pub async fn rotate(
    cp: &ControlPlane,
    id: &str,
    new: Credentials,
    actor: Actor,
    origin: Origin,
) -> Result<engines::View, Error> {
    let (access_key_id, secret) = (
        word("access_key_id", &new.access_key_id)?,
        word("secret_access_key", &new.secret_access_key)?,
    );
    let mut tx = cp.begin_system().await?;
    let row = db::engines::get(&mut tx, id).await?;
    let row = row.ok_or(Error::NotFound("engine"))?;
    drop(tx);
    refuse_under_way(&row)?;
    let old = connection::config_of(cp, &row)?;
    if old.access_key_id == access_key_id && old.secret_access_key == secret {
        let message = "These are the credentials that the engine is used with.";
        return Err(Error::validation("access_key_id", message));
    }
    let config = EngineConfig {
        access_key_id,
        secret_access_key: secret,
        ..old
    };
    try_out(cp, &row, &config).await?;
    exchange(cp, &row, &config, "engine.rotate", actor, origin).await
}

/// Takes the old credentials back, as long as they are known; the new ones become the old ones.
pub async fn go_back(
    cp: &ControlPlane,
    id: &str,
    actor: Actor,
    origin: Origin,
) -> Result<engines::View, Error> {
    let mut tx = cp.begin_system().await?;
    let row = db::engines::get(&mut tx, id).await?;
    let row = row.ok_or(Error::NotFound("engine"))?;
    drop(tx);
    let (Some(access_key_id), Some(secret)) = (&row.old_access_key_id, &row.old_secret) else {
        return Err(no_rotation());
    };
    let master_key = cp.master_key();
    let secret = master_key.open(Purpose::EngineSecret, id, secret)?;
    let config = EngineConfig {
        access_key_id: access_key_id.clone(),
        secret_access_key: String::from_utf8(secret.to_vec())
            .map_err(|error| Error::Internal(error.into()))?,
        ..connection::config_of(cp, &row)?
    };
    try_out(cp, &row, &config).await?;
    exchange(cp, &row, &config, "engine.rotate_back", actor, origin).await
}

/// Forgets the old credentials. Refused while a node that may serve has not said that it has the new ones.
pub async fn finish(
    cp: &ControlPlane,
    id: &str,
    actor: Actor,
    origin: Origin,
) -> Result<engines::View, Error> {
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    let row = locked(&mut tx, id).await?;
    let nodes = cp.known_nodes().await?;
    let rotation = Rotation::of(&row, &nodes).ok_or_else(no_rotation)?;
    let behind: Vec<String> = rotation
        .nodes
        .iter()
        .filter(|node| !node.has_new)
        .map(|node| {
            let state = if node.connected {
                "connected"
            } else {
                "not connected"
            };
            format!("{} ({}, {state})", node.node_id, node.s3_address)
        })
        .collect();
    if !behind.is_empty() {
        let message = format!(
            "The old credentials are still needed. These nodes may serve, and have not said that they have the new ones: \
             {}. Bring them back, or remove those that are gone for good (`vaultaire node remove`), and try again.",
            behind.join(", ")
        );
        return Err(Error::Conflict {
            code: "nodes_behind",
            message,
        });
    }
    db::engines::forget_old(&mut tx, id).await?;
    let details = json!({ "old_access_key_id": rotation.old_access_key_id });
    audit::record(&mut tx, cp, None, "engine.rotate_finish", id, details).await?;
    let view = get(&mut tx, cp, id).await?;
    tx.commit().await?;
    Ok(view)
}

async fn exchange(
    cp: &ControlPlane,
    row: &db::engines::Row,
    config: &EngineConfig,
    action: &str,
    actor: Actor,
    origin: Origin,
) -> Result<engines::View, Error> {
    let id = row.id.as_str();
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    let now = locked(&mut tx, id).await?;
    // Not the secrets themselves, which may be sealed anew at any time.
    let known_by = |row: &db::engines::Row| {
        (
            row.access_key_id.clone(),
            row.old_access_key_id.clone(),
            row.rotated_at,
            row.endpoint.clone(),
        )
    };
    if known_by(&now) != known_by(row) {
        return Err(Error::Conflict {
            code: "engine_changed",
            message: "The engine's credentials were changed meanwhile. Try again.".to_owned(),
        });
    }
    let revision = db::revision::next_for_settings(&mut tx).await?;
    let secret = config.secret_access_key.as_bytes();
    let master_key = cp.master_key();
    let exchanged = db::engines::Row {
        access_key_id: config.access_key_id.clone(),
        secret: master_key.seal(Purpose::EngineSecret, id, secret)?,
        old_access_key_id: Some(now.access_key_id.clone()),
        old_secret: Some(now.secret.clone()),
        rotated_at: Some(cp.clock().now()),
        rotation_revision: Some(revision),
        ..now
    };
    db::engines::set_configuration(&mut tx, &exchanged).await?;
    let details = json!({
        "access_key_id": config.access_key_id,
        "old_access_key_id": row.access_key_id,
    });
    audit::record(&mut tx, cp, None, action, id, details).await?;
    tx.commit().await?;
    cp.wait_applied(revision, APPLY_TIMEOUT).await;
    let mut tx = cp.begin_system().await?;
    get(&mut tx, cp, id).await
}

/// Refused unless the credentials can do with what is there: write where the old ones make buckets, and read in buckets
/// of tenants.
async fn try_out(
    cp: &ControlPlane,
    row: &db::engines::Row,
    config: &EngineConfig,
) -> Result<(), Error> {
    let old = cp.engine(&row.id).await?;
    let new = Engine::new(config)?;
    let works = new.works_beside(&old).await;
    works.map_err(|error| advise(config, &error))?;
    let mut tx = cp.begin_system().await?;
    let buckets = db::buckets::newest_of_engine(&mut tx, &row.id, LOOK_INTO).await?;
    drop(tx);
    for bucket in buckets {
        let reached = new.has_bucket(&bucket).await;
        // What the old ones do not reach either is another matter.
        if matches!(reached, Ok(true)) || !matches!(old.has_bucket(&bucket).await, Ok(true)) {
            continue;
        }
        let message = format!(
            "The key does not reach {bucket}, in which a tenant's objects are: it is of another account, or may not use \
             what the old key has made."
        );
        return Err(Error::validation("access_key_id", message));
    }
    Ok(())
}

fn refuse_under_way(row: &db::engines::Row) -> Result<(), Error> {
    match &row.old_access_key_id {
        None => Ok(()),
        Some(old) => Err(Error::Conflict {
            code: "rotation_under_way",
            message: format!(
                "The credentials before these ({old}) are still known: finish that rotation, or go back, first."
            ),
        }),
    }
}

fn no_rotation() -> Error {
    Error::Conflict {
        code: "no_rotation",
        message: "No credentials of this engine are being exchanged.".to_owned(),
    }
}
