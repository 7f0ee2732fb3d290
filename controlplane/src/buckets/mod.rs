//! Buckets: rows here, engine buckets or prefixes on the engine.
//! Creating and deleting talk to the engine between transactions, and can be taken up again where they broke off.

mod cors;
mod create;
mod delete;
mod heal;
mod name;
mod set;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;
use wire::{BucketSetting, CorsRule};

use crate::ids::{BucketId, TenantId};
use crate::{Actor, ControlPlane, Error, Origin, Receipt, Tx, db};

pub(crate) use delete::remove_at_engine;
pub(crate) use heal::heal;
pub use name::is_valid as is_valid_name;

/// For how long a creation or deletion under way keeps others away. Longer than [`ENGINE_TIMEOUT`] by far, so that
/// whoever lost a claim has nothing under way at the engine any more.
pub(crate) const CLAIM: chrono::Duration = chrono::Duration::seconds(90);
/// Everything that one creation or deletion does at the engine.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(45);
const PUBLIC_NAME_TAKEN: &str = "BucketAlreadyExists";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub id: BucketId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    /// Anybody may list it and read its objects. At most one bucket of a name is, over all tenants.
    pub public_read: bool,
    pub cors: Vec<CorsRule>,
    /// Made with S3 Object Lock.
    pub object_lock: bool,
}

#[derive(Debug, Clone, Default)]
pub struct NewBucket {
    pub name: String,
    /// Needs a placement of its own, and an engine that was found to hold locks; else `NotImplemented`.
    pub object_lock: bool,
    /// `BucketAlreadyExists` where a public bucket has the name.
    pub public_read: bool,
}

/// The tenant's buckets by name.
pub async fn list(tx: &mut Tx) -> Result<Vec<Bucket>, Error> {
    let tenant = tx.tenant()?;
    db::buckets::list(tx, tenant).await
}

/// Whether a bucket that is made now can have object lock.
pub async fn can_lock(tx: &mut Tx) -> Result<bool, Error> {
    let tenant = tx.tenant()?;
    let at = db::engines::for_new_bucket(tx, tenant).await?;
    Ok(at.is_some_and(|at| at.placement == "dedicated" && at.capabilities.0.object_lock))
}

/// One of the tenant's; another's is as unknown as one that never was.
pub async fn get(tx: &mut Tx, name: &str) -> Result<Bucket, Error> {
    let found = list(tx)
        .await?
        .into_iter()
        .find(|bucket| bucket.name == name);
    found.ok_or(Error::NotFound("bucket"))
}

/// Makes the bucket and waits up to a second for the nodes. Goes on when the caller goes away.
pub async fn create(
    cp: &ControlPlane,
    tenant: TenantId,
    new: NewBucket,
    actor: Actor,
    origin: Origin,
) -> Result<Receipt, Error> {
    let change = Change::new(cp, tenant, &new.name, actor, origin);
    finish(tokio::spawn(create::run(change, new))).await
}

/// Changes one setting, and waits up to a second for the nodes. Goes on when the caller goes away. What is so
/// already is no change, and answers the tenant's present revision. Refused: `NoSuchBucket`, `OperationAborted` (it is
/// being deleted), `AccessDenied` (the tenant is not active), `BucketAlreadyExists` (another public bucket has the
/// name), `MalformedXML` and `InvalidRequest` (CORS rules that S3 does not take).
pub async fn set(
    cp: &ControlPlane,
    tenant: TenantId,
    name: &str,
    setting: BucketSetting,
    actor: Actor,
    origin: Origin,
) -> Result<Receipt, Error> {
    let change = Change::new(cp, tenant, name, actor, origin);
    finish(tokio::spawn(set::run(change, setting))).await
}

/// Deletes the bucket if it is empty, and waits up to a second for the nodes. Goes on when the caller goes away.
pub async fn delete(
    cp: &ControlPlane,
    tenant: TenantId,
    name: &str,
    actor: Actor,
    origin: Origin,
) -> Result<Receipt, Error> {
    let change = Change::new(cp, tenant, name, actor, origin);
    finish(tokio::spawn(delete::run(change))).await
}

async fn finish(task: tokio::task::JoinHandle<Result<Receipt, Error>>) -> Result<Receipt, Error> {
    task.await.map_err(|error| Error::Internal(error.into()))?
}

/// A change under way, and the claim under which it is where it takes one.
struct Change {
    cp: ControlPlane,
    tenant: TenantId,
    name: String,
    actor: Actor,
    origin: Origin,
    claim: Uuid,
}

impl Change {
    fn new(cp: &ControlPlane, tenant: TenantId, name: &str, actor: Actor, origin: Origin) -> Self {
        Self {
            cp: cp.clone(),
            tenant,
            name: name.to_owned(),
            actor,
            origin,
            claim: Uuid::new_v4(),
        }
    }

    async fn begin(&self) -> Result<Tx, Error> {
        let tx = self.cp.begin_tenant(self.tenant).await?;
        Ok(tx.acting(self.actor.clone(), self.origin.clone()))
    }

    /// Whether it is worth trying again after this refusal: a creation that broke off had the public name.
    async fn may_try_again(&self, refusal: &Error) -> Result<bool, Error> {
        if refusal.code() != PUBLIC_NAME_TAKEN {
            return Ok(false);
        }
        let mut tx = self.cp.begin_system().await?;
        let now = self.cp.clock().now();
        let freed = db::buckets::free_public_name(&mut tx, &self.name, now).await?;
        tx.commit().await?;
        Ok(freed)
    }

    fn claimed(&self) -> Option<(Uuid, DateTime<Utc>)> {
        Some((self.claim, self.cp.clock().now() + CLAIM))
    }

    /// Whether someone else is at work on the bucket at this moment.
    fn is_claimed(&self, row: &db::buckets::Row) -> bool {
        let now = self.cp.clock().now();
        row.claim.is_some() && row.claimed_until.is_some_and(|until| until > now)
    }

    /// What goes wrong at the engine is in the log; the caller may try again.
    async fn at_engine<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout(ENGINE_TIMEOUT, work).await;
        let error = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::error!(tenant = %self.tenant, bucket = %self.name, error, "the engine failed");
        Err(Error::Unavailable("The storage engine cannot be reached."))
    }
}

// Codes and statuses: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

fn aborted() -> Error {
    Error::s3(
        StatusCode::CONFLICT,
        "OperationAborted",
        "Another operation on this bucket is under way. Try again.",
    )
}

fn no_such_bucket() -> Error {
    let message = "There is no bucket of this name.";
    Error::s3(StatusCode::NOT_FOUND, "NoSuchBucket", message)
}

pub(crate) fn public_name_taken() -> Error {
    Error::s3(
        StatusCode::CONFLICT,
        PUBLIC_NAME_TAKEN,
        "There is a public bucket of this name already. All customers share the names of public buckets, because a \
         request without a signature names nothing but the bucket. Take another name, or keep the bucket private.",
    )
}
