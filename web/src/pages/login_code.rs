//! `/login/code`: the second step, for who wants one. What the password proved is in a cookie of its own.
//! That cookie opens no page but this.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{self, SessionToken, SignedIn};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::Field;
use crate::pages::login::destination;
use crate::pages::passkeys::Place;
use crate::session::{self, Visit};

const COOKIE_SECONDS: i64 = 600;

#[derive(Template)]
#[template(path = "pages/login_code.html")]
struct CodePage<'a> {
    form_token: &'a str,
    title: &'a str,
    lead: &'a str,
    next: &'a str,
    app: bool,
    passkey_here: bool,
    /// Where the member's passkeys can be used, if not here.
    passkey_at: Option<String>,
    code: Field,
    errors: FormErrors,
}

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
    ([(header::SET_COOKIE, cookie)], Redirect::to(&address(next))).into_response()
}

/// Of this page, with where to go afterwards.
pub fn address(next: &str) -> String {
    match next {
        "" | "/dashboard" => "/login/code".to_owned(),
        next => session::with_next("/login/code", next),
    }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<CodeQuery>,
    headers: HeaderMap,
    token: VisitorToken,
) -> Result<Response, Failure> {
    form(&app, &headers, &token, &query.next, FormErrors::default()).await
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
        Ok(signed_in) => done(&app, &headers, &signed_in, &fields.next).await,
        Err(error) => refused(&app, &headers, &token, &fields.next, error).await,
    }
}

/// Both steps are passed.
pub async fn done(
    app: &App,
    headers: &HeaderMap,
    signed_in: &SignedIn,
    next: &str,
) -> Result<Response, Failure> {
    let next = destination(next);
    let mut done = session::replace(app, headers, &signed_in.token, next).await?;
    let https = app.is_https();
    let over = session::set_cookie(cookie_name(https), "", Some(0), https);
    if let Ok(over) = over.parse() {
        done.headers_mut().append(header::SET_COOKIE, over);
    }
    Ok(done)
}

/// The page again, with what was wrong; or the log-in from its beginning, if that took too long.
pub async fn refused(
    app: &App,
    headers: &HeaderMap,
    token: &VisitorToken,
    next: &str,
    error: Error,
) -> Result<Response, Failure> {
    let status = error.status();
    let errors = FormErrors::explain(error, &["code"])?;
    let again = form(app, headers, token, next, errors).await?;
    Ok(match again.status().is_redirection() {
        true => again,
        false => (status, again).into_response(),
    })
}

pub fn challenge(app: &App, headers: &HeaderMap) -> Option<SessionToken> {
    let value = session::cookie(headers, cookie_name(app.is_https()))?;
    Some(SessionToken::from(value.to_owned()))
}

fn cookie_name(https: bool) -> &'static str {
    match https {
        true => "__Host-vaultaire-login",
        false => "vaultaire_login",
    }
}

async fn form(
    app: &App,
    headers: &HeaderMap,
    token: &VisitorToken,
    next: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let ways = match challenge(app, headers) {
        Some(challenge) => accounts::ways(&app.cp, &challenge).await?,
        None => None,
    };
    let Some(ways) = ways else {
        return Ok(Redirect::to("/login").into_response());
    };
    let place = Place::of(app, headers);
    let passkey_here = ways.passkey && place.is_here();
    let (title, lead, code) = match (ways.app, passkey_here) {
        (true, _) => (
            "Enter your code",
            "Open your authenticator app and type the code that it shows for Vaultaire.",
            Field::code("Six digits. Without the app: one of your recovery codes."),
        ),
        (false, true) => (
            "The second step",
            "Your password was right. Now your passkey, or one of your recovery codes.",
            Field::recovery_code(),
        ),
        (false, false) => (
            "The second step",
            "Your password was right. Now one of your recovery codes.",
            Field::recovery_code(),
        ),
    };
    let shown = page(&CodePage {
        form_token: token.as_str(),
        title,
        lead,
        next: session::local_path(next).unwrap_or_default(),
        app: ways.app,
        passkey_here,
        passkey_at: place.elsewhere().filter(|_| ways.passkey),
        code,
        errors,
    })?;
    Ok(token.attach(app, shown))
}
