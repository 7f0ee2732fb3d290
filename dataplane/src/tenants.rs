//! What this node knows of tenants: the pushed documents, applied whole, and borrowed by each request. States, not
//! flags: until the first snapshot everything is [`Lookup::Pending`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::watch;
use wire::{Engine, Revision, Settings, SnapshotBegin, TenantDocument, TenantStatus, ToNode};

use crate::directory::Directory;
pub use crate::directory::Tenant;
use crate::seal::Sealer;

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

/// What is to be answered to a message that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Everything up to this revision is in force.
    Upto(Revision),
    /// Nothing yet: more of it is to come. Or it was advice.
    Nothing,
}

/// The last good configuration of this node.
pub struct Tenants {
    directory: ArcSwap<Directory>,
    shared: ArcSwapOption<Shared>,
    ready: AtomicBool,
    revision: watch::Sender<Revision>,
    /// The history that the revision is of.
    epoch: Mutex<String>,
    /// Nothing was refused since the last snapshot.
    whole: AtomicBool,
    arriving: Mutex<Arriving>,
}

/// A snapshot on its way in.
enum Arriving {
    Nothing,
    /// What is still to come of it is passed over. `foreign`: it was not of what this node follows, and neither is any
    /// change that the same stream brings.
    Refused {
        foreign: bool,
    },
    Pages(Box<Pages>),
}

struct Pages {
    revision: Revision,
    epoch: String,
    shared: Arc<Shared>,
    /// How many tenants there must be in the end.
    tenants: u64,
    directory: Directory,
}

/// A snapshot with fewer than this share of the tenants that the node has is refused, once it has some.
const SHRINK_FLOOR: usize = 10;

impl Default for Tenants {
    fn default() -> Self {
        Tenants {
            directory: ArcSwap::default(),
            shared: ArcSwapOption::empty(),
            ready: AtomicBool::new(false),
            revision: watch::Sender::new(0),
            epoch: Mutex::default(),
            whole: AtomicBool::new(true),
            arriving: Mutex::new(Arriving::Nothing),
        }
    }
}

impl Tenants {
    pub fn lookup(&self, access_key_id: &str) -> Lookup {
        if !self.is_ready() {
            return Lookup::Pending;
        }
        match self.directory.load().owner(access_key_id) {
            Some(tenant) => Lookup::Found(tenant),
            None => Lookup::Unknown,
        }
    }

    pub fn tenant(&self, id: &str) -> Option<Arc<Tenant>> {
        self.directory.load().tenant(id)
    }

    /// Those whose bucket of this name is public or has CORS rules.
    pub fn open_to_strangers(&self, bucket: &str) -> Vec<Arc<Tenant>> {
        self.directory.load().open_to_strangers(bucket)
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
        self.directory.load().len()
    }

    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.directory.load().all()
    }

    /// The history that the revision is of; empty when there is nothing.
    pub fn epoch(&self) -> String {
        lock(&self.epoch).clone()
    }

    /// Whether no change up to the revision is missing.
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Something was refused: from now on a change may be missing, until there is a snapshot.
    pub fn miss(&self) {
        self.whole.store(false, Ordering::Release);
    }

    /// Another stream begins: what the last one left unfinished is forgotten.
    pub fn start_over(&self) {
        *lock(&self.arriving) = Arriving::Nothing;
    }

    /// One message of the stream. What is refused leaves everything as it was.
    pub fn apply(&self, message: ToNode) -> Result<Applied, Refused> {
        match message {
            ToNode::SnapshotBegin(begin) => self.begin(begin),
            ToNode::SnapshotPage { revision, tenants } => self.page(revision, tenants),
            ToNode::SnapshotEnd { revision } => self.end(revision),
            ToNode::Refresh {
                revision,
                settings,
                tenants,
            } => self.refresh(revision, settings, tenants),
            ToNode::Tenant(document) => self.apply_tenant(document),
            ToNode::Settings(settings) => self.apply_settings(settings),
            _ => Ok(Applied::Nothing),
        }
    }

    /// Refused: an older one, one of another database, and one from which most tenants are gone.
    fn begin(&self, begin: SnapshotBegin) -> Result<Applied, Refused> {
        let mut arriving = lock(&self.arriving);
        *arriving = Arriving::Refused { foreign: true };
        let (have, ours) = (self.revision(), self.epoch());
        if have > 0 && !begin.accepted {
            if begin.epoch != ours {
                return Err(Refused(format!(
                    "the snapshot is of another database ({}, where this node follows {ours}): \
                     `vaultaire node accept` makes the node take it",
                    begin.epoch
                )));
            }
            if begin.revision < have {
                return Err(Refused(format!(
                    "the snapshot is of revision {}, older than {have}: `vaultaire node accept` makes the node take it",
                    begin.revision
                )));
            }
        }
        *arriving = Arriving::Refused { foreign: false };
        let (have, comes) = (self.len(), usize::try_from(begin.tenants).unwrap_or(0));
        let shrunken = (have > 0 && comes == 0) || (have >= SHRINK_FLOOR && comes < have / 2);
        if shrunken && !begin.accepted {
            return Err(Refused(format!(
                "the snapshot has {comes} tenants where this node has {have}"
            )));
        }
        *arriving = Arriving::Pages(Box::new(Pages {
            revision: begin.revision,
            epoch: begin.epoch,
            shared: Arc::new(Shared::new(begin.settings)?),
            tenants: begin.tenants,
            directory: Directory::default(),
        }));
        Ok(Applied::Nothing)
    }

    fn page(&self, revision: Revision, tenants: Vec<TenantDocument>) -> Result<Applied, Refused> {
        let mut arriving = lock(&self.arriving);
        let pages = match &mut *arriving {
            Arriving::Pages(pages) => pages,
            Arriving::Refused { .. } => return Ok(Applied::Nothing),
            Arriving::Nothing => return Err(refuse(&mut arriving, "a page without a snapshot")),
        };
        if pages.revision != revision {
            return Err(refuse(&mut arriving, "a page of another snapshot"));
        }
        let known = self.directory.load();
        for document in tenants {
            // What is as it was is not held twice while both are there.
            let before = known.tenant(&document.tenant_id);
            if !pages.directory.enter(document, before) {
                let reason = "a tenant is there twice, or two tenants have one access key id";
                return Err(refuse(&mut arriving, reason));
            }
        }
        Ok(Applied::Nothing)
    }

    /// Puts everything in place of what was known.
    fn end(&self, revision: Revision) -> Result<Applied, Refused> {
        let mut arriving = lock(&self.arriving);
        let pages = match std::mem::replace(&mut *arriving, Arriving::Nothing) {
            Arriving::Pages(pages) => pages,
            refused @ Arriving::Refused { .. } => {
                *arriving = refused;
                return Ok(Applied::Nothing);
            }
            Arriving::Nothing => return Err(Refused("the end of no snapshot".into())),
        };
        if pages.revision != revision || pages.directory.len() as u64 != pages.tenants {
            return Err(refuse(&mut arriving, "the snapshot is not all there"));
        }
        self.shared.store(Some(pages.shared));
        self.directory.store(Arc::new(pages.directory));
        *lock(&self.epoch) = pages.epoch;
        self.whole.store(true, Ordering::Release);
        self.ready.store(true, Ordering::Release);
        self.revision.send_replace(revision);
        Ok(Applied::Upto(revision))
    }

    /// Whether the stream, as far as is known, is of the history that this node follows.
    pub fn is_following(&self) -> bool {
        !matches!(*lock(&self.arriving), Arriving::Refused { foreign: true })
    }

    /// A change out of the middle of a snapshot would be lost at its end; one of another history means nothing here.
    fn check_following(&self) -> Result<(), Refused> {
        match &*lock(&self.arriving) {
            Arriving::Nothing | Arriving::Refused { foreign: false } => Ok(()),
            Arriving::Refused { foreign: true } => {
                Err(Refused("a change of what this node does not follow".into()))
            }
            Arriving::Pages(_) => Err(Refused("a change in the middle of a snapshot".into())),
        }
    }

    /// One tenant's change. No other tenant is touched.
    pub fn apply_tenant(&self, document: TenantDocument) -> Result<Applied, Refused> {
        self.check_following()?;
        if document.revision <= self.revision() {
            return Err(Refused(format!(
                "revision {} is not newer than {}",
                document.revision,
                self.revision()
            )));
        }
        let directory = self.directory.load();
        if directory.is_taken(&document) {
            return Err(Refused(
                "the access key id belongs to another tenant".into(),
            ));
        }
        let revision = document.revision;
        if document.status == TenantStatus::Deleted {
            directory.forget(&document.tenant_id);
        } else {
            directory.replace(document);
        }
        self.revision.send_replace(revision);
        Ok(Applied::Upto(revision))
    }

    pub fn apply_settings(&self, settings: Settings) -> Result<Applied, Refused> {
        self.check_following()?;
        let revision = settings.revision;
        self.shared.store(Some(Arc::new(Shared::new(settings)?)));
        self.revision.send_if_modified(|current| {
            let newer = revision > *current;
            *current = (*current).max(revision);
            newer
        });
        Ok(Applied::Upto(revision))
    }

    /// What is here already, with signing keys for further days. What is not here as it is meant is passed over: a
    /// change of it was refused, or is still to come.
    fn refresh(
        &self,
        revision: Revision,
        settings: Option<Settings>,
        tenants: Vec<TenantDocument>,
    ) -> Result<Applied, Refused> {
        self.check_following()?;
        if revision > self.revision() {
            return Err(Refused(format!("revision {revision} is not here yet")));
        }
        if let Some(settings) = settings
            && self
                .shared()
                .is_some_and(|known| known.settings.revision == settings.revision)
        {
            self.shared.store(Some(Arc::new(Shared::new(settings)?)));
        }
        let directory = self.directory.load();
        for document in tenants {
            let known = directory.tenant(&document.tenant_id);
            let same = known.is_some_and(|known| known.document.revision == document.revision);
            if same && !directory.is_taken(&document) {
                directory.replace(document);
            }
        }
        Ok(Applied::Upto(revision))
    }

    /// What the cache on disk is written anew from begins so.
    pub fn summary(&self) -> Option<SnapshotBegin> {
        Some(SnapshotBegin {
            revision: self.revision(),
            epoch: self.epoch(),
            accepted: false,
            settings: self.shared()?.settings.clone(),
            tenants: 0,
        })
    }
}

fn refuse(arriving: &mut Arriving, reason: &str) -> Refused {
    *arriving = Arriving::Refused { foreign: false };
    Refused(reason.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(any(test, feature = "fuzzing"))]
impl Tenants {
    /// Everything, in one piece.
    pub fn snapshot(&self) -> Option<wire::Snapshot> {
        let documents = self.all().into_iter();
        Some(wire::Snapshot {
            revision: self.revision(),
            settings: self.shared()?.settings.clone(),
            tenants: documents.map(|tenant| tenant.document.clone()).collect(),
        })
    }

    /// As it comes over the stream, a tenant to a page. What is refused is refused once.
    pub fn apply_snapshot(&self, snapshot: wire::Snapshot) -> Result<(), Refused> {
        let mut outcome = Ok(());
        for message in snapshot.messages("", 1) {
            let applied = self.apply(message).map(drop);
            outcome = outcome.and(applied);
        }
        self.start_over();
        outcome
    }
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
pub mod tests;
