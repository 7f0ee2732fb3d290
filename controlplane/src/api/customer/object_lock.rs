//! `/buckets/{bucket}/object-lock`: what new objects are locked with, unless the upload says otherwise.

use axum::Json;
use axum::extract::State;
use axum::routing::{get, put};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::json::Body;
use super::bucket_settings::{TAG, on_engine, record};
use super::client::Client;
use super::input::Segment;
use super::operation::Operation;
use crate::api_tokens::TokenScope;
use crate::console::{Lock, LockMode};
use crate::{ControlPlane, Error, buckets};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/buckets/{bucket}/object-lock",
            TokenScope::Read,
            get(lock),
            |d| {
                d.says(
                    TAG,
                    "getObjectLock",
                    "Show what locks new objects",
                    "Unless the upload says otherwise. None: they are not locked by themselves.",
                )
                .answers::<ObjectLock>(
                    200,
                    "The default.",
                    json!({ "retention": { "mode": "governance", "days": 30 } }),
                )
                .fails(&[409, 501])
            },
        ),
        Operation::new(
            Method::PUT,
            "/buckets/{bucket}/object-lock",
            TokenScope::Buckets,
            put(set_lock),
            |d| {
                d.says(
                    TAG,
                    "setObjectLock",
                    "Say what locks new objects",
                    "Only buckets that were made with object lock have it.",
                )
                .takes::<ObjectLock>(json!({ "retention": { "mode": "governance", "days": 30 } }))
                .answers::<ObjectLock>(
                    200,
                    "The default.",
                    json!({ "retention": { "mode": "governance", "days": 30 } }),
                )
                .fails(&[409, 501])
            },
        ),
    ]
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ObjectLock {
    #[schema(required)]
    retention: Option<Retention>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retention {
    mode: RetentionMode,
    #[schema(minimum = 1, maximum = 36_500)]
    days: i32,
}

/// Whom it binds: `compliance` everybody, `governance` all but those who may bypass it.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RetentionMode {
    Governance,
    Compliance,
}

async fn lock(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
) -> Result<Json<ObjectLock>, Error> {
    let (bucket, signer) = on_engine(&cp, &client, &bucket).await?;
    with_lock(&bucket)?;
    let lock = signer.lock(&bucket.name).await?;
    Ok(Json(ObjectLock {
        retention: lock.map(|lock| Retention {
            mode: match lock.mode {
                LockMode::Governance => RetentionMode::Governance,
                LockMode::Compliance => RetentionMode::Compliance,
            },
            days: lock.days,
        }),
    }))
}

async fn set_lock(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
    Body(wish): Body<ObjectLock>,
) -> Result<Json<ObjectLock>, Error> {
    let wanted = wish.retention.as_ref().map(|retention| Lock {
        mode: match retention.mode {
            RetentionMode::Governance => LockMode::Governance,
            RetentionMode::Compliance => LockMode::Compliance,
        },
        days: retention.days,
    });
    wanted.map_or(Ok(()), Lock::check)?;
    let (bucket, signer) = on_engine(&cp, &client, &bucket).await?;
    with_lock(&bucket)?;
    signer.set_lock(&bucket.name, wanted).await?;
    let mode = wish.retention.as_ref().map(|retention| retention.mode);
    let details = json!({ "mode": mode, "days": wanted.map(|lock| lock.days) });
    record(
        &cp,
        &client,
        "bucket.set_object_lock",
        &bucket.name,
        details,
    )
    .await?;
    Ok(Json(wish))
}

fn with_lock(bucket: &buckets::Bucket) -> Result<(), Error> {
    if bucket.object_lock {
        return Ok(());
    }
    Err(Error::Conflict {
        code: "no_object_lock",
        message: "The bucket was made without object lock.".to_owned(),
    })
}
