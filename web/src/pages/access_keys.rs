//! `/access-keys`: all keys of the tenant, and the form for a new one.
//! Secrets do not come this way: the control plane gives one out at creation alone.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use controlplane::access_keys::{self, AccessKey, LastUse};
use controlplane::accounts::Act;
use sha2::{Digest, Sha256};
use wire::{Action, Permission, Scope};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::{Moment, ago};
use crate::pages::create_access_key::CreateFields;
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/access_keys.html")]
pub struct AccessKeysPage<'a> {
    shell: Shell<'a>,
    keys: Vec<Row>,
    usable: usize,
    known: String,
    form: &'a CreateFields,
    errors: FormErrors,
    may_change: bool,
    /// The form was sent before; inside, the key that it made, where that can be told.
    already: Option<Option<String>>,
}

struct Row {
    name: String,
    access_key_id: String,
    permission: &'static str,
    limited_to: Option<String>,
    created: Moment,
    created_by: String,
    replaces: Option<String>,
    last_use: Option<Used>,
    usable: bool,
    standing: Standing,
}

/// When, in words, and at which node.
struct Used {
    at: Moment,
    ago: String,
    node: Option<String>,
}

enum Standing {
    Active { until: Option<Moment> },
    Expired(Moment),
    Revoked(Moment),
}

impl Standing {
    fn word(&self) -> &'static str {
        match self {
            Self::Active { .. } => "Active",
            Self::Expired(_) => "Expired",
            Self::Revoked(_) => "Revoked",
        }
    }

    fn tone(&self) -> &'static str {
        match self {
            Self::Active { .. } => "good",
            Self::Expired(_) | Self::Revoked(_) => "",
        }
    }

    fn moment(&self) -> Option<(&'static str, Moment)> {
        match self {
            Self::Active { until } => until.map(|moment| ("until", moment)),
            Self::Expired(moment) | Self::Revoked(moment) => Some(("on", *moment)),
        }
    }
}

impl Row {
    fn new(key: AccessKey, last_use: Option<&LastUse>, now: DateTime<Utc>) -> Self {
        Self {
            last_use: last_use.map(|last| Used {
                at: Moment(last.at),
                ago: ago(last.at, now),
                node: last.s3_address.clone(),
            }),
            usable: key.is_usable(now),
            standing: match (key.revoked_at, key.expires_at) {
                (Some(at), _) => Standing::Revoked(Moment(at)),
                (None, Some(at)) if at <= now => Standing::Expired(Moment(at)),
                (None, until) => Standing::Active {
                    until: until.map(Moment),
                },
            },
            permission: permission_word(key.scope.permission),
            limited_to: limits(&key.scope),
            created: Moment(key.created_at),
            name: key.name,
            access_key_id: key.access_key_id,
            created_by: key.created_by,
            replaces: key.replaces,
        }
    }
}

pub fn permission_word(permission: Permission) -> &'static str {
    match permission {
        Permission::Full => "Full",
        Permission::Read => "Read",
        Permission::Write => "Write",
        Permission::Unknown => "None",
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::List => "list",
        Action::Read => "read",
        Action::Write => "write",
        Action::Delete => "delete",
        Action::Unknown => "none",
    }
}

/// What a key is limited to beyond its permission, in one line.
pub fn limits(scope: &Scope) -> Option<String> {
    let mut parts = Vec::new();
    if !scope.actions.is_empty() {
        let words: Vec<&str> = scope.actions.iter().copied().map(action_word).collect();
        parts.push(format!("only {}", words.join(", ")));
    }
    if !scope.buckets.is_empty() {
        parts.push(format!("buckets {}", scope.buckets.join(", ")));
    }
    if !scope.prefixes.is_empty() {
        parts.push(format!("prefixes {}", scope.prefixes.join(", ")));
    }
    if !scope.source_addresses.is_empty() {
        let addresses = scope.source_addresses.iter().map(ToString::to_string);
        parts.push(format!("from {}", addresses.collect::<Vec<_>>().join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// A short name for the set of all keys that a form's reader knew of; whatever key is added changes it.
pub fn fingerprint<'k>(keys: impl Iterator<Item = &'k AccessKey>) -> String {
    let mut ids: Vec<&str> = keys.map(|key| key.access_key_id.as_str()).collect();
    ids.sort_unstable();
    let digest = Sha256::digest(ids.join(" "));
    digest[..12].iter().map(|b| format!("{b:02x}")).collect()
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let keys = access_keys::list(&mut tx).await?;
    tx.commit().await?;
    let form = CreateFields::default();
    list(&app, &member, keys, &form, FormErrors::default(), None).await
}

/// The page as an answer to either method.
pub async fn list(
    app: &App,
    member: &Member,
    keys: Vec<AccessKey>,
    form: &CreateFields,
    errors: FormErrors,
    already: Option<Option<String>>,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let mut tx = member.begin(app).await?;
    let uses = access_keys::last_uses(&mut tx).await?;
    tx.commit().await?;
    let rows = keys.iter().map(|key| {
        let last_use = uses.get(&key.access_key_id);
        Row::new(key.clone(), last_use, now)
    });
    page(&AccessKeysPage {
        shell: Shell::new(&member.session, Here::AccessKeys),
        known: fingerprint(keys.iter()),
        usable: keys.iter().filter(|key| key.is_usable(now)).count(),
        keys: rows.collect(),
        form,
        errors,
        may_change: member.session.may(Act::ManageAccessKeys),
        already,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    fn key(id: &str) -> AccessKey {
        AccessKey {
            access_key_id: id.to_owned(),
            name: "backup".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            created_by: "a@b.example".to_owned(),
            expires_at: None,
            revoked_at: None,
            replaces: None,
            scope: Scope::default(),
        }
    }

    #[test]
    fn a_key_ends_at_its_expiry_and_earlier_when_revoked() {
        let now = DateTime::UNIX_EPOCH + Duration::days(9);
        let word = |key: AccessKey| Row::new(key, None, now).standing.word();
        let expiring = |days| AccessKey {
            expires_at: Some(DateTime::UNIX_EPOCH + Duration::days(days)),
            ..key("A")
        };
        assert_eq!(word(key("A")), "Active");
        assert_eq!(word(expiring(10)), "Active");
        assert_eq!(word(expiring(9)), "Expired");
        let revoked = AccessKey {
            revoked_at: Some(now),
            ..expiring(10)
        };
        assert_eq!(word(revoked), "Revoked");
    }

    #[test]
    fn the_fingerprint_knows_keys_whatever_their_order_and_state() {
        let (a, b) = (key("A"), key("B"));
        let revoked = AccessKey {
            revoked_at: Some(DateTime::UNIX_EPOCH),
            ..key("A")
        };
        let both = fingerprint([&a, &b].into_iter());
        assert_eq!(both, fingerprint([&b, &revoked].into_iter()));
        assert_ne!(both, fingerprint([&a].into_iter()));
    }

    #[test]
    fn limits_of_a_scope_are_spelled_out() {
        assert_eq!(limits(&Scope::default()), None);
        let scope = Scope {
            buckets: vec!["a".to_owned(), "b".to_owned()],
            prefixes: vec!["logs/".to_owned()],
            ..Scope::default()
        };
        assert_eq!(
            limits(&scope).as_deref(),
            Some("buckets a, b; prefixes logs/")
        );
        let scope = Scope {
            actions: vec![Action::List, Action::Read],
            source_addresses: ["203.0.113.0/24", "2001:db8::1/128"]
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            ..scope
        };
        assert_eq!(
            limits(&scope).as_deref(),
            Some(
                "only list, read; buckets a, b; prefixes logs/; from 203.0.113.0/24, 2001:db8::1/128"
            )
        );
    }
}
