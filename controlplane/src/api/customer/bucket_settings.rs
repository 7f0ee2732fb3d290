//! `/buckets/{bucket}/…`: public access and CORS, upon which nodes act; versioning, lifecycle and object lock, which are the
//! engine's and are asked and changed through the data plane.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get, post, put};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use wire::BucketSetting;

use super::super::json::Body;
use super::buckets::{Bucket, CorsRule, example, found};
use super::client::Client;
use super::input::{Segment, Segments};
use super::operation::Operation;
use crate::api_tokens::TokenScope;
use crate::console::{self, Expiry, Lock, LockMode, Signer, Versioning};
use crate::{ControlPlane, Error, buckets};

const TAG: &str = "Bucket settings";

pub(super) fn operations() -> Vec<Operation> {
    use TokenScope::{Buckets, Read};
    let (get_, put_, post_, delete_) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    vec![
        Operation::new(
            put_.clone(),
            "/buckets/{bucket}/public-access",
            Buckets,
            put(set_public),
            |d| {
                d.says(
                    TAG,
                    "setPublicAccess",
                    "Let anybody read, or nobody",
                    "Anybody may then list the bucket and read its objects.",
                )
                .takes::<PublicAccess>(json!({ "public_read": true }))
                .answers::<Bucket>(200, "The bucket as it is now.", example())
                .fails(&[409])
            },
        ),
        Operation::new(
            put_.clone(),
            "/buckets/{bucket}/cors",
            Buckets,
            put(set_cors),
            |d| {
                d.says(
                    TAG,
                    "setCors",
                    "Say which web pages may use the bucket",
                    "All rules at once; none takes them away.",
                )
                .takes::<Cors>(json!({ "rules": [{
                    "allowed_origins": ["https://example.com"], "allowed_methods": ["GET"],
                }] }))
                .answers::<Bucket>(200, "The bucket as it is now.", example())
                .fails(&[409])
            },
        ),
        Operation::new(
            get_.clone(),
            "/buckets/{bucket}/versioning",
            Read,
            get(versioning),
            |d| {
                d.says(
                    TAG,
                    "getVersioning",
                    "Show versioning",
                    "Whether old versions are kept.",
                )
                .answers::<VersioningState>(200, "Versioning.", json!({ "status": "enabled" }))
                .fails(&[501])
            },
        ),
        Operation::new(
            put_.clone(),
            "/buckets/{bucket}/versioning",
            Buckets,
            put(set_versioning),
            |d| {
                d.says(
                    TAG,
                    "setVersioning",
                    "Keep old versions, or stop",
                    "Versions that there are stay.",
                )
                .takes::<VersioningWish>(json!({ "enabled": true }))
                .answers::<VersioningState>(200, "Versioning.", json!({ "status": "enabled" }))
                .fails(&[409, 501])
            },
        ),
        Operation::new(
            get_.clone(),
            "/buckets/{bucket}/lifecycle-rules",
            Read,
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
            post_,
            "/buckets/{bucket}/lifecycle-rules",
            Buckets,
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
            delete_,
            "/buckets/{bucket}/lifecycle-rules/{rule_id}",
            Buckets,
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
        Operation::new(
            get_,
            "/buckets/{bucket}/object-lock",
            Read,
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
            put_,
            "/buckets/{bucket}/object-lock",
            Buckets,
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PublicAccess {
    public_read: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Cors {
    rules: Vec<CorsRule>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VersioningWish {
    enabled: bool,
}

#[derive(Serialize, ToSchema)]
struct VersioningState {
    status: VersioningStatus,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum VersioningStatus {
    Never,
    Enabled,
    Suspended,
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

fn rule_example() -> serde_json::Value {
    json!({
        "id": "old-logs", "prefix": "logs/", "expire_days": 30, "expire_noncurrent_days": null,
        "abort_uploads_days": null, "enabled": true, "more": false,
    })
}

async fn set_public(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
    Body(wish): Body<PublicAccess>,
) -> Result<Json<Bucket>, Error> {
    set(
        &cp,
        &client,
        &bucket,
        BucketSetting::PublicRead(wish.public_read),
    )
    .await
}

async fn set_cors(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
    Body(wish): Body<Cors>,
) -> Result<Json<Bucket>, Error> {
    let rules = wish.rules.into_iter().map(Into::into).collect();
    set(&cp, &client, &bucket, BucketSetting::Cors(rules)).await
}

async fn set(
    cp: &ControlPlane,
    client: &Client,
    bucket: &str,
    setting: BucketSetting,
) -> Result<Json<Bucket>, Error> {
    let (actor, origin) = client.acting();
    buckets::set(cp, client.caller.tenant_id, bucket, setting, actor, origin).await?;
    found(cp, client, bucket).await
}

/// A way to the bucket's settings on the engine; the bucket is one of the caller's.
async fn on_engine(
    cp: &ControlPlane,
    client: &Client,
    bucket: &str,
) -> Result<(buckets::Bucket, Signer), Error> {
    let mut tx = client.begin(cp).await?;
    let bucket = buckets::get(&mut tx, bucket).await?;
    let signer = console::signer_of_token(tx, cp, &client.caller).await?;
    Ok((bucket, signer))
}

async fn record(
    cp: &ControlPlane,
    client: &Client,
    action: &str,
    bucket: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    let tx = client.begin(cp).await?;
    console::record(tx, cp, action, bucket, details).await
}

async fn versioning(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
) -> Result<Json<VersioningState>, Error> {
    let (bucket, signer) = on_engine(&cp, &client, &bucket).await?;
    let status = match signer.versioning(&bucket.name).await? {
        Versioning::Never => VersioningStatus::Never,
        Versioning::Enabled => VersioningStatus::Enabled,
        Versioning::Suspended => VersioningStatus::Suspended,
    };
    Ok(Json(VersioningState { status }))
}

async fn set_versioning(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
    Body(wish): Body<VersioningWish>,
) -> Result<Json<VersioningState>, Error> {
    let (bucket, signer) = on_engine(&cp, &client, &bucket).await?;
    signer.set_versioning(&bucket.name, wish.enabled).await?;
    let details = json!({ "on": wish.enabled });
    record(&cp, &client, "bucket.set_versioning", &bucket.name, details).await?;
    versioning(State(cp), client, Segment(bucket.name)).await
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
