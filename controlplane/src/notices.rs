//! What the operator tells customers on their dashboard: written for everybody or for one plan, shown from a moment to a
//! moment, until the member puts it away. It reaches many at once, so whoever writes one says how many it reaches.

use std::str::FromStr;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ids::{MemberId, NoticeId};
use crate::{ControlPlane, Error, Tx, audit, db};

const LONGEST_TITLE: usize = 120;
const LONGEST_TEXT: usize = 2000;
/// Shown for no longer.
const LONGEST: Duration = Duration::days(366);
const LISTED: i64 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Maintenance,
    Incident,
}

impl Level {
    pub const ALL: [Level; 3] = [Level::Info, Level::Maintenance, Level::Incident];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Maintenance => "maintenance",
            Self::Incident => "incident",
        }
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let named = Self::ALL.into_iter().find(|level| level.as_str() == text);
        named.ok_or_else(|| Error::validation("level", "It is info, maintenance or incident."))
    }
}

/// What an operator writes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNotice {
    pub title: String,
    pub text: String,
    pub level: Level,
    /// From now on unless said.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    pub until: DateTime<Utc>,
    /// To the tenants on this plan alone.
    #[serde(default)]
    pub plan: Option<String>,
    /// How many tenants it reaches, as the operator was told.
    #[serde(default)]
    pub confirm: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub notice_id: NoticeId,
    pub title: String,
    pub text: String,
    pub level: Level,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub plan: Option<String>,
    /// How many tenants it reached when it was written.
    pub tenants: i64,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub ended_at: Option<DateTime<Utc>>,
    /// How many members have put it away.
    pub dismissed: i64,
}

impl Notice {
    pub fn state(&self, now: DateTime<Utc>) -> &'static str {
        match self.ended_at {
            Some(_) => "ended",
            None if now < self.from => "planned",
            None if now < self.until => "shown",
            None => "over",
        }
    }
}

/// As a member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    pub notice_id: NoticeId,
    pub title: String,
    pub text: String,
    pub level: Level,
    pub until: DateTime<Utc>,
}

/// How many tenants a notice to this plan, or to everybody, reaches now. Needs a system transaction.
pub async fn reach(tx: &mut Tx, plan: Option<&str>) -> Result<u64, Error> {
    if let Some(plan) = plan
        && db::plans::get(tx, plan).await?.is_none()
    {
        return Err(Error::validation("plan", "There is no such plan."));
    }
    let count = db::notices::reach(tx, plan).await?;
    Ok(count.max(0).unsigned_abs())
}

/// Refused with `confirm_needed` where it reaches more than one tenant and `confirm` is not how many; the answer says how many
/// that are. Needs a system transaction.
pub async fn create(tx: &mut Tx, cp: &ControlPlane, new: NewNotice) -> Result<Notice, Error> {
    let now = cp.clock().now();
    let title = check_text("title", &new.title, LONGEST_TITLE)?;
    let text = check_text("text", &new.text, LONGEST_TEXT)?;
    let from = new.from.unwrap_or(now);
    if new.until <= from.max(now) {
        return Err(Error::validation(
            "until",
            "It is after its beginning, and not in the past.",
        ));
    }
    if new.until - from > LONGEST {
        return Err(Error::validation("until", "A year is the longest."));
    }
    let tenants = reach(tx, new.plan.as_deref()).await?;
    if new.confirm != Some(tenants) && (tenants > 1 || new.confirm.is_some()) {
        return Err(Error::Conflict {
            code: "confirm_needed",
            message: format!("This reaches {tenants} tenants: confirm the number {tenants}."),
        });
    }
    let notice = Notice {
        notice_id: NoticeId::random(),
        title,
        text,
        level: new.level,
        from,
        until: new.until,
        plan: new.plan,
        tenants: i64::try_from(tenants).unwrap_or(i64::MAX),
        created_at: now,
        created_by: tx.actor.label(),
        ended_at: None,
        dismissed: 0,
    };
    db::notices::insert(tx, &notice).await?;
    let details = json!({
        "title": notice.title, "level": notice.level, "from": notice.from, "until": notice.until, "plan": notice.plan,
        "tenants": notice.tenants,
    });
    let target = notice.notice_id.to_string();
    audit::record(tx, cp, None, "notice.create", &target, details).await?;
    Ok(notice)
}

/// The newest first. Needs a system transaction.
pub async fn list(tx: &mut Tx) -> Result<Vec<Notice>, Error> {
    db::notices::list(tx, LISTED).await
}

/// Needs a system transaction.
pub async fn get(tx: &mut Tx, id: NoticeId) -> Result<Notice, Error> {
    let notice = db::notices::get(tx, id).await?;
    notice.ok_or(Error::NotFound("notice"))
}

/// Nobody sees it any more. What has ended has ended. Needs a system transaction.
pub async fn end(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: NoticeId,
    confirm: Option<u64>,
) -> Result<Notice, Error> {
    let notice = get(tx, id).await?;
    let tenants = reach(tx, notice.plan.as_deref()).await?;
    let over = notice.ended_at.is_some();
    if !over && confirm != Some(tenants) && (tenants > 1 || confirm.is_some()) {
        return Err(Error::Conflict {
            code: "confirm_needed",
            message: format!("This is told to {tenants} tenants: confirm the number {tenants}."),
        });
    }
    if db::notices::end(tx, id, cp.clock().now()).await? {
        audit::record(tx, cp, None, "notice.end", &id.to_string(), json!({})).await?;
    }
    get(tx, id).await
}

/// What the member is shown now: incidents first, then what is newest. In the tenant's transaction.
pub async fn for_member(
    tx: &mut Tx,
    cp: &ControlPlane,
    member: MemberId,
) -> Result<Vec<Shown>, Error> {
    let tenant = tx.tenant()?;
    db::notices::for_member(tx, tenant, member, cp.clock().now()).await
}

/// The member is not shown it any more. What is shown to nobody of the tenant cannot be put away. In the tenant's
/// transaction.
pub async fn dismiss(
    tx: &mut Tx,
    cp: &ControlPlane,
    member: MemberId,
    id: NoticeId,
) -> Result<(), Error> {
    let tenant = tx.tenant()?;
    let now = cp.clock().now();
    match db::notices::dismiss(tx, tenant, member, id, now).await? {
        true => Ok(()),
        false => Err(Error::NotFound("notice")),
    }
}

/// Trimmed, with line breaks as the only control characters.
fn check_text(field: &str, text: &str, longest: usize) -> Result<String, Error> {
    let text = text.trim().replace("\r\n", "\n");
    let odd = |c: char| c.is_control() && c != '\n';
    if text.is_empty() || text.chars().count() > longest || text.contains(odd) {
        let message = format!("Give 1 to {longest} characters.");
        return Err(Error::validation(field, message));
    }
    Ok(text)
}
