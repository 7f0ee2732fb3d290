//! What this node knows of tenants: the pushed documents, applied whole, and borrowed by each request. States, not
//! flags: until the first snapshot everything is [`Lookup::Pending`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dashmap::DashMap;
use tokio::sync::watch;
use wire::{
    AccessKey, Bucket, Engine, Revision, Settings, Snapshot, TenantDocument, TenantStatus, ToNode,
};

use crate::seal::Sealer;

/// A tenant as requests see it. Replaced whole at every change.
pub struct Tenant {
    pub document: TenantDocument,
    buckets: HashMap<String, usize>,
}

impl Tenant {
    fn new(document: TenantDocument) -> Tenant {
        let buckets = document
            .buckets
            .iter()
            .enumerate()
            .map(|(i, bucket)| (bucket.name.clone(), i))
            .collect();
        Tenant { document, buckets }
    }

    pub fn id(&self) -> &str {
        &self.document.tenant_id
    }

    pub fn access_key(&self, access_key_id: &str) -> Option<&AccessKey> {
        self.document
            .access_keys
            .iter()
            .find(|key| key.access_key_id == access_key_id)
    }

    fn open_buckets(&self) -> impl Iterator<Item = &str> {
        let open = |bucket: &&Bucket| bucket.public_read || !bucket.cors.is_empty();
        self.document
            .buckets
            .iter()
            .filter(open)
            .map(|bucket| bucket.name.as_str())
    }

    pub fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets
            .get(name)
            .and_then(|i| self.document.buckets.get(*i))
    }
}

/// Settings, ready for use.
pub struct Shared {
    pub settings: Settings,
    pub sealer: Sealer,
}

impl Shared {
    fn new(settings: Settings) -> Result<Shared, Refused> {
        let keys = settings
            .token_keys
            .iter()
            .map(|text| STANDARD.decode(text).ok()?.try_into().ok())
            .collect::<Option<Vec<[u8; 32]>>>()
            .ok_or_else(|| Refused("a token key is not base64 of 32 bytes".into()))?;
        if keys.is_empty() {
            return Err(Refused("no token keys".into()));
        }
        Ok(Shared {
            sealer: Sealer::new(&keys),
            settings,
        })
    }

    pub fn engine(&self, id: &str) -> Option<&Engine> {
        self.settings.engines.iter().find(|engine| engine.id == id)
    }
}

/// Why a push was not applied. The node keeps what it had.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub String);

pub enum Lookup {
    /// Nothing was pushed yet: nobody can be told apart from a stranger.
    Pending,
    Unknown,
    Found(Arc<Tenant>),
}

/// The last good configuration of this node.
pub struct Tenants {
    /// Access key id → tenant id. Only a way in: the tenant's own document decides about the key.
    owners: DashMap<String, String>,
    tenants: DashMap<String, Arc<Tenant>>,
    /// Bucket name → tenants whose bucket of that name strangers may ask for: it is public, or has CORS rules. Only a
    /// way in, too.
    open: DashMap<String, Vec<String>>,
    shared: ArcSwapOption<Shared>,
    ready: AtomicBool,
    revision: watch::Sender<Revision>,
}

/// A snapshot with fewer than this share of the tenants that the node has is refused, once it has some.
const SHRINK_FLOOR: usize = 10;

impl Default for Tenants {
    fn default() -> Self {
        Tenants {
            owners: DashMap::new(),
            tenants: DashMap::new(),
            open: DashMap::new(),
            shared: ArcSwapOption::empty(),
            ready: AtomicBool::new(false),
            revision: watch::Sender::new(0),
        }
    }
}

impl Tenants {
    pub fn lookup(&self, access_key_id: &str) -> Lookup {
        if !self.is_ready() {
            return Lookup::Pending;
        }
        let Some(owner) = self.owners.get(access_key_id) else {
            return Lookup::Unknown;
        };
        match self.tenants.get(owner.value()) {
            Some(tenant) => Lookup::Found(tenant.clone()),
            None => Lookup::Unknown,
        }
    }

    pub fn tenant(&self, id: &str) -> Option<Arc<Tenant>> {
        self.tenants.get(id).map(|tenant| tenant.clone())
    }

    /// Those whose bucket of this name is public or has CORS rules.
    pub fn open_to_strangers(&self, bucket: &str) -> Vec<Arc<Tenant>> {
        let Some(ids) = self.open.get(bucket).map(|ids| ids.clone()) else {
            return Vec::new();
        };
        ids.iter().filter_map(|id| self.tenant(id)).collect()
    }

    /// The one tenant whose bucket of this name is public. Two of them cannot be told apart, so that neither is.
    pub fn public_owner(&self, bucket: &str) -> Option<Arc<Tenant>> {
        let mut owners = self.open_to_strangers(bucket).into_iter().filter(|tenant| {
            tenant
                .bucket(bucket)
                .is_some_and(|bucket| bucket.public_read)
        });
        let first = owners.next();
        if owners.next().is_some() {
            return None;
        }
        first
    }

    pub fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.load_full()
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    /// Changes whenever a revision was applied.
    pub fn watch(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Everything, as a control plane would send it: what the cache on disk is rewritten from.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let shared = self.shared()?;
        Some(Snapshot {
            revision: self.revision(),
            settings: shared.settings.clone(),
            tenants: self
                .tenants
                .iter()
                .map(|tenant| tenant.document.clone())
                .collect(),
        })
    }

    /// One message of the stream. What is refused leaves everything as it was.
    pub fn apply(&self, message: ToNode) -> Result<(), Refused> {
        match message {
            ToNode::Snapshot(snapshot) => self.apply_snapshot(snapshot),
            ToNode::Tenant(document) => self.apply_tenant(document),
            ToNode::Settings(settings) => self.apply_settings(settings),
            ToNode::Allotment(_) | ToNode::Heartbeat { .. } | ToNode::Unknown => Ok(()),
        }
    }

    /// Puts everything in place of what was known. Refused: an older one, and one from which most tenants are gone.
    pub fn apply_snapshot(&self, snapshot: Snapshot) -> Result<(), Refused> {
        let (have, comes) = (self.tenants.len(), snapshot.tenants.len());
        if snapshot.revision < self.revision() {
            return Err(Refused(format!(
                "the snapshot is of revision {}, older than {}",
                snapshot.revision,
                self.revision()
            )));
        }
        if (have > 0 && comes == 0) || (have >= SHRINK_FLOOR && comes < have / 2) {
            return Err(Refused(format!(
                "the snapshot has {comes} tenants where this node has {have}"
            )));
        }
        let shared = Shared::new(snapshot.settings)?;
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for tenant in &snapshot.tenants {
            for key in &tenant.access_keys {
                if owners
                    .insert(&key.access_key_id, &tenant.tenant_id)
                    .is_some()
                {
                    return Err(Refused("two tenants have one access key id".into()));
                }
            }
        }
        let gone: Vec<String> = {
            let kept: HashSet<&str> = snapshot
                .tenants
                .iter()
                .map(|t| t.tenant_id.as_str())
                .collect();
            self.tenants
                .iter()
                .map(|t| t.key().clone())
                .filter(|id| !kept.contains(id.as_str()))
                .collect()
        };
        drop(owners);
        self.shared.store(Some(Arc::new(shared)));
        for id in gone {
            self.forget(&id);
        }
        for document in snapshot.tenants {
            self.replace(document);
        }
        self.ready.store(true, Ordering::Release);
        self.revision.send_replace(snapshot.revision);
        Ok(())
    }

    /// One tenant's change. No other tenant is touched.
    pub fn apply_tenant(&self, document: TenantDocument) -> Result<(), Refused> {
        if document.revision <= self.revision() {
            return Err(Refused(format!(
                "revision {} is not newer than {}",
                document.revision,
                self.revision()
            )));
        }
        for key in &document.access_keys {
            if self
                .owners
                .get(&key.access_key_id)
                .is_some_and(|owner| *owner.value() != document.tenant_id)
            {
                return Err(Refused(
                    "the access key id belongs to another tenant".into(),
                ));
            }
        }
        let revision = document.revision;
        if document.status == TenantStatus::Deleted {
            self.forget(&document.tenant_id);
        } else {
            self.replace(document);
        }
        self.revision.send_replace(revision);
        Ok(())
    }

    pub fn apply_settings(&self, settings: Settings) -> Result<(), Refused> {
        let revision = settings.revision;
        self.shared.store(Some(Arc::new(Shared::new(settings)?)));
        self.revision.send_if_modified(|current| {
            let newer = revision > *current;
            *current = (*current).max(revision);
            newer
        });
        Ok(())
    }

    /// Keys that go are taken out after the document without them is in place, keys that come are put in before.
    fn replace(&self, document: TenantDocument) {
        let id = document.tenant_id.clone();
        let before = self.tenants.get(&id).map(|tenant| tenant.clone());
        for key in &document.access_keys {
            self.owners.insert(key.access_key_id.clone(), id.clone());
        }
        let tenant = Arc::new(Tenant::new(document));
        for name in tenant.open_buckets() {
            let mut ids = self.open.entry(name.to_owned()).or_default();
            if !ids.contains(&id) {
                ids.push(id.clone());
            }
        }
        self.tenants.insert(id, tenant.clone());
        if let Some(before) = before {
            let still: HashSet<&str> = tenant.open_buckets().collect();
            self.close(
                before.id(),
                before.open_buckets().filter(|name| !still.contains(name)),
            );
            for key in &before.document.access_keys {
                if tenant.access_key(&key.access_key_id).is_none() {
                    self.owners
                        .remove_if(&key.access_key_id, |_, owner| owner == before.id());
                }
            }
        }
    }

    fn close<'n>(&self, id: &str, names: impl Iterator<Item = &'n str>) {
        for name in names {
            self.open.remove_if_mut(name, |_, ids| {
                ids.retain(|other| other != id);
                ids.is_empty()
            });
        }
    }

    fn forget(&self, id: &str) {
        if let Some((_, tenant)) = self.tenants.remove(id) {
            self.close(id, tenant.open_buckets());
            for key in &tenant.document.access_keys {
                self.owners
                    .remove_if(&key.access_key_id, |_, owner| owner == id);
            }
        }
    }
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
pub mod tests;
