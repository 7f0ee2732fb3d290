//! Forms that other sites send in a member's name are refused: by where they come from, and by a token they lack.
//! A form can be read in this crate through [`MemberForm`], [`VisitorForm`] and the operators' form alone, and all check the token.

use axum::extract::{Form, FromRequest, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, header};
use rand::Rng;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use crate::App;
use crate::failure::Failure;
use crate::session::{self, Member};

/// A form's fields, of which one is its token.
pub trait Fields: DeserializeOwned {
    fn csrf_token(&self) -> &str;
}

/// A form of text fields; what is missing is empty.
macro_rules! text_fields {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* }) => {
        $(#[$doc])*
        #[derive(serde::Deserialize, Default)]
        pub struct $name {
            #[serde(default)]
            csrf_token: String,
            $(#[serde(default)] pub $field: String,)*
        }

        impl crate::forgery::Fields for $name {
            fn csrf_token(&self) -> &str {
                &self.csrf_token
            }
        }
    };
}
pub(crate) use text_fields;

text_fields! {
    /// A button, and nothing to type.
    Button {}
}

/// Middleware: a request that may change something must come from one of our own pages.
pub async fn refuse_foreign(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_ours(request.headers(), &app.cp.config().public_url) {
        return next.run(request).await;
    }
    tracing::warn!("a form from another site was refused");
    Failure::new(
        StatusCode::FORBIDDEN,
        "The form was not sent from a page of this site. Open the page again and send it from there.",
    )
    .into_response()
}

/// `Sec-Fetch-Site` where the browser sends it, else `Origin` against `Host`.
/// <https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html>
fn is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN).and_then(|origin| origin.parse::<Uri>().ok()) else {
        return false;
    };
    let (Some(authority), Some(host)) = (origin.authority(), text(header::HOST)) else {
        return false;
    };
    let public = public_url.parse::<Uri>().ok();
    let public_host = public.as_ref().and_then(Uri::host);
    let known = Some(authority.host()) == public_host || is_loopback(authority.host());
    known && authority.as_str().eq_ignore_ascii_case(host)
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

pub fn same_token(expected: &str, given: &str) -> Result<(), Failure> {
    let equal = expected.as_bytes().ct_eq(given.as_bytes());
    if !expected.is_empty() && bool::from(equal) {
        return Ok(());
    }
    tracing::warn!("a form without its session's token was refused");
    Err(Failure::new(
        StatusCode::FORBIDDEN,
        "The form was opened before you logged in or out, or the browser does not keep cookies. Open the page again and send it from there.",
    ))
}

/// A form that a member sent from a page of the same session.
pub struct MemberForm<T> {
    pub member: Member,
    pub fields: T,
}

impl<T: Fields> FromRequest<App> for MemberForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let member = Member::from_request_parts(&mut parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let Form(fields) = Form::<T>::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(IntoResponse::into_response)?;
        same_token(&member.session.csrf_token, fields.csrf_token())
            .map_err(IntoResponse::into_response)?;
        Ok(Self { member, fields })
    }
}

/// The token of a form before there is a session: the cookie says the same as the form, and no other site can set
/// or read it.
pub struct VisitorToken {
    token: String,
    fresh: bool,
}

impl VisitorToken {
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// Hands the cookie out with the page that bears the form.
    pub fn attach(&self, app: &App, mut response: Response) -> Response {
        let https = app.is_https();
        let cookie = session::set_cookie(cookie_name(https), &self.token, None, https);
        if let (true, Ok(cookie)) = (self.fresh, cookie.parse()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl FromRequestParts<App> for VisitorToken {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let known = session::cookie(&parts.headers, cookie_name(app.is_https()));
        let known = known.filter(|token| is_token(token));
        Ok(match known {
            Some(token) => Self {
                token: token.to_owned(),
                fresh: false,
            },
            None => Self {
                token: new_token(),
                fresh: true,
            },
        })
    }
}

/// A form that someone without a session sent from our own page.
pub struct VisitorForm<T> {
    pub token: VisitorToken,
    pub fields: T,
}

impl<T: Fields> FromRequest<App> for VisitorForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let token = VisitorToken::from_request_parts(&mut parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let Form(fields) = Form::<T>::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(IntoResponse::into_response)?;
        same_token(token.as_str(), fields.csrf_token()).map_err(IntoResponse::into_response)?;
        Ok(Self { token, fields })
    }
}

fn cookie_name(https: bool) -> &'static str {
    match https {
        true => "__Host-vaultaire-form",
        false => "vaultaire_form",
    }
}

fn is_token(text: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(text)
        .is_ok_and(|bytes| bytes.len() == 32)
}

fn new_token() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC_URL: &str = "https://storage.example";

    fn ours(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a header value"));
        }
        is_ours(&headers, PUBLIC_URL)
    }

    #[test]
    fn our_own_pages_may_send_forms() {
        assert!(ours(&[("sec-fetch-site", "same-origin")]));
        assert!(ours(&[("sec-fetch-site", "none")]));
        assert!(ours(&[
            ("origin", "https://storage.example"),
            ("host", "storage.example")
        ]));
        assert!(ours(&[
            ("origin", "http://127.0.0.1:8080"),
            ("host", "127.0.0.1:8080")
        ]));
        assert!(ours(&[
            ("origin", "http://[::1]:8080"),
            ("host", "[::1]:8080")
        ]));
    }

    #[test]
    fn others_may_not() {
        assert!(!ours(&[]));
        assert!(!ours(&[("host", "storage.example")]));
        assert!(!ours(&[("sec-fetch-site", "same-site")]));
        assert!(!ours(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://storage.example"),
            ("host", "storage.example")
        ]));
        assert!(!ours(&[("origin", "null"), ("host", "storage.example")]));
        assert!(!ours(&[
            ("origin", "https://evil.example"),
            ("host", "storage.example")
        ]));
        // A name that an attacker points at us (DNS rebinding) is neither ours nor loopback.
        assert!(!ours(&[
            ("origin", "http://evil.example"),
            ("host", "evil.example")
        ]));
        assert!(!ours(&[
            ("origin", "http://127.0.0.1:9999"),
            ("host", "127.0.0.1:8080")
        ]));
    }

    #[test]
    fn an_empty_token_matches_nothing() {
        assert!(same_token("", "").is_err());
        assert!(same_token("a", "b").is_err());
        assert!(same_token("a", "").is_err());
        assert!(same_token("a", "a").is_ok());
        assert!(is_token(&new_token()));
        assert!(!is_token("short"));
    }
}
