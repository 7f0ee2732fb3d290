//! Light, dark, or as the browser prefers: a cookie says it, and every page bears it on its root.
//! Templates ask for it without being handed it, so it is kept beside the request that is being answered.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::session;

pub const COOKIE: &str = "vaultaire_theme";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn parse(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

tokio::task_local! {
    static CHOSEN: Theme;
}

/// Middleware: reads the cookie for the pages that are made inside.
pub async fn remember(request: Request, next: Next) -> Response {
    let chosen = session::cookie(request.headers(), COOKIE).map_or(Theme::System, Theme::parse);
    CHOSEN.scope(chosen, next.run(request)).await
}

/// For templates.
pub fn chosen() -> &'static str {
    CHOSEN.try_with(|theme| theme.as_str()).unwrap_or("system")
}
