//! `/password/forgot`: asks for an address, and says the same whoever's it is.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use controlplane::accounts;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::{Field, NotePage, VisitorPage, Words};
use crate::session::Visit;

text_fields! {
    ForgotFields { email }
}

pub async fn show(State(app): State<App>, token: VisitorToken) -> Result<Response, Failure> {
    form(&app, &token, "", FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<ForgotFields>,
) -> Result<Response, Failure> {
    let email = fields.email.trim();
    match accounts::forgot_password(&app.cp, email, &origin).await {
        Ok(()) => page(&NotePage {
            title: "Look into your mail",
            text: format!(
                "If {email} belongs to an account, a link to set a new password is on its way. It works for one hour."
            ),
            mail_folder: app.cp.mail_folder(),
            next: Some(("/login", "Back to the log-in")),
            link: None,
        }),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["email"])?;
            let again = form(&app, &token, email, errors)?;
            Ok((status, again).into_response())
        }
    }
}

fn form(
    app: &App,
    token: &VisitorToken,
    email: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let words = Words {
        title: "Forgot your password?",
        lead: "Tell us the address that you log in with. We send a link to set a new password.",
        action: "/password/forgot",
        submit: "Send the link",
    };
    let mut page = VisitorPage::new(token, words, vec![Field::email("Email", email)]);
    page.errors = errors;
    page.show(app, token)
}
