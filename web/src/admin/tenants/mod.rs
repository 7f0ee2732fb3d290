//! `/admin/tenants`: who there is, one tenant's whole story, and what operators do about them.

mod acts;
mod create;
mod impersonate;
mod limits;
mod list;
mod several;
mod story;

use axum::routing::{get, post};
use controlplane::Error;
use controlplane::ids::TenantId;

use super::Route;
use crate::Access::Operator;

pub(super) fn routes() -> Vec<Route> {
    vec![
        (
            "/admin/tenants",
            Operator,
            get(list::show).post(create::submit),
        ),
        ("/admin/tenants/new", Operator, get(create::show)),
        ("/admin/tenants/several", Operator, post(several::submit)),
        ("/admin/tenants/{tenant_id}", Operator, get(story::show)),
        (
            "/admin/tenants/{tenant_id}/suspend",
            Operator,
            post(acts::suspend),
        ),
        (
            "/admin/tenants/{tenant_id}/resume",
            Operator,
            post(acts::resume),
        ),
        (
            "/admin/tenants/{tenant_id}/restore",
            Operator,
            post(acts::restore),
        ),
        (
            "/admin/tenants/{tenant_id}/plan",
            Operator,
            post(acts::plan),
        ),
        (
            "/admin/tenants/{tenant_id}/notes",
            Operator,
            post(acts::note),
        ),
        (
            "/admin/tenants/{tenant_id}/limits",
            Operator,
            get(limits::show).post(limits::submit),
        ),
        (
            "/admin/tenants/{tenant_id}/impersonate",
            Operator,
            post(impersonate::begin),
        ),
        ("/admin/impersonation/end", Operator, post(impersonate::end)),
    ]
}

fn id(text: &str) -> Result<TenantId, Error> {
    text.parse().map_err(|_| Error::NotFound("tenant"))
}
