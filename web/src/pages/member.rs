//! `/members/{id}`: another role for a member, their removal, the ownership; and `/members/leave`.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{Act, Role};
use controlplane::ids::MemberId;
use controlplane::members;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::Moment;
use crate::forgery::{Button, MemberForm, text_fields};
use crate::pages::forms::{Field, MemberPage, Words};
use crate::pages::members::{CHOICES, Choice};
use crate::pages::{Here, Shell};
use crate::session::{self, Member};

#[derive(Template)]
#[template(path = "pages/member.html")]
struct ManagePage<'a> {
    shell: Shell<'a>,
    id: String,
    email: &'a str,
    role: &'static str,
    role_word: &'static str,
    since: Moment,
    roles: [Choice; 4],
    may_transfer: bool,
}

text_fields! {
    RoleFields { role }
}

text_fields! {
    TransferFields { password }
}

pub async fn show(
    State(app): State<App>,
    Path(member_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    let found = find(&app, &member, &member_id).await?;
    if found.role == Some(Role::Owner) {
        return Ok(Redirect::to("/members").into_response());
    }
    page(&ManagePage {
        shell: Shell::new(&member.session, Here::Members),
        id: found.id.to_string(),
        email: &found.email,
        role: found.role.map_or("", Role::as_str),
        role_word: found.role.map_or("unknown", Role::word),
        since: Moment(found.since),
        roles: CHOICES,
        may_transfer: member.session.may(Act::TransferOwnership),
    })
}

pub async fn change_role(
    State(app): State<App>,
    Path(member_id): Path<String>,
    MemberForm { member, fields }: MemberForm<RoleFields>,
) -> Result<Response, Failure> {
    let (id, role) = (parse(&member_id)?, fields.role.as_str());
    members::change_role(&app.cp, &member.session, id, role, &member.origin).await?;
    Ok(Redirect::to("/members?notice=role").into_response())
}

pub async fn remove(
    State(app): State<App>,
    Path(member_id): Path<String>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let id = parse(&member_id)?;
    members::remove(&app.cp, &member.session, id, &member.origin).await?;
    Ok(match id == member.session.member_id {
        true => session::end(&app, "/login?notice=left"),
        false => Redirect::to("/members?notice=removed").into_response(),
    })
}

pub async fn show_transfer(
    State(app): State<App>,
    Path(member_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    let to = find(&app, &member, &member_id).await?;
    transfer_form(&member, &to, FormErrors::default())
}

pub async fn transfer(
    State(app): State<App>,
    Path(member_id): Path<String>,
    MemberForm { member, fields }: MemberForm<TransferFields>,
) -> Result<Response, Failure> {
    let to = find(&app, &member, &member_id).await?;
    let (session, origin) = (&member.session, &member.origin);
    match members::transfer_ownership(&app.cp, session, to.id, &fields.password, origin).await {
        Ok(()) => Ok(Redirect::to("/members?notice=transferred").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["password"])?;
            Ok((status, transfer_form(&member, &to, errors)?).into_response())
        }
    }
}

pub async fn show_leave(member: Member) -> Result<Response, Failure> {
    let lead = match member.session.role {
        Role::Owner => {
            "You are the owner: hand the ownership over first, to a member of your team."
        }
        _ => "Your log-in ends. Access keys that you made stay with the company.",
    };
    let words = Words {
        title: &format!("Leave {}?", member.session.company),
        lead,
        action: "/members/leave",
        submit: "Leave",
    };
    let mut page = MemberPage::of_members(&member, words, Vec::new());
    page.danger = true;
    page.show()
}

pub async fn leave(
    State(app): State<App>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    members::leave(&app.cp, &member.session, &member.origin).await?;
    Ok(session::end(&app, "/login?notice=left"))
}

fn transfer_form(
    member: &Member,
    to: &members::Member,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let lead = format!(
        "{} becomes the owner of {}, and you become an admin. Only they can hand it back.",
        to.email, member.session.company
    );
    let action = format!("/members/{}/transfer", to.id);
    let words = Words {
        title: "Hand the ownership over",
        lead: &lead,
        action: &action,
        submit: "Hand it over",
    };
    let fields = vec![Field::present_password("Your password")];
    let mut page = MemberPage::of_members(member, words, fields);
    page.danger = true;
    page.errors = errors;
    page.show()
}

/// Another tenant's member is as unknown as one that never was.
async fn find(app: &App, member: &Member, id: &str) -> Result<members::Member, Failure> {
    let id = parse(id)?;
    let mut tx = member.begin(app).await?;
    let found = members::get(&mut tx, id).await?;
    tx.commit().await?;
    Ok(found)
}

fn parse(id: &str) -> Result<MemberId, Error> {
    id.parse().map_err(|_| Error::NotFound("member"))
}
