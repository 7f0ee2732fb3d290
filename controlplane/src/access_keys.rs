//! Access keys: made, listed, revoked. The secret leaves this module once, at creation.

use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use ipnet::IpNet;
use serde::Serialize;
use serde_json::json;
use wire::{Action, Permission, Revision, Scope};
use zeroize::Zeroizing;

use crate::ids::TenantId;
use crate::secrets::Purpose;
use crate::{ControlPlane, Error, Tx, audit, buckets, db, random, tenants};

const MAX_NAME: usize = 100;
/// What is longer is a mistake; and a key that replaces one lives as long again.
const LONGEST_LIFE: Duration = Duration::days(200 * 366);
/// Buckets, prefixes or addresses in one scope.
const MAX_ENTRIES: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessKey {
    pub access_key_id: String,
    pub name: String,
    pub created_at: DateTime<Utc>,
    /// A member's email address, or `operator`.
    pub created_by: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// The key that this one takes over from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    pub scope: Scope,
}

impl AccessKey {
    /// Whether a node would serve it at that time.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

#[derive(Debug, Clone, Default)]
pub struct NewAccessKey {
    /// What people call it; 1 to 100 characters.
    pub name: String,
    pub scope: Scope,
    pub expires_at: Option<DateTime<Utc>>,
}

/// The only place where a secret is shown.
pub struct CreatedAccessKey {
    pub access_key_id: String,
    pub secret_access_key: Zeroizing<String>,
    pub expires_at: Option<DateTime<Utc>>,
    /// To wait for with [`ControlPlane::wait_applied`].
    pub revision: Revision,
}

/// The tenant's access keys, newest first, revoked ones included.
pub async fn list(tx: &mut Tx) -> Result<Vec<AccessKey>, Error> {
    let tenant = tx.tenant()?;
    db::access_keys::list(tx, tenant).await
}

/// One of the tenant's; another's is as unknown as one that never was.
pub async fn get(tx: &mut Tx, access_key_id: &str) -> Result<AccessKey, Error> {
    let tenant = tx.tenant()?;
    let key = db::access_keys::get(tx, tenant, access_key_id).await?;
    key.ok_or(Error::NotFound("access key"))
}

/// Works at once on every node that acknowledges the revision.
pub async fn create(
    tx: &mut Tx,
    cp: &ControlPlane,
    new: NewAccessKey,
) -> Result<CreatedAccessKey, Error> {
    let tenant = tx.tenant()?;
    insert(tx, cp, tenant, new, None).await
}

/// A new key with the name and scope of one that is usable, which itself ends after `overlap` (or sooner, where it was
/// to end sooner). The new one lives as long as the old one was made to.
pub async fn rotate(
    tx: &mut Tx,
    cp: &ControlPlane,
    access_key_id: &str,
    overlap: Duration,
) -> Result<CreatedAccessKey, Error> {
    let (id, now) = (tx.tenant()?, cp.clock().now());
    tenants::lock(tx, id).await?;
    let old = db::access_keys::get(tx, id, access_key_id)
        .await?
        .ok_or(Error::NotFound("access key"))?;
    if !old.is_usable(now) {
        return Err(Error::Conflict {
            code: "access_key_ended",
            message: "This key has ended already. Create a new one.".to_owned(),
        });
    }
    let ends = (now + overlap).trunc_subsecs(6);
    let ends = old.expires_at.map_or(ends, |end| end.min(ends));
    db::access_keys::set_expiry(tx, id, access_key_id, ends).await?;
    let details = json!({ "ends": ends });
    audit::record(
        tx,
        cp,
        Some(id),
        "access_key.rotate",
        access_key_id,
        details,
    )
    .await?;
    let new = NewAccessKey {
        expires_at: old.expires_at.map(|end| now + (end - old.created_at)),
        name: old.name,
        scope: old.scope,
    };
    insert(tx, cp, id, new, Some(old.access_key_id)).await
}

/// Revoking again changes nothing and answers the tenant's present revision.
pub async fn revoke(
    tx: &mut Tx,
    cp: &ControlPlane,
    access_key_id: &str,
) -> Result<Revision, Error> {
    let id = tx.tenant()?;
    let tenant = tenants::lock(tx, id).await?;
    if !db::access_keys::revoke(tx, id, access_key_id, cp.clock().now()).await? {
        return match db::access_keys::get(tx, id, access_key_id).await? {
            Some(_) => Ok(tenant.revision),
            None => Err(Error::NotFound("access key")),
        };
    }
    let action = "access_key.revoke";
    audit::record(tx, cp, Some(id), action, access_key_id, json!({})).await?;
    db::revision::next_for_tenant(tx, id).await
}

/// A key's last use, to the minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastUse {
    pub at: DateTime<Utc>,
    /// The node that answered; none where it is not known any more.
    pub s3_address: Option<String>,
}

/// When each of the tenant's keys was last used, those of which it is known; by access key id.
pub async fn last_uses(tx: &mut Tx) -> Result<HashMap<String, LastUse>, Error> {
    let tenant = tx.tenant()?;
    let rows = db::access_key_uses::list(tx, tenant).await?;
    let uses = rows.into_iter().map(|row| {
        let last = LastUse {
            at: row.used_at,
            s3_address: row.s3_address,
        };
        (row.access_key_id, last)
    });
    Ok(uses.collect())
}

/// [`create`] for a transaction of either role.
pub(crate) async fn insert(
    tx: &mut Tx,
    cp: &ControlPlane,
    tenant_id: TenantId,
    new: NewAccessKey,
    replaces: Option<String>,
) -> Result<CreatedAccessKey, Error> {
    let now = cp.clock().now();
    let new = check(new, now)?;
    let tenant = tenants::lock(tx, tenant_id).await?;
    let limit = i64::from(tenant.access_key_limit);
    if db::access_keys::count_usable(tx, tenant_id, now).await? >= limit {
        return Err(Error::Conflict {
            code: "too_many_access_keys",
            message: format!("The plan allows {limit} access keys. Revoke one first."),
        });
    }
    let (access_key_id, secret_access_key) = {
        let mut rng = rand::rng();
        (
            random::access_key_id(&mut rng),
            random::secret_access_key(&mut rng),
        )
    };
    let sealed = cp.master_key().seal(
        Purpose::AccessKeySecret,
        &seal_row(tenant_id, &access_key_id),
        secret_access_key.as_bytes(),
    )?;
    let key = AccessKey {
        access_key_id,
        name: new.name,
        created_at: now,
        created_by: tx.actor.label(),
        expires_at: new.expires_at,
        revoked_at: None,
        replaces,
        scope: new.scope,
    };
    db::access_keys::insert(tx, tenant_id, &key, &sealed).await?;
    let details = json!({ "name": key.name, "scope": key.scope, "expires_at": key.expires_at });
    let action = "access_key.create";
    audit::record(tx, cp, Some(tenant_id), action, &key.access_key_id, details).await?;
    let revision = db::revision::next_for_tenant(tx, tenant_id).await?;
    Ok(CreatedAccessKey {
        access_key_id: key.access_key_id,
        secret_access_key,
        expires_at: key.expires_at,
        revision,
    })
}

/// What a secret is bound to when it is sealed.
pub(crate) fn seal_row(tenant: TenantId, access_key_id: &str) -> String {
    format!("{tenant}/{access_key_id}")
}

/// Networks in CIDR notation; a single address is a network of its own. Refused with the field `source_addresses`.
pub fn source_addresses(texts: &[String]) -> Result<Vec<IpNet>, Error> {
    texts.iter().map(|text| source_address(text)).collect()
}

/// Without the bits that are no part of the network: `10.1.2.3/8` is `10.0.0.0/8`. An IPv4 address within IPv6 is what
/// it is.
fn source_address(text: &str) -> Result<IpNet, Error> {
    let network = match text.trim().parse::<IpNet>() {
        Ok(network) => Ok(network.trunc()),
        Err(_) => text
            .trim()
            .parse::<IpAddr>()
            .map(|a| a.to_canonical().into()),
    };
    network.map_err(|_| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(50).collect();
        let message = format!(
            "`{shown}` is neither an address nor a network such as 203.0.113.0/24 or 2001:db8::/32."
        );
        Error::validation("source_addresses", message)
    })
}

/// What the permission allows at all.
fn allowed(permission: Permission) -> &'static [Action] {
    match permission {
        Permission::Read => &[Action::List, Action::Read],
        Permission::Write => &[Action::Write, Action::Delete],
        Permission::Full => &[Action::List, Action::Read, Action::Write, Action::Delete],
        Permission::Unknown => &[],
    }
}

/// In one order, each once. An action that the permission does not allow would be a promise that nothing keeps.
fn check_actions(scope: &mut Scope) -> Result<(), Error> {
    let allowed = allowed(scope.permission);
    if scope.actions.contains(&Action::Unknown) {
        let message = "Each is list, read, write or delete.";
        return Err(Error::validation("actions", message));
    }
    if scope.actions.iter().any(|action| !allowed.contains(action)) {
        let message = match scope.permission {
            Permission::Read => "The permission read allows no more than list and read.",
            _ => "The permission write allows no more than write and delete.",
        };
        return Err(Error::validation("actions", message));
    }
    let given = std::mem::take(&mut scope.actions);
    let named = allowed.iter().filter(|action| given.contains(action));
    scope.actions = named.copied().collect();
    Ok(())
}

fn check(mut new: NewAccessKey, now: DateTime<Utc>) -> Result<NewAccessKey, Error> {
    new.name = new.name.trim().to_owned();
    if new.name.is_empty() || new.name.chars().count() > MAX_NAME {
        let message = format!("Give it a name of 1 to {MAX_NAME} characters.");
        return Err(Error::validation("name", message));
    }
    if new.name.chars().any(char::is_control) {
        let message = "A name has no control characters.";
        return Err(Error::validation("name", message));
    }
    // Postgres has no finer time, and what is answered is what is kept.
    new.expires_at = new.expires_at.map(|t| t.trunc_subsecs(6));
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::validation("expires_at", "Choose a time to come."));
    }
    if new.expires_at.is_some_and(|end| end > now + LONGEST_LIFE) {
        return Err(Error::validation("expires_at", "At most 200 years ahead."));
    }
    for bucket in &new.scope.buckets {
        if !buckets::is_valid_name(bucket) {
            let message = format!("`{bucket}` cannot be a bucket's name.");
            return Err(Error::validation("buckets", message));
        }
    }
    if new.scope.prefixes.iter().any(|p| p.len() > 1024) {
        return Err(Error::validation(
            "prefixes",
            "A prefix has at most 1024 bytes.",
        ));
    }
    // S3 has no such keys, and Postgres keeps no such texts.
    if new.scope.prefixes.iter().any(|p| p.contains('\0')) {
        let message = "A prefix has no character NUL.";
        return Err(Error::validation("prefixes", message));
    }
    let entries = [
        ("buckets", new.scope.buckets.len()),
        ("prefixes", new.scope.prefixes.len()),
        ("source_addresses", new.scope.source_addresses.len()),
    ];
    if let Some((field, _)) = entries.iter().find(|(_, count)| *count > MAX_ENTRIES) {
        let message = format!("At most {MAX_ENTRIES} entries.");
        return Err(Error::validation(*field, message));
    }
    if new.scope.permission == Permission::Unknown {
        return Err(Error::validation(
            "permission",
            "It is read, write or full.",
        ));
    }
    check_actions(&mut new.scope)?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str) -> NewAccessKey {
        NewAccessKey {
            name: name.to_owned(),
            ..NewAccessKey::default()
        }
    }

    fn field(new: NewAccessKey) -> Option<String> {
        let result = check(new, DateTime::UNIX_EPOCH);
        result.err().and_then(|e| e.field().map(str::to_owned))
    }

    #[test]
    fn a_new_access_key_is_checked_field_by_field() {
        assert_eq!(field(new("backup")), None);
        assert_eq!(field(new("  ")).as_deref(), Some("name"));
        assert_eq!(field(new(&"x".repeat(101))).as_deref(), Some("name"));
        let mut late = new("x");
        late.expires_at = Some(DateTime::UNIX_EPOCH);
        assert_eq!(field(late).as_deref(), Some("expires_at"));
        let mut odd = new("x");
        odd.scope.buckets = vec!["../other".to_owned()];
        assert_eq!(field(odd).as_deref(), Some("buckets"));
        let mut newer = new("x");
        newer.scope.permission = Permission::Unknown;
        assert_eq!(field(newer).as_deref(), Some("permission"));
    }

    #[test]
    fn actions_are_among_what_the_permission_allows() {
        use Action::{Delete, List, Read, Unknown, Write};
        let with = |permission, actions: &[Action]| {
            let mut new = new("x");
            new.scope.permission = permission;
            new.scope.actions = actions.to_vec();
            check(new, DateTime::UNIX_EPOCH).map(|new| new.scope.actions)
        };
        let kept = |permission, actions: &[Action]| with(permission, actions).ok();
        assert_eq!(kept(Permission::Full, &[]), Some(vec![]));
        let twice = [Delete, List, Delete];
        assert_eq!(kept(Permission::Full, &twice), Some(vec![List, Delete]));
        assert_eq!(kept(Permission::Read, &[Read]), Some(vec![Read]));
        assert_eq!(kept(Permission::Write, &[Delete]), Some(vec![Delete]));
        for (permission, actions) in [
            (Permission::Read, [List, Write]),
            (Permission::Write, [Write, Read]),
            (Permission::Full, [Read, Unknown]),
        ] {
            let error = with(permission, &actions).err();
            let field = error.as_ref().and_then(Error::field);
            assert_eq!(field, Some("actions"), "{permission:?} {actions:?}");
        }
    }

    #[test]
    fn a_source_address_is_a_network() {
        let shown = |text: &str| source_address(text).map(|network| network.to_string()).ok();
        for (text, network) in [
            ("203.0.113.7", "203.0.113.7/32"),
            (" 203.0.113.7 ", "203.0.113.7/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(network), "{text}");
        }
        for text in [
            "",
            "example.com",
            "10.0.0.0/33",
            "10.0.0",
            "10.0.0.0/",
            "1.2.3.4:80",
            "::1/129",
            "*",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
