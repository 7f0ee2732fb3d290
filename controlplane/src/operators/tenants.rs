//! What operators do about tenants beyond the one that is before them: looking for some, several at once, and notes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use wire::{Revision, TenantStatus};

use super::audit;
use crate::ids::TenantId;
use crate::tenants::Tenant;
use crate::{ControlPlane, Error, Tx, db, tenants};

const NOTE: usize = 4_000;
/// At once.
const MOST: usize = 1_000;

/// Which tenants are asked for; what is empty asks nothing.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// A part of the name or of the address, or the whole id.
    pub text: String,
    /// `active`, `read_only`, `suspended` or `deleted`; without it all but the deleted ones.
    pub status: String,
    pub plan: String,
    /// Those that are older than this one.
    pub after: Option<TenantId>,
    pub limit: u32,
}

/// The newest first. Needs a system transaction.
pub async fn search(tx: &mut Tx, search: &Search) -> Result<Vec<Tenant>, Error> {
    db::tenants::search(tx, search).await
}

/// When each member of the tenant of a tenant's transaction logged in last, by address.
pub async fn last_log_ins(tx: &mut Tx) -> Result<HashMap<String, DateTime<Utc>>, Error> {
    let tenant = tx.tenant()?;
    let rows = db::operator_tenants::last_log_ins(tx, tenant).await?;
    Ok(rows.into_iter().collect())
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// An operator's address, or `admin token`.
    pub author: String,
    pub text: String,
}

/// The newest first. Needs a system transaction.
pub async fn notes(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Note>, Error> {
    tenants::by_id(tx, tenant).await?;
    db::operator_tenants::notes(tx, tenant).await
}

/// The customer never sees it. Refused with the field `text`. Needs a system transaction.
pub async fn add_note(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant: TenantId,
    text: &str,
) -> Result<Note, Error> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > NOTE {
        let message = format!("A note has 1 to {NOTE} characters.");
        return Err(Error::validation("text", message));
    }
    tenants::lock(tx, tenant).await?;
    let note = db::operator_tenants::add_note(tx, tenant, cp.clock().now(), text).await?;
    // Not in the tenant's log, which the customer reads.
    let (action, id) = ("tenant.note", note.id.to_string());
    audit::record_of(tx, cp, tenant, action, &id, serde_json::json!({})).await?;
    Ok(note)
}

/// The operator's word about tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Suspend,
    Resume,
}

impl Word {
    pub fn verb(self) -> &'static str {
        match self {
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
        }
    }

    /// What they are before, and only then.
    fn from(self) -> TenantStatus {
        match self {
            Self::Suspend => TenantStatus::Active,
            Self::Resume => TenantStatus::Suspended,
        }
    }
}

/// One of several, as it was when it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    pub tenant_id: TenantId,
    /// `None`: whatever happened to it since.
    #[serde(default)]
    pub revision: Option<Revision>,
}

/// `Suspend 12 tenants`: what is confirmed by typing the number.
pub fn question(word: Word, count: usize) -> String {
    let tenants = if count == 1 { "tenant" } else { "tenants" };
    format!("{} {count} {tenants}", word.verb())
}

/// All of them or none. More than one only for who confirms how many (field `confirm`); `tenants_changed` where one was changed
/// since it was chosen, or is what it is to become already. Needs a system transaction.
pub async fn set_several(
    tx: &mut Tx,
    cp: &ControlPlane,
    word: Word,
    mut chosen: Vec<Chosen>,
    (reason, confirm): (&str, Option<u64>),
) -> Result<Vec<Tenant>, Error> {
    // In one order, so that no two wait for each other.
    chosen.sort_by_key(|one| one.tenant_id);
    chosen.dedup_by_key(|one| one.tenant_id);
    let count = chosen.len();
    if count == 0 || count > MOST {
        let message = format!("Choose 1 to {MOST} tenants.");
        return Err(Error::validation("tenants", message));
    }
    if count > 1 && confirm != u64::try_from(count).ok() {
        let what = question(word, count);
        let message = format!("{what}: confirm it by the number, {count}.");
        return Err(Error::validation("confirm", message));
    }
    let mut changed = Vec::new();
    for one in &chosen {
        let tenant = tenants::lock(tx, one.tenant_id).await?;
        let same = one.revision.is_none_or(|seen| seen == tenant.revision);
        if !same || tenant.operator_status != word.from() {
            changed.push(tenant.name);
        }
    }
    if !changed.is_empty() {
        return Err(Error::Conflict {
            code: "tenants_changed",
            message: format!(
                "Nothing was done: these were changed meanwhile: {}. Look at the list again.",
                changed.join(", ")
            ),
        });
    }
    let mut done = Vec::new();
    for one in chosen {
        match word {
            Word::Suspend => tenants::suspend_for(tx, cp, one.tenant_id, reason).await?,
            Word::Resume => tenants::resume_for(tx, cp, one.tenant_id, reason).await?,
        };
        done.push(tenants::by_id(tx, one.tenant_id).await?);
    }
    Ok(done)
}
