//! The dashboard's own way to a tenant's objects: hidden access keys, short-lived, and requests signed with them.
//! Objects are reached through the data plane alone, so that limits, metering and isolation hold for the dashboard too.

mod objects;
mod settings;
mod sign;
mod versions;

use std::time::Duration;

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use serde_json::json;
use wire::{Action, Permission, Scope};
use zeroize::Zeroizing;

use crate::accounts::{Act, Caller, Role, Session, SessionToken};
use crate::db::access_keys::Hidden;
use crate::secrets::Purpose;
use crate::{ControlPlane, Error, Tx, access_keys, audit, db, random};

pub use objects::{Kept, Listing, Object, ObjectHead};
pub use settings::{Expiry, Lock, LockMode, Versioning};
pub use sign::{Form, Signer};
pub use versions::{Deleted, DeletedObject, Version};

/// How long a session's key lives; within [`RENEW`] of its end the session gets another.
const LIFE: chrono::Duration = chrono::Duration::hours(12);
const RENEW: chrono::Duration = chrono::Duration::hours(2);
/// The longest that a presigned link may be good for: S3's own limit.
pub const LINK_MAX: chrono::Duration = chrono::Duration::days(7);
/// A key for links is made to outlive the longest link twice over, so that many links share it.
const LINK_LIFE: chrono::Duration = chrono::Duration::days(14);
/// How long a page waits for the nodes to know a new key.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the requests of one process to the data plane share: connections.
pub(crate) fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// Whether the member may change what is stored: objects, buckets and their settings, access keys.
pub fn may_write(role: Role) -> bool {
    matches!(role, Role::Owner | Role::Admin | Role::Developer)
}

/// Whether the member may look at what is stored.
pub fn may_read(role: Role) -> bool {
    may_write(role) || role == Role::ReadOnly
}

/// What the member's role allows of objects; nothing for those who do the bills.
fn scope(role: Role) -> Result<Scope, Error> {
    let permission = match (may_write(role), may_read(role)) {
        (true, _) => Permission::Full,
        (false, true) => Permission::Read,
        (false, false) => {
            return Err(Error::Forbidden(
                "Your role does not reach what is stored. Ask an owner or an admin.",
            ));
        }
    };
    Ok(Scope {
        permission,
        ..Scope::default()
    })
}

/// The session's own key, made when there is none that lives for two hours more. It ends with the session, and allows
/// what the member's role does. `tx`: of the member's tenant, in the member's name.
pub async fn signer(
    tx: Tx,
    cp: &ControlPlane,
    session: &Session,
    token: &SessionToken,
) -> Result<Signer, Error> {
    if session.looking.is_some() {
        return Err(Error::Forbidden(
            "An operator who looks at a customer’s dashboard does not see what is stored.",
        ));
    }
    let scope = scope(session.role)?;
    let (now, hash) = (cp.clock().now(), token.hash());
    let made = Made {
        name: "dashboard",
        scope: &scope,
        expires_at: now + LIFE,
        member: Some((session.member_id, &hash)),
    };
    own_signer(tx, cp, made, now + RENEW).await
}

/// The API token's own key, as [`signer`] has a session's: it ends with the token, and allows no more than the token may
/// now. `tx`: of the caller's tenant, in the caller's name.
pub async fn signer_of_token(tx: Tx, cp: &ControlPlane, by: &Caller) -> Result<Signer, Error> {
    let token = by.token.as_ref();
    let token = token.ok_or(Error::Forbidden("An API token is needed here."))?;
    let mut scope = scope(by.role)?;
    if !by.may(Act::ManageBuckets) {
        scope.permission = Permission::Read;
    }
    let (now, end) = (cp.clock().now(), token.expires_at);
    let made = Made {
        name: "api",
        scope: &scope,
        expires_at: end.min(now + LIFE),
        member: Some((by.member_id, &token.hash)),
    };
    // There is none that lives longer than the token.
    let renew = (now + RENEW).min(end - chrono::Duration::seconds(1));
    own_signer(tx, cp, made, renew).await
}

/// A key that lives until `renew` at least: the one that there is, or another.
async fn own_signer(
    mut tx: Tx,
    cp: &ControlPlane,
    made: Made<'_>,
    renew: chrono::DateTime<chrono::Utc>,
) -> Result<Signer, Error> {
    let tenant = tx.tenant()?;
    if let Some((_, hash)) = made.member
        && let Some(known) = db::access_keys::of_session(&mut tx, tenant, hash, renew).await?
    {
        return open(cp, &tx, known);
    }
    make(tx, cp, made).await
}

/// Signs links to objects of one bucket: reads them, nothing else, and is revoked with [`revoke_links`].
pub async fn link_signer(mut tx: Tx, cp: &ControlPlane, bucket: &str) -> Result<Signer, Error> {
    let tenant = tx.tenant()?;
    let now = cp.clock().now();
    if let Some(known) = db::access_keys::of_links(&mut tx, tenant, bucket, now + LINK_MAX).await? {
        return open(cp, &tx, known);
    }
    let scope = Scope {
        buckets: vec![bucket.to_owned()],
        permission: Permission::Read,
        actions: vec![Action::Read],
        ..Scope::default()
    };
    let made = Made {
        name: bucket,
        scope: &scope,
        expires_at: now + LINK_LIFE,
        member: None,
    };
    make(tx, cp, made).await
}

/// Ends every link to the bucket's objects, on every node. Answers whether there was one that could still work.
pub async fn revoke_links(mut tx: Tx, cp: &ControlPlane, bucket: &str) -> Result<bool, Error> {
    let tenant = tx.tenant()?;
    crate::tenants::lock(&mut tx, tenant).await?;
    let now = cp.clock().now();
    if db::access_keys::revoke_links(&mut tx, tenant, bucket, now).await? == 0 {
        return Ok(false);
    }
    let action = "bucket.revoke_links";
    audit::record(&mut tx, cp, Some(tenant), action, bucket, json!({})).await?;
    let revision = db::revision::next_for_tenant(&mut tx, tenant).await?;
    tx.commit().await?;
    cp.wait_applied(revision, PATIENCE).await;
    Ok(true)
}

/// Enters a change in the audit log that was made on the engine, through the data plane: versioning, lifecycle, lock.
pub async fn record(
    mut tx: Tx,
    cp: &ControlPlane,
    action: &str,
    bucket: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    let tenant = tx.tenant()?;
    audit::record(&mut tx, cp, Some(tenant), action, bucket, details).await?;
    tx.commit().await
}

struct Made<'a> {
    name: &'a str,
    scope: &'a Scope,
    expires_at: chrono::DateTime<chrono::Utc>,
    member: Option<(crate::ids::MemberId, &'a [u8])>,
}

async fn make(mut tx: Tx, cp: &ControlPlane, made: Made<'_>) -> Result<Signer, Error> {
    let tenant = tx.tenant()?;
    crate::tenants::lock(&mut tx, tenant).await?;
    let (access_key_id, secret) = {
        let mut rng = rand::rng();
        (
            random::access_key_id(&mut rng),
            random::secret_access_key(&mut rng),
        )
    };
    let bound_to = access_keys::seal_row(tenant, &access_key_id);
    let master_key = cp.master_key();
    let sealed = master_key.seal(Purpose::AccessKeySecret, &bound_to, secret.as_bytes())?;
    let hidden = Hidden {
        access_key_id: &access_key_id,
        name: made.name,
        secret: &sealed,
        scope: made.scope,
        expires_at: made.expires_at,
        member: made.member,
    };
    db::access_keys::insert_hidden(&mut tx, tenant, hidden, cp.clock().now()).await?;
    // Whoever reads the log of requests finds out whose key it is.
    let action = match made.member {
        Some(_) => "session.open_storage",
        None => "bucket.share",
    };
    let details = json!({ "access_key_id": access_key_id, "expires_at": made.expires_at });
    let target = if made.member.is_some() { "" } else { made.name };
    audit::record(&mut tx, cp, Some(tenant), action, target, details).await?;
    let revision = db::revision::next_for_tenant(&mut tx, tenant).await?;
    tx.commit().await?;
    cp.wait_applied(revision, PATIENCE).await;
    Signer::new(cp, access_key_id, secret)
}

fn open(cp: &ControlPlane, tx: &Tx, (id, sealed): (String, Vec<u8>)) -> Result<Signer, Error> {
    let bound_to = access_keys::seal_row(tx.tenant()?, &id);
    let master_key = cp.master_key();
    let secret = master_key.open(Purpose::AccessKeySecret, &bound_to, &sealed)?;
    let secret = std::str::from_utf8(&secret).map_err(|e| Error::Internal(e.into()))?;
    Signer::new(cp, id, Zeroizing::new(secret.to_owned()))
}
