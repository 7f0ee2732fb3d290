//! Tenants: the customer's view of its own, and the operator's hands on all of them.

use std::collections::HashMap;

use anyhow::Context;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wire::{Revision, TenantStatus};

use crate::access_keys::{CreatedAccessKey, NewAccessKey};
use crate::ids::{MemberId, TenantId};
use crate::plans::{Offer, Plan};
use crate::{ControlPlane, Error, Tx, access_keys, accounts, audit, db, leases};

/// The plan that everyone starts on.
pub(crate) const TRIAL: &str = "trial";
/// Requests a second, or at once: more than any node could serve.
const MAX_RATE: i32 = 1_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// The company.
    pub name: String,
    pub email: String,
    /// What holds: the worse of the next two.
    pub status: wire::TenantStatus,
    /// The operator's own word.
    pub operator_status: wire::TenantStatus,
    /// What paying, or not, leaves of it.
    pub billing_status: wire::TenantStatus,
    /// The terms that it is on.
    pub plan: Plan,
    pub terms_since: DateTime<Utc>,
    /// What holds for the tenant: the plan's limits, or the operator's in their place.
    pub limits: wire::Limits,
    /// As [`wire::TenantDocument`] has it.
    pub max_staleness_seconds: Option<u32>,
    /// How many buckets, and usable access keys, it may have.
    pub bucket_limit: i32,
    pub access_key_limit: i32,
    pub created_at: DateTime<Utc>,
    pub trial_ends_at: Option<DateTime<Utc>>,
    pub revision: Revision,
    /// Where its new buckets go; `None`: to the default engine.
    pub engine: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    pub name: String,
    pub email: String,
    /// `trial` unless said.
    #[serde(default)]
    pub plan: Option<String>,
}

pub struct CreatedTenant {
    pub tenant_id: TenantId,
    pub access_key: CreatedAccessKey,
}

/// What an operator may set; an inner `None` goes back to the plan's figure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LimitChange {
    pub requests_per_second: Option<Option<u32>>,
    pub burst: Option<Option<u32>>,
    pub concurrent_requests: Option<Option<u32>>,
    pub bytes_per_second: Option<Option<u64>>,
    pub quota_bytes: Option<Option<u64>>,
    pub max_staleness_seconds: Option<Option<u32>>,
    pub quota_objects: Option<Option<u64>>,
    pub quota_egress_bytes: Option<Option<u64>>,
    pub bucket_limit: Option<Option<u32>>,
    pub access_key_limit: Option<Option<u32>>,
}

/// The tenant of a tenant's transaction.
pub async fn get(tx: &mut Tx) -> Result<Tenant, Error> {
    let id = tx.tenant()?;
    by_id(tx, id).await
}

/// What those tenants are called; deleted ones too, for as long as they are kept. Needs a system transaction.
pub async fn names(tx: &mut Tx, ids: &[TenantId]) -> Result<HashMap<TenantId, String>, Error> {
    db::revenue::names(tx, ids).await
}

/// Any tenant; in a tenant's transaction only its own is found.
pub async fn by_id(tx: &mut Tx, id: TenantId) -> Result<Tenant, Error> {
    let tenant = db::tenants::get(tx, id).await?;
    tenant.ok_or(Error::NotFound("tenant"))
}

/// The tenant, which nobody else changes before this transaction ends. Whoever changes anything of a tenant's does
/// this first, so that no two changes wait for each other.
pub(crate) async fn lock(tx: &mut Tx, id: TenantId) -> Result<Tenant, Error> {
    let tenant = db::tenants::lock(tx, id).await?;
    tenant.ok_or(Error::NotFound("tenant"))
}

/// All that are not deleted, oldest first. Needs a system transaction.
pub async fn list(tx: &mut Tx) -> Result<Vec<Tenant>, Error> {
    db::tenants::list(tx).await
}

/// A tenant with a first access key. Its owner has no password yet. Needs a system transaction.
pub async fn create(
    tx: &mut Tx,
    cp: &ControlPlane,
    new: NewTenant,
) -> Result<CreatedTenant, Error> {
    let plan = new.plan.as_deref().unwrap_or(TRIAL);
    let name = check_name("name", &new.name)?;
    let email = accounts::fold_email(&new.email)?;
    let owner = Owner {
        id: MemberId::random(),
        email: &email,
        password_hash: None,
    };
    let tenant_id = insert(tx, cp, plan, &name, owner).await?;
    let first = NewAccessKey {
        name: "first key".to_owned(),
        ..NewAccessKey::default()
    };
    let access_key = access_keys::insert(tx, cp, tenant_id, first, None).await?;
    Ok(CreatedTenant {
        tenant_id,
        access_key,
    })
}

pub(crate) struct Owner<'a> {
    pub id: MemberId,
    /// Folded.
    pub email: &'a str,
    pub password_hash: Option<&'a str>,
}

/// A tenant and its owner. The caller takes a revision after this.
pub(crate) async fn insert(
    tx: &mut Tx,
    cp: &ControlPlane,
    plan: &str,
    name: &str,
    owner: Owner<'_>,
) -> Result<TenantId, Error> {
    let now = cp.clock().now();
    let terms = db::plans::get(tx, plan).await?;
    let terms = sold(terms.ok_or_else(|| no_such_plan(plan))?)?.plan;
    let tenant = db::tenants::New {
        id: TenantId::random(),
        name,
        email: owner.email,
        plan,
        terms_version: terms.version,
        trial_ends_at: terms
            .trial_days
            .map(|days| now + Duration::days(days.into())),
        created_at: now,
    };
    let id = tenant.id;
    db::tenants::insert(tx, tenant).await?;
    let member = db::members::New {
        id: owner.id,
        tenant: id,
        email: owner.email,
        password_hash: owner.password_hash,
        role: "owner",
        created_at: now,
    };
    if !db::members::insert(tx, member).await? {
        let message = "There is an account with this address already.";
        return Err(Error::validation("email", message));
    }
    let details = json!({ "name": name, "plan": plan });
    audit::record(tx, cp, Some(id), "tenant.create", owner.email, details).await?;
    crate::billing::begin(tx, cp, id).await?;
    Ok(id)
}

/// Needs a system transaction.
pub async fn set_limits(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
    change: LimitChange,
) -> Result<Revision, Error> {
    let figures = db::tenants::Figures {
        rate: positive("requests_per_second", change.requests_per_second)?,
        burst: positive("burst", change.burst)?,
        concurrency: positive("concurrent_requests", change.concurrent_requests)?,
        bandwidth: change.bytes_per_second.map(bandwidth).transpose()?,
        quota_bytes: countable("quota_bytes", change.quota_bytes)?,
        quota_objects: countable("quota_objects", change.quota_objects)?,
        quota_egress_bytes: countable("quota_egress_bytes", change.quota_egress_bytes)?,
        bucket_limit: countable("bucket_limit", change.bucket_limit)?,
        access_key_limit: countable("access_key_limit", change.access_key_limit)?,
    };
    let max_staleness = positive("max_staleness_seconds", change.max_staleness_seconds)?;
    lock(tx, id).await?;
    db::tenants::set_limits(tx, id, figures).await?;
    if let Some(seconds) = max_staleness {
        db::tenants::set_max_staleness(tx, id, seconds).await?;
    }
    let details = serde_json::to_value(&change).context("a change of limits")?;
    audit::record(tx, cp, Some(id), "tenant.set_limits", "", details).await?;
    leases::recall_if_beyond(tx, cp, id).await?;
    db::revision::next_for_tenant(tx, id).await
}

/// Another name for the company; nodes do not know it.
pub async fn rename(tx: &mut Tx, cp: &ControlPlane, name: &str) -> Result<(), Error> {
    let id = tx.tenant()?;
    let name = check_name("company", name)?;
    let old = lock(tx, id).await?.name;
    if old == name {
        return Ok(());
    }
    db::tenants::set_name(tx, id, &name).await?;
    let details = json!({ "old": old });
    audit::record(tx, cp, Some(id), "tenant.rename", &name, details).await
}

fn sold(offer: Offer) -> Result<Offer, Error> {
    match offer.retired_at {
        None => Ok(offer),
        Some(_) => Err(Error::validation(
            "plan",
            format!("The plan `{}` is retired.", offer.plan.id),
        )),
    }
}

fn no_such_plan(plan: &str) -> Error {
    Error::validation("plan", format!("There is no plan `{plan}`."))
}

/// On the terms that this plan is sold on now, by the operator's word. Needs a system transaction.
pub async fn set_plan(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
    plan: &str,
) -> Result<Revision, Error> {
    let offer = db::plans::get(tx, plan).await?;
    let terms = sold(offer.ok_or_else(|| no_such_plan(plan))?)?.plan;
    lock(tx, id).await?;
    move_to(tx, cp, id, (plan, terms.version)).await?;
    leases::recall_if_beyond(tx, cp, id).await?;
    crate::billing::settle(tx, cp, id).await?;
    db::revision::next_for_tenant(tx, id).await
}

/// To these terms, unless it is on them. The caller has locked the tenant, and takes a revision if this says `true`.
pub(crate) async fn move_to(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
    (plan, version): (&str, i32),
) -> Result<bool, Error> {
    let tenant = by_id(tx, id).await?;
    if tenant.plan.id == plan && tenant.plan.version == version {
        return Ok(false);
    }
    let days = db::plans::trial_days(tx, plan, version).await?;
    let days = days.ok_or_else(|| no_such_plan(plan))?;
    let now = cp.clock().now();
    let trial = days.map(|days| now + Duration::days(days.into()));
    db::tenants::set_plan(tx, id, (plan, version), now, trial).await?;
    let details = json!({ "plan": plan, "version": version, "from": tenant.plan.id });
    audit::record(tx, cp, Some(id), "tenant.set_plan", "", details).await?;
    Ok(true)
}

/// Every S3 request is refused from then on. Needs a system transaction.
pub async fn suspend(tx: &mut Tx, cp: &ControlPlane, id: TenantId) -> Result<Revision, Error> {
    suspend_for(tx, cp, id, "").await
}

/// As [`suspend`], with a reason, which the customer reads in the audit log.
pub async fn suspend_for(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
    reason: &str,
) -> Result<Revision, Error> {
    let entry = ("tenant.suspend", reason);
    set_status(tx, cp, id, TenantStatus::Suspended, entry).await
}

/// Needs a system transaction.
pub async fn resume(tx: &mut Tx, cp: &ControlPlane, id: TenantId) -> Result<Revision, Error> {
    resume_for(tx, cp, id, "").await
}

/// As [`resume`], with a reason.
pub async fn resume_for(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
    reason: &str,
) -> Result<Revision, Error> {
    let entry = ("tenant.resume", reason);
    set_status(tx, cp, id, TenantStatus::Active, entry).await
}

/// What is so already stays so, at the revision that it has.
async fn set_status(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: TenantId,
    status: TenantStatus,
    (action, reason): (&str, &str),
) -> Result<Revision, Error> {
    let tenant = lock(tx, id).await?;
    if tenant.operator_status == TenantStatus::Deleted {
        return Err(Error::NotFound("tenant"));
    }
    if tenant.operator_status == status {
        return Ok(tenant.revision);
    }
    db::tenants::set_status(tx, id, status).await?;
    let details = match reason {
        "" => json!({}),
        reason => json!({ "reason": reason }),
    };
    audit::record(tx, cp, Some(id), action, "", details).await?;
    db::revision::next_for_tenant(tx, id).await
}

/// A terabyte a second at most.
fn bandwidth(set: Option<u64>) -> Result<Option<i64>, Error> {
    match set.map(i64::try_from) {
        None => Ok(None),
        Some(Ok(bytes)) if (1..=1_000_000_000_000).contains(&bytes) => Ok(Some(bytes)),
        Some(_) => Err(Error::validation(
            "bytes_per_second",
            "It is 1 to 1000000000000.",
        )),
    }
}

fn positive(field: &str, set: Option<Option<u32>>) -> Result<Option<Option<i32>>, Error> {
    match set {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(figure)) => match i32::try_from(figure) {
            Ok(figure) if (1..=MAX_RATE).contains(&figure) => Ok(Some(Some(figure))),
            _ => Err(Error::validation(field, format!("It is 1 to {MAX_RATE}."))),
        },
    }
}

fn countable<T, U: TryFrom<T>>(
    field: &str,
    set: Option<Option<T>>,
) -> Result<Option<Option<U>>, Error> {
    set.map(|figure| figure.map(U::try_from).transpose())
        .transpose()
        .map_err(|_| Error::validation(field, "That is more than can be counted."))
}

/// A company's name as it is kept: trimmed, 1 to 200 characters, no control characters.
pub(crate) fn check_name(field: &str, name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Error::validation(
            field,
            "Give a name of 1 to 200 characters.",
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_at_least_one_or_the_plans() {
        assert!(matches!(positive("burst", None), Ok(None)));
        assert!(matches!(positive("burst", Some(None)), Ok(Some(None))));
        assert!(matches!(
            positive("burst", Some(Some(1))),
            Ok(Some(Some(1)))
        ));
        for bad in [0, u32::MAX] {
            let refused = positive("burst", Some(Some(bad))).err();
            assert_eq!(refused.as_ref().and_then(Error::field), Some("burst"));
        }
    }

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(check_name("name", " Acme ").ok().as_deref(), Some("Acme"));
        for bad in ["", " ", "a\nb", &"x".repeat(201)] {
            assert!(check_name("name", bad).is_err());
        }
    }
}
