//! `/admin/login/code`: the second step, which nobody goes without. What the password proved is in a cookie of its own, which
//! opens no page but this.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::SessionToken;
use controlplane::operators;
use http::{HeaderMap, header};

use super::frame;
use super::log_in::VisitorPage;
use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::{Field, Words};
use crate::session::{self, Visit};

const COOKIE_SECONDS: i64 = 600;

text_fields! {
    CodeFields { code }
}

/// The password was right: on to the code.
pub fn begin(app: &App, challenge: &SessionToken) -> Response {
    let https = app.is_https();
    let (name, value) = (cookie_name(https), challenge.expose());
    let cookie = session::set_cookie(name, value, Some(COOKIE_SECONDS), https);
    let on = Redirect::to("/admin/login/code");
    ([(header::SET_COOKIE, cookie)], on).into_response()
}

pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    token: VisitorToken,
) -> Result<Response, Failure> {
    form(&app, &headers, &token, FormErrors::default()).await
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<CodeFields>,
) -> Result<Response, Failure> {
    let Some(challenge) = challenge(&app, &headers) else {
        return Ok(Redirect::to("/admin/login").into_response());
    };
    match operators::log_in_with_code(&app.cp, &challenge, fields.code.trim(), &origin).await {
        Ok(signed_in) => {
            let on = Redirect::to(frame::first()).into_response();
            let mut done = frame::start(&app, &headers, &signed_in.token, &origin, on).await?;
            let https = app.is_https();
            let over = session::set_cookie(cookie_name(https), "", Some(0), https);
            if let Ok(over) = over.parse() {
                done.headers_mut().append(header::SET_COOKIE, over);
            }
            Ok(done)
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["code"])?;
            let again = form(&app, &headers, &token, errors).await?;
            Ok(match again.status().is_redirection() {
                true => again,
                false => (status, again).into_response(),
            })
        }
    }
}

fn challenge(app: &App, headers: &HeaderMap) -> Option<SessionToken> {
    let value = session::cookie(headers, cookie_name(app.is_https()))?;
    Some(SessionToken::from(value.to_owned()))
}

fn cookie_name(https: bool) -> &'static str {
    match https {
        true => "__Host-vaultaire-operator-login",
        false => "vaultaire_operator_login",
    }
}

async fn form(
    app: &App,
    headers: &HeaderMap,
    token: &VisitorToken,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let known = match challenge(app, headers) {
        Some(challenge) => operators::is_challenge(&app.cp, &challenge).await?,
        None => false,
    };
    if !known {
        return Ok(Redirect::to("/admin/login").into_response());
    }
    let shown = page(&VisitorPage {
        form_token: token.as_str(),
        words: Words {
            title: "Enter your code",
            lead: "Open your authenticator app and type the code that it shows for Vaultaire.",
            action: "/admin/login/code",
            submit: "Log in",
        },
        fields: vec![Field::code(
            "Six digits. Without the app: one of your recovery codes.",
        )],
        errors,
        notice: "",
    })?;
    Ok(token.attach(app, shown))
}
