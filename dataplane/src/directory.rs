//! Tenants and the ways in to them. One tenant is put in place of what it was, and no other is touched; a snapshot is
//! built beside as a directory of its own.

use std::collections::HashSet;
use std::sync::Arc;

use dashmap::DashMap;
// Keys that the control plane makes up need no hash that withstands whoever chooses them.
use foldhash::fast::RandomState;
use wire::{AccessKey, Bucket, TenantDocument};

/// A tenant as requests see it. Replaced whole at every change.
pub struct Tenant {
    pub document: TenantDocument,
}

impl Tenant {
    pub fn id(&self) -> &str {
        &self.document.tenant_id
    }

    pub fn access_key(&self, access_key_id: &str) -> Option<&AccessKey> {
        self.document
            .access_keys
            .iter()
            .find(|key| key.access_key_id == access_key_id)
    }

    pub fn bucket(&self, name: &str) -> Option<&Bucket> {
        let buckets = &self.document.buckets;
        let found = buckets.binary_search_by(|bucket| bucket.name.as_str().cmp(name));
        buckets.get(found.ok()?)
    }

    fn open_buckets(&self) -> impl Iterator<Item = &str> {
        let open = |bucket: &&Bucket| bucket.public_read || !bucket.cors.is_empty();
        self.document
            .buckets
            .iter()
            .filter(open)
            .map(|bucket| bucket.name.as_str())
    }
}

/// As it is kept: buckets by name, and no room for more.
pub fn tidy(mut document: TenantDocument) -> TenantDocument {
    document.buckets.sort_by(|a, b| a.name.cmp(&b.name));
    document.buckets.shrink_to_fit();
    document.access_keys.shrink_to_fit();
    document
}

#[derive(Default)]
pub struct Directory {
    /// Access key id → tenant id. Only a way in: the tenant's own document decides about the key.
    owners: DashMap<Box<str>, Arc<str>, RandomState>,
    tenants: DashMap<Arc<str>, Arc<Tenant>, RandomState>,
    /// Bucket name → tenants whose bucket of that name strangers may ask for: it is public, or has CORS rules. Only a
    /// way in, too.
    open: DashMap<Box<str>, Vec<Arc<str>>>,
}

impl Directory {
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.tenants
            .iter()
            .map(|tenant| tenant.value().clone())
            .collect()
    }

    pub fn tenant(&self, id: &str) -> Option<Arc<Tenant>> {
        self.tenants.get(id).map(|tenant| tenant.clone())
    }

    pub fn owner(&self, access_key_id: &str) -> Option<Arc<Tenant>> {
        let owner = self.owners.get(access_key_id)?;
        self.tenant(owner.value())
    }

    /// Those whose bucket of this name is public or has CORS rules.
    pub fn open_to_strangers(&self, bucket: &str) -> Vec<Arc<Tenant>> {
        let Some(ids) = self.open.get(bucket).map(|ids| ids.clone()) else {
            return Vec::new();
        };
        ids.iter().filter_map(|id| self.tenant(id)).collect()
    }

    /// Whether another tenant has an access key of this document.
    pub fn is_taken(&self, document: &TenantDocument) -> bool {
        document.access_keys.iter().any(|key| {
            self.owners
                .get(key.access_key_id.as_str())
                .is_some_and(|owner| **owner.value() != *document.tenant_id)
        })
    }

    /// Enters a tenant that is not there yet, as `before` had it where nothing is new. `false`: it is there, or one of
    /// its access keys is.
    pub fn enter(&self, document: TenantDocument, before: Option<Arc<Tenant>>) -> bool {
        let document = tidy(document);
        let id: Arc<str> = document.tenant_id.as_str().into();
        for key in &document.access_keys {
            let access_key_id = key.access_key_id.as_str().into();
            if self.owners.insert(access_key_id, id.clone()).is_some() {
                return false;
            }
        }
        let tenant = match before {
            Some(before) if before.document == document => before,
            _ => Arc::new(Tenant { document }),
        };
        self.open_up(&id, &tenant);
        self.tenants.insert(id, tenant).is_none()
    }

    /// Keys that go are taken out after the document without them is in place, keys that come are put in before.
    pub fn replace(&self, document: TenantDocument) {
        let document = tidy(document);
        let known = self
            .tenants
            .get(document.tenant_id.as_str())
            .map(|entry| (entry.key().clone(), entry.value().clone()));
        let (id, before) = match known {
            Some((id, before)) => (id, Some(before)),
            None => (document.tenant_id.as_str().into(), None),
        };
        for key in &document.access_keys {
            let access_key_id = key.access_key_id.as_str();
            if !self.owners.contains_key(access_key_id) {
                self.owners.insert(access_key_id.into(), id.clone());
            }
        }
        let tenant = Arc::new(Tenant { document });
        self.open_up(&id, &tenant);
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
                        .remove_if(key.access_key_id.as_str(), |_, owner| {
                            **owner == *before.id()
                        });
                }
            }
        }
    }

    pub fn forget(&self, id: &str) {
        if let Some((_, tenant)) = self.tenants.remove(id) {
            self.close(id, tenant.open_buckets());
            for key in &tenant.document.access_keys {
                self.owners
                    .remove_if(key.access_key_id.as_str(), |_, owner| **owner == *id);
            }
        }
    }

    fn open_up(&self, id: &Arc<str>, tenant: &Tenant) {
        for name in tenant.open_buckets() {
            let mut ids = self.open.entry(name.into()).or_default();
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
    }

    fn close<'n>(&self, id: &str, names: impl Iterator<Item = &'n str>) {
        for name in names {
            self.open.remove_if_mut(name, |_, ids| {
                ids.retain(|other| **other != *id);
                ids.is_empty()
            });
        }
    }
}
