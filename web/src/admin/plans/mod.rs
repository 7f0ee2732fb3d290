//! `/admin/plans`: what is sold. A change is a new version, and moves nobody.

mod list;
mod one;
mod terms;

use axum::routing::{get, post};
use controlplane::plans::Offer;

use super::Route;
use crate::Access::Operator;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/admin/plans", Operator, get(list::show).post(list::create)),
        (
            "/admin/plans/{plan_id}",
            Operator,
            get(one::show).post(one::change_terms),
        ),
        ("/admin/plans/{plan_id}/retire", Operator, post(one::retire)),
        (
            "/admin/plans/{plan_id}/reinstate",
            Operator,
            post(one::reinstate),
        ),
    ]
}

/// As people read it, and the colour of its badge.
fn state(offer: &Offer) -> (&'static str, &'static str) {
    match (offer.retired_at, offer.for_sale) {
        (Some(_), _) => ("retired", ""),
        (None, true) => ("for sale", "good"),
        (None, false) => ("by hand", "accent"),
    }
}
