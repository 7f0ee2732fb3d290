//! Making, resetting and disabling operators. Whoever is made or reset has a link for an hour, and nothing else until then.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde_json::json;

use super::impersonation::Which;
use super::{audit, impersonation};
use crate::accounts::{fold_email, sha256};
use crate::ids::OperatorId;
use crate::{ControlPlane, Error, Tx, db, mail, random};

/// How long a set-up link holds.
const LINK_LIVES: Duration = Duration::hours(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operator {
    #[serde(rename = "operator_id")]
    pub id: OperatorId,
    pub email: String,
    pub created_at: DateTime<Utc>,
    /// None: the link that was printed last was not used yet.
    pub set_up_at: Option<DateTime<Utc>>,
    pub last_log_in_at: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
    /// Until when a link holds that was not used yet.
    pub setup_expires_at: Option<DateTime<Utc>>,
    pub recovery_codes_left: i64,
    pub sessions: i64,
}

/// Shown once: whoever opens it becomes the operator.
#[derive(Debug, Clone, Serialize)]
pub struct SetUpLink {
    pub operator_id: OperatorId,
    pub email: String,
    pub setup_url: String,
    pub expires_at: DateTime<Utc>,
}

/// By address. Needs a system transaction.
pub async fn list(tx: &mut Tx) -> Result<Vec<Operator>, Error> {
    db::operators::list(tx).await
}

/// Refused with the field `email`. Needs a system transaction.
pub async fn create(tx: &mut Tx, cp: &ControlPlane, email: &str) -> Result<SetUpLink, Error> {
    let email = fold_email(email)?;
    let id = OperatorId::random();
    if !db::operators::insert(tx, id, &email, cp.clock().now()).await? {
        let message = "An operator has this address already.";
        return Err(Error::validation("email", message));
    }
    audit::record(tx, cp, "operator.create", &email, json!({})).await?;
    new_link(tx, cp, id, email).await
}

/// A new link in place of password, second step and sessions; also for one who was disabled. `who` is an id or an address.
pub async fn reset(tx: &mut Tx, cp: &ControlPlane, who: &str) -> Result<SetUpLink, Error> {
    let (id, email) = lock(tx, who).await?;
    audit::record(tx, cp, "operator.reset", &email, json!({})).await?;
    impersonation::end_which(tx, cp, Which::OfOperator(id), "reset").await?;
    new_link(tx, cp, id, email).await
}

/// Ends every session; nothing of the operator opens anything until a reset. `who` is an id or an address.
pub async fn disable(tx: &mut Tx, cp: &ControlPlane, who: &str) -> Result<String, Error> {
    let (id, email) = lock(tx, who).await?;
    if !db::operators::disable(tx, id, cp.clock().now()).await? {
        return Err(Error::Conflict {
            code: "operator_disabled",
            message: "The operator is disabled already.".to_owned(),
        });
    }
    audit::record(tx, cp, "operator.disable", &email, json!({})).await?;
    impersonation::end_which(tx, cp, Which::OfOperator(id), "disabled").await?;
    Ok(email)
}

async fn lock(tx: &mut Tx, who: &str) -> Result<(OperatorId, String), Error> {
    let email = who.trim().to_lowercase();
    let found = db::operators::lock(tx, who.parse().ok(), &email).await?;
    found.ok_or(Error::NotFound("operator"))
}

async fn new_link(
    tx: &mut Tx,
    cp: &ControlPlane,
    operator_id: OperatorId,
    email: String,
) -> Result<SetUpLink, Error> {
    let token = random::token(&mut rand::rng());
    let expires_at = cp.clock().now() + LINK_LIVES;
    db::operators::reset(tx, operator_id, &link_hash(&token), expires_at).await?;
    Ok(SetUpLink {
        operator_id,
        email,
        setup_url: mail::token_link(cp, "/admin/setup", &token),
        expires_at,
    })
}

pub(super) fn link_hash(token: &str) -> [u8; 32] {
    sha256(&["operator's set-up", token])
}
