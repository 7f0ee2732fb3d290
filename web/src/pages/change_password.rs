//! `/account/password`: the present one, then a new one.

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
    PasswordFields { password, new_password }
}

pub async fn show(member: Member) -> Result<Response, Failure> {
    form(&member, FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<PasswordFields>,
) -> Result<Response, Failure> {
    let (present, new) = (&fields.password, &fields.new_password);
    let session = &member.session;
    match accounts::change_password(&app.cp, session, present, new, &member.origin).await {
        Ok(_) => Ok(Redirect::to("/account?notice=password").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["password", "new_password"])?;
            Ok((status, form(&member, errors)?).into_response())
        }
    }
}

fn form(member: &Member, errors: FormErrors) -> Result<Response, Failure> {
    let words = Words {
        title: "Change your password",
        lead: "Your other sessions end with it; this one stays.",
        action: "/account/password",
        submit: "Change the password",
    };
    let fields = vec![
        Field::present_password("Present password"),
        Field::new_password("new_password", "New password"),
    ];
    let mut page = MemberPage::of_account(member, words, fields);
    page.errors = errors;
    page.show()
}
