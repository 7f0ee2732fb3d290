//! `/login`: an address and a password; then the page that was asked for.
//! Every refusal reads the same, whether the address is registered or not.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts;
use http::{Extensions, HeaderMap};
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{Fields, VisitorForm, VisitorToken};
use crate::session;

#[derive(Template)]
#[template(path = "pages/login.html")]
struct LogInPage<'a> {
    form_token: &'a str,
    next: &'a str,
    email: &'a str,
    logged_out: bool,
    errors: FormErrors,
}

#[derive(Deserialize, Default)]
pub struct LogInQuery {
    #[serde(default)]
    next: String,
    #[serde(default)]
    notice: String,
}

#[derive(Deserialize, Default)]
pub struct LogInFields {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

impl Fields for LogInFields {
    fn csrf_token(&self) -> &str {
        &self.csrf_token
    }
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
    let logged_out = query.notice == "logged-out";
    form(&app, &token, &fields, logged_out, FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    extensions: Extensions,
    VisitorForm { token, fields }: VisitorForm<LogInFields>,
) -> Result<Response, Failure> {
    let origin = session::origin(&headers, &extensions);
    let email = fields.email.trim();
    match accounts::log_in(&app.cp, email, &fields.password, &origin).await {
        Ok(signed_in) => {
            // Whatever session the browser had before is over: nobody goes on under an old token.
            if let Some((_, old)) = session::find(&app, &headers).await? {
                accounts::log_out(&app.cp, &old).await?;
            }
            let next = destination(&fields.next);
            Ok(session::start(&app, &signed_in.token, next))
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["email", "password"])?;
            let again = form(&app, &token, &fields, false, errors)?;
            Ok((status, again).into_response())
        }
    }
}

/// Where to go after the log-in: a local path, or the dashboard.
fn destination(next: &str) -> &str {
    session::local_path(next).unwrap_or("/dashboard")
}

fn form(
    app: &App,
    token: &VisitorToken,
    fields: &LogInFields,
    logged_out: bool,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let shown = page(&LogInPage {
        form_token: token.as_str(),
        next: session::local_path(&fields.next).unwrap_or_default(),
        email: &fields.email,
        logged_out,
        errors,
    })?;
    Ok(token.attach(app, shown))
}
