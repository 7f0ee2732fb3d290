//! `/account/passkeys/…`: a member's passkeys are made, renamed and removed here; `/account` lists them.
//! What the browser has to be asked is in the page, and a script asks it; everything else works without one.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{self, Ceremony, RelyingParty};
use controlplane::ids::PasskeyId;
use http::{HeaderMap, header};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{MemberForm, text_fields};
use crate::pages::forms::{Field, MemberPage, Words};
use crate::pages::recovery_codes;
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/passkey_make.html")]
struct MakePage<'a> {
    shell: Shell<'a>,
    name: &'a str,
    ceremony: &'a Ceremony,
}

text_fields! {
    NewFields { name, password, code }
}

text_fields! {
    AnswerFields { credential }
}

text_fields! {
    NameFields { name }
}

text_fields! {
    RemoveFields { password, code }
}

/// Whether passkeys can be used on a page that was asked for like this.
pub enum Place {
    Here,
    /// On one's own machine by another name: at this origin.
    Elsewhere(String),
    Nowhere(&'static str),
}

impl Place {
    pub fn of(app: &App, headers: &HeaderMap) -> Self {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        match RelyingParty::of(app.cp.config()) {
            Ok(party) if party.is_at(host) => Self::Here,
            Ok(party) => Self::Elsewhere(party.origin),
            Err(no) => Self::Nowhere(no.why()),
        }
    }

    pub fn is_here(&self) -> bool {
        matches!(self, Self::Here)
    }

    /// Where to go for them, if that helps.
    pub fn elsewhere(self) -> Option<String> {
        match self {
            Self::Elsewhere(origin) => Some(origin),
            _ => None,
        }
    }
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    new_form(&app, &member, "", FormErrors::default()).await
}

/// The member is who they are: on to the browser.
pub async fn begin(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<NewFields>,
) -> Result<Response, Failure> {
    let (session, origin) = (&member.session, &member.origin);
    let (password, code) = (&fields.password, fields.code.trim());
    match accounts::begin_passkey(&app.cp, session, &fields.name, password, code, origin).await {
        Ok(ceremony) => page(&MakePage {
            shell: Shell::new(session, Here::Account),
            name: fields.name.trim(),
            ceremony: &ceremony,
        }),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["name", "password", "code"])?;
            let again = new_form(&app, &member, &fields.name, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

pub async fn answer(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<AnswerFields>,
) -> Result<Response, Failure> {
    let (session, origin) = (&member.session, &member.origin);
    match accounts::add_passkey(&app.cp, session, &fields.credential, origin).await? {
        Some(codes) => recovery_codes::page_of(&member, "The passkey is added", &codes),
        None => Ok(Redirect::to("/account?notice=passkey-added").into_response()),
    }
}

pub async fn show_rename(
    State(app): State<App>,
    Path(passkey_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    let (id, name) = find(&app, &member, &passkey_id).await?;
    rename_form(&member, id, &name, &name, FormErrors::default())
}

pub async fn rename(
    State(app): State<App>,
    Path(passkey_id): Path<String>,
    MemberForm { member, fields }: MemberForm<NameFields>,
) -> Result<Response, Failure> {
    let (id, old) = find(&app, &member, &passkey_id).await?;
    let mut tx = member.begin(&app).await?;
    match accounts::rename_passkey(&mut tx, &app.cp, &member.session, id, &fields.name).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Redirect::to("/account?notice=passkey-renamed").into_response())
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["name"])?;
            let again = rename_form(&member, id, &old, &fields.name, errors)?;
            Ok((status, again).into_response())
        }
    }
}

pub async fn show_remove(
    State(app): State<App>,
    Path(passkey_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    let (id, name) = find(&app, &member, &passkey_id).await?;
    remove_form(&member, id, &name, FormErrors::default())
}

pub async fn remove(
    State(app): State<App>,
    Path(passkey_id): Path<String>,
    MemberForm { member, fields }: MemberForm<RemoveFields>,
) -> Result<Response, Failure> {
    let (id, name) = find(&app, &member, &passkey_id).await?;
    let (session, origin) = (&member.session, &member.origin);
    let (password, code) = (&fields.password, fields.code.trim());
    match accounts::remove_passkey(&app.cp, session, id, password, code, origin).await {
        Ok(()) => Ok(Redirect::to("/account?notice=passkey-removed").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["password", "code"])?;
            Ok((status, remove_form(&member, id, &name, errors)?).into_response())
        }
    }
}

/// Another member's is as unknown as one that never was.
async fn find(app: &App, member: &Member, id: &str) -> Result<(PasskeyId, String), Failure> {
    let id: PasskeyId = id.parse().map_err(|_| Error::NotFound("passkey"))?;
    let mut tx = member.begin(app).await?;
    let passkey = accounts::passkey(&mut tx, &member.session, id).await?;
    tx.commit().await?;
    Ok((id, passkey.name))
}

async fn new_form(
    app: &App,
    member: &Member,
    name: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = member.begin(app).await?;
    let asked = accounts::second_step(&mut tx, &member.session)
        .await?
        .is_some();
    tx.commit().await?;
    let words = Words {
        title: "Add a passkey",
        lead: "It logs you in with the finger, face or PIN of your device, without the password. The log-in with the \
               password then asks for it as the second step.",
        action: "/account/passkeys/new",
        submit: "Go on",
    };
    let mut fields = vec![name_field(name), Field::present_password("Your password")];
    if asked {
        fields.push(second_step_field());
    }
    let mut page = MemberPage::of_account(member, words, fields);
    page.errors = errors;
    page.show()
}

fn rename_form(
    member: &Member,
    id: PasskeyId,
    old: &str,
    name: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let words = Words {
        title: &format!("Rename “{old}”"),
        lead: "The name is for you alone.",
        action: &format!("/account/passkeys/{id}"),
        submit: "Rename",
    };
    let mut page = MemberPage::of_account(member, words, vec![name_field(name)]);
    page.errors = errors;
    page.show()
}

fn remove_form(
    member: &Member,
    id: PasskeyId,
    name: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let words = Words {
        title: &format!("Remove “{name}”"),
        lead: "It logs nobody in any more. Delete it on your device, too. Without passkeys and app, your password alone \
               opens your log-in.",
        action: &format!("/account/passkeys/{id}/remove"),
        submit: "Remove it",
    };
    let fields = vec![
        Field::present_password("Your password"),
        second_step_field(),
    ];
    let mut page = MemberPage::of_account(member, words, fields);
    page.danger = true;
    page.errors = errors;
    page.show()
}

fn name_field(value: &str) -> Field {
    Field {
        kind: "text",
        name: "name",
        label: "Name",
        value: value.to_owned(),
        autocomplete: "off",
        maxlength: "60",
        hint: "Such as “Laptop” or “Key on my key ring”.",
    }
}

/// For what asks for a second step, unless the session has passed one just now.
pub fn second_step_field() -> Field {
    Field::code(
        "From your app, or a recovery code. Leave it empty within 15 minutes of a log-in with its second step.",
    )
}
