//! What every operators' page has: who is logged in, the forms that they send, and the navigation around the page.
//! The cookie is not a customer's, and its token is looked for among operators' sessions alone.

use std::sync::LazyLock;

use axum::extract::{Form, FromRequest, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::SessionToken;
use controlplane::operators::{self, Session};
use controlplane::{Actor, Error, Origin, Tx};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use crate::App;
use crate::failure::Failure;
use crate::forgery::{Fields, same_token};
use crate::session;

/// As long as no session lasts.
const COOKIE_SECONDS: i64 = 86_400;

/// The parts of the operators' area, as the navigation has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    Tenants,
    Usage,
    Refusals,
    Revenue,
    Fleet,
    Engines,
    Drift,
    Jobs,
    Plans,
    Notices,
    Audit,
    Operators,
}

pub struct Entry {
    pub area: Area,
    pub path: &'static str,
    pub word: &'static str,
}

/// In the navigation's order; shown is what has a route.
const ENTRIES: [Entry; 12] = [
    entry(Area::Tenants, "/admin/tenants", "Tenants"),
    entry(Area::Usage, "/admin/usage", "Usage"),
    entry(Area::Refusals, "/admin/refusals", "Refusals"),
    entry(Area::Revenue, "/admin/revenue", "Revenue"),
    entry(Area::Fleet, "/admin/fleet", "Fleet"),
    entry(Area::Engines, "/admin/engines", "Engines"),
    entry(Area::Drift, "/admin/drift", "Drift"),
    entry(Area::Jobs, "/admin/jobs", "Jobs"),
    entry(Area::Plans, "/admin/plans", "Plans"),
    entry(Area::Notices, "/admin/notices", "Notices"),
    entry(Area::Audit, "/admin/audit", "Audit"),
    entry(Area::Operators, "/admin/operators", "Operators"),
];

const fn entry(area: Area, path: &'static str, word: &'static str) -> Entry {
    Entry { area, path, word }
}

static SHOWN: LazyLock<Vec<&'static Entry>> = LazyLock::new(|| {
    let routes = super::routes();
    let exists = |entry: &&Entry| routes.iter().any(|(path, ..)| *path == entry.path);
    ENTRIES.iter().filter(exists).collect()
});

/// Where a log-in leads.
pub fn first() -> &'static str {
    SHOWN.first().map_or("/admin/login", |entry| entry.path)
}

/// The frame around every page; templates extend `layouts/admin.html` and have it as `frame`.
pub struct Frame<'a> {
    pub email: &'a str,
    pub csrf_token: &'a str,
    pub here: Area,
}

impl<'a> Frame<'a> {
    pub fn new(operator: &'a Operator, here: Area) -> Self {
        Self {
            email: &operator.session.email,
            csrf_token: &operator.session.csrf_token,
            here,
        }
    }

    /// For the layout.
    pub fn entries(&self) -> &'static [&'static Entry] {
        &SHOWN
    }
}

/// A logged-in operator, and where the request came from. Only routes of [`crate::Access::Operator`] have one.
#[derive(Clone)]
pub struct Operator {
    pub session: Session,
    pub token: SessionToken,
    pub origin: Origin,
}

impl Operator {
    /// A transaction on everything, in the operator's name.
    pub async fn begin(&self, app: &App) -> Result<Tx, Failure> {
        Ok(self.begin_plain(app).await?)
    }

    /// As [`begin`](Self::begin), where a failure is not a page yet.
    pub async fn begin_plain(&self, app: &App) -> Result<Tx, Error> {
        let (actor, origin) = self.acting();
        Ok(app.cp.begin_system().await?.acting(actor, origin))
    }

    /// In whose name, and from where.
    pub fn acting(&self) -> (Actor, Origin) {
        (self.session.actor(), self.origin.clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let operator = parts.extensions.get::<Self>().cloned();
        operator.ok_or(Failure::from(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// A form that an operator sent from a page of the same session.
pub struct OperatorForm<T> {
    pub operator: Operator,
    pub fields: T,
}

impl<T: Fields> FromRequest<App> for OperatorForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let operator = Operator::from_request_parts(&mut parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let Form(fields) = Form::<T>::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(IntoResponse::into_response)?;
        same_token(&operator.session.csrf_token, fields.csrf_token())
            .map_err(IntoResponse::into_response)?;
        Ok(Self { operator, fields })
    }
}

/// Middleware of every [`crate::Access::Operator`] route: everybody but an operator with both steps behind them is sent to
/// the operators' log-in, whatever else they are.
pub async fn require(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match find(&app, request.headers()).await {
        Ok(Some((session, token))) => {
            let origin = session::origin(&app, request.headers(), request.extensions());
            request.extensions_mut().insert(Operator {
                session,
                token,
                origin,
            });
            next.run(request).await
        }
        Ok(None) => Redirect::to("/admin/login").into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// The session that the cookie names, if there is one and it still holds.
pub async fn find(
    app: &App,
    headers: &HeaderMap,
) -> Result<Option<(Session, SessionToken)>, Failure> {
    let Some(value) = session::cookie(headers, name(app.is_https())) else {
        return Ok(None);
    };
    let token = SessionToken::from(value.to_owned());
    let session = operators::session(&app.cp, &token).await?;
    Ok(session.map(|session| (session, token)))
}

/// After both steps: the session's cookie, and whatever session the browser had before is over.
pub async fn start(
    app: &App,
    headers: &HeaderMap,
    token: &SessionToken,
    origin: &Origin,
    mut shown: Response,
) -> Result<Response, Failure> {
    if let Some((_, old)) = find(app, headers).await? {
        operators::log_out(&app.cp, &old, origin).await?;
    }
    let https = app.is_https();
    let value = token.expose();
    let cookie = session::set_cookie(name(https), value, Some(COOKIE_SECONDS), https);
    if let Ok(cookie) = cookie.parse() {
        shown.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(shown)
}

/// Takes the session's cookie away.
pub fn end(app: &App, mut shown: Response) -> Response {
    let https = app.is_https();
    let cookie = session::set_cookie(name(https), "", Some(0), https);
    if let Ok(cookie) = cookie.parse() {
        shown.headers_mut().append(header::SET_COOKIE, cookie);
    }
    shown
}

fn name(https: bool) -> &'static str {
    match https {
        true => "__Host-vaultaire-operator",
        false => "vaultaire_operator",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_navigation_has_what_has_a_route_and_a_log_in_leads_to_its_first() {
        assert!(!SHOWN.is_empty());
        assert_eq!(first(), SHOWN[0].path);
        for (path, access, _) in super::super::routes() {
            let public = ["/admin/login", "/admin/login/code", "/admin/setup"].contains(&path);
            assert_eq!(access == crate::Access::Public, public, "{path}");
            assert!(path.starts_with("/admin"), "{path}");
        }
    }
}
