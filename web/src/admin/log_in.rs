//! `/admin/login` and `/admin/logout`: an operator's address and password, and then always a code.
//! Every refusal reads the same, whether the address is an operator's or not.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::operators;
use http::HeaderMap;
use serde::Deserialize;

use super::code;
use super::frame::{self, OperatorForm};
use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{Button, VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::{Field, Words};
use crate::session::Visit;

/// A form of the operators' before there is a session.
#[derive(Template)]
#[template(path = "admin/visitor_form.html")]
pub struct VisitorPage<'a> {
    pub form_token: &'a str,
    pub words: Words<'a>,
    pub fields: Vec<Field>,
    pub errors: FormErrors,
    pub notice: &'a str,
}

#[derive(Deserialize, Default)]
pub struct LogInQuery {
    #[serde(default)]
    notice: String,
}

text_fields! {
    LogInFields { email, password }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<LogInQuery>,
    headers: HeaderMap,
    token: VisitorToken,
) -> Result<Response, Failure> {
    if frame::find(&app, &headers).await?.is_some() {
        return Ok(Redirect::to(frame::first()).into_response());
    }
    let notice = match query.notice.as_str() {
        "logged-out" => "You are logged out.",
        _ => "",
    };
    form(&app, &token, "", notice, FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<LogInFields>,
) -> Result<Response, Failure> {
    let email = fields.email.trim();
    match operators::log_in(&app.cp, email, &fields.password, &origin).await {
        Ok(challenge) => Ok(code::begin(&app, &challenge)),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["email", "password"])?;
            let again = form(&app, &token, email, "", errors)?;
            Ok((status, again).into_response())
        }
    }
}

pub async fn log_out(
    State(app): State<App>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    operators::log_out(&app.cp, &operator.token, &operator.origin).await?;
    let away = Redirect::to("/admin/login?notice=logged-out").into_response();
    Ok(frame::end(&app, away))
}

fn form(
    app: &App,
    token: &VisitorToken,
    email: &str,
    notice: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let shown = page(&VisitorPage {
        form_token: token.as_str(),
        words: Words {
            title: "Operators’ log-in",
            lead: "For those who run this installation. Customers log in elsewhere.",
            action: "/admin/login",
            submit: "Log in",
        },
        fields: vec![
            Field::email("Email", email),
            Field::present_password("Password"),
        ],
        errors,
        notice,
    })?;
    Ok(token.attach(app, shown))
}
