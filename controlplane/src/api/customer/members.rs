//! `/members`: listed, shown, given another role, removed.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get, patch};
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::json::Body;
use super::client::Client;
use super::input::{Asked, Segment};
use super::operation::Operation;
use super::paging::{Page, Paging};
use crate::accounts::Role;
use crate::api_tokens::TokenScope;
use crate::ids::MemberId;
use crate::{ControlPlane, Error, members};

const TAG: &str = "Members";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/members", TokenScope::Read, get(list), |d| {
            d.says(
                TAG,
                "listMembers",
                "List members",
                "The first who came first.",
            )
            .asks::<Paging>()
            .answers_page::<Member>(
                "Members.",
                json!({ "data": [example()], "next_cursor": null }),
            )
        }),
        Operation::new(
            Method::GET,
            "/members/{member_id}",
            TokenScope::Read,
            get(show),
            |d| {
                d.says(TAG, "getMember", "Show a member", "With the role.")
                    .answers::<Member>(200, "The member.", example())
            },
        ),
        Operation::new(
            Method::PATCH,
            "/members/{member_id}",
            TokenScope::Members,
            patch(change_role),
            |d| {
                d.says(
                    TAG,
                    "changeRole",
                    "Change a member's role",
                    "Anybody's but the owner's. What the member's API tokens may changes with it, at once.",
                )
                .takes::<RoleChange>(json!({ "role": "developer" }))
                .answers::<Member>(200, "The member as it is now.", example())
            },
        ),
        Operation::new(
            Method::DELETE,
            "/members/{member_id}",
            TokenScope::Members,
            delete(remove),
            |d| {
                d.says(
                    TAG,
                    "removeMember",
                    "Remove a member",
                    "Their sessions and API tokens end. Access keys that they made stay.",
                )
                .answers_nothing("They are removed.")
            },
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct Member {
    member_id: String,
    email: String,
    /// `owner`, `admin`, `developer`, `billing` or `read_only`.
    role: String,
    since: DateTime<Utc>,
    /// Whether the log-in asks for a code.
    second_step: bool,
}

impl From<members::Member> for Member {
    fn from(member: members::Member) -> Self {
        Self {
            member_id: member.id.to_string(),
            email: member.email,
            role: member.role.map_or("unknown", Role::as_str).to_owned(),
            since: member.since,
            second_step: member.second_step,
        }
    }
}

/// A role that one member may give another.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum GivenRole {
    Admin,
    Developer,
    Billing,
    ReadOnly,
}

impl GivenRole {
    pub fn as_str(self) -> &'static str {
        let role = match self {
            Self::Admin => Role::Admin,
            Self::Developer => Role::Developer,
            Self::Billing => Role::Billing,
            Self::ReadOnly => Role::ReadOnly,
        };
        role.as_str()
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleChange {
    role: GivenRole,
}

fn example() -> Value {
    json!({
        "member_id": "0123456789abcdef0123456789abcdef", "email": "dev@example.com", "role": "developer",
        "since": "2026-03-01T12:00:00Z", "second_step": true,
    })
}

fn member_id(text: &str) -> Result<MemberId, Error> {
    text.parse().map_err(|_| Error::NotFound("member"))
}

async fn list(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Member>>, Error> {
    let mut tx = client.begin(&cp).await?;
    let rows = members::list(&mut tx).await?;
    let place = |row: &members::Member| (row.since.timestamp_micros(), row.id.to_string());
    Ok(Json(Page::of(rows, &paging, place)?))
}

async fn show(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(id): Segment,
) -> Result<Json<Member>, Error> {
    found(&cp, &client, member_id(&id)?).await
}

async fn change_role(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(id): Segment,
    Body(body): Body<RoleChange>,
) -> Result<Json<Member>, Error> {
    let (id, role) = (member_id(&id)?, body.role.as_str());
    members::change_role(&cp, client.caller.clone(), id, role, &client.origin).await?;
    found(&cp, &client, id).await
}

async fn remove(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(id): Segment,
) -> Result<StatusCode, Error> {
    members::remove(&cp, client.caller, member_id(&id)?, &client.origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn found(cp: &ControlPlane, client: &Client, id: MemberId) -> Result<Json<Member>, Error> {
    let mut tx = client.begin(cp).await?;
    let member = members::get(&mut tx, id).await?;
    Ok(Json(member.into()))
}
