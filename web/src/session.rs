//! Who is asking: the session cookie, and what handlers of signed-in pages get from it.
//! The token is the control plane's; this module only carries it.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::{self, Session, SessionToken};
use controlplane::{Actor, Origin, Tx};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use crate::App;
use crate::failure::Failure;
use crate::request_id::RequestId;

/// How long a browser keeps the cookie: 30 days. The control plane ends every session earlier.
const COOKIE_SECONDS: i64 = 30 * 86_400;

/// A logged-in member, and where the request came from.
#[derive(Clone)]
pub struct Member {
    pub session: Session,
    pub token: SessionToken,
    origin: Origin,
}

impl Member {
    /// A transaction on the member's tenant, in the member's name.
    pub async fn begin(&self, app: &App) -> Result<Tx, Failure> {
        let tx = app.cp.begin_tenant(self.session.tenant_id).await?;
        let actor = Actor::Member {
            id: self.session.member_id,
            email: self.session.email.clone(),
        };
        Ok(tx.acting(actor, self.origin.clone()))
    }
}

/// Only routes behind [`require`] have one.
impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let member = parts.extensions.get::<Self>().cloned();
        member.ok_or(Failure::from(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// Middleware of every [`crate::Access::Member`] route: lets members in and sends everyone else to the log-in page.
pub async fn require(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match find(&app, request.headers()).await {
        Ok(Some((session, token))) => {
            let origin = origin(request.headers(), request.extensions());
            request.extensions_mut().insert(Member {
                session,
                token,
                origin,
            });
            next.run(request).await
        }
        Ok(None) => Redirect::to(&login_address(request.method(), request.uri())).into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// The session that the cookie names, if there is one and it still holds.
pub async fn find(
    app: &App,
    headers: &HeaderMap,
) -> Result<Option<(Session, SessionToken)>, Failure> {
    let Some(value) = cookie(headers, name(app.is_https())) else {
        return Ok(None);
    };
    let token = SessionToken::from(value.to_owned());
    let session = accounts::session(&app.cp, &token).await?;
    Ok(session.map(|session| (session, token)))
}

/// Where a request came from, as far as this process can know it; forwarding headers are not believed.
pub fn origin(headers: &HeaderMap, extensions: &Extensions) -> Origin {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    let user_agent = headers.get(header::USER_AGENT);
    Origin {
        address: peer.map(|ConnectInfo(address)| address.ip()),
        user_agent: user_agent
            .and_then(|text| text.to_str().ok())
            .map(|text| text.chars().take(200).collect()),
        request_id: extensions
            .get::<RequestId>()
            .map(|id| id.as_str().to_owned()),
    }
}

/// Sets the session cookie and sends the browser on.
pub fn start(app: &App, token: &SessionToken, to: &str) -> Response {
    let https = app.is_https();
    let cookie = set_cookie(name(https), token.expose(), Some(COOKIE_SECONDS), https);
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Takes the session cookie away and sends the browser on.
pub fn end(app: &App, to: &str) -> Response {
    let cookie = set_cookie(name(app.is_https()), "", Some(0), app.is_https());
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// `__Host-` binds the cookie to this very host, over TLS alone. On plain http (development) browsers other than
/// Chromium drop `Secure` cookies, so it goes without. <https://www.rfc-editor.org/rfc/rfc6265#section-4.1.2>
fn name(https: bool) -> &'static str {
    match https {
        true => "__Host-vaultaire",
        false => "vaultaire_session",
    }
}

/// A `Set-Cookie` value as all of ours are: for this host, out of reach of scripts, not sent along from other sites.
pub fn set_cookie(name: &str, value: &str, max_age: Option<i64>, https: bool) -> String {
    let mut cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(seconds) = max_age {
        cookie.push_str(&format!("; Max-Age={seconds}"));
    }
    if https {
        cookie.push_str("; Secure");
    }
    cookie
}

/// The value of the first cookie of that name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line: &HeaderValue| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
        .filter(|value| !value.is_empty())
}

/// A page that was asked for comes back after the log-in; a form that was sent is lost.
fn login_address(method: &Method, uri: &Uri) -> String {
    match *method == Method::GET && uri.path() != "/dashboard" {
        // A path holds no `#`; these three are all that would end the value or change it.
        true => {
            let path = uri.path().replace('%', "%25");
            let path = path.replace('&', "%26").replace('+', "%2B");
            format!("/login?next={path}")
        }
        false => "/login".to_owned(),
    }
}

/// `next`, if it is a path of ours and nothing that a browser could take for another host.
pub fn local_path(next: &str) -> Option<&str> {
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let local = next.starts_with('/') && !next.starts_with("//");
    (plain && local && next.len() <= 512).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_paths_are_followed() {
        for path in ["/", "/dashboard", "/access-keys/VLT1/revoke?a=//b"] {
            assert_eq!(local_path(path), Some(path));
        }
        for hostile in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\r\nSet-Cookie: a=b",
            "dashboard",
        ] {
            assert_eq!(local_path(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn cookies_are_told_apart_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        let line = "xvaultaire_session=1; vaultaire_session=abc=; vaultaire_session=late";
        headers.insert(header::COOKIE, HeaderValue::from_static(line));
        assert_eq!(cookie(&headers, "vaultaire_session"), Some("abc="));
        assert_eq!(cookie(&headers, "session"), None);
    }

    #[test]
    fn a_secure_cookie_bears_the_host_prefix_and_a_plain_one_does_not() {
        let secure = set_cookie(name(true), "t", None, true);
        assert_eq!(
            secure,
            "__Host-vaultaire=t; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        let plain = set_cookie(name(false), "t", Some(60), false);
        assert_eq!(
            plain,
            "vaultaire_session=t; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"
        );
    }

    #[test]
    fn the_way_back_survives_the_login_form() {
        let uri = Uri::from_static("/access-keys/a%2Fb&c=d/revoke?x=1");
        assert_eq!(
            login_address(&Method::GET, &uri),
            "/login?next=/access-keys/a%252Fb%26c=d/revoke"
        );
        assert_eq!(login_address(&Method::POST, &uri), "/login");
    }
}
