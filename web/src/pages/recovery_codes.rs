//! `/account/second-step/recovery-codes`: ten codes for when the app is lost, shown once.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use controlplane::accounts::{self, RecoveryCodes};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{MemberForm, text_fields};
use crate::pages::forms::{Field, MemberPage, Words};
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/recovery_codes.html")]
struct RecoveryCodesPage<'a> {
    shell: Shell<'a>,
    title: &'a str,
    codes: &'a [String],
}

text_fields! {
    CodeFields { code }
}

/// The one page that shows them.
pub fn page_of(member: &Member, title: &str, codes: &RecoveryCodes) -> Result<Response, Failure> {
    page(&RecoveryCodesPage {
        shell: Shell::new(&member.session, Here::Account),
        title,
        codes: &codes.0,
    })
}

pub async fn show(member: Member) -> Result<Response, Failure> {
    form(&member, FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<CodeFields>,
) -> Result<Response, Failure> {
    let (session, origin) = (&member.session, &member.origin);
    match accounts::new_recovery_codes(&app.cp, session, fields.code.trim(), origin).await {
        Ok(codes) => page_of(&member, "New recovery codes", &codes),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["code"])?;
            Ok((status, form(&member, errors)?).into_response())
        }
    }
}

fn form(member: &Member, errors: FormErrors) -> Result<Response, Failure> {
    let words = Words {
        title: "New recovery codes",
        lead: "You get ten new ones. The old ones end.",
        action: "/account/second-step/recovery-codes",
        submit: "Make new codes",
    };
    let fields = vec![Field::code("From your app, or one of your recovery codes.")];
    let mut page = MemberPage::of_account(member, words, fields);
    page.errors = errors;
    page.show()
}
