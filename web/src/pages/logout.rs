//! `/logout`: ends the session here and in the control plane.

use axum::extract::State;
use axum::response::Response;
use controlplane::accounts;

use crate::App;
use crate::failure::Failure;
use crate::forgery::{Button, MemberForm};
use crate::session;

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    accounts::log_out(&app.cp, &member.token).await?;
    Ok(session::end(&app, "/login?notice=logged-out"))
}
