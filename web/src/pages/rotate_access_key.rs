//! `/access-keys/{id}/rotate`: a new key of the same name and scope, and an end for the old one that leaves time to switch.
//! As at creation, the answer is the page that shows the secret; a form that is sent again makes no further key.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::Duration;
use controlplane::Error;
use controlplane::access_keys::{self, AccessKey, NewAccessKey};
use http::StatusCode;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::figures::Moment;
use crate::forgery::MemberForm;
use crate::pages::access_keys::{fingerprint, limits, list, permission_word};
use crate::pages::buckets::may_write;
use crate::pages::create_access_key::{CreateFields, PATIENCE, show_once};
use crate::pages::{Here, Shell};
use crate::session::Member;

/// How long both keys may work: value and words.
const OVERLAPS: [(&str, &str, Duration); 5] = [
    ("0h", "at once", Duration::zero()),
    ("1h", "after 1 hour", Duration::hours(1)),
    ("1d", "after 1 day", Duration::days(1)),
    ("7d", "after 7 days", Duration::days(7)),
    ("30d", "after 30 days", Duration::days(30)),
];

#[derive(Template)]
#[template(path = "pages/rotate_access_key.html")]
struct RotatePage<'a> {
    shell: Shell<'a>,
    key: &'a AccessKey,
    permission: &'a str,
    limited_to: Option<String>,
    expires: Option<Moment>,
    usable: bool,
    known: String,
    overlaps: &'a [(&'a str, &'a str, Duration)],
}

pub async fn show(
    State(app): State<App>,
    Path(access_key_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let mut tx = member.begin(&app).await?;
    let keys = access_keys::list(&mut tx).await?;
    tx.commit().await?;
    let key = find(&keys, &access_key_id)?;
    page(&RotatePage {
        shell: Shell::new(&member.session, Here::AccessKeys),
        permission: permission_word(key.scope.permission),
        limited_to: limits(&key.scope),
        expires: key.expires_at.map(Moment),
        usable: key.is_usable(app.cp.clock().now()),
        known: fingerprint(keys.iter()),
        overlaps: &OVERLAPS,
        key,
    })
}

pub async fn submit(
    State(app): State<App>,
    Path(access_key_id): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let chosen = OVERLAPS
        .iter()
        .find(|(value, _, _)| *value == fields.get("overlap"));
    let (_, _, overlap) = chosen.ok_or(Failure::from(StatusCode::UNPROCESSABLE_ENTITY))?;
    let mut tx = member.begin(&app).await?;
    let created = access_keys::rotate(&mut tx, &app.cp, &access_key_id, *overlap).await?;
    let mut others = access_keys::list(&mut tx).await?;
    let made = find(&others, &created.access_key_id)?.clone();
    others.retain(|key| key.access_key_id != created.access_key_id);
    if fields.get("known") != fingerprint(others.iter()) {
        drop(tx);
        let (form, errors) = (CreateFields::default(), FormErrors::default());
        let again = list(&app, &member, others, &form, errors, Some(None)).await?;
        return Ok((StatusCode::CONFLICT, again).into_response());
    }
    tx.commit().await?;
    let receipt = app.cp.wait_applied(created.revision, PATIENCE).await;
    let new = NewAccessKey {
        name: made.name,
        scope: made.scope,
        expires_at: made.expires_at,
    };
    show_once(&app, &member, &new, &created, &receipt)
}

/// Another tenant's key is not in the list, and so is as unknown as one that never was.
fn find<'k>(keys: &'k [AccessKey], access_key_id: &str) -> Result<&'k AccessKey, Error> {
    keys.iter()
        .find(|key| key.access_key_id == access_key_id)
        .ok_or(Error::NotFound("access key"))
}
