//! Deleting an account: nodes refuse it and nobody logs in from that moment on; its objects and rows are removed
//! thirty days later, and until then the operator can restore it.

mod removal;

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde_json::json;
use wire::{Revision, TenantStatus};

pub(crate) use removal::remove_daily;
pub use removal::remove_due;

use crate::accounts::{Act, Role, Session, confirm, password};
use crate::ids::TenantId;
use crate::mail::{self, AccountDeleted};
use crate::usage::{self, Stored};
use crate::{ControlPlane, Error, Origin, Tx, audit, billing, db, tenants};

/// Longer than any node that was cut off goes on serving from its cache.
pub const GRACE: Duration = Duration::days(30);

/// What goes with the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Neither revoked nor expired.
    pub access_keys: i64,
    pub buckets: i64,
    pub members: usize,
    pub stored: Stored,
}

/// An account that was deleted just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// To wait for with [`ControlPlane::wait_applied`]: from then on every request is refused.
    pub revision: Revision,
    pub remove_after: DateTime<Utc>,
}

/// One that was deleted and can be restored, or is being removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeletedTenant {
    pub tenant_id: TenantId,
    pub name: String,
    pub email: String,
    pub deleted_at: DateTime<Utc>,
    pub remove_after: DateTime<Utc>,
}

/// Of the tenant of a tenant's transaction.
pub async fn extent(tx: &mut Tx, cp: &ControlPlane) -> Result<Extent, Error> {
    let tenant = tx.tenant()?;
    Ok(Extent {
        access_keys: db::access_keys::count_usable(tx, tenant, cp.clock().now()).await?,
        buckets: db::buckets::count(tx, tenant).await?,
        members: db::members::list(tx, tenant).await?.len(),
        stored: usage::of_tenant(tx, tenant).await?,
    })
}

/// The owner's alone. Asks for the company's name, the password, and a second step where there is one; fields that may
/// be refused: `company`, `password`, `code`. Every key and API token is revoked, every session ends, and everybody is told. Its subscription
/// in Stripe is cancelled by the next look that reaches Stripe.
pub async fn delete(
    cp: &ControlPlane,
    by: &Session,
    company: &str,
    present_password: &str,
    code: &str,
    origin: &Origin,
) -> Result<Deleted, Error> {
    if !by.may(Act::DeleteAccount) {
        return Err(Error::Forbidden("Your role does not allow this."));
    }
    if company.trim() != by.company {
        let message = "That is not the company’s name. Type it as it stands above.";
        return Err(Error::validation("company", message));
    }
    let mut tx = confirm::confirm(cp, by, present_password, code, origin).await?;
    let (id, now) = (by.tenant_id, cp.clock().now());
    let tenant = tenants::lock(&mut tx, id).await?;
    if tenant.status == TenantStatus::Deleted {
        return Err(Error::NotFound("tenant"));
    }
    let members = db::members::list(&mut tx, id).await?;
    // Somebody may have handed the ownership over, or renamed the company, in between.
    let own = members.iter().find(|member| member.id == by.member_id.0);
    if own.is_none_or(|member| member.role != Role::Owner.as_str()) {
        return Err(Error::Forbidden("You are not the owner any more."));
    }
    let remove_after = now + GRACE;
    let keys = db::access_keys::revoke_all(&mut tx, id, now).await?;
    let tokens = db::api_tokens::revoke_all(&mut tx, id, now).await?;
    db::deletions::begin(&mut tx, id, now, remove_after).await?;
    db::deletions::end_log_ins(&mut tx, id).await?;
    billing::settle(&mut tx, cp, id).await?;
    let letter = AccountDeleted {
        company: &tenant.name,
        by: &by.email,
        when: &password::when(cp),
        until: &remove_after.format("%-d %b %Y, %H:%M UTC").to_string(),
        account_id: &id.to_string(),
    };
    for member in &members {
        mail::enqueue(&mut tx, cp, &member.email, &letter, None).await?;
    }
    let details = json!({
        "access_keys_revoked": keys, "api_tokens_revoked": tokens, "remove_after": remove_after,
    });
    audit::record(
        &mut tx,
        cp,
        Some(id),
        "tenant.delete",
        &tenant.name,
        details,
    )
    .await?;
    let revision = db::revision::next_for_tenant(&mut tx, id).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(Deleted {
        revision,
        remove_after,
    })
}

/// Members log in again as before; access keys and API tokens stay revoked, and a subscription that was cancelled stays
/// so: the tenant stands where that puts it until it subscribes anew. To nodes it is what it was otherwise. Refused with
/// `not_restorable` if it is not deleted, or its time is over. Needs a system transaction.
pub async fn restore(tx: &mut Tx, cp: &ControlPlane, id: TenantId) -> Result<Revision, Error> {
    let tenant = tenants::lock(tx, id).await?;
    if !db::deletions::restore(tx, id, cp.clock().now()).await? {
        return Err(Error::Conflict {
            code: "not_restorable",
            message: match tenant.status {
                TenantStatus::Deleted => "Its time is over: it is being removed.".to_owned(),
                _ => "It is not deleted.".to_owned(),
            },
        });
    }
    audit::record(tx, cp, Some(id), "tenant.restore", &tenant.name, json!({})).await?;
    billing::settle(tx, cp, id).await?;
    db::revision::next_for_tenant(tx, id).await
}

/// Those that are not removed yet, the first that will be first. Needs a system transaction.
pub async fn list(tx: &mut Tx) -> Result<Vec<DeletedTenant>, Error> {
    db::deletions::list(tx).await
}
