//! The operators' pages under `/admin`, one to a file, each with its own `routes`. Who opens them has passed two steps of a
//! log-in of their own; no customer's session opens one, and no operator's session opens a customer's page.

mod audit;
mod code;
mod drift;
mod engines;
mod fleet;
mod forms;
pub mod frame;
mod jobs;
mod log_in;
mod notices;
mod operators;
mod plans;
mod refusals;
mod revenue;
mod set_up;
mod tenants;
mod theme;
mod usage;

use axum::response::Redirect;
use axum::routing::{MethodRouter, get, post};

use crate::{Access, App};

type Route = (&'static str, Access, MethodRouter<App>);

/// What each file of pages adds; a new one is a line here.
pub fn routes() -> Vec<Route> {
    [
        own(),
        audit::routes(),
        drift::routes(),
        engines::routes(),
        fleet::routes(),
        jobs::routes(),
        notices::routes(),
        operators::routes(),
        plans::routes(),
        refusals::routes(),
        revenue::routes(),
        tenants::routes(),
        usage::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The way in and out.
fn own() -> Vec<Route> {
    vec![
        ("/admin", Access::Operator, get(home)),
        (
            "/admin/login",
            Access::Public,
            get(log_in::show).post(log_in::submit),
        ),
        (
            "/admin/login/code",
            Access::Public,
            get(code::show).post(code::submit),
        ),
        (
            "/admin/setup",
            Access::Public,
            get(set_up::show).post(set_up::submit),
        ),
        ("/admin/logout", Access::Operator, post(log_in::log_out)),
        ("/admin/theme", Access::Operator, post(theme::submit)),
    ]
}

async fn home() -> Redirect {
    Redirect::to(frame::first())
}
