//! `/buckets/{bucket}/public-access` and `/cors`, upon which nodes act; and the way to the settings that are the engine's, which
//! are asked and changed through the data plane.

use axum::Json;
use axum::extract::State;
use axum::routing::put;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use wire::BucketSetting;

use super::super::json::Body;
use super::buckets::{Bucket, CorsRule, example, found};
use super::client::Client;
use super::input::Segment;
use super::operation::Operation;
use crate::api_tokens::TokenScope;
use crate::console::{self, Signer};
use crate::{ControlPlane, Error, buckets};

pub(super) const TAG: &str = "Bucket settings";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::PUT,
            "/buckets/{bucket}/public-access",
            TokenScope::Buckets,
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
            Method::PUT,
            "/buckets/{bucket}/cors",
            TokenScope::Buckets,
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
pub(super) async fn on_engine(
    cp: &ControlPlane,
    client: &Client,
    bucket: &str,
) -> Result<(buckets::Bucket, Signer), Error> {
    let mut tx = client.begin(cp).await?;
    let bucket = buckets::get(&mut tx, bucket).await?;
    let signer = console::signer_of_token(tx, cp, &client.caller).await?;
    Ok((bucket, signer))
}

pub(super) async fn record(
    cp: &ControlPlane,
    client: &Client,
    action: &str,
    bucket: &str,
    details: serde_json::Value,
) -> Result<(), Error> {
    let tx = client.begin(cp).await?;
    console::record(tx, cp, action, bucket, details).await
}
