//! `/api-tokens`: made, listed, shown, revoked. A token is in the answer that makes it alone.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get, post};
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::json::Body;
use super::client::Client;
use super::input::{Asked, Segment};
use super::operation::Operation;
use super::paging::{Page, Paging, newest_first};
use crate::api_tokens::{self, NewApiToken, TokenScope};
use crate::ids::ApiTokenId;
use crate::{ControlPlane, Error};

const TAG: &str = "API tokens";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/api-tokens",
            TokenScope::Read,
            get(list),
            |d| {
                d.says(
                TAG,
                "listApiTokens",
                "List API tokens",
                "The member's own; with the scope `members` everybody's. The newest first; for 90 days those that ended too.",
            )
            .asks::<Paging>()
            .answers_page::<ApiToken>("API tokens.", json!({ "data": [example()], "next_cursor": null }))
            },
        ),
        Operation::new(
            Method::POST,
            "/api-tokens",
            TokenScope::ApiTokens,
            post(create),
            |d| {
                d.says(
                TAG,
                "createApiToken",
                "Make an API token",
                "Of the same member, with no scope that the token that asks has not, and ending no later. It is revoked with \
                 that one. The answer bears the token, the one time that it is shown.",
            )
            .takes::<ApiTokenToMake>(json!({ "name": "deploy", "scopes": ["read"] }))
            .answers::<CreatedApiToken>(201, "The token.", json!({ "token": "vlt_…", "api_token": example() }))
            .fails(&[409])
            },
        ),
        Operation::new(
            Method::GET,
            "/api-tokens/{api_token_id}",
            TokenScope::Read,
            get(show),
            |d| {
                d.says(
                    TAG,
                    "getApiToken",
                    "Show an API token",
                    "Never the token itself.",
                )
                .answers::<ApiToken>(200, "The token.", example())
            },
        ),
        Operation::new(
            Method::DELETE,
            "/api-tokens/{api_token_id}",
            TokenScope::ApiTokens,
            delete(revoke),
            |d| {
                d.says(
                    TAG,
                    "revokeApiToken",
                    "Revoke an API token",
                    "With all that were made with it. A token may revoke itself. Again changes nothing.",
                )
                .answers::<ApiToken>(200, "The token as it is now.", example())
            },
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct ApiToken {
    api_token_id: String,
    name: String,
    /// The token's last four characters.
    ending: String,
    scopes: Vec<TokenScope>,
    member_id: String,
    email: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// To the minute.
    #[schema(required)]
    last_used_at: Option<DateTime<Utc>>,
    #[schema(required)]
    revoked_at: Option<DateTime<Utc>>,
}

impl From<api_tokens::ApiToken> for ApiToken {
    fn from(token: api_tokens::ApiToken) -> Self {
        Self {
            api_token_id: token.id.to_string(),
            name: token.name,
            ending: token.ending,
            scopes: token.scopes,
            member_id: token.member_id.to_string(),
            email: token.email,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// The only answer that bears a token.
#[derive(Serialize, ToSchema)]
struct CreatedApiToken {
    token: String,
    api_token: ApiToken,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiTokenToMake {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(min_items = 1)]
    scopes: Vec<TokenScope>,
    /// In 90 days unless said, and in 366 at most; never after the token that asks.
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
}

fn example() -> Value {
    json!({
        "api_token_id": "0123456789abcdef0123456789abcdef", "name": "deploy", "ending": "x7Qa", "scopes": ["read"],
        "member_id": "0123456789abcdef0123456789abcdef", "email": "ann@example.com",
        "created_at": "2026-03-01T12:00:00Z", "expires_at": "2026-05-30T12:00:00Z", "last_used_at": null,
        "revoked_at": null,
    })
}

fn api_token_id(text: &str) -> Result<ApiTokenId, Error> {
    text.parse().map_err(|_| Error::NotFound("API token"))
}

async fn list(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<ApiToken>>, Error> {
    let mut tx = client.begin(&cp).await?;
    let rows = api_tokens::list(&mut tx, &client.caller).await?;
    let place = |row: &api_tokens::ApiToken| newest_first(row.created_at, &row.id.to_string());
    Ok(Json(Page::of(rows, &paging, place)?))
}

async fn create(
    State(cp): State<ControlPlane>,
    client: Client,
    Body(body): Body<ApiTokenToMake>,
) -> Result<(StatusCode, Json<CreatedApiToken>), Error> {
    let new = NewApiToken {
        name: body.name,
        scopes: body.scopes,
        expires_at: body.expires_at,
    };
    let mut tx = client.begin(&cp).await?;
    let created = api_tokens::create(&mut tx, &cp, &client.caller, new).await?;
    tx.commit().await?;
    let body = CreatedApiToken {
        token: created.token.to_string(),
        api_token: created.api_token.into(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

async fn show(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(id): Segment,
) -> Result<Json<ApiToken>, Error> {
    let mut tx = client.begin(&cp).await?;
    let token = api_tokens::get(&mut tx, &client.caller, api_token_id(&id)?).await?;
    Ok(Json(token.into()))
}

async fn revoke(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(id): Segment,
) -> Result<Json<ApiToken>, Error> {
    let mut tx = client.begin(&cp).await?;
    let id = api_token_id(&id)?;
    let token = api_tokens::revoke(&mut tx, &cp, &client.caller, id).await?;
    tx.commit().await?;
    Ok(Json(token.into()))
}
