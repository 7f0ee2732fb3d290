//! `POST /theme`: light, dark, or as the browser prefers; then back to the page.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, Uri, header};

use crate::App;
use crate::failure::Failure;
use crate::fields::Pairs;
use crate::forgery::MemberForm;
use crate::session::{local_path, set_cookie};
use crate::theme::{COOKIE, Theme};

/// A year.
const SECONDS: i64 = 365 * 86_400;

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    MemberForm { fields, .. }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    Ok(choose(&app, &headers, fields.get("theme"), "/dashboard"))
}

/// The cookie, and back to where the form stood; or to `fallback`, where the browser does not say.
pub fn choose(app: &App, headers: &HeaderMap, theme: &str, fallback: &str) -> Response {
    let theme = Theme::parse(theme);
    let cookie = set_cookie(COOKIE, theme.as_str(), Some(SECONDS), app.is_https());
    let from = headers
        .get(header::REFERER)
        .and_then(|from| from.to_str().ok());
    let from = from.and_then(|from| from.parse::<Uri>().ok());
    let path = from
        .as_ref()
        .and_then(Uri::path_and_query)
        .map(|path| path.as_str());
    let to = path.and_then(local_path).unwrap_or(fallback);
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}
