//! `/login/passkey` and `/login/code/passkey`: a passkey in place of the password, or as the second step after it.
//! The challenge is bound to a cookie of the browser that asked for it; that cookie opens no page but this.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{self, Ceremony, SessionToken};
use http::{HeaderMap, HeaderValue, header};

use crate::App;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, text_fields};
use crate::pages::login::{self, destination};
use crate::pages::login_code;
use crate::session::{self, Visit};

/// As long as the challenge lives.
const COOKIE_SECONDS: i64 = 300;

#[derive(Template)]
#[template(path = "pages/passkey_use.html")]
struct UsePage<'a> {
    form_token: &'a str,
    action: &'a str,
    next: &'a str,
    ceremony: &'a Ceremony,
    second: bool,
    back: (&'a str, &'a str),
}

text_fields! {
    BeginFields { next }
}

text_fields! {
    AnswerFields { next, credential }
}

pub async fn begin(
    State(app): State<App>,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<BeginFields>,
) -> Result<Response, Failure> {
    let (bound, ceremony) = accounts::begin_passkey_log_in(&app.cp, &origin).await?;
    let mut shown = page(&UsePage {
        form_token: token.as_str(),
        action: "/login/passkey/answer",
        next: session::local_path(&fields.next).unwrap_or_default(),
        ceremony: &ceremony,
        second: false,
        back: ("/login", "Log in with your password"),
    })?;
    set_cookie(&app, &mut shown, bound.expose(), COOKIE_SECONDS);
    Ok(shown)
}

pub async fn answer(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<AnswerFields>,
) -> Result<Response, Failure> {
    let Some(bound) = session::cookie(&headers, cookie_name(app.is_https())) else {
        return Ok(Redirect::to("/login").into_response());
    };
    let bound = SessionToken::from(bound.to_owned());
    match accounts::log_in_with_passkey(&app.cp, &bound, &fields.credential, &origin).await {
        Ok(signed_in) => {
            let next = destination(&fields.next);
            let mut done = session::replace(&app, &headers, &signed_in.token, next).await?;
            set_cookie(&app, &mut done, "", 0);
            Ok(done)
        }
        Err(error) => login::refused(&app, &headers, &token, &fields.next, error),
    }
}

/// After the password.
pub async fn begin_second(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<BeginFields>,
) -> Result<Response, Failure> {
    let Some(challenge) = login_code::challenge(&app, &headers) else {
        return Ok(Redirect::to("/login").into_response());
    };
    let next = session::local_path(&fields.next).unwrap_or_default();
    let back = login_code::address(next);
    match accounts::begin_passkey_step(&app.cp, &challenge, &origin).await {
        Ok(ceremony) => page(&UsePage {
            form_token: token.as_str(),
            action: "/login/code/passkey/answer",
            next,
            ceremony: &ceremony,
            second: true,
            back: (&back, "Use a code"),
        }),
        Err(Error::Unauthorized(_)) => Ok(Redirect::to("/login").into_response()),
        Err(error) => Err(error.into()),
    }
}

pub async fn answer_second(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<AnswerFields>,
) -> Result<Response, Failure> {
    let Some(challenge) = login_code::challenge(&app, &headers) else {
        return Ok(Redirect::to("/login").into_response());
    };
    let (credential, next) = (&fields.credential, &fields.next);
    match accounts::pass_with_passkey(&app.cp, &challenge, credential, &origin).await {
        Ok(signed_in) => login_code::done(&app, &headers, &signed_in, next).await,
        Err(error) => login_code::refused(&app, &headers, &token, next, error).await,
    }
}

fn set_cookie(app: &App, response: &mut Response, value: &str, seconds: i64) {
    let https = app.is_https();
    let cookie = session::set_cookie(cookie_name(https), value, Some(seconds), https);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn cookie_name(https: bool) -> &'static str {
    match https {
        true => "__Host-vaultaire-passkey",
        false => "vaultaire_passkey",
    }
}
