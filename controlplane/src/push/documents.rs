//! Rows become documents: secrets are opened here, and leave as signing keys for a few days.
//! What cannot be opened is left out and said in the log: one row must not hold up everyone's configuration.

use std::collections::HashMap;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Duration, NaiveDate};
use uuid::Uuid;
use wire::{
    AccessKey, AccessKeyStatus, Bucket, BucketStatus, Placement, Revision, Settings, SigningKeys,
    TenantDocument, TenantStatus,
};

use crate::ids::{BucketId, TenantId};
use crate::secrets::Purpose;
use crate::tenants::Tenant;
use crate::{ControlPlane, Error, Tx, access_keys, db, engine};

/// A presigned URL lives seven days.
const DAYS_BACK: i64 = 7;
/// A node without a control plane serves for seven days at least: its keys may be almost a day old.
const DAYS_AHEAD: i64 = 8;
/// For this long a node is told that an access key is over, rather than nothing.
const REMEMBER_ENDED: Duration = Duration::days(30);
/// Changes read at once.
const CHANGES: i64 = 100;
/// Tenants of a snapshot read at once.
const PAGE: i64 = 250;

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
    let position = db::revision::position(tx.connection()).await?;
    if position.head < after {
        return Ok(Changes::Ahead);
    }
    let tenants = db::tenants::changed_after(tx.connection(), after, CHANGES).await?;
    let reaches = match tenants.last() {
        Some(last) if i64::try_from(tenants.len()).is_ok_and(|n| n == CHANGES) => last.revision,
        _ => Revision::MAX,
    };
    let mut updates: Vec<Update> = documents(cp, &mut tx, tenants, cp.clock().today())
        .await?
        .into_iter()
        .map(Update::Tenant)
        .collect();
    if (after + 1..=reaches).contains(&position.settings) {
        updates.push(Update::Settings(settings(cp, &mut tx).await?));
        updates.sort_by_key(Update::revision);
    }
    Ok(Changes::Updates(updates))
}

/// Everything, as of one moment, page by page: one transaction sees that moment for as long as this lives.
pub(super) struct Snapshot {
    tx: Tx,
    cp: ControlPlane,
    after: Option<TenantId>,
    pub revision: Revision,
    pub epoch: Uuid,
    pub settings: Settings,
    /// How many tenants all pages hold together.
    pub tenants: u64,
    /// The day of its signing keys.
    pub day: NaiveDate,
}

impl Snapshot {
    pub(super) async fn begin(cp: &ControlPlane) -> Result<Self, Error> {
        let mut tx = cp.begin_snapshot().await?;
        let position = db::revision::position(tx.connection()).await?;
        let settings = settings(cp, &mut tx).await?;
        let tenants = db::tenants::count(tx.connection()).await?;
        Ok(Self {
            tx,
            after: None,
            revision: position.head,
            epoch: position.epoch,
            settings,
            tenants: tenants.unsigned_abs(),
            day: cp.clock().today(),
            cp: cp.clone(),
        })
    }

    /// `None`: that was all.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<TenantDocument>>, Error> {
        let page = page(&self.cp, &mut self.tx, self.after, self.day).await?;
        self.after = page.as_ref().map(|page| page.0).or(self.after);
        Ok(page.map(|page| page.1))
    }
}

/// Tenants after the one given as they are now, and the last one's id; `None` where there are no more. Not those that
/// changed after `revision`, of which the node hears by themselves.
pub(super) async fn again(
    cp: &ControlPlane,
    after: Option<TenantId>,
    day: NaiveDate,
    revision: Revision,
) -> Result<Option<(TenantId, Vec<TenantDocument>)>, Error> {
    let mut tx = cp.begin_snapshot().await?;
    let page = page(cp, &mut tx, after, day).await?;
    Ok(page.map(|(last, mut documents)| {
        documents.retain(|document| document.revision <= revision);
        (last, documents)
    }))
}

/// As [`again`], of the settings.
pub(super) async fn settings_again(
    cp: &ControlPlane,
    revision: Revision,
) -> Result<Option<Settings>, Error> {
    let mut tx = cp.begin_snapshot().await?;
    let settings = settings(cp, &mut tx).await?;
    Ok(Some(settings).filter(|settings| settings.revision <= revision))
}

async fn page(
    cp: &ControlPlane,
    tx: &mut Tx,
    after: Option<TenantId>,
    day: NaiveDate,
) -> Result<Option<(TenantId, Vec<TenantDocument>)>, Error> {
    let tenants = db::tenants::page(tx.connection(), after, PAGE).await?;
    let Some(last) = tenants.last().map(|tenant| tenant.id) else {
        return Ok(None);
    };
    Ok(Some((last, documents(cp, tx, tenants, day).await?)))
}

async fn documents(
    cp: &ControlPlane,
    tx: &mut Tx,
    tenants: Vec<Tenant>,
    today: NaiveDate,
) -> Result<Vec<TenantDocument>, Error> {
    let ids: Vec<Uuid> = tenants.iter().map(|t| t.id.0).collect();
    let ended_after = cp.clock().now() - REMEMBER_ENDED;
    let keys = db::access_keys::of_tenants(tx.connection(), &ids, ended_after).await?;
    let mut buckets: HashMap<Uuid, Vec<Bucket>> = HashMap::new();
    for row in db::buckets::of_tenants(tx.connection(), &ids).await? {
        buckets.entry(row.tenant_id).or_default().push(bucket(row));
    }
    let cp = cp.clone();
    // Deriving takes about 3 µs a day and key; a page of tenants would hold up other requests.
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
            max_staleness_seconds: tenant.max_staleness_seconds,
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
        SigningKeys::default()
    } else {
        let bound_to = access_keys::seal_row(TenantId(row.tenant_id), &row.access_key_id);
        let master_key = cp.master_key();
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
    let master_key = cp.master_key();
    let mut engines = Vec::new();
    for engine in db::engines::list(tx.connection()).await? {
        let keys = master_key
            .open(Purpose::EngineSecret, &engine.id, &engine.secret)
            .and_then(|secret| {
                let secret = std::str::from_utf8(&secret).context("it is not text")?;
                Ok(signing_keys(secret, today, &engine.region))
            });
        let signing_keys = match keys {
            Ok(keys) => keys,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(
                    engine = engine.id,
                    error,
                    "an engine's secret cannot be opened: it is left out"
                );
                continue;
            }
        };
        engines.push(wire::Engine {
            signing_keys,
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
        dashboard_origin: Some(row.dashboard_origin).filter(|origin| !origin.is_empty()),
    })
}

fn signing_keys(secret: &str, today: NaiveDate, region: &str) -> SigningKeys {
    let first = today - Duration::days(DAYS_BACK);
    let keys = (0..=DAYS_BACK + DAYS_AHEAD).map(|days| {
        let date = (first + Duration::days(days)).format("%Y%m%d").to_string();
        sigv4::derive_signing_key(secret, &date, region, "s3")
    });
    SigningKeys::new(first, keys.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_keys_reach_seven_days_back_and_eight_ahead() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap_or_default();
        let keys = signing_keys("secret", day("2026-03-01"), "us-east-1");
        assert_eq!(keys.len(), 16);
        assert!(keys.on(day("2026-02-21")).is_none());
        assert_eq!(keys.last_day(), Some(day("2026-03-09")));
        for date in ["20260222", "20260301", "20260309"] {
            let expected = sigv4::derive_signing_key("secret", date, "us-east-1", "s3");
            let date = NaiveDate::parse_from_str(date, "%Y%m%d").unwrap_or_default();
            assert_eq!(keys.on(date), Some(&expected), "{date}");
        }
    }
}
