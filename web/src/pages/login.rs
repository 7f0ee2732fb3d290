//! `/login`: an address and a password; then the page that was asked for.
//! Every refusal reads the same, whether the address is registered or not.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{self, LogIn};
use http::HeaderMap;
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::login_code;
use crate::pages::passkeys::Place;
use crate::session::{self, Visit};

#[derive(Template)]
#[template(path = "pages/login.html")]
struct LogInPage<'a> {
    form_token: &'a str,
    next: &'a str,
    email: &'a str,
    notice: &'static str,
    passkeys: bool,
    errors: FormErrors,
}

#[derive(Deserialize, Default)]
pub struct LogInQuery {
    #[serde(default)]
    next: String,
    #[serde(default)]
    notice: String,
}

text_fields! {
    LogInFields { next, email, password }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<LogInQuery>,
    headers: HeaderMap,
    token: VisitorToken,
) -> Result<Response, Failure> {
    if session::find(&app, &headers).await?.is_some() {
        return Ok(Redirect::to(destination(&query.next)).into_response());
    }
    let fields = LogInFields {
        next: query.next,
        ..LogInFields::default()
    };
    let notice = match query.notice.as_str() {
        "logged-out" => "You are logged out.",
        "password-set" => {
            "Your password is set, and every session of your log-in was ended. Log in with the new one."
        }
        "email-confirmed" => "Your new address is confirmed. Log in with it from now on.",
        "left" => "You have left the team.",
        _ => "",
    };
    form(
        &app,
        &headers,
        &token,
        &fields,
        notice,
        FormErrors::default(),
    )
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<LogInFields>,
) -> Result<Response, Failure> {
    let email = fields.email.trim();
    match accounts::log_in(&app.cp, email, &fields.password, &origin).await {
        Ok(LogIn::Done(signed_in)) => {
            let next = destination(&fields.next);
            session::replace(&app, &headers, &signed_in.token, next).await
        }
        Ok(LogIn::SecondStep(challenge)) => {
            let next = destination(&fields.next);
            Ok(login_code::begin(&app, &challenge, next))
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["email", "password"])?;
            let again = form(&app, &headers, &token, &fields, "", errors)?;
            Ok((status, again).into_response())
        }
    }
}

/// The page again: a log-in in another way was refused.
pub fn refused(
    app: &App,
    headers: &HeaderMap,
    token: &VisitorToken,
    next: &str,
    error: Error,
) -> Result<Response, Failure> {
    let status = error.status();
    let errors = FormErrors::explain(error, &[])?;
    let fields = LogInFields {
        next: next.to_owned(),
        ..LogInFields::default()
    };
    let again = form(app, headers, token, &fields, "", errors)?;
    Ok((status, again).into_response())
}

/// Where to go after the log-in: a local path, or the dashboard.
pub fn destination(next: &str) -> &str {
    session::local_path(next).unwrap_or("/dashboard")
}

fn form(
    app: &App,
    headers: &HeaderMap,
    token: &VisitorToken,
    fields: &LogInFields,
    notice: &'static str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let shown = page(&LogInPage {
        form_token: token.as_str(),
        next: session::local_path(&fields.next).unwrap_or_default(),
        email: &fields.email,
        notice,
        passkeys: Place::of(app, headers).is_here(),
        errors,
    })?;
    Ok(token.attach(app, shown))
}
