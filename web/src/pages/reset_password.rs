//! `/password/reset`: where the mail's link leads. Sets a new password, and sends on to the log-in.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts;
use http::HeaderMap;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::confirm_signup::LinkQuery;
use crate::pages::forms::{Field, VisitorPage, Words, dead_link};
use crate::session::{self, Visit};

text_fields! {
    ResetFields { token, password }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<LinkQuery>,
    token: VisitorToken,
) -> Result<Response, Failure> {
    match accounts::is_reset_open(&app.cp, &query.token).await? {
        true => form(&app, &token, &query.token, FormErrors::default()),
        false => dead(),
    }
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<ResetFields>,
) -> Result<Response, Failure> {
    let (link, password) = (&fields.token, &fields.password);
    match accounts::reset_password(&app.cp, link, password, &origin).await {
        Ok(()) => {
            let to = "/login?notice=password-set";
            // The session of whoever was logged in here, and was somebody else, stays theirs.
            match session::find(&app, &headers).await? {
                Some(_) => Ok(Redirect::to(to).into_response()),
                None => Ok(session::end(&app, to)),
            }
        }
        Err(Error::BadRequest(_)) if !accounts::is_reset_open(&app.cp, link).await? => dead(),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["password"])?;
            let again = form(&app, &token, link, errors)?;
            Ok((status, again).into_response())
        }
    }
}

fn dead() -> Result<Response, Failure> {
    dead_link(
        "Ask for a new one.",
        ("/password/forgot", "Send me a new link"),
    )
}

fn form(
    app: &App,
    token: &VisitorToken,
    link: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let words = Words {
        title: "Set a new password",
        lead: "Every session of your log-in ends with it, on this and on other devices.",
        action: "/password/reset",
        submit: "Set the password",
    };
    let fields = vec![Field::new_password("password", "New password")];
    let mut page = VisitorPage::new(token, words, fields);
    page.hidden.push(("token", link));
    page.errors = errors;
    page.show(app, token)
}
