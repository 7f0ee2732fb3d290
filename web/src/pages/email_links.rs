//! `/email/confirm` and `/email/undo`: where the links lead that a change of address sends to the new and the old one.
//! Looking uses nothing up; the button does.

use axum::extract::{Query, State};
use axum::response::Response;
use controlplane::Error;
use controlplane::accounts::{self, EmailChange};
use http::HeaderMap;

use crate::App;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::confirm_signup::LinkQuery;
use crate::pages::forms::{NotePage, VisitorPage, Words, dead_link};
use crate::session::{self, Visit};

text_fields! {
    LinkFields { token }
}

pub async fn show_confirm(
    State(app): State<App>,
    Query(query): Query<LinkQuery>,
    token: VisitorToken,
) -> Result<Response, Failure> {
    form(&app, &token, EmailChange::Confirm, &query.token).await
}

pub async fn show_undo(
    State(app): State<App>,
    Query(query): Query<LinkQuery>,
    token: VisitorToken,
) -> Result<Response, Failure> {
    form(&app, &token, EmailChange::Undo, &query.token).await
}

pub async fn confirm(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { fields, .. }: VisitorForm<LinkFields>,
) -> Result<Response, Failure> {
    match accounts::confirm_email(&app.cp, &fields.token, &origin).await {
        Ok(()) => {
            let logged_in = session::find(&app, &headers).await?.is_some();
            page(&NotePage {
                title: "Your address is changed",
                text: "Log in with the new address from now on. The old one was told, and can take it back within 7 days.".to_owned(),
                mail_folder: app.cp.mail_folder(),
                next: Some(match logged_in {
                    true => ("/account", "Back to your log-in"),
                    false => ("/login", "Log in"),
                }),
                link: None,
            })
        }
        Err(Error::BadRequest(_)) => dead(),
        Err(error) => Err(error.into()),
    }
}

pub async fn undo(
    State(app): State<App>,
    Visit(origin): Visit,
    VisitorForm { fields, .. }: VisitorForm<LinkFields>,
) -> Result<Response, Failure> {
    match accounts::undo_email(&app.cp, &fields.token, &origin).await {
        Ok(()) => page(&NotePage {
            title: "The change is undone",
            text: "This address is your log-in again, and every session was ended. We have sent a link to it: set a new password now, for somebody may know the present one.".to_owned(),
            mail_folder: app.cp.mail_folder(),
            next: None,
            link: None,
        }),
        Err(Error::BadRequest(_)) => dead(),
        Err(error) => Err(error.into()),
    }
}

fn dead() -> Result<Response, Failure> {
    dead_link("Your address is as it was.", ("/login", "Log in"))
}

async fn form(
    app: &App,
    token: &VisitorToken,
    change: EmailChange,
    link: &str,
) -> Result<Response, Failure> {
    let Some(email) = accounts::email_behind(&app.cp, change, link).await? else {
        return dead();
    };
    let lead = match change {
        EmailChange::Confirm => format!("You will log in as {email} from now on."),
        EmailChange::Undo => format!(
            "You will log in as {email} again. Every session ends, and we send you a link to set a new password."
        ),
    };
    let words = match change {
        EmailChange::Confirm => Words {
            title: "Confirm your new address",
            lead: &lead,
            action: "/email/confirm",
            submit: "Use this address",
        },
        EmailChange::Undo => Words {
            title: "Take your address back?",
            lead: &lead,
            action: "/email/undo",
            submit: "Undo the change",
        },
    };
    let mut page = VisitorPage::new(token, words, Vec::new());
    page.hidden.push(("token", link));
    page.show(app, token)
}
