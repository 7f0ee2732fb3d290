//! Rows become documents: secrets are opened here, and leave as signing keys for a few days.
//! What cannot be opened is left out and said in the log: one row must not hold up everyone's configuration.

use std::collections::HashMap;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Duration, NaiveDate};
use uuid::Uuid;
use wire::{
    AccessKey, AccessKeyStatus, Bucket, BucketStatus, Placement, Revision, Settings, SigningKey,
    Snapshot, TenantDocument, TenantStatus,
};

use crate::ids::{BucketId, TenantId};
use crate::secrets::Purpose;
use crate::tenants::Tenant;
use crate::{ControlPlane, Error, Tx, access_keys, db, engine};

/// A presigned URL lives seven days, and a node without a control plane as long.
const DAYS_EITHER_WAY: i64 = 8;
/// For this long a node is told that an access key is over, rather than nothing.
const REMEMBER_ENDED: Duration = Duration::days(30);
/// Tenants read at once.
const PAGE: i64 = 500;

pub(super) enum Update {
    Tenant(TenantDocument),
    Settings(Settings),
}

impl Update {
    pub(super) fn revision(&self) -> Revision {
        match self {
            Self::Tenant(document) => document.revision,
            Self::Settings(settings) => settings.revision,
        }
    }
}

pub(super) enum Changes {
    /// In order. When there are none, nothing happened after the revision that was asked for.
    Updates(Vec<Update>),
    /// The revision asked for is newer than the database's: another database, or an older copy of it.
    Ahead,
}

/// What changed after the revision; the first part of it where it is much.
pub(super) async fn changes(cp: &ControlPlane, after: Revision) -> Result<Changes, Error> {
    let mut tx = cp.begin_snapshot().await?;
    if db::revision::head(tx.connection()).await? < after {
        return Ok(Changes::Ahead);
    }
    let tenants = db::tenants::changed_after(tx.connection(), after, PAGE).await?;
    let reaches = match tenants.last() {
        Some(last) if i64::try_from(tenants.len()).is_ok_and(|n| n == PAGE) => last.revision,
        _ => Revision::MAX,
    };
    let mut updates: Vec<Update> = documents(cp, &mut tx, tenants)
        .await?
        .into_iter()
        .map(Update::Tenant)
        .collect();
    let settings = settings(cp, &mut tx).await?;
    if (after + 1..=reaches).contains(&settings.revision) {
        updates.push(Update::Settings(settings));
        updates.sort_by_key(Update::revision);
    }
    Ok(Changes::Updates(updates))
}

/// Everything, as of one moment.
pub(super) async fn snapshot(cp: &ControlPlane) -> Result<Snapshot, Error> {
    let mut tx = cp.begin_snapshot().await?;
    let revision = db::revision::head(tx.connection()).await?;
    let settings = settings(cp, &mut tx).await?;
    let mut tenants = Vec::new();
    let mut after = None;
    loop {
        let page = db::tenants::page(tx.connection(), after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        tenants.extend(documents(cp, &mut tx, page).await?);
    }
    Ok(Snapshot {
        revision,
        settings,
        tenants,
    })
}

async fn documents(
    cp: &ControlPlane,
    tx: &mut Tx,
    tenants: Vec<Tenant>,
) -> Result<Vec<TenantDocument>, Error> {
    let ids: Vec<Uuid> = tenants.iter().map(|t| t.id.0).collect();
    let ended_after = cp.clock().now() - REMEMBER_ENDED;
    let keys = db::access_keys::of_tenants(tx.connection(), &ids, ended_after).await?;
    let mut buckets: HashMap<Uuid, Vec<Bucket>> = HashMap::new();
    for row in db::buckets::of_tenants(tx.connection(), &ids).await? {
        buckets.entry(row.tenant_id).or_default().push(bucket(row));
    }
    let today = cp.clock().today();
    let cp = cp.clone();
    // Deriving takes about 20 µs a day and key; a page of tenants would hold up other requests.
    let keys = tokio::task::spawn_blocking(move || {
        let mut by_tenant: HashMap<Uuid, Vec<AccessKey>> = HashMap::new();
        for row in keys {
            let (tenant, id) = (row.tenant_id, row.access_key_id.clone());
            match access_key(&cp, today, row) {
                Ok(key) => by_tenant.entry(tenant).or_default().push(key),
                Err(error) => {
                    tracing::error!(access_key_id = %id, error = format!("{error:#}"), "an access key cannot be opened and is left out")
                }
            }
        }
        by_tenant
    });
    let mut keys = keys.await.map_err(|e| Error::Internal(e.into()))?;
    let documents = tenants.into_iter().map(|tenant| {
        let deleted = tenant.status == TenantStatus::Deleted;
        let (access_keys, buckets) = (keys.remove(&tenant.id.0), buckets.remove(&tenant.id.0));
        TenantDocument {
            tenant_id: tenant.id.to_string(),
            revision: tenant.revision,
            status: tenant.status,
            limits: tenant.limits,
            access_keys: access_keys.filter(|_| !deleted).unwrap_or_default(),
            buckets: buckets.filter(|_| !deleted).unwrap_or_default(),
        }
    });
    Ok(documents.collect())
}

fn access_key(
    cp: &ControlPlane,
    today: NaiveDate,
    row: db::access_keys::Sealed,
) -> anyhow::Result<AccessKey> {
    let revoked = row.revoked_at.is_some();
    let signing_keys = if revoked {
        Vec::new()
    } else {
        let bound_to = access_keys::seal_row(TenantId(row.tenant_id), &row.access_key_id);
        let master_key = &cp.config().master_key;
        let secret = master_key.open(Purpose::AccessKeySecret, &bound_to, &row.secret)?;
        signing_keys(std::str::from_utf8(&secret)?, today, &cp.config().region)
    };
    Ok(AccessKey {
        access_key_id: row.access_key_id,
        status: if revoked {
            AccessKeyStatus::Revoked
        } else {
            AccessKeyStatus::Active
        },
        expires_at: row.expires_at,
        scope: row.scope.0,
        signing_keys,
    })
}

fn bucket(row: db::buckets::Row) -> Bucket {
    Bucket {
        id: BucketId(row.id).to_string(),
        name: row.name,
        created_at: row.created_at,
        status: match row.status.as_str() {
            "active" => BucketStatus::Active,
            _ => BucketStatus::Deleting,
        },
        placement: Placement {
            engine: row.engine_id,
            bucket: row.engine_bucket,
            prefix: row.prefix,
        },
        public_read: row.public_read,
        cors: row.cors.0,
    }
}

async fn settings(cp: &ControlPlane, tx: &mut Tx) -> Result<Settings, Error> {
    let row = db::settings::get(tx.connection())
        .await?
        .context("the settings are missing")?;
    let today = cp.clock().today();
    let master_key = &cp.config().master_key;
    let mut engines = Vec::new();
    for engine in db::engines::list(tx.connection()).await? {
        let secret = master_key.open(Purpose::EngineSecret, &engine.id, &engine.secret)?;
        let secret = std::str::from_utf8(&secret).context("an engine's secret is not text")?;
        engines.push(wire::Engine {
            signing_keys: signing_keys(secret, today, &engine.region),
            id: engine.id,
            endpoint: engine.endpoint,
            region: engine.region,
            access_key_id: engine.access_key_id,
            capabilities: engine.capabilities.0,
        });
    }
    let token_keys = master_key.open(Purpose::TokenKeys, engine::SETTINGS_ROW, &row.token_keys)?;
    Ok(Settings {
        revision: row.revision,
        region: row.region,
        engines,
        token_keys: token_keys
            .chunks(32)
            .map(|key| STANDARD.encode(key))
            .collect(),
    })
}

fn signing_keys(secret: &str, today: NaiveDate, region: &str) -> Vec<SigningKey> {
    (-DAYS_EITHER_WAY..=DAYS_EITHER_WAY)
        .map(|days| {
            let date = today + Duration::days(days);
            let text = date.format("%Y%m%d").to_string();
            SigningKey {
                date,
                region: region.to_owned(),
                key: sigv4::derive_signing_key(secret, &text, region, "s3"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_keys_reach_eight_days_either_way() {
        let today = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap_or_default();
        let keys = signing_keys("secret", today, "us-east-1");
        assert_eq!(keys.len(), 17);
        assert_eq!(keys[0].date.to_string(), "2026-02-21");
        assert_eq!(keys[8].date, today);
        assert_eq!(keys[16].date.to_string(), "2026-03-09");
        let expected = sigv4::derive_signing_key("secret", "20260301", "us-east-1", "s3");
        assert_eq!(keys[8].key, expected);
    }
}
