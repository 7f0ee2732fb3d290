//! Who is asking: the session cookie, and what handlers of signed-in pages get from it.
//! The token is the control plane's; this module only carries it.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::{self, Act, Session, SessionToken};
use controlplane::operators::impersonation;
use controlplane::{Actor, Error, Origin, Tx, client_address};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use crate::App;
use crate::admin;
use crate::failure::Failure;
use crate::request_id::RequestId;

/// How long a browser keeps the cookie: 30 days. The control plane ends every session earlier.
const COOKIE_SECONDS: i64 = 30 * 86_400;

/// A logged-in member, and where the request came from.
#[derive(Clone)]
pub struct Member {
    pub session: Session,
    pub token: SessionToken,
    pub origin: Origin,
}

impl Member {
    /// A transaction on the member's tenant, in the member's name.
    pub async fn begin(&self, app: &App) -> Result<Tx, Failure> {
        Ok(self.begin_plain(app).await?)
    }

    /// As [`begin`](Self::begin), where a failure is not a page yet.
    pub async fn begin_plain(&self, app: &App) -> Result<Tx, Error> {
        let tx = app.cp.begin_tenant(self.session.tenant_id).await?;
        let (actor, origin) = self.acting();
        Ok(tx.acting(actor, origin))
    }

    /// In whose name, and from where.
    pub fn acting(&self) -> (Actor, Origin) {
        (self.session.actor(), self.origin.clone())
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

/// Where a request of anybody's came from.
pub struct Visit(pub Origin);

impl FromRequestParts<App> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        Ok(Self(origin(app, &parts.headers, &parts.extensions)))
    }
}

/// What stands before a member's route.
#[derive(Clone)]
pub struct Door {
    pub app: App,
    pub see: Act,
    pub change: Act,
}

/// Middleware of every [`crate::Access::Member`] route: lets members in whose role allows it, refuses other members,
/// and sends everyone else to the log-in page.
pub async fn require(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let app = &door.app;
    match found(app, request.headers()).await {
        Ok(Some((session, token))) => {
            if session.looking.is_some() && !request.method().is_safe() {
                return Failure::new(
                    StatusCode::FORBIDDEN,
                    "You look at this dashboard as an operator, and change nothing. End it to go on.",
                )
                .into_response();
            }
            let act = match request.method().is_safe() {
                true => door.see,
                false => door.change,
            };
            if !session.may(act) {
                return Failure::new(
                    StatusCode::FORBIDDEN,
                    "Your role does not allow this. An owner or admin of your team can change it.",
                )
                .into_response();
            }
            let origin = origin(app, request.headers(), request.extensions());
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

/// Middleware: leaves with a refusal whose dashboard an operator looks at, so that its page says so too.
pub async fn note_look(State(app): State<App>, request: Request, next: Next) -> Response {
    let of_operators = request.uri().path().starts_with("/admin");
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if failed
        && !of_operators
        // Without an answer there is a page all the same.
        && let Ok(Some(session)) = look(&app, &headers).await
    {
        response.extensions_mut().insert(session);
    }
    response
}

/// An operator's look, if there is one, else the member's own session. The look's token is none.
async fn found(app: &App, headers: &HeaderMap) -> Result<Option<(Session, SessionToken)>, Failure> {
    if let Some(looking) = look(app, headers).await? {
        return Ok(Some((looking, SessionToken::from(String::new()))));
    }
    find(app, headers).await
}

async fn look(app: &App, headers: &HeaderMap) -> Result<Option<Session>, Failure> {
    let Some((operator, _)) = admin::frame::find(app, headers).await? else {
        return Ok(None);
    };
    Ok(impersonation::current(&app.cp, &operator).await?)
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

/// Where a request came from, as far as this process can know it.
pub fn origin(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Origin {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    let user_agent = headers.get(header::USER_AGENT);
    let trusted = &app.cp.config().trusted_proxies;
    Origin {
        address: peer.map(|ConnectInfo(address)| client_address(address.ip(), headers, trusted)),
        user_agent: user_agent
            .and_then(|text| text.to_str().ok())
            .map(|text| text.chars().take(200).collect()),
        request_id: extensions
            .get::<RequestId>()
            .map(|id| id.as_str().to_owned()),
    }
}

/// Whether the browser is on this machine and no proxy is between. One that hides itself and the host that was asked for
/// is given away by the form's `Origin`.
pub fn is_local(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_loopback = |authority: &str| {
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    };
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    text(header::HOST).is_some_and(is_loopback)
        && origin.is_none_or(|(_, authority)| is_loopback(authority))
        && !proxied.iter().any(|name| headers.contains_key(*name))
}

/// After a log-in of any kind: whatever session the browser had before is over, so that nobody goes on under an old
/// token.
pub async fn replace(
    app: &App,
    headers: &HeaderMap,
    token: &SessionToken,
    to: &str,
) -> Result<Response, Failure> {
    if let Some((_, old)) = find(app, headers).await? {
        accounts::log_out(&app.cp, &old).await?;
    }
    Ok(start(app, token, to))
}

/// Sets the session cookie and sends the browser on.
fn start(app: &App, token: &SessionToken, to: &str) -> Response {
    let https = app.is_https();
    let cookie = set_cookie(name(https), token.expose(), Some(COOKIE_SECONDS), https);
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Takes the session cookie away and sends the browser on.
pub fn end(app: &App, to: &str) -> Response {
    let cookie = set_cookie(name(app.is_https()), "", Some(0), app.is_https());
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Takes the session cookie away with a page: the session is over already.
pub fn forget(app: &App, mut shown: Response) -> Response {
    let cookie = set_cookie(name(app.is_https()), "", Some(0), app.is_https());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        shown.headers_mut().append(header::SET_COOKIE, cookie);
    }
    shown
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
        true => with_next("/login", uri.path()),
        false => "/login".to_owned(),
    }
}

/// The page that goes on to the path `next`, which holds no `#`; these three are all that would end the value or
/// change it.
pub fn with_next(page: &str, next: &str) -> String {
    let next = next.replace('%', "%25");
    let next = next.replace('&', "%26").replace('+', "%2B");
    format!("{page}?next={next}")
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
    fn a_browser_behind_a_proxy_is_not_here() {
        let mut headers = HeaderMap::new();
        assert!(!is_local(&headers));
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
        assert!(is_local(&headers));
        headers.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
        assert!(!is_local(&headers));
        headers.remove("x-forwarded-for");
        let own = HeaderValue::from_static("http://127.0.0.1:8080");
        headers.insert(header::ORIGIN, own);
        assert!(is_local(&headers));
        let hidden = HeaderValue::from_static("https://storage.example");
        headers.insert(header::ORIGIN, hidden);
        assert!(!is_local(&headers));
        headers.remove(header::ORIGIN);
        headers.insert(header::HOST, HeaderValue::from_static("storage.example"));
        assert!(!is_local(&headers));
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
