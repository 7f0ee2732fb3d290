//! `/login/code`: the second step, for who wants one. What the password proved is in a cookie of its own.
//! That cookie opens no page but this.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{self, SessionToken};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::{Field, VisitorPage, Words};
use crate::pages::login::destination;
use crate::session::{self, Visit};

const COOKIE_SECONDS: i64 = 600;

#[derive(Deserialize, Default)]
pub struct CodeQuery {
    #[serde(default)]
    next: String,
}

text_fields! {
    CodeFields { next, code }
}

/// The password was right: on to the code.
pub fn begin(app: &App, challenge: &SessionToken, next: &str) -> Response {
    let https = app.is_https();
    let cookie = session::set_cookie(
        cookie_name(https),
        challenge.expose(),
        Some(COOKIE_SECONDS),
        https,
    );
    let to = match next {
        "/dashboard" => "/login/code".to_owned(),
        next => session::with_next("/login/code", next),
    };
    ([(header::SET_COOKIE, cookie)], Redirect::to(&to)).into_response()
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<CodeQuery>,
    headers: HeaderMap,
    token: VisitorToken,
) -> Result<Response, Failure> {
    if challenge(&app, &headers).is_none() {
        return Ok(Redirect::to("/login").into_response());
    }
    form(&app, &token, &query.next, FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<CodeFields>,
) -> Result<Response, Failure> {
    let Some(challenge) = challenge(&app, &headers) else {
        return Ok(Redirect::to("/login").into_response());
    };
    let code = fields.code.trim();
    match accounts::log_in_with_code(&app.cp, &challenge, code, &origin).await {
        Ok(signed_in) => {
            let next = destination(&fields.next);
            let mut done = session::replace(&app, &headers, &signed_in.token, next).await?;
            let https = app.is_https();
            let over = session::set_cookie(cookie_name(https), "", Some(0), https);
            if let Ok(over) = over.parse() {
                done.headers_mut().append(header::SET_COOKIE, over);
            }
            Ok(done)
        }
        Err(Error::Unauthorized(_)) => Ok(Redirect::to("/login").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["code"])?;
            let again = form(&app, &token, &fields.next, errors)?;
            Ok((status, again).into_response())
        }
    }
}

fn challenge(app: &App, headers: &HeaderMap) -> Option<SessionToken> {
    let value = session::cookie(headers, cookie_name(app.is_https()))?;
    Some(SessionToken::from(value.to_owned()))
}

fn cookie_name(https: bool) -> &'static str {
    match https {
        true => "__Host-vaultaire-login",
        false => "vaultaire_login",
    }
}

fn form(
    app: &App,
    token: &VisitorToken,
    next: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let words = Words {
        title: "Enter your code",
        lead: "Open your authenticator app and type the code that it shows for Vaultaire.",
        action: "/login/code",
        submit: "Log in",
    };
    let hint = "Six digits. Without the app: one of your recovery codes.";
    let mut page = VisitorPage::new(token, words, vec![Field::code(hint)]);
    let next = session::local_path(next).unwrap_or_default();
    page.hidden.push(("next", next));
    page.errors = errors;
    page.show(app, token)
}
