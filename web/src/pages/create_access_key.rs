//! `POST /access-keys`: makes a key and answers with its secret, the one time that it is shown.
//!
//! The answer is the page itself: a redirect would need the secret to be kept somewhere in between. So that sending
//! the form again (a reload, a double click) makes no second key, the form says which keys its reader knew of, and
//! the transaction is given up when others have been added since. The control plane makes keys one after the other,
//! so looking after making one's own sees every earlier one.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Duration, Utc};
use controlplane::access_keys::{self, AccessKey, CreatedAccessKey, NewAccessKey};
use controlplane::{Error, Receipt};
use http::StatusCode;
use serde::Deserialize;
use wire::{Action, Permission, Scope};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::Moment;
use crate::forgery::{Fields, MemberForm};
use crate::pages::access_keys::{fingerprint, list, permission_word};
use crate::pages::buckets::may_write;
use crate::pages::{Here, Shell};
use crate::session::Member;
use crate::snippets::{Credentials, Snippets};

/// What the control plane may refuse, by the names of the form.
const FIELDS: [&str; 6] = [
    "name",
    "permission",
    "buckets",
    "prefixes",
    "actions",
    "source_addresses",
];
/// How long the page waits for nodes to know the new key.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

#[derive(Template)]
#[template(path = "pages/access_key_created.html")]
struct CreatedPage<'a> {
    shell: Shell<'a>,
    name: &'a str,
    permission: &'a str,
    expires: Option<Moment>,
    propagation: String,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    endpoint: &'a str,
    region: &'a str,
    snippets: Snippets,
}

#[derive(Deserialize)]
pub struct CreateFields {
    #[serde(default)]
    csrf_token: String,
    /// [`fingerprint`] of the keys that the form's reader knew of.
    #[serde(default)]
    known: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub permission: String,
    #[serde(default)]
    pub expires_in_days: String,
    /// Names, parted by commas or blanks.
    #[serde(default)]
    pub buckets: String,
    /// One on each line; a prefix may hold blanks.
    #[serde(default)]
    pub prefixes: String,
    #[serde(default)]
    pub list: String,
    #[serde(default)]
    pub read: String,
    #[serde(default)]
    pub write: String,
    #[serde(default)]
    pub delete: String,
    /// Parted by commas, blanks or line ends.
    #[serde(default)]
    pub source_addresses: String,
}

impl Default for CreateFields {
    fn default() -> Self {
        Self {
            csrf_token: String::new(),
            known: String::new(),
            name: String::new(),
            permission: "full".to_owned(),
            expires_in_days: String::new(),
            buckets: String::new(),
            prefixes: String::new(),
            list: String::new(),
            read: String::new(),
            write: String::new(),
            delete: String::new(),
            source_addresses: String::new(),
        }
    }
}

impl Fields for CreateFields {
    fn csrf_token(&self) -> &str {
        &self.csrf_token
    }
}

impl CreateFields {
    /// Whether anything but name, permission and expiry was given.
    pub fn is_limited(&self) -> bool {
        let texts = [&self.buckets, &self.prefixes, &self.source_addresses];
        texts.iter().any(|text| !text.trim().is_empty()) || !self.actions().is_empty()
    }

    fn actions(&self) -> Vec<Action> {
        let given = [
            (&self.list, Action::List),
            (&self.read, Action::Read),
            (&self.write, Action::Write),
            (&self.delete, Action::Delete),
        ];
        let given = given.into_iter().filter(|(text, _)| !text.is_empty());
        given.map(|(_, action)| action).collect()
    }

    fn scope(&self, permission: Permission) -> Result<Scope, Error> {
        let lines = self
            .prefixes
            .lines()
            .map(|line| line.trim_end_matches('\r'));
        Ok(Scope {
            permission,
            buckets: words(&self.buckets),
            prefixes: lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
            actions: self.actions(),
            source_addresses: access_keys::source_addresses(&words(&self.source_addresses))?,
        })
    }

    fn parse(&self, now: DateTime<Utc>) -> Result<NewAccessKey, FormErrors> {
        let mut errors = FormErrors::default();
        let permission = match self.permission.as_str() {
            "full" => Some(Permission::Full),
            "read" => Some(Permission::Read),
            "write" => Some(Permission::Write),
            _ => None,
        };
        let name = self.name.trim();
        if name.is_empty() {
            errors.add("name", "Give the key a name.");
        }
        let days = match self.expires_in_days.trim() {
            "" => Some(None),
            text => text.parse::<u16>().ok().map(Some),
        };
        let days = days.filter(|days| days.is_none_or(|days| (1..=3650).contains(&days)));
        if days.is_none() {
            let message = "A whole number of days from 1 to 3650, or nothing.";
            errors.add("expires_in_days", message);
        }
        if permission.is_none() {
            errors.add("permission", "Choose one of the three.");
        }
        let scope = self.scope(permission.unwrap_or_default());
        if let Err(error) = &scope {
            errors.add(error.field().unwrap_or_default(), &error.message());
        }
        match (scope, days) {
            (Ok(scope), Some(days)) if errors.is_empty() => Ok(NewAccessKey {
                name: name.to_owned(),
                scope,
                expires_at: days.map(|days| now + Duration::days(days.into())),
            }),
            _ => Err(errors),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<CreateFields>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let mut tx = member.begin(&app).await?;
    let new = match fields.parse(app.cp.clock().now()) {
        Ok(new) => new,
        Err(errors) => {
            let keys = access_keys::list(&mut tx).await?;
            drop(tx);
            let again = list(&app, &member, keys, &fields, errors, None).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
        }
    };
    let created = match access_keys::create(&mut tx, &app.cp, new.clone()).await {
        Ok(created) => created,
        Err(error) => {
            drop(tx);
            return refused(&app, &member, &fields, error).await;
        }
    };
    let mut others = access_keys::list(&mut tx).await?;
    others.retain(|key| key.access_key_id != created.access_key_id);
    if !fields.known.is_empty() && fields.known != fingerprint(others.iter()) {
        drop(tx);
        return sent_before(&app, &member, others, &fields).await;
    }
    tx.commit().await?;
    let receipt = app.cp.wait_applied(created.revision, PATIENCE).await;
    show_once(&app, &member, &new, &created, &receipt)
}

/// The form again, with what the control plane said. A failed statement may have ended the first transaction.
async fn refused(
    app: &App,
    member: &Member,
    fields: &CreateFields,
    error: Error,
) -> Result<Response, Failure> {
    let status = error.status();
    let errors = FormErrors::explain(error, &FIELDS)?;
    let mut tx = member.begin(app).await?;
    let keys = access_keys::list(&mut tx).await?;
    drop(tx);
    let again = list(app, member, keys, fields, errors, None).await?;
    Ok((status, again).into_response())
}

async fn sent_before(
    app: &App,
    member: &Member,
    keys: Vec<AccessKey>,
    fields: &CreateFields,
) -> Result<Response, Failure> {
    // The key without which the list is what the form's reader knew.
    let made = keys.iter().find(|key| {
        let rest = keys
            .iter()
            .filter(|other| other.access_key_id != key.access_key_id);
        key.name == fields.name.trim() && fields.known == fingerprint(rest)
    });
    let twin = made.map(|key| key.access_key_id.clone());
    let errors = FormErrors::default();
    let again = list(app, member, keys, fields, errors, Some(twin)).await?;
    Ok((StatusCode::CONFLICT, again).into_response())
}

pub fn show_once(
    app: &App,
    member: &Member,
    new: &NewAccessKey,
    created: &CreatedAccessKey,
    receipt: &Receipt,
) -> Result<Response, Failure> {
    let config = app.cp.config();
    page(&CreatedPage {
        shell: Shell::new(&member.session, Here::AccessKeys),
        name: &new.name,
        permission: permission_word(new.scope.permission),
        expires: created.expires_at.map(Moment),
        propagation: propagation(receipt),
        access_key_id: &created.access_key_id,
        secret_access_key: &created.secret_access_key,
        endpoint: &config.s3_endpoint,
        region: &config.region,
        snippets: Snippets::new(Credentials {
            endpoint: &config.s3_endpoint,
            region: &config.region,
            access_key_id: &created.access_key_id,
            secret_access_key: &created.secret_access_key,
        })?,
    })
}

fn propagation(receipt: &Receipt) -> String {
    let total = receipt.nodes.len() + receipt.pending.len();
    match (total, receipt.pending.len()) {
        (0, _) => "It works as soon as a node has joined.".to_owned(),
        (1, 0) => "The node accepts it now.".to_owned(),
        (_, 0) => format!("All {total} nodes accept it now."),
        _ => format!(
            "{} of {total} nodes accept it so far; the others follow.",
            receipt.nodes.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &str, permission: &str, days: &str) -> CreateFields {
        CreateFields {
            name: name.to_owned(),
            permission: permission.to_owned(),
            expires_in_days: days.to_owned(),
            ..CreateFields::default()
        }
    }

    #[test]
    fn a_form_is_read_into_a_key() {
        let now = DateTime::UNIX_EPOCH;
        let new = fields("  ci ", "read", " 30 ").parse(now).expect("valid");
        assert_eq!(new.name, "ci");
        assert_eq!(new.scope.permission, Permission::Read);
        assert_eq!(new.expires_at, Some(now + Duration::days(30)));
        let new = fields("ci", "full", "").parse(now).expect("valid");
        assert_eq!(new.expires_at, None);
    }

    #[test]
    fn limits_are_read_from_their_fields() {
        let limited = CreateFields {
            buckets: "photos, logs".to_owned(),
            prefixes: "2026/a b/\r\n\r\nraw/".to_owned(),
            list: "on".to_owned(),
            source_addresses: "203.0.113.0/24\n2001:db8::1".to_owned(),
            ..fields("ci", "read", "")
        };
        assert!(limited.is_limited() && !fields("ci", "read", "").is_limited());
        let scope = limited.parse(DateTime::UNIX_EPOCH).expect("valid").scope;
        assert_eq!(scope.buckets, ["photos", "logs"]);
        assert_eq!(scope.prefixes, ["2026/a b/", "raw/"]);
        assert_eq!(scope.actions, [Action::List]);
        assert_eq!(scope.source_addresses.len(), 2);
        let wrong = CreateFields {
            source_addresses: "here".to_owned(),
            ..fields("ci", "read", "")
        };
        let errors = wrong.parse(DateTime::UNIX_EPOCH).expect_err("refused");
        assert!(errors.of("source_addresses").is_some());
    }

    #[test]
    fn what_is_wrong_is_said_beside_its_field() {
        let now = DateTime::UNIX_EPOCH;
        for days in ["0", "-1", "3651", "1.5", "soon", "99999999999"] {
            let errors = fields("ci", "full", days).parse(now).expect_err("refused");
            assert!(errors.of("expires_in_days").is_some(), "{days}");
            assert!(errors.of("name").is_none());
        }
        let errors = fields(" ", "root", "").parse(now).expect_err("refused");
        assert!(errors.of("name").is_some() && errors.of("permission").is_some());
    }
}
