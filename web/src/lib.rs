//! The customer's dashboard: server-rendered pages that need no script, over `controlplane`'s functions.
//! It holds no state of its own and no SQL; what a page shows comes from a transaction that its handler began.

mod assets;
mod errors;
mod failure;
mod figures;
mod forgery;
mod pages;
mod request_id;
mod security_headers;
mod session;
mod snippets;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use controlplane::ControlPlane;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::pages::{
    access_keys, create_access_key, dashboard, landing, login, logout, revoke_access_key, signup,
};

/// The largest form that is read, in bytes.
const MAX_FORM: usize = 16 * 1024;

/// Who may open a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Public,
    /// Whoever has a session; everyone else is sent to `/login`.
    Member,
}

#[derive(Clone)]
struct App {
    cp: ControlPlane,
}

impl App {
    /// Whether people reach the dashboard over TLS.
    fn is_https(&self) -> bool {
        self.cp.config().public_url.starts_with("https://")
    }
}

/// Every route, in one place.
fn table() -> Vec<(&'static str, Access, MethodRouter<App>)> {
    use Access::{Member, Public};
    vec![
        ("/", Public, get(landing::show)),
        ("/static/{name}", Public, get(assets::serve)),
        ("/signup", Public, get(signup::show).post(signup::submit)),
        ("/login", Public, get(login::show).post(login::submit)),
        ("/logout", Member, post(logout::submit)),
        ("/dashboard", Member, get(dashboard::show)),
        (
            "/access-keys",
            Member,
            get(access_keys::show).post(create_access_key::submit),
        ),
        (
            "/access-keys/{access_key_id}/revoke",
            Member,
            get(revoke_access_key::show).post(revoke_access_key::submit),
        ),
    ]
}

/// Path and access of every route, for tests that walk them.
pub fn route_table() -> Vec<(&'static str, Access)> {
    let table = table().into_iter();
    table.map(|(path, access, _)| (path, access)).collect()
}

/// All pages. Nothing but these routes may have a fallback where they are merged.
pub fn routes(cp: ControlPlane) -> Router {
    let app = App { cp };
    let mut router = Router::new();
    for (path, access, handler) in table() {
        let handler = match access {
            Access::Public => handler,
            Access::Member => handler.layer(from_fn_with_state(app.clone(), session::require)),
        };
        router = router.route(path, handler);
    }
    // The last layer is the first to see a request.
    router
        .fallback(failure::no_such_page)
        .layer(RequestBodyLimitLayer::new(MAX_FORM))
        .layer(from_fn_with_state(app.clone(), forgery::refuse_foreign))
        .layer(CatchPanicLayer::custom(failure::panicked))
        .layer(from_fn(failure::render))
        .layer(from_fn_with_state(app.clone(), security_headers::set))
        .layer(from_fn(request_id::assign))
        .with_state(app)
}
