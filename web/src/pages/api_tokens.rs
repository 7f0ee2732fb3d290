//! `/api-tokens`: the tokens of one's own programs, and the team's for who manages it; made, shown once, revoked.
//!
//! As with access keys the answer that makes a token is the page that shows it, and a form that is sent again makes no
//! second one: it says which tokens its reader knew of.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Duration, Utc};
use controlplane::Error;
use controlplane::accounts::{Act, Caller};
use controlplane::api_tokens::{self, ApiToken, CreatedApiToken, NewApiToken, TokenScope};
use controlplane::ids::ApiTokenId;
use http::StatusCode;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::figures::Moment;
use crate::forgery::{Button, MemberForm};
use crate::pages::{Here, Shell};
use crate::session::Member;

/// What the control plane may refuse, by the names of the form.
const FIELDS: [&str; 2] = ["name", "scopes"];
/// What the form offers, in days.
const LIVES: [i64; 4] = [7, 30, 90, 365];

#[derive(Template)]
#[template(path = "pages/api_tokens.html")]
struct TokensPage<'a> {
    shell: Shell<'a>,
    notice: &'static str,
    everybodys: bool,
    tokens: Vec<Row>,
    usable: usize,
    known: String,
    choices: Vec<Choice>,
    lives: [i64; 4],
    name: &'a str,
    days: i64,
    errors: FormErrors,
}

struct Row {
    id: String,
    name: String,
    ending: String,
    email: String,
    scopes: String,
    expires: Moment,
    last_used: Option<Moment>,
    revoked: Option<Moment>,
    usable: bool,
}

/// A scope that can be given.
struct Choice {
    scope: &'static str,
    word: &'static str,
    may: &'static str,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "pages/api_token_created.html")]
struct CreatedPage<'a> {
    shell: Shell<'a>,
    name: &'a str,
    scopes: String,
    expires: Moment,
    token: &'a str,
    api: String,
}

#[derive(Deserialize, Default)]
pub struct TokensQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<TokensQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let tokens = api_tokens::list(&mut tx, &Caller::from(&member.session)).await?;
    let notice = match query.notice.as_str() {
        "revoked" => {
            "The token is revoked, and all that were made with it. Nothing is answered to it any more."
        }
        _ => "",
    };
    list(
        &app,
        &member,
        tokens,
        notice,
        &Pairs::default(),
        FormErrors::default(),
    )
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    let by = Caller::from(&member.session);
    let mut tx = member.begin(&app).await?;
    let wanted = read(&fields, app.cp.clock().now());
    let made = match wanted {
        Ok(new) => api_tokens::create(&mut tx, &app.cp, &by, new).await,
        Err(error) => Err(error),
    };
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            drop(tx);
            let status = error.status();
            let errors = FormErrors::explain(error, &FIELDS)?;
            let mut tx = member.begin(&app).await?;
            let tokens = api_tokens::list(&mut tx, &by).await?;
            let again = list(&app, &member, tokens, "", &fields, errors)?;
            return Ok((status, again).into_response());
        }
    };
    let mut others = api_tokens::list(&mut tx, &by).await?;
    others.retain(|token| token.id != made.api_token.id);
    if fields.is_set("known") && fields.get("known") != fingerprint(&others) {
        drop(tx);
        let message = "Nothing was made this time: the tokens have changed since the form was opened, or it was sent \
                       before. Look at the list; to make the token all the same, send the form below.";
        let errors = FormErrors::on("", message);
        let again = list(&app, &member, others, "", &fields, errors)?;
        return Ok((StatusCode::CONFLICT, again).into_response());
    }
    tx.commit().await?;
    show_once(&app, &member, &made)
}

pub async fn revoke(
    State(app): State<App>,
    Path(api_token_id): Path<String>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let id: ApiTokenId = api_token_id
        .parse()
        .map_err(|_| Error::NotFound("API token"))?;
    let mut tx = member.begin(&app).await?;
    api_tokens::revoke(&mut tx, &app.cp, &Caller::from(&member.session), id).await?;
    tx.commit().await?;
    Ok(Redirect::to("/api-tokens?notice=revoked").into_response())
}

fn read(fields: &Pairs, now: DateTime<Utc>) -> Result<NewApiToken, Error> {
    let scopes = fields.all("scope");
    let scopes: Option<Vec<_>> = scopes.iter().map(|s| TokenScope::parse(s)).collect();
    let days = fields.get("days").parse().unwrap_or(90);
    Ok(NewApiToken {
        name: fields.get("name").to_owned(),
        scopes: scopes.ok_or_else(|| Error::validation("scopes", "Choose from the list."))?,
        expires_at: Some(now + Duration::days(if LIVES.contains(&days) { days } else { 90 })),
    })
}

/// Which tokens a form's reader knew of.
fn fingerprint(tokens: &[ApiToken]) -> String {
    let mut hash = Sha256::new();
    for token in tokens {
        hash.update(token.id.as_uuid().as_bytes());
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn word(scope: TokenScope) -> (&'static str, &'static str) {
    match scope {
        TokenScope::Read => ("Read", "See what every member sees; no secrets, no objects"),
        TokenScope::AccessKeys => ("Access keys", "Create, rotate and revoke access keys"),
        TokenScope::Buckets => ("Buckets", "Create, change and delete buckets"),
        TokenScope::Billing => ("Billing", "Change the plan and pay"),
        TokenScope::Members => (
            "Members",
            "Invite, change and remove members; read the audit log",
        ),
        TokenScope::ApiTokens => (
            "API tokens",
            "Make and revoke tokens of no more than its own scopes",
        ),
    }
}

fn words(scopes: &[TokenScope]) -> String {
    let words: Vec<_> = scopes.iter().map(|scope| word(*scope).0).collect();
    words.join(", ")
}

fn list(
    app: &App,
    member: &Member,
    tokens: Vec<ApiToken>,
    notice: &'static str,
    fields: &Pairs,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let session = &member.session;
    let given = fields.all("scope");
    let offered = TokenScope::ALL.into_iter();
    let choices = offered
        .filter(|scope| session.may(scope.act()))
        .map(|scope| {
            let (word, may) = word(scope);
            let first = given.is_empty() && scope == TokenScope::Read;
            Choice {
                scope: scope.as_str(),
                word,
                may,
                chosen: first || given.iter().any(|text| text == scope.as_str()),
            }
        });
    let known = fingerprint(&tokens);
    let rows = tokens.into_iter().map(|token| Row {
        id: token.id.to_string(),
        usable: token.is_usable(now),
        name: token.name,
        ending: token.ending,
        email: token.email,
        scopes: words(&token.scopes),
        expires: Moment(token.expires_at),
        last_used: token.last_used_at.map(Moment),
        revoked: token.revoked_at.map(Moment),
    });
    let rows: Vec<Row> = rows.collect();
    page(&TokensPage {
        shell: Shell::new(session, Here::ApiTokens),
        notice,
        everybodys: session.may(Act::ManageMembers),
        usable: rows.iter().filter(|row| row.usable).count(),
        tokens: rows,
        known,
        choices: choices.collect(),
        lives: LIVES,
        name: fields.get("name"),
        days: fields.get("days").parse().unwrap_or(90),
        errors,
    })
}

fn show_once(app: &App, member: &Member, made: &CreatedApiToken) -> Result<Response, Failure> {
    page(&CreatedPage {
        shell: Shell::new(&member.session, Here::ApiTokens),
        name: &made.api_token.name,
        scopes: words(&made.api_token.scopes),
        expires: Moment(made.api_token.expires_at),
        token: &made.token,
        api: format!("{}/api/v1", app.cp.config().public_url),
    })
}
