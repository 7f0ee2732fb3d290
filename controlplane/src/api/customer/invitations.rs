//! `/invitations`: listed, sent, taken back.

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
use super::members::GivenRole;
use super::operation::Operation;
use super::paging::{Page, Paging};
use crate::accounts::Role;
use crate::api_tokens::TokenScope;
use crate::{ControlPlane, Error, members};

const TAG: &str = "Members";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/invitations",
            TokenScope::Read,
            get(list),
            |d| {
                d.says(
                    TAG,
                    "listInvitations",
                    "List invitations",
                    "Those that can still be accepted, by address.",
                )
                .asks::<Paging>()
                .answers_page::<Invitation>(
                    "Invitations.",
                    json!({ "data": [example()], "next_cursor": null }),
                )
            },
        ),
        Operation::new(
            Method::POST,
            "/invitations",
            TokenScope::Members,
            post(invite),
            |d| {
                d.says(
                    TAG,
                    "invite",
                    "Invite somebody",
                    "By mail; the link holds for seven days. Somebody invited again gets a newer link.",
                )
                .takes::<InvitationToSend>(
                    json!({ "email": "dev@example.com", "role": "developer" }),
                )
                .answers::<Invitation>(201, "The invitation.", example())
                .fails(&[409])
            },
        ),
        Operation::new(
            Method::DELETE,
            "/invitations/{invitation_id}",
            TokenScope::Members,
            delete(take_back),
            |d| {
                d.says(
                    TAG,
                    "takeBackInvitation",
                    "Take an invitation back",
                    "The link in the mail is dead from then on.",
                )
                .answers_nothing("It is taken back.")
            },
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct Invitation {
    invitation_id: String,
    email: String,
    role: String,
    invited_by: String,
    expires_at: DateTime<Utc>,
}

impl From<members::Invitation> for Invitation {
    fn from(invitation: members::Invitation) -> Self {
        Self {
            invitation_id: invitation.id.to_string(),
            email: invitation.email,
            role: invitation.role.map_or("unknown", Role::as_str).to_owned(),
            invited_by: invitation.invited_by,
            expires_at: invitation.expires_at,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationToSend {
    #[schema(max_length = 254)]
    email: String,
    role: GivenRole,
}

fn example() -> Value {
    json!({
        "invitation_id": "0123456789abcdef0123456789abcdef", "email": "dev@example.com", "role": "developer",
        "invited_by": "ann@example.com", "expires_at": "2026-03-08T12:00:00Z",
    })
}

async fn list(
    State(cp): State<ControlPlane>,
    client: Client,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Invitation>>, Error> {
    let mut tx = client.begin(&cp).await?;
    let rows = members::invitations(&mut tx, &cp).await?;
    let place = |row: &members::Invitation| row.email.clone();
    Ok(Json(Page::of(rows, &paging, place)?))
}

async fn invite(
    State(cp): State<ControlPlane>,
    client: Client,
    Body(body): Body<InvitationToSend>,
) -> Result<(StatusCode, Json<Invitation>), Error> {
    let (by, role) = (client.caller.clone(), body.role.as_str());
    let email = members::invite(&cp, by, &body.email, role, &client.origin).await?;
    let mut tx = client.begin(&cp).await?;
    let sent = members::invitations(&mut tx, &cp).await?;
    let sent = sent.into_iter().find(|sent| sent.email == email);
    let sent = sent.ok_or(Error::NotFound("invitation"))?;
    Ok((StatusCode::CREATED, Json(sent.into())))
}

async fn take_back(
    State(cp): State<ControlPlane>,
    client: Client,
    Segment(id): Segment,
) -> Result<StatusCode, Error> {
    let id = id.parse().map_err(|_| Error::NotFound("invitation"))?;
    members::take_back(&cp, client.caller, id, &client.origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
