//! `POST /admin/theme`: light, dark, or as the browser prefers; then back to the page.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use super::frame::{OperatorForm, first};
use crate::App;
use crate::failure::Failure;
use crate::fields::Pairs;
use crate::pages::theme::choose;

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    OperatorForm { fields, .. }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    Ok(choose(&app, &headers, fields.get("theme"), first()))
}
