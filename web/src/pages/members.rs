//! `/members`: the team, its invitations, and the form for another one.

use std::path::Path as FilePath;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{Act, Role};
use controlplane::ids::InvitationId;
use controlplane::members;
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::Moment;
use crate::forgery::{Button, MemberForm, text_fields};
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/members.html")]
struct MembersPage<'a> {
    shell: Shell<'a>,
    notice: &'static str,
    mail_folder: Option<&'a FilePath>,
    may_manage: bool,
    may_leave: bool,
    members: Vec<Row>,
    invitations: Vec<Invited>,
    roles: [Choice; 4],
    form: &'a InviteFields,
    errors: FormErrors,
}

struct Row {
    id: String,
    email: String,
    you: bool,
    owner: bool,
    role: &'static str,
    since: Moment,
    second_step: bool,
}

struct Invited {
    id: String,
    email: String,
    role: &'static str,
    by: String,
    until: Moment,
}

/// A role that can be given, and what it may do.
pub struct Choice {
    pub role: &'static str,
    pub word: &'static str,
    pub may: &'static str,
}

/// In the order of what they may do.
pub const CHOICES: [Choice; 4] = [
    Choice {
        role: "admin",
        word: "Admin",
        may: "Everything but handing the account over",
    },
    Choice {
        role: "developer",
        word: "Developer",
        may: "Access keys and buckets",
    },
    Choice {
        role: "billing",
        word: "Billing",
        may: "Plan and invoices; sees the rest",
    },
    Choice {
        role: "read_only",
        word: "Read-only",
        may: "Sees everything but secrets, changes nothing",
    },
];

#[derive(Deserialize, Default)]
pub struct MembersQuery {
    #[serde(default)]
    notice: String,
}

text_fields! {
    InviteFields { email, role }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<MembersQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let form = InviteFields {
        role: "developer".to_owned(),
        ..InviteFields::default()
    };
    list(&app, &member, &query.notice, &form, FormErrors::default()).await
}

pub async fn invite(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<InviteFields>,
) -> Result<Response, Failure> {
    let (email, role) = (fields.email.trim(), fields.role.as_str());
    match members::invite(&app.cp, &member.session, email, role, &member.origin).await {
        Ok(_) => Ok(Redirect::to("/members?notice=invited").into_response()),
        // Nobody's form offers what is forbidden.
        Err(error @ Error::Forbidden(_)) => Err(error.into()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["email", "role"])?;
            let again = list(&app, &member, "", &fields, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

pub async fn take_back(
    State(app): State<App>,
    Path(invitation_id): Path<String>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let id: InvitationId = invitation_id
        .parse()
        .map_err(|_| Error::NotFound("invitation"))?;
    members::take_back(&app.cp, &member.session, id, &member.origin).await?;
    Ok(Redirect::to("/members?notice=taken-back").into_response())
}

async fn list(
    app: &App,
    member: &Member,
    notice: &str,
    form: &InviteFields,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let session = &member.session;
    let mut tx = member.begin(app).await?;
    let team = members::list(&mut tx).await?;
    let invitations = members::invitations(&mut tx, &app.cp).await?;
    tx.commit().await?;
    let rows = team.into_iter().map(|row| Row {
        id: row.id.to_string(),
        you: row.id == session.member_id,
        owner: row.role == Some(Role::Owner),
        role: row.role.map_or("unknown", Role::word),
        since: Moment(row.since),
        second_step: row.second_step,
        email: row.email,
    });
    let invited = invitations.into_iter().map(|row| Invited {
        id: row.id.to_string(),
        role: row.role.map_or("unknown", Role::word),
        email: row.email,
        by: row.invited_by,
        until: Moment(row.expires_at),
    });
    let sent = notice == "invited";
    page(&MembersPage {
        shell: Shell::new(session, Here::Members),
        notice: match notice {
            "invited" => "The invitation is on its way. It holds for 7 days.",
            "taken-back" => "The invitation is taken back.",
            "role" => "The role is changed.",
            "removed" => "The member is removed, and their sessions are ended.",
            "transferred" => "The ownership is handed over. You are an admin now.",
            _ => "",
        },
        mail_folder: app.cp.mail_folder().filter(|_| sent),
        may_manage: session.may(Act::ManageMembers),
        may_leave: session.role != Role::Owner,
        members: rows.collect(),
        invitations: invited.collect(),
        roles: CHOICES,
        form,
        errors,
    })
}
