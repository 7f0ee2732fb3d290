//! `/signup`: a company, an address, a password; then a mail.
//! What was typed is kept when the form is shown again, but for the password; the answer is one for every address.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::{self, SignUp};
use http::{HeaderMap, StatusCode};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::NotePage;
use crate::pages::landing::{self, Trial};
use crate::session::{self, Visit};

#[derive(Template)]
#[template(path = "pages/signup.html")]
struct SignUpPage<'a> {
    form_token: &'a str,
    trial: Option<Trial>,
    company: &'a str,
    email: &'a str,
    errors: FormErrors,
}

text_fields! {
    SignUpFields { company, email, password }
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
    Visit(origin): Visit,
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
        browser: token.as_str().to_owned(),
    };
    match accounts::sign_up(&app.cp, new, &origin).await {
        Ok(sent) => page(&NotePage {
            title: "Look into your mail",
            text: format!(
                "We have sent a mail to {}. It holds a link that opens your account; the link works for 24 hours.",
                fields.email.trim()
            ),
            mail_folder: app.cp.mail_folder(),
            next: Some(("/signup", "No mail? Sign up again")),
            link: sent.link.as_deref().filter(|_| session::is_local(&headers)),
        }),
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
