//! `/buckets`: made, listed, shown, deleted.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete as delete_route, get, post};
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use wire::CorsRule as Rule;

use super::super::json::Body;
use super::client::Client;
use super::input::{Asked, Segment};
use super::operation::Operation;
use super::paging::{Page, Paging};
use crate::api_tokens::TokenScope;
use crate::buckets::{self, NewBucket};
use crate::{ControlPlane, Error};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/buckets", TokenScope::Read, get(list), |d| {
            d.says("Buckets", "listBuckets", "List buckets", "By name.")
                .asks::<Paging>()
                .answers_page::<Bucket>(
                    "Buckets.",
                    json!({ "data": [example()], "next_cursor": null }),
                )
        }),
        Operation::new(
            Method::POST,
            "/buckets",
            TokenScope::Buckets,
            post(create),
            |d| {
                d.says(
                    "Buckets",
                    "createBucket",
                    "Create a bucket",
                    "Names are the account's own, but no two public buckets have one name. Answered when connected nodes \
                     serve it, or after a second.",
                )
                .takes::<BucketToMake>(json!({ "name": "photos" }))
                .answers::<Bucket>(201, "The bucket.", example())
                .fails(&[409, 501])
            },
        ),
        Operation::new(
            Method::GET,
            "/buckets/{bucket}",
            TokenScope::Read,
            get(show),
            |d| {
                d.says(
                    "Buckets",
                    "getBucket",
                    "Show a bucket",
                    "With its settings that nodes act upon.",
                )
                .answers::<Bucket>(200, "The bucket.", example())
            },
        ),
        Operation::new(
            Method::DELETE,
            "/buckets/{bucket}",
            TokenScope::Buckets,
            delete_route(delete),
            |d| {
                d.says(
                    "Buckets",
                    "deleteBucket",
                    "Delete a bucket",
                    "It must hold no object, no old version and no delete marker.",
                )
                .answers_nothing("It is deleted.")
                .fails(&[409])
            },
        ),
    ]
}

#[derive(Serialize, ToSchema)]
pub(super) struct Bucket {
    bucket_id: String,
    name: String,
    created_at: DateTime<Utc>,
    /// Anybody may list it and read its objects.
    public_read: bool,
    /// Made with S3 Object Lock.
    object_lock: bool,
    cors: Vec<CorsRule>,
}

impl From<buckets::Bucket> for Bucket {
    fn from(bucket: buckets::Bucket) -> Self {
        Self {
            bucket_id: bucket.id.to_string(),
            name: bucket.name,
            created_at: bucket.created_at,
            public_read: bucket.public_read,
            object_lock: bucket.object_lock,
            cors: bucket.cors.into_iter().map(CorsRule::from).collect(),
        }
    }
}

/// One rule of a bucket's CORS configuration, as S3 has it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CorsRule {
    #[serde(default)]
    id: Option<String>,
    /// Each with one `*` at most.
    allowed_origins: Vec<String>,
    /// Of `GET`, `PUT`, `HEAD`, `POST`, `DELETE`.
    allowed_methods: Vec<String>,
    /// Each with one `*` at most.
    #[serde(default)]
    allowed_headers: Vec<String>,
    #[serde(default)]
    expose_headers: Vec<String>,
    #[serde(default)]
    max_age_seconds: Option<u32>,
}

impl From<Rule> for CorsRule {
    fn from(rule: Rule) -> Self {
        Self {
            id: rule.id,
            allowed_origins: rule.allowed_origins,
            allowed_methods: rule.allowed_methods,
            allowed_headers: rule.allowed_headers,
            expose_headers: rule.expose_headers,
            max_age_seconds: rule.max_age_seconds,
        }
    }
}

impl From<CorsRule> for Rule {
    fn from(rule: CorsRule) -> Self {
        Self {
            id: rule.id,
            allowed_origins: rule.allowed_origins,
            allowed_methods: rule.allowed_methods,
            allowed_headers: rule.allowed_headers,
            expose_headers: rule.expose_headers,
            max_age_seconds: rule.max_age_seconds,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BucketToMake {
    /// 3 to 63 lower-case letters, digits, dots and hyphens.
    name: String,
    #[serde(default)]
    public_read: bool,
    /// With S3 Object Lock, where the engine has it.
    #[serde(default)]
    object_lock: bool,
}

pub(super) fn example() -> Value {
    json!({
        "bucket_id": "0123456789abcdef0123456789abcdef", "name": "photos", "created_at": "2026-03-01T12:00:00Z",
        "public_read": false, "object_lock": false, "cors": [],
    })
}

async fn list(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Bucket>>, Error> {
    let mut tx = client.begin(&cp).await?;
    let rows = buckets::list(&mut tx).await?;
    Ok(Json(Page::of(rows, &paging, |row: &buckets::Bucket| {
        row.name.clone()
    })?))
}

async fn create(
    State(cp): State<ControlPlane>,
    client: Client,
    Body(body): Body<BucketToMake>,
) -> Result<(StatusCode, Json<Bucket>), Error> {
    let new = NewBucket {
        name: body.name.clone(),
        object_lock: body.object_lock,
        public_read: body.public_read,
    };
    let (actor, origin) = client.acting();
    buckets::create(&cp, client.caller.tenant_id, new, actor, origin).await?;
    Ok((StatusCode::CREATED, found(&cp, &client, &body.name).await?))
}

async fn show(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
) -> Result<Json<Bucket>, Error> {
    found(&cp, &client, &bucket).await
}

async fn delete(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(bucket): Segment,
) -> Result<StatusCode, Error> {
    let (actor, origin) = client.acting();
    buckets::delete(&cp, client.caller.tenant_id, &bucket, actor, origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// As it is now.
pub(super) async fn found(
    cp: &ControlPlane,
    client: &Client,
    name: &str,
) -> Result<Json<Bucket>, Error> {
    let mut tx = client.begin(cp).await?;
    let bucket = buckets::get(&mut tx, name).await?;
    Ok(Json(bucket.into()))
}
