//! `/buckets/{bucket}/lifecycle-rules`: what expires by itself, and when.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get, post};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::json::Body;
use super::bucket_settings::{TAG, on_engine, record};
use super::client::Client;
use super::input::{Segment, Segments};
use super::operation::Operation;
use crate::api_tokens::TokenScope;
use crate::console::{Expiry, Signer};
use crate::{ControlPlane, Error};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/buckets/{bucket}/lifecycle-rules",
            TokenScope::Read,
            get(lifecycle),
            |d| {
                d.says(
                    TAG,
                    "listLifecycleRules",
                    "List lifecycle rules",
                    "What expires by itself, and when.",
                )
                .answers::<LifecycleRules>(200, "The rules.", json!({ "data": [rule_example()] }))
                .fails(&[501])
            },
        ),
        Operation::new(
            Method::POST,
            "/buckets/{bucket}/lifecycle-rules",
            TokenScope::Buckets,
            post(add_rule),
            |d| {
                d.says(
                    TAG,
                    "addLifecycleRule",
                    "Add a lifecycle rule",
                    "Beside those that there are; a rule of the same name is refused.",
                )
                .takes::<RuleToAdd>(
                    json!({ "id": "old-logs", "prefix": "logs/", "expire_days": 30 }),
                )
                .answers::<LifecycleRules>(
                    201,
                    "The rules as they are now.",
                    json!({ "data": [rule_example()] }),
                )
                .fails(&[409, 501])
            },
        ),
        Operation::new(
            Method::DELETE,
            "/buckets/{bucket}/lifecycle-rules/{rule_id}",
            TokenScope::Buckets,
            delete(remove_rule),
            |d| {
                d.says(
                    TAG,
                    "removeLifecycleRule",
                    "Remove a lifecycle rule",
                    "The others stay as they are.",
                )
                .answers_nothing("It is removed.")
                .fails(&[501])
            },
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct LifecycleRules {
    data: Vec<LifecycleRule>,
}

#[derive(Serialize, ToSchema)]
struct LifecycleRule {
    id: String,
    /// Empty: all objects.
    prefix: String,
    /// Days after which objects are deleted.
    #[schema(required)]
    expire_days: Option<i32>,
    /// Days after which old versions are removed.
    #[schema(required)]
    expire_noncurrent_days: Option<i32>,
    /// Days after which uploads that were not completed are given up.
    #[schema(required)]
    abort_uploads_days: Option<i32>,
    enabled: bool,
    /// It says more than is shown here: tags, sizes, dates.
    more: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleToAdd {
    /// A name of its own.
    #[schema(min_length = 1, max_length = 255)]
    id: String,
    #[serde(default)]
    #[schema(max_length = 1024)]
    prefix: String,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 36_500)]
    expire_days: Option<i32>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 36_500)]
    expire_noncurrent_days: Option<i32>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 36_500)]
    abort_uploads_days: Option<i32>,
}

fn rule_example() -> serde_json::Value {
    json!({
        "id": "old-logs", "prefix": "logs/", "expire_days": 30, "expire_noncurrent_days": null,
        "abort_uploads_days": null, "enabled": true, "more": false,
    })
}

async fn lifecycle(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
) -> Result<Json<LifecycleRules>, Error> {
    let (bucket, signer) = on_engine(&cp, &client, &bucket).await?;
    rules(&signer, &bucket.name).await
}

async fn rules(signer: &Signer, bucket: &str) -> Result<Json<LifecycleRules>, Error> {
    let rules = signer.lifecycle(bucket).await?.into_iter();
    let rules = rules.map(|rule| LifecycleRule {
        id: rule.id,
        prefix: rule.prefix,
        expire_days: rule.expire,
        expire_noncurrent_days: rule.expire_noncurrent,
        abort_uploads_days: rule.abort_uploads,
        enabled: rule.enabled,
        more: rule.more,
    });
    Ok(Json(LifecycleRules {
        data: rules.collect(),
    }))
}

async fn add_rule(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
    Body(wish): Body<RuleToAdd>,
) -> Result<(StatusCode, Json<LifecycleRules>), Error> {
    let rule = Expiry {
        id: wish.id,
        prefix: wish.prefix,
        expire: wish.expire_days,
        expire_noncurrent: wish.expire_noncurrent_days,
        abort_uploads: wish.abort_uploads_days,
        enabled: true,
        more: false,
    };
    rule.check()?;
    let (bucket, signer) = on_engine(&cp, &client, &bucket).await?;
    let there = signer.lifecycle(&bucket.name).await?;
    if there.iter().any(|known| known.id == rule.id) {
        return Err(Error::Conflict {
            code: "lifecycle_rule_exists",
            message: "There is a rule of this name already.".to_owned(),
        });
    }
    signer.add_lifecycle(&bucket.name, &rule).await?;
    let details = json!({ "rule": rule.id });
    record(
        &cp,
        &client,
        "bucket.add_lifecycle_rule",
        &bucket.name,
        details,
    )
    .await?;
    Ok((StatusCode::CREATED, rules(&signer, &bucket.name).await?))
}

async fn remove_rule(
    State(cp): State<ControlPlane>,
    client: Client,
    Segments(bucket, rule): Segments,
) -> Result<StatusCode, Error> {
    let (bucket, signer) = on_engine(&cp, &client, &bucket).await?;
    let there = signer.lifecycle(&bucket.name).await?;
    if !there.iter().any(|known| known.id == rule) {
        return Err(Error::NotFound("lifecycle rule"));
    }
    signer.remove_lifecycle(&bucket.name, &rule).await?;
    let details = json!({ "rule": rule });
    record(
        &cp,
        &client,
        "bucket.remove_lifecycle_rule",
        &bucket.name,
        details,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
