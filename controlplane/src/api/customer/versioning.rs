//! `/buckets/{bucket}/versioning`: whether the engine keeps old versions.

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
use crate::console::Versioning;
use crate::{ControlPlane, Error};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/buckets/{bucket}/versioning",
            TokenScope::Read,
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
            Method::PUT,
            "/buckets/{bucket}/versioning",
            TokenScope::Buckets,
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
    ]
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
