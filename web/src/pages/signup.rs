//! `/signup`: a company, an address, a password; then the dashboard.
//! What was typed is kept when the form is shown again, but for the password.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::{self, SignUp};
use http::{Extensions, HeaderMap, StatusCode};
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{Fields, VisitorForm, VisitorToken};
use crate::pages::landing::{self, Trial};
use crate::session;

#[derive(Template)]
#[template(path = "pages/signup.html")]
struct SignUpPage<'a> {
    form_token: &'a str,
    trial: Option<Trial>,
    company: &'a str,
    email: &'a str,
    errors: FormErrors,
}

#[derive(Deserialize, Default)]
pub struct SignUpFields {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    company: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

impl Fields for SignUpFields {
    fn csrf_token(&self) -> &str {
        &self.csrf_token
    }
}

impl SignUpFields {
    /// Every empty field at once; the control plane's rules are told one at a time.
    fn missing(&self) -> FormErrors {
        let mut errors = FormErrors::default();
        for (field, value, message) in [
            ("company", &self.company, "Tell us your company’s name."),
            ("email", &self.email, "Tell us your email address."),
            ("password", &self.password, "Choose a password."),
        ] {
            if value.trim().is_empty() {
                errors.add(field, message);
            }
        }
        errors
    }
}

pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    token: VisitorToken,
) -> Result<Response, Failure> {
    if session::find(&app, &headers).await?.is_some() {
        return Ok(Redirect::to("/dashboard").into_response());
    }
    form(
        &app,
        &token,
        &SignUpFields::default(),
        FormErrors::default(),
    )
    .await
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    extensions: Extensions,
    VisitorForm { token, fields }: VisitorForm<SignUpFields>,
) -> Result<Response, Failure> {
    let missing = fields.missing();
    if !missing.is_empty() {
        let again = form(&app, &token, &fields, missing).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    let new = SignUp {
        company: fields.company.trim().to_owned(),
        email: fields.email.trim().to_owned(),
        password: fields.password.clone(),
    };
    let origin = session::origin(&headers, &extensions);
    match accounts::sign_up(&app.cp, new, &origin).await {
        Ok(signed_in) => Ok(session::start(&app, &signed_in.token, "/dashboard")),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["company", "email", "password"])?;
            let again = form(&app, &token, &fields, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

async fn form(
    app: &App,
    token: &VisitorToken,
    fields: &SignUpFields,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let shown = page(&SignUpPage {
        form_token: token.as_str(),
        trial: landing::trial(&landing::all_plans(app).await?),
        company: &fields.company,
        email: &fields.email,
        errors,
    })?;
    Ok(token.attach(app, shown))
}
