//! API tokens: what a member's programs prove themselves with at `/api/v1`. Shown once, kept as a hash.
//! A token never outlives its member, nor the token that it was made with.

use std::fmt;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::accounts::{Act, Caller, Role, sha256};
use crate::ids::{ApiTokenId, MemberId};
use crate::{ControlPlane, Error, Tx, audit, db, random, tenants};

/// What every token begins with, so that people and secret scanners know one when they see it.
pub const PREFIX: &str = "vlt_";
/// Unless said.
const LIFE: Duration = Duration::days(90);
const LONGEST_LIFE: Duration = Duration::days(366);
/// How long a token that has ended is still listed.
const REMEMBERED: Duration = Duration::days(90);
/// Usable ones of one tenant.
const MOST: i64 = 100;
const MAX_NAME: usize = 100;
const TOUCH_AFTER: Duration = Duration::minutes(1);

/// What a token may be used for; each is one [`Act`], which the member's role must allow too.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// See what every member sees.
    Read,
    /// Create, rotate and revoke access keys.
    AccessKeys,
    /// Create, change and delete buckets.
    Buckets,
    /// Change the plan and pay.
    Billing,
    /// Invite, change and remove members, and read the audit log.
    Members,
    /// Make and revoke API tokens, of no more than its own scopes.
    ApiTokens,
}

impl TokenScope {
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::AccessKeys,
        Self::Buckets,
        Self::Billing,
        Self::Members,
        Self::ApiTokens,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::AccessKeys => "access_keys",
            Self::Buckets => "buckets",
            Self::Billing => "billing",
            Self::Members => "members",
            Self::ApiTokens => "api_tokens",
        }
    }

    /// `None` for a scope that this release does not know; it allows nothing.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    pub fn act(self) -> Act {
        match self {
            Self::Read => Act::View,
            Self::AccessKeys => Act::ManageAccessKeys,
            Self::Buckets => Act::ManageBuckets,
            Self::Billing => Act::ManageBilling,
            Self::Members => Act::ManageMembers,
            Self::ApiTokens => Act::OwnLogIn,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: ApiTokenId,
    pub name: String,
    /// Its last four characters.
    pub ending: String,
    pub scopes: Vec<TokenScope>,
    pub member_id: MemberId,
    /// The member's address.
    pub email: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiToken {
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }
}

impl From<db::api_tokens::Row> for ApiToken {
    fn from(row: db::api_tokens::Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            ending: row.ending,
            scopes: scopes(&row.scopes),
            member_id: row.member_id.into(),
            email: row.email,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// A token that proved itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer {
    pub id: ApiTokenId,
    pub name: String,
    pub scopes: Vec<TokenScope>,
    pub expires_at: DateTime<Utc>,
    pub(crate) hash: [u8; 32],
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer({})", self.id)
    }
}

#[derive(Debug, Clone)]
pub struct NewApiToken {
    /// What people call it; 1 to 100 characters.
    pub name: String,
    pub scopes: Vec<TokenScope>,
    /// In 90 days unless said, and in 366 at most; never after the token with which it is made.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The only place where a token is shown.
pub struct CreatedApiToken {
    pub token: Zeroizing<String>,
    pub api_token: ApiToken,
}

/// The caller's own, and everybody's for who manages members; the newest first.
pub async fn list(tx: &mut Tx, by: &Caller) -> Result<Vec<ApiToken>, Error> {
    let own = (!by.may(Act::ManageMembers)).then_some(by.member_id);
    let rows = db::api_tokens::list(tx, by.tenant_id, own).await?;
    Ok(rows.into_iter().map(ApiToken::from).collect())
}

/// One of those that the caller sees.
pub async fn get(tx: &mut Tx, by: &Caller, id: ApiTokenId) -> Result<ApiToken, Error> {
    let found = list(tx, by).await?.into_iter().find(|token| token.id == id);
    found.ok_or(Error::NotFound("API token"))
}

/// A token of the caller's own.
pub async fn create(
    tx: &mut Tx,
    cp: &ControlPlane,
    by: &Caller,
    new: NewApiToken,
) -> Result<CreatedApiToken, Error> {
    allow(by)?;
    let now = cp.clock().now();
    let new = check(new, by, now)?;
    let tenant = by.tenant_id;
    tenants::lock(tx, tenant).await?;
    db::api_tokens::forget(tx, tenant, now - REMEMBERED).await?;
    if db::api_tokens::count_usable(tx, tenant, now).await? >= MOST {
        return Err(Error::Conflict {
            code: "too_many_api_tokens",
            message: format!("The team has {MOST} API tokens already. Revoke one first."),
        });
    }
    let token = {
        let random = random::token(&mut rand::rng());
        Zeroizing::new(format!("{PREFIX}{}", random.as_str()))
    };
    let ending = token[token.len() - 4..].to_owned();
    let texts: Vec<String> = new.scopes.iter().map(|s| s.as_str().to_owned()).collect();
    let expires_at = new.expires_at.unwrap_or(now);
    let id = ApiTokenId::random();
    let row = db::api_tokens::New {
        id,
        tenant,
        member: by.member_id,
        name: &new.name,
        token_hash: &hash(&token),
        ending: &ending,
        scopes: &texts,
        made_by: by.token.as_ref().map(|token| token.id),
        created_at: now,
        expires_at,
    };
    db::api_tokens::insert(tx, row).await?;
    let details = json!({
        "name": new.name, "scopes": texts, "ending": ending, "expires_at": expires_at,
    });
    let action = "api_token.create";
    audit::record(tx, cp, Some(tenant), action, &id.to_string(), details).await?;
    let api_token = ApiToken {
        id,
        name: new.name,
        ending,
        scopes: new.scopes,
        member_id: by.member_id,
        email: by.email.clone(),
        created_at: now,
        expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    Ok(CreatedApiToken { token, api_token })
}

/// One's own, or anybody's for who manages members; with all tokens that were made with it. Again changes nothing.
pub async fn revoke(
    tx: &mut Tx,
    cp: &ControlPlane,
    by: &Caller,
    id: ApiTokenId,
) -> Result<ApiToken, Error> {
    allow(by)?;
    tenants::lock(tx, by.tenant_id).await?;
    let token = get(tx, by, id).await?;
    let revoked = db::api_tokens::revoke(tx, by.tenant_id, id, cp.clock().now()).await?;
    if revoked > 0 {
        let details = json!({ "name": token.name, "ending": token.ending, "revoked": revoked });
        let (tenant, target) = (Some(by.tenant_id), id.to_string());
        audit::record(tx, cp, tenant, "api_token.revoke", &target, details).await?;
    }
    get(tx, by, id).await
}

/// Whose token that is, and what it may now; `None` where nobody's, or none that counts any more.
pub(crate) async fn authenticate(cp: &ControlPlane, token: &str) -> Result<Option<Caller>, Error> {
    if !token.starts_with(PREFIX) {
        return Ok(None);
    }
    let (hash, now) = (hash(token), cp.clock().now());
    let mut tx = cp.begin_system().await?;
    let Some(row) = db::api_tokens::bearer(&mut tx, &hash, now).await? else {
        return Ok(None);
    };
    let Some(role) = Role::parse(&row.role) else {
        return Ok(None);
    };
    let id = ApiTokenId(row.id);
    // Not at every request: reading should not write.
    if row.last_used_at.is_none_or(|used| now - used > TOUCH_AFTER) {
        db::api_tokens::touch(&mut tx, id, now).await?;
        tx.commit().await?;
    }
    Ok(Some(Caller {
        tenant_id: row.tenant_id.into(),
        member_id: row.member_id.into(),
        email: row.email,
        company: row.company,
        role,
        token: Some(Bearer {
            id,
            name: row.name,
            scopes: scopes(&row.scopes),
            expires_at: row.expires_at,
            hash,
        }),
    }))
}

fn allow(by: &Caller) -> Result<(), Error> {
    match by.may(TokenScope::ApiTokens.act()) {
        true => Ok(()),
        false => Err(Error::Forbidden(
            "This token may not make or revoke API tokens.",
        )),
    }
}

fn check(mut new: NewApiToken, by: &Caller, now: DateTime<Utc>) -> Result<NewApiToken, Error> {
    new.name = new.name.trim().to_owned();
    let length = new.name.chars().count();
    if !(1..=MAX_NAME).contains(&length) || new.name.chars().any(char::is_control) {
        let message = format!("Give it a name of 1 to {MAX_NAME} characters.");
        return Err(Error::validation("name", message));
    }
    new.scopes.sort_unstable();
    new.scopes.dedup();
    if new.scopes.is_empty() {
        return Err(Error::validation(
            "scopes",
            "Choose what it may be used for.",
        ));
    }
    if let Some(scope) = new.scopes.iter().find(|scope| !by.may(scope.act())) {
        let who = match by.token {
            Some(_) => "The token that asks",
            None => "Your role",
        };
        let message = format!("{who} may not give `{}`.", scope.as_str());
        return Err(Error::validation("scopes", message));
    }
    let own_end = by.token.as_ref().map(|token| token.expires_at);
    let latest = own_end.map_or(now + LONGEST_LIFE, |end| end.min(now + LONGEST_LIFE));
    // Postgres has no finer time, and what is answered is what is kept.
    let end = match new.expires_at {
        Some(end) => end.trunc_subsecs(6),
        None => latest.min(now + LIFE),
    };
    if end <= now {
        return Err(Error::validation("expires_at", "Choose a time to come."));
    }
    if end > latest {
        let message = match own_end {
            Some(own_end) if own_end <= latest => "It cannot outlive the token that asks.",
            _ => "At most 366 days ahead.",
        };
        return Err(Error::validation("expires_at", message));
    }
    new.expires_at = Some(end);
    Ok(new)
}

/// Those that this release knows.
fn scopes(texts: &[String]) -> Vec<TokenScope> {
    texts
        .iter()
        .filter_map(|text| TokenScope::parse(text))
        .collect()
}

fn hash(token: &str) -> [u8; 32] {
    sha256(&["api_token", token])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_back_and_an_unknown_one_is_none() {
        for scope in TokenScope::ALL {
            assert_eq!(TokenScope::parse(scope.as_str()), Some(scope));
            let json = serde_json::to_value(scope).ok();
            assert_eq!(json, Some(serde_json::json!(scope.as_str())));
        }
        assert_eq!(TokenScope::parse("everything"), None);
        assert_eq!(
            scopes(&["read".to_owned(), "root".to_owned()]),
            [TokenScope::Read]
        );
    }
}
