//! `/signup/confirm`: where the mail's link leads. Looking uses nothing up, since scanners of mail look; the button does.
//! In another browser than the one that signed up, it asks for the password too.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use controlplane::Error;
use controlplane::accounts::{self, PendingSignUp, Proof};
use http::HeaderMap;
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::{Field, VisitorPage, Words, dead_link};
use crate::session::{self, Visit};

/// The token of a link in a mail.
#[derive(Deserialize, Default)]
pub struct LinkQuery {
    #[serde(default)]
    pub token: String,
}

text_fields! {
    ConfirmFields { token, password }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<LinkQuery>,
    token: VisitorToken,
) -> Result<Response, Failure> {
    let pending = accounts::pending_sign_up(&app.cp, &query.token, token.as_str()).await?;
    match pending {
        Some(pending) => form(&app, &token, &query.token, &pending, FormErrors::default()),
        None => dead(),
    }
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<ConfirmFields>,
) -> Result<Response, Failure> {
    let proof = Proof {
        browser: token.as_str(),
        password: Some(&fields.password),
    };
    let error = match accounts::confirm_sign_up(&app.cp, &fields.token, proof, &origin).await {
        Ok(signed_in) => {
            return session::replace(&app, &headers, &signed_in.token, "/dashboard").await;
        }
        Err(Error::BadRequest(_)) => return dead(),
        Err(error) => error,
    };
    let status = error.status();
    let errors = FormErrors::explain(error, &["password"])?;
    let pending = accounts::pending_sign_up(&app.cp, &fields.token, token.as_str()).await?;
    let Some(pending) = pending else {
        return dead();
    };
    let again = form(&app, &token, &fields.token, &pending, errors)?;
    Ok((status, again).into_response())
}

fn dead() -> Result<Response, Failure> {
    dead_link(
        "If you have confirmed already, log in; otherwise sign up again.",
        ("/login", "Log in"),
    )
}

fn form(
    app: &App,
    token: &VisitorToken,
    link: &str,
    pending: &PendingSignUp,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let lead = match pending.needs_password {
        true => format!(
            "An account for {} with the address {}. You opened the link in another browser than the one that signed up: type the password that you chose there.",
            pending.company, pending.email
        ),
        false => format!(
            "An account for {} with the address {}. The trial begins now.",
            pending.company, pending.email
        ),
    };
    let fields = match pending.needs_password {
        true => vec![Field::present_password("Password")],
        false => Vec::new(),
    };
    let words = Words {
        title: "Confirm your address",
        lead: &lead,
        action: "/signup/confirm",
        submit: "Open my account",
    };
    let mut page = VisitorPage::new(token, words, fields);
    page.hidden.push(("token", link));
    page.errors = errors;
    page.show(app, token)
}
