//! Every request passes here before anything else happens to it. [`pass`] shows the order: what it is, who sent it,
//! whether they may, and whether they may now.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use wire::{
    AccessKey, AccessKeyStatus, Action, Bucket, BucketStatus, Permission, Rule, Scope, TenantStatus,
};

use crate::authenticate::{Identity, authenticate, authenticate_form, is_unsigned, not_ready};
use crate::error::{Code, S3Error, Whose};
use crate::form::{Form, Policy};
use crate::limits::UnderWay;
use crate::node::Node;
use crate::operation::{Effect, Operation, classify};
use crate::request::S3Request;
use crate::tenants::{Shared, Tenant, Tenants};

/// A request that may go on.
pub struct Admitted {
    pub operation: Operation,
    pub identity: Identity,
    pub shared: Arc<Shared>,
    pub under_way: UnderWay,
}

/// The whole decision, in order. Nothing has been sent to an engine, and nothing of the body read but a `form`'s fields.
pub fn pass(node: &Node, request: &S3Request, form: Option<&Form>) -> Result<Admitted, S3Error> {
    let operation = match form {
        Some(_) => Operation::PostObject,
        None => classify(request)?,
    };
    let shared = node
        .tenants
        .shared()
        .filter(|_| node.tenants.is_ready())
        .ok_or_else(not_ready)?;
    let now = node.clock.now();
    if is_unsigned(request)
        && let Some(tenant) = public_owner(&node.tenants, operation, request)?
    {
        check_staleness(&tenant, node.link.heard_at(), now)?;
        return pass_stranger(node, tenant, operation, request, shared);
    }
    let authenticated = match form {
        Some(form) => authenticate_form(&form.fields, &node.tenants, &shared, now),
        None => authenticate(request, &node.tenants, &shared, now),
    };
    let identity = authenticated.map_err(|error| {
        // What says nothing about the caller is not held against them.
        if error.code == Code::ServiceUnavailable || node.strangers.failed(request.peer, now) {
            return error;
        }
        S3Error::new(Code::SlowDown).retry_after(60)
    })?;
    let under_way = check_staleness(&identity.tenant, node.link.heard_at(), now)
        .and_then(|()| pass_known(node, &identity, operation, request, form, now))
        .map_err(|refusal| refusal.attributed(|| whose(&identity, request)))?;
    Ok(Admitted {
        operation,
        identity,
        shared,
        under_way,
    })
}

/// What is decided of somebody whose signature is good.
fn pass_known(
    node: &Node,
    identity: &Identity,
    operation: Operation,
    request: &S3Request,
    form: Option<&Form>,
    now: DateTime<Utc>,
) -> Result<UnderWay, S3Error> {
    if let Some(form) = form {
        check_policy(form, request, now).map_err(|refusal| refusal.by(Rule::PostPolicy))?;
    }
    check_tenant(&identity.tenant, operation)?;
    check_owner_header(request, &identity.tenant)?;
    let key = identity.access_key().ok_or(Code::AccessDenied)?;
    authorise(key, operation, request)?;
    admit(node, &identity.tenant)
}

fn admit(node: &Node, tenant: &Tenant) -> Result<UnderWay, S3Error> {
    node.limits
        .admit(tenant.id(), &tenant.document.limits, Instant::now())
        .map_err(S3Error::from)
}

/// Whom a refusal of this request concerns.
fn whose(identity: &Identity, request: &S3Request) -> Whose {
    Whose::new(
        &identity.tenant,
        &identity.access_key_id,
        request.bucket.as_deref(),
    )
}

/// Whose public bucket a request without a signature may read; `None` where one is needed.
fn public_owner(
    tenants: &Tenants,
    operation: Operation,
    request: &S3Request,
) -> Result<Option<Arc<Tenant>>, S3Error> {
    use Operation::{GetObject, HeadBucket, HeadObject, ListObjects, ListObjectsV2};
    let open = [
        GetObject,
        HeadObject,
        HeadBucket,
        ListObjects,
        ListObjectsV2,
    ];
    if !open.contains(&operation) || request.query.single("versionId")?.is_some() {
        return Ok(None);
    }
    Ok(request
        .bucket
        .as_deref()
        .and_then(|name| tenants.public_owner(name)))
}

/// A stranger is limited as the bucket's owner is, and by the same limiter.
fn pass_stranger(
    node: &Node,
    tenant: Arc<Tenant>,
    operation: Operation,
    request: &S3Request,
    shared: Arc<Shared>,
) -> Result<Admitted, S3Error> {
    let identity = Identity::stranger(tenant);
    let tenant = &identity.tenant;
    let under_way = check_tenant(tenant, operation)
        .and_then(|()| check_owner_header(request, tenant))
        .and_then(|()| admit(node, tenant))
        .map_err(|refusal| refusal.attributed(|| whose(&identity, request)))?;
    Ok(Admitted {
        operation,
        identity,
        shared,
        under_way,
    })
}

/// What the key's owner allows others to upload in their name.
fn check_policy(form: &Form, request: &S3Request, now: DateTime<Utc>) -> Result<(), S3Error> {
    let policy = Policy::parse(form.fields.get("policy").unwrap_or_default())?;
    let bucket = request.bucket.as_deref().unwrap_or_default();
    policy.check(&form.fields, bucket, form.length, now)
}

fn check_tenant(tenant: &Tenant, operation: Operation) -> Result<(), S3Error> {
    match (tenant.document.status, operation.effect()) {
        (TenantStatus::Active, _) => Ok(()),
        (TenantStatus::ReadOnly, Effect::List | Effect::Read | Effect::Delete) => Ok(()),
        (TenantStatus::ReadOnly, _) if may_take_away(operation) => Ok(()),
        (TenantStatus::ReadOnly, _) => Err(read_only()),
        (TenantStatus::Suspended, _) => Err(S3Error::with(
            Code::AccountProblem,
            "This account is suspended.",
        )
        .by(Rule::TenantSuspended)),
        (TenantStatus::Deleted | TenantStatus::Unknown, _) => {
            Err(S3Error::new(Code::AccountProblem).by(Rule::TenantDeleted))
        }
    }
}

/// Whoever may add nothing may still take away what others may do. Whether PutBucketAcl does, its document says.
pub fn may_take_away(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::PutBucketAcl | Operation::DeleteBucketCors
    )
}

/// Refuses an account that is read-only to give others what they did not have.
pub fn may_give(tenant: &Tenant) -> Result<(), S3Error> {
    match tenant.document.status {
        TenantStatus::Active => Ok(()),
        _ => Err(read_only()),
    }
}

fn read_only() -> S3Error {
    S3Error::with(
        Code::AccountProblem,
        "This account is read-only for now: listing, reading and deleting work, writing does not.",
    )
    .by(Rule::TenantReadOnly)
}

/// Some tenants would rather not be served than by what may be old. `heard_at`: when a control plane was last heard, in
/// seconds since 1970.
fn check_staleness(
    tenant: &Tenant,
    heard_at: Option<i64>,
    now: DateTime<Utc>,
) -> Result<(), S3Error> {
    let Some(most) = tenant.document.max_staleness_seconds else {
        return Ok(());
    };
    let fresh = heard_at.is_some_and(|at| now.timestamp() - at <= i64::from(most));
    if fresh {
        return Ok(());
    }
    Err(S3Error::with(
        Code::ServiceUnavailable,
        "This node has heard no control plane for longer than this account allows.",
    )
    .retry_after(5))
}

fn check_owner_header(request: &S3Request, tenant: &Tenant) -> Result<(), S3Error> {
    for name in [
        "x-amz-expected-bucket-owner",
        "x-amz-source-expected-bucket-owner",
    ] {
        if request
            .header(name)?
            .is_some_and(|owner| owner != tenant.id())
        {
            return Err(S3Error::new(Code::AccessDenied).by(Rule::ExpectedOwner));
        }
    }
    Ok(())
}

fn authorise(key: &AccessKey, operation: Operation, request: &S3Request) -> Result<(), S3Error> {
    let scope = &key.scope;
    check_source(scope, request.peer)?;
    check_permission(scope, operation.effect())?;
    // Whoever may say "only if it is still this content" may ask what the content is.
    if request.has_header("if-match") {
        check_permission(scope, Effect::Read).or_else(|refusal| match operation.effect() {
            Effect::Write | Effect::Delete => Err(refusal),
            _ => Ok(()),
        })?;
    }
    let limited = !scope.buckets.is_empty() || !scope.prefixes.is_empty();
    if limited && operation.effect() == Effect::Configure {
        return Err(denied(
            Rule::ScopeConfigure,
            "This access key is limited to buckets or prefixes: it cannot make, change or remove buckets.",
        ));
    }
    if let Some(bucket) = &request.bucket {
        check_bucket_scope(scope, bucket)?;
    }
    match operation {
        Operation::ListObjects
        | Operation::ListObjectsV2
        | Operation::ListObjectVersions
        | Operation::ListMultipartUploads => {
            check_key_scope(scope, request.query.single("prefix")?.unwrap_or(""))
        }
        // Each key of the batch is checked on its own, and answered on its own.
        Operation::DeleteObjects => Ok(()),
        _ => request
            .key
            .as_deref()
            .map_or(Ok(()), |key| check_key_scope(scope, key)),
    }
}

fn denied(rule: Rule, message: &'static str) -> S3Error {
    S3Error::with(Code::AccessDenied, message).by(rule)
}

fn check_source(scope: &Scope, peer: IpAddr) -> Result<(), S3Error> {
    let peer = peer.to_canonical();
    let networks = &scope.source_addresses;
    if networks.is_empty() || networks.iter().any(|network| network.contains(&peer)) {
        return Ok(());
    }
    Err(denied(
        Rule::ScopeSourceAddress,
        "This access key may not be used from this address.",
    ))
}

fn check_permission(scope: &Scope, effect: Effect) -> Result<(), S3Error> {
    let permitted = match scope.permission {
        Permission::Full => true,
        Permission::Read => matches!(effect, Effect::List | Effect::Read),
        Permission::Write => matches!(effect, Effect::Write | Effect::Delete),
        Permission::Unknown => false,
    };
    let action = match effect {
        Effect::List => Some(Action::List),
        Effect::Read => Some(Action::Read),
        Effect::Write => Some(Action::Write),
        Effect::Delete => Some(Action::Delete),
        Effect::Configure => None,
    };
    let among = |action| scope.actions.contains(&action);
    if permitted && (scope.actions.is_empty() || action.is_some_and(among)) {
        Ok(())
    } else {
        Err(denied(
            Rule::ScopePermission,
            "This access key's permission does not allow this operation.",
        ))
    }
}

fn check_bucket_scope(scope: &Scope, bucket: &str) -> Result<(), S3Error> {
    if scope.buckets.is_empty() || scope.buckets.iter().any(|name| name == bucket) {
        return Ok(());
    }
    Err(denied(
        Rule::ScopeBucket,
        "This access key is limited to other buckets.",
    ))
}

/// Whether a key's scope reaches this object key, or every object key under this listing prefix.
pub fn check_key_scope(scope: &Scope, object_key: &str) -> Result<(), S3Error> {
    if scope.prefixes.is_empty()
        || scope
            .prefixes
            .iter()
            .any(|prefix| object_key.starts_with(prefix.as_str()))
    {
        return Ok(());
    }
    Err(denied(
        Rule::ScopePrefix,
        "This access key is limited to other prefixes.",
    ))
}

/// A copy's source is read, and asked about as a read.
pub fn authorise_copy_source(
    key: &AccessKey,
    bucket: &str,
    object_key: &str,
) -> Result<(), S3Error> {
    check_permission(&key.scope, Effect::Read)?;
    check_bucket_scope(&key.scope, bucket)?;
    check_key_scope(&key.scope, object_key)
}

/// Who may set a retention in GOVERNANCE mode aside: a key that is limited in nothing but where it reaches.
pub fn authorise_bypass(key: &AccessKey) -> Result<(), S3Error> {
    if key.scope.permission == Permission::Full && key.scope.actions.is_empty() {
        return Ok(());
    }
    Err(denied(
        Rule::ScopePermission,
        "This access key's permission does not allow it to set a retention aside.",
    ))
}

/// What a write was admitted under, to be asked again when its last byte goes out and when it is answered: a body may
/// take hours, and in the meantime the key may be revoked, the account suspended, the bucket deleted.
#[derive(Clone)]
pub struct Standing {
    pub node: Arc<Node>,
    pub tenant_id: String,
    pub access_key_id: String,
    pub bucket_id: String,
    pub bucket_name: String,
    pub operation: Operation,
}

impl Standing {
    pub fn check(&self) -> Result<(), S3Error> {
        let tenant = self
            .node
            .tenants
            .tenant(&self.tenant_id)
            .ok_or(Code::AccountProblem)?;
        check_tenant(&tenant, self.operation)?;
        let now = self.node.clock.now();
        let good = tenant.access_key(&self.access_key_id).is_some_and(|key| {
            key.status == AccessKeyStatus::Active && key.expires_at.is_none_or(|at| at > now)
        });
        if !good {
            return Err(S3Error::new(Code::InvalidAccessKeyId).by(Rule::KeyRevoked));
        }
        match tenant.bucket(&self.bucket_name) {
            Some(bucket)
                if bucket.id == self.bucket_id && bucket.status == BucketStatus::Active =>
            {
                Ok(())
            }
            _ => Err(Code::OperationAborted.into()),
        }
    }
}

/// The tenant's bucket of this name. Somebody else's answers as one that nobody has.
pub fn bucket<'a>(tenant: &'a Tenant, name: &str, effect: Effect) -> Result<&'a Bucket, S3Error> {
    let missing = || S3Error::new(Code::NoSuchBucket).detail("BucketName", name);
    let bucket = tenant.bucket(name).ok_or_else(missing)?;
    match (bucket.status, effect) {
        (BucketStatus::Active, _)
        | (BucketStatus::Deleting, Effect::List | Effect::Read | Effect::Delete) => Ok(bucket),
        (BucketStatus::Deleting, _) => Err(Code::OperationAborted.into()),
        (BucketStatus::Unknown, _) => Err(Code::ServiceUnavailable.into()),
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
