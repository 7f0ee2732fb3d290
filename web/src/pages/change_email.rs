//! `/account/email`: another address for the log-in, which has to be confirmed from there.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::forgery::{MemberForm, text_fields};
use crate::pages::forms::{Field, MemberPage, Words};
use crate::session::Member;

text_fields! {
    EmailFields { email, password }
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    form(&app, &member, "", FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<EmailFields>,
) -> Result<Response, Failure> {
    let (email, password) = (fields.email.trim(), &fields.password);
    let session = &member.session;
    match accounts::change_email(&app.cp, session, password, email, &member.origin).await {
        Ok(()) => Ok(Redirect::to("/account?notice=email").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["email", "password"])?;
            Ok((status, form(&app, &member, email, errors)?).into_response())
        }
    }
}

fn form(app: &App, member: &Member, email: &str, errors: FormErrors) -> Result<Response, Failure> {
    let lead = format!(
        "You log in as {}. We send a link to the new address; until you follow it, nothing changes. The old address is told, and can undo it within 7 days.",
        member.session.email
    );
    let words = Words {
        title: "Change your address",
        lead: &lead,
        action: "/account/email",
        submit: "Send the link",
    };
    let fields = vec![
        Field::email("New email", email),
        Field::present_password("Your password"),
    ];
    let mut page = MemberPage::of_account(member, words, fields);
    page.errors = errors;
    page.mail_folder = app.cp.mail_folder();
    page.show()
}
