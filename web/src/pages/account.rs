//! `/account`: a member's own log-in: address, password, second step, and where they are logged in.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::accounts::{self, ListedSession, Passkey, SecondStep};
use controlplane::ids::SessionId;
use http::HeaderMap;
use serde::Deserialize;

use crate::App;
use crate::failure::{Failure, page};
use crate::figures::Moment;
use crate::forgery::{Button, MemberForm};
use crate::pages::passkeys::Place;
use crate::pages::{Here, Shell};
use crate::session::{self, Member};

#[derive(Template)]
#[template(path = "pages/account.html")]
struct AccountPage<'a> {
    shell: Shell<'a>,
    notice: &'static str,
    role: &'a str,
    pending_email: Option<String>,
    second_step: Option<Step>,
    passkeys: Vec<PasskeyRow>,
    place: Place,
    sessions: Vec<Row>,
    mail_folder: Option<String>,
}

struct Step {
    app_since: Option<Moment>,
    recovery_codes_left: i64,
}

struct PasskeyRow {
    id: String,
    name: String,
    since: Moment,
    last_used: Option<Moment>,
}

struct Row {
    id: String,
    here: bool,
    browser: String,
    address: String,
    began: Moment,
    last_used: Moment,
}

#[derive(Deserialize, Default)]
pub struct AccountQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<AccountQuery>,
    headers: HeaderMap,
    member: Member,
) -> Result<Response, Failure> {
    let session = &member.session;
    let mut tx = member.begin(&app).await?;
    let pending_email = accounts::pending_email(&mut tx, &app.cp, session).await?;
    let second_step = accounts::second_step(&mut tx, session).await?;
    let passkeys = accounts::list_passkeys(&mut tx, session).await?;
    let sessions = accounts::list_sessions(&mut tx, &app.cp, session).await?;
    tx.commit().await?;
    let mails = query.notice == "email";
    let folder = app.cp.mail_folder().filter(|_| mails);
    page(&AccountPage {
        shell: Shell::new(session, Here::Account),
        notice: notice(&query.notice),
        role: session.role.word(),
        pending_email,
        second_step: second_step.map(step),
        passkeys: passkeys.into_iter().map(passkey_row).collect(),
        place: Place::of(&app, &headers),
        sessions: sessions
            .into_iter()
            .map(|listed| row(listed, session.id))
            .collect(),
        mail_folder: folder.map(|folder| folder.display().to_string()),
    })
}

pub async fn end_others(
    State(app): State<App>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    accounts::end_other_sessions(&mut tx, &app.cp, &member.session).await?;
    tx.commit().await?;
    Ok(Redirect::to("/account?notice=sessions").into_response())
}

pub async fn end_one(
    State(app): State<App>,
    Path(session_id): Path<String>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let id: SessionId = session_id.parse().map_err(|_| Error::NotFound("session"))?;
    let mut tx = member.begin(&app).await?;
    accounts::end_session(&mut tx, &app.cp, &member.session, id).await?;
    tx.commit().await?;
    Ok(match id == member.session.id {
        true => session::end(&app, "/login?notice=logged-out"),
        false => Redirect::to("/account?notice=session").into_response(),
    })
}

fn notice(word: &str) -> &'static str {
    match word {
        "password" => "Your password is changed, and your other sessions were ended.",
        "email" => "We have sent a link to the new address. Follow it, and the address is changed.",
        "session" => "The session was ended.",
        "sessions" => "Every other session was ended.",
        "second-step-off" => "No code of an app is asked for any more.",
        "passkey-added" => "The passkey is added.",
        "passkey-renamed" => "The passkey is renamed.",
        "passkey-removed" => "The passkey is removed.",
        _ => "",
    }
}

fn step(step: SecondStep) -> Step {
    Step {
        app_since: step.app_since.map(Moment),
        recovery_codes_left: step.recovery_codes_left,
    }
}

fn passkey_row(passkey: Passkey) -> PasskeyRow {
    PasskeyRow {
        id: passkey.id.to_string(),
        name: passkey.name,
        since: Moment(passkey.created_at),
        last_used: passkey.last_used_at.map(Moment),
    }
}

fn row(listed: ListedSession, here: SessionId) -> Row {
    Row {
        here: listed.id == here,
        id: listed.id.to_string(),
        browser: listed
            .user_agent
            .as_deref()
            .map_or("Unknown browser".to_owned(), browser),
        address: listed.address.unwrap_or_else(|| "unknown".to_owned()),
        began: Moment(listed.created_at),
        last_used: Moment(listed.last_used_at),
    }
}

/// `Firefox on Linux`. Every browser claims to be its forerunners too, so that the order decides.
fn browser(user_agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(mark, _)| user_agent.contains(mark));
        found.map(|(_, name)| *name)
    };
    let program = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("HeadlessChrome/", "Headless Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        _ => user_agent.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_are_told_by_what_only_they_say() {
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/130.0.0.0 Safari/537.36";
        assert_eq!(browser(windows), "Chrome on Windows");
        assert_eq!(
            browser(&format!("{windows} Edg/130.0.0.0")),
            "Edge on Windows"
        );
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                   Version/17.0 Safari/605.1.15";
        assert_eq!(browser(mac), "Safari on macOS");
        assert_eq!(browser("curl/8.5.0"), "curl");
        assert_eq!(browser("<script>"), "<script>");
    }
}
