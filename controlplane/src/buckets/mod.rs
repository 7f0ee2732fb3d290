//! Buckets: rows here, engine buckets or prefixes on the engine.
//! Creating and deleting talk to the engine between transactions, and can be taken up again where they broke off.

mod create;
mod delete;
mod heal;
mod name;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use crate::ids::{BucketId, TenantId};
use crate::{Actor, ControlPlane, Error, Origin, Receipt, Tx, db};

pub(crate) use heal::heal;
pub use name::is_valid as is_valid_name;

/// For how long a creation or deletion under way keeps others away. Longer than [`ENGINE_TIMEOUT`] by far, so that
/// whoever lost a claim has nothing under way at the engine any more.
const CLAIM: chrono::Duration = chrono::Duration::seconds(90);
/// Everything that one creation or deletion does at the engine.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a change waits for the nodes.
const APPLY_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub id: BucketId,
    pub name: String,
    pub created_at: DateTime<Utc>,
}

/// The tenant's buckets by name.
pub async fn list(tx: &mut Tx) -> Result<Vec<Bucket>, Error> {
    let tenant = tx.tenant()?;
    db::buckets::list(tx, tenant).await
}

/// Makes the bucket and waits up to a second for the nodes. Goes on when the caller goes away.
pub async fn create(
    cp: &ControlPlane,
    tenant: TenantId,
    name: &str,
    actor: Actor,
    origin: Origin,
) -> Result<Receipt, Error> {
    let change = Change::new(cp, tenant, name, actor, origin);
    finish(tokio::spawn(create::run(change))).await
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

/// A creation or deletion under way, and the claim under which it is.
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
