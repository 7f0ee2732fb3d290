//! `/invitation`: where the link of an invitation leads. A password makes the invited a member.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use controlplane::Error;
use controlplane::accounts::Role;
use controlplane::members::{self, OpenInvitation};
use http::HeaderMap;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::confirm_signup::LinkQuery;
use crate::pages::forms::{Field, VisitorPage, Words, dead_link};
use crate::session::{self, Visit};

text_fields! {
    InvitationFields { token, password }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<LinkQuery>,
    token: VisitorToken,
) -> Result<Response, Failure> {
    match members::open_invitation(&app.cp, &query.token).await? {
        Some(open) => form(&app, &token, &query.token, &open, FormErrors::default()),
        None => dead(),
    }
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<InvitationFields>,
) -> Result<Response, Failure> {
    let (link, password) = (&fields.token, &fields.password);
    let error = match members::accept(&app.cp, link, password, &origin).await {
        Ok(signed_in) => {
            return session::replace(&app, &headers, &signed_in.token, "/dashboard").await;
        }
        Err(error) => error,
    };
    let Some(open) = members::open_invitation(&app.cp, link).await? else {
        return match error {
            Error::BadRequest(_) => dead(),
            error => Err(error.into()),
        };
    };
    let status = error.status();
    let errors = FormErrors::explain(error, &["password"])?;
    let again = form(&app, &token, link, &open, errors)?;
    Ok((status, again).into_response())
}

fn dead() -> Result<Response, Failure> {
    dead_link(
        "If you have accepted already, log in; otherwise ask who invited you for a new one.",
        ("/login", "Log in"),
    )
}

fn form(
    app: &App,
    token: &VisitorToken,
    link: &str,
    open: &OpenInvitation,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let title = format!("Join {}", open.company);
    let lead = format!(
        "{} invites you as {}. You will log in as {}; choose a password.",
        open.invited_by,
        open.role.map_or("member", Role::word),
        open.email
    );
    let words = Words {
        title: &title,
        lead: &lead,
        action: "/invitation",
        submit: "Join",
    };
    let fields = vec![Field::new_password("password", "Password")];
    let mut page = VisitorPage::new(token, words, fields);
    page.hidden.push(("token", link));
    page.errors = errors;
    page.show(app, token)
}
