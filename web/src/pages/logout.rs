//! `/logout`: ends the session here and in the control plane.

use axum::extract::State;
use axum::response::Response;
use controlplane::accounts;
use serde::Deserialize;

use crate::App;
use crate::failure::Failure;
use crate::forgery::{Fields, MemberForm};
use crate::session;

#[derive(Deserialize)]
pub struct LogOutFields {
    #[serde(default)]
    csrf_token: String,
}

impl Fields for LogOutFields {
    fn csrf_token(&self) -> &str {
        &self.csrf_token
    }
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, .. }: MemberForm<LogOutFields>,
) -> Result<Response, Failure> {
    accounts::log_out(&app.cp, &member.token).await?;
    Ok(session::end(&app, "/login?notice=logged-out"))
}
