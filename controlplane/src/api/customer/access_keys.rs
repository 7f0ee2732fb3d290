//! `/access-keys`: made, listed, shown, rotated, revoked with the receipt. A secret is in the answer that makes it alone.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get, post};
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use wire::{Action, Permission, Scope};

use super::super::json::Body;
use super::client::Client;
use super::input::{Asked, Segment};
use super::operation::Operation;
use super::paging::{Page, Paging, newest_first};
use super::receipt::Receipt;
use crate::access_keys::{self, CreatedAccessKey, NewAccessKey};
use crate::api_tokens::TokenScope;
use crate::plane::APPLY_TIMEOUT;
use crate::{ControlPlane, Error};

/// Of a key that is rotated, unless said: a day.
const OVERLAP: u32 = 86_400;
const LONGEST_OVERLAP: u32 = 90 * 86_400;
const TAG: &str = "Access keys";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/access-keys",
            TokenScope::Read,
            get(list),
            |d| {
                d.says(
                    TAG,
                    "listAccessKeys",
                    "List access keys",
                    "The newest first, those that ended included; never a secret.",
                )
                .asks::<Paging>()
                .answers_page::<AccessKey>(
                    "Access keys.",
                    json!({ "data": [example()], "next_cursor": null }),
                )
            },
        ),
        Operation::new(
            Method::POST,
            "/access-keys",
            TokenScope::AccessKeys,
            post(create),
            |d| {
                d.says(
                TAG,
                "createAccessKey",
                "Create an access key",
                "The answer bears the secret, the one time that it is shown. Answered when connected nodes serve it, or \
                 after a second.",
            )
            .takes::<AccessKeyToMake>(json!({ "name": "nightly backup", "buckets": ["photos"], "permission": "write" }))
            .answers::<Credentials>(201, "The key, with its secret.", credentials_example())
            .fails(&[409])
            },
        ),
        Operation::new(
            Method::GET,
            "/access-keys/{access_key_id}",
            TokenScope::Read,
            get(show),
            |d| {
                d.says(
                    TAG,
                    "getAccessKey",
                    "Show an access key",
                    "Never its secret.",
                )
                .answers::<AccessKey>(200, "The key.", example())
            },
        ),
        Operation::new(
            Method::POST,
            "/access-keys/{access_key_id}/rotate",
            TokenScope::AccessKeys,
            post(rotate),
            |d| {
                d.says(
                    TAG,
                    "rotateAccessKey",
                    "Replace an access key",
                    "A new key with the same name and scope; the old one works for a day more, unless `overlap_seconds` \
                     says else. The answer bears the new secret, the one time that it is shown.",
                )
                .takes::<Rotation>(json!({ "overlap_seconds": 86_400 }))
                .answers::<Credentials>(201, "The new key, with its secret.", credentials_example())
                .fails(&[409])
            },
        ),
        Operation::new(
            Method::DELETE,
            "/access-keys/{access_key_id}",
            TokenScope::AccessKeys,
            delete(revoke),
            |d| {
                d.says(
                    TAG,
                    "revokeAccessKey",
                    "Revoke an access key",
                    "Refused from then on by every node in `nodes`; those in `pending` have not acknowledged yet. Again \
                     changes nothing.",
                )
                .answers::<Receipt>(200, "Who refuses it already.", json!({
                    "revision": 13,
                    "nodes": [{
                        "node_id": "0123456789abcdef0123456789abcdef", "s3_address": "10.0.0.5:9000", "millis": 12,
                    }],
                    "pending": [],
                }))
            },
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct AccessKey {
    access_key_id: String,
    name: String,
    created_at: DateTime<Utc>,
    /// A member's address, with the token that was used.
    created_by: String,
    #[schema(required)]
    expires_at: Option<DateTime<Utc>>,
    #[schema(required)]
    revoked_at: Option<DateTime<Utc>>,
    /// The key that this one takes over from.
    #[schema(required)]
    replaces: Option<String>,
    buckets: Vec<String>,
    prefixes: Vec<String>,
    permission: KeyPermission,
    actions: Vec<KeyAction>,
    source_addresses: Vec<String>,
}

impl From<access_keys::AccessKey> for AccessKey {
    fn from(key: access_keys::AccessKey) -> Self {
        let addresses = key.scope.source_addresses.iter();
        Self {
            access_key_id: key.access_key_id,
            name: key.name,
            created_at: key.created_at,
            created_by: key.created_by,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            replaces: key.replaces,
            source_addresses: addresses.map(ToString::to_string).collect(),
            buckets: key.scope.buckets,
            prefixes: key.scope.prefixes,
            permission: key.scope.permission.into(),
            actions: key
                .scope
                .actions
                .into_iter()
                .filter_map(KeyAction::known)
                .collect(),
        }
    }
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyPermission {
    /// List and read.
    Read,
    /// Write and delete objects, but not read them.
    Write,
    /// Everything, buckets included.
    #[default]
    Full,
}

impl From<Permission> for KeyPermission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Full => Self::Full,
            Permission::Write => Self::Write,
            // None is kept that this release does not know.
            Permission::Read | Permission::Unknown => Self::Read,
        }
    }
}

impl From<KeyPermission> for Permission {
    fn from(permission: KeyPermission) -> Self {
        match permission {
            KeyPermission::Read => Self::Read,
            KeyPermission::Write => Self::Write,
            KeyPermission::Full => Self::Full,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyAction {
    List,
    Read,
    Write,
    Delete,
}

impl KeyAction {
    fn known(action: Action) -> Option<Self> {
        match action {
            Action::List => Some(Self::List),
            Action::Read => Some(Self::Read),
            Action::Write => Some(Self::Write),
            Action::Delete => Some(Self::Delete),
            Action::Unknown => None,
        }
    }
}

impl From<KeyAction> for Action {
    fn from(action: KeyAction) -> Self {
        match action {
            KeyAction::List => Self::List,
            KeyAction::Read => Self::Read,
            KeyAction::Write => Self::Write,
            KeyAction::Delete => Self::Delete,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccessKeyToMake {
    /// Where it is used; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Empty: all buckets.
    #[serde(default)]
    #[schema(max_items = 100)]
    buckets: Vec<String>,
    /// Empty: all objects.
    #[serde(default)]
    #[schema(max_items = 100)]
    prefixes: Vec<String>,
    #[serde(default)]
    permission: KeyPermission,
    /// Narrows what the permission allows; empty: all of it.
    #[serde(default)]
    actions: Vec<KeyAction>,
    /// Networks in CIDR notation, or single addresses; empty: from anywhere.
    #[serde(default)]
    #[schema(max_items = 100)]
    source_addresses: Vec<String>,
    /// None: until it is revoked.
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// For how long the old key still works; 90 days at most.
    #[serde(default = "a_day")]
    #[schema(maximum = 7_776_000, default = 86_400)]
    overlap_seconds: u32,
}

fn a_day() -> u32 {
    OVERLAP
}

/// The only answer that bears a secret.
#[derive(Serialize, ToSchema)]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    endpoint: String,
    region: String,
    #[schema(required)]
    expires_at: Option<DateTime<Utc>>,
    receipt: Receipt,
}

fn example() -> Value {
    json!({
        "access_key_id": "VLT0000000000EXAMPLE", "name": "nightly backup", "created_at": "2026-03-01T12:00:00Z",
        "created_by": "ann@example.com (API token deploy)", "expires_at": null, "revoked_at": null, "replaces": null,
        "buckets": ["photos"], "prefixes": [], "permission": "write", "actions": [], "source_addresses": [],
    })
}

fn credentials_example() -> Value {
    json!({
        "access_key_id": "VLT0000000000EXAMPLE", "secret_access_key": "…", "endpoint": "https://s3.example.com",
        "region": "us-east-1", "expires_at": null, "receipt": { "revision": 12, "nodes": [], "pending": [] },
    })
}

async fn list(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<AccessKey>>, Error> {
    let mut tx = client.begin(&cp).await?;
    let rows = access_keys::list(&mut tx).await?;
    let place = |key: &access_keys::AccessKey| newest_first(key.created_at, &key.access_key_id);
    Ok(Json(Page::of(rows, &paging, place)?))
}

async fn create(
    State(cp): State<ControlPlane>,
    client: Client,
    Body(body): Body<AccessKeyToMake>,
) -> Result<(StatusCode, Json<Credentials>), Error> {
    let new = NewAccessKey {
        name: body.name,
        scope: Scope {
            buckets: body.buckets,
            prefixes: body.prefixes,
            permission: body.permission.into(),
            actions: body.actions.into_iter().map(Action::from).collect(),
            source_addresses: access_keys::source_addresses(&body.source_addresses)?,
        },
        expires_at: body.expires_at,
    };
    let mut tx = client.begin(&cp).await?;
    let key = access_keys::create(&mut tx, &cp, new).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, shown_once(&cp, key).await))
}

async fn show(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(access_key_id): Segment,
) -> Result<Json<AccessKey>, Error> {
    let mut tx = client.begin(&cp).await?;
    let key = access_keys::get(&mut tx, &access_key_id).await?;
    Ok(Json(key.into()))
}

async fn rotate(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(access_key_id): Segment,
    Body(body): Body<Rotation>,
) -> Result<(StatusCode, Json<Credentials>), Error> {
    if body.overlap_seconds > LONGEST_OVERLAP {
        let message = format!("It is 0 to {LONGEST_OVERLAP}.");
        return Err(Error::validation("overlap_seconds", message));
    }
    let overlap = chrono::Duration::seconds(body.overlap_seconds.into());
    let mut tx = client.begin(&cp).await?;
    let key = access_keys::rotate(&mut tx, &cp, &access_key_id, overlap).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, shown_once(&cp, key).await))
}

async fn shown_once(cp: &ControlPlane, key: CreatedAccessKey) -> Json<Credentials> {
    let receipt = cp.wait_applied(key.revision, APPLY_TIMEOUT).await;
    Json(Credentials {
        access_key_id: key.access_key_id,
        secret_access_key: key.secret_access_key.to_string(),
        endpoint: cp.config().s3_endpoint.clone(),
        region: cp.config().region.clone(),
        expires_at: key.expires_at,
        receipt: receipt.into(),
    })
}

async fn revoke(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(access_key_id): Segment,
) -> Result<Json<Receipt>, Error> {
    let mut tx = client.begin(&cp).await?;
    let revision = access_keys::revoke(&mut tx, &cp, &access_key_id).await?;
    tx.commit().await?;
    Ok(Json(cp.wait_applied(revision, APPLY_TIMEOUT).await.into()))
}
