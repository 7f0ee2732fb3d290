//! Who is asking: the bearer of an API token, what it may do, and what handlers get of it.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, header};

use super::super::node::bearer;
use crate::accounts::Caller;
use crate::api_tokens::{self, Bearer, TokenScope};
use crate::{Actor, ControlPlane, Error, Origin, Tx};

/// A token that proved itself, and where the request came from.
#[derive(Clone)]
pub(super) struct Client {
    pub caller: Caller,
    pub token: Bearer,
    pub origin: Origin,
}

impl Client {
    /// A transaction on the caller's tenant, in the token's name.
    pub async fn begin(&self, cp: &ControlPlane) -> Result<Tx, Error> {
        let tx = cp.begin_tenant(self.caller.tenant_id).await?;
        let (actor, origin) = self.acting();
        Ok(tx.acting(actor, origin))
    }

    /// In whose name, and from where.
    pub fn acting(&self) -> (Actor, Origin) {
        (self.caller.actor(), self.origin.clone())
    }
}

/// Only behind [`authenticate`] is there one.
impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let client = parts.extensions.get::<Self>().cloned();
        client.ok_or(Error::Unauthorized(NEEDED))
    }
}

const NEEDED: &str = "A valid API token is needed: Authorization: Bearer vlt_…";

pub(super) async fn authenticate(
    State(cp): State<ControlPlane>,
    origin: Origin,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let token = bearer(request.headers()).ok_or(Error::Unauthorized(NEEDED))?;
    let caller = api_tokens::authenticate(&cp, token).await?;
    let (caller, token) = caller
        .and_then(|caller| Some((caller.clone(), caller.token?)))
        .ok_or(Error::Unauthorized(NEEDED))?;
    tracing::Span::current().record("tenant", tracing::field::display(caller.tenant_id));
    request.extensions_mut().insert(Client {
        caller,
        token,
        origin,
    });
    Ok(next.run(request).await)
}

/// What stands before an operation that needs a scope.
pub(super) async fn require(
    State(scope): State<TokenScope>,
    client: Client,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if client.caller.may(scope.act()) {
        return Ok(next.run(request).await);
    }
    Err(match client.token.scopes.contains(&scope) {
        true => Error::Forbidden("The role of the member whose token this is does not allow this."),
        false => Error::MissingScope(scope.as_str()),
    })
}

/// Answers are one caller's business, and some bear secrets.
pub(super) async fn never_cached(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}
