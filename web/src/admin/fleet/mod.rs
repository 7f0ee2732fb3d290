//! `/admin/fleet`: the nodes, and how one is let in and taken out.

mod list;
mod node;

use axum::routing::{get, post};

use super::Route;
use crate::Access::Operator;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/admin/fleet", Operator, get(list::show)),
        (
            "/admin/fleet/join-token",
            Operator,
            post(list::create_join_token),
        ),
        ("/admin/fleet/{node_id}", Operator, get(node::show)),
        ("/admin/fleet/{node_id}/drain", Operator, post(node::drain)),
        (
            "/admin/fleet/{node_id}/undrain",
            Operator,
            post(node::undrain),
        ),
        (
            "/admin/fleet/{node_id}/remove",
            Operator,
            get(node::show_remove).post(node::remove),
        ),
    ]
}
