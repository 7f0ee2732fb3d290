//! What this system owes the world and has not done yet: mails, events of Stripe, customers' webhooks, usage for Stripe's
//! meters, and the removal of deleted accounts. One list of all of them, and another try on request; what is done is gone.

mod retry;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use retry::{retry, retry_all, would_try};

use crate::ids::TenantId;
use crate::{ControlPlane, Error, Tx, db};

const MOST: u32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Mail,
    StripeEvent,
    /// To an address that a customer chose.
    Webhook,
    /// Usage beyond the plan, for Stripe.
    MeterEvent,
    /// Of a deleted account: its objects, then its rows.
    Removal,
}

impl Kind {
    pub const ALL: [Kind; 5] = [
        Kind::Mail,
        Kind::StripeEvent,
        Kind::Webhook,
        Kind::MeterEvent,
        Kind::Removal,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::StripeEvent => "stripe_event",
            Self::Webhook => "webhook",
            Self::MeterEvent => "meter_event",
            Self::Removal => "removal",
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let named = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        named.ok_or_else(|| Error::validation("kind", "There are no such jobs."))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its time has come, or will, and it has not failed.
    Queued,
    /// Somebody is at it now.
    Running,
    /// It failed, and is tried again by itself.
    Retrying,
    /// It failed, and is not tried again unless somebody says so.
    Failed,
}

impl State {
    pub const ALL: [State; 4] = [
        State::Queued,
        State::Running,
        State::Retrying,
        State::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let named = Self::ALL.into_iter().find(|state| state.as_str() == text);
        named
            .ok_or_else(|| Error::validation("state", "It is queued, running, retrying or failed."))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Job {
    pub kind: Kind,
    pub id: String,
    pub state: State,
    /// The kind of mail, Stripe's type of event, …
    pub what: String,
    /// Whose it is, where that is known.
    pub tenant_id: Option<TenantId>,
    pub created_at: DateTime<Utc>,
    pub age_seconds: i64,
    pub attempts: i32,
    pub last_error: Option<String>,
    /// When it is tried next; none for what is not tried again by itself.
    pub next_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub kind: Option<Kind>,
    pub state: Option<State>,
}

impl Filter {
    fn lets(&self, job: &Job) -> bool {
        self.kind.is_none_or(|kind| kind == job.kind)
            && self.state.is_none_or(|state| state == job.state)
    }
}

/// The oldest first; a thousand of each kind at most. Needs a system transaction.
pub async fn list(tx: &mut Tx, cp: &ControlPlane, filter: &Filter) -> Result<Vec<Job>, Error> {
    let now = cp.clock().now();
    let rows = db::jobs::list(tx, now, MOST.into()).await?;
    let mut jobs = Vec::new();
    for row in rows {
        let job = job(row, now)?;
        if filter.lets(&job) {
            jobs.push(job);
        }
    }
    Ok(jobs)
}

fn job(row: db::jobs::Row, now: DateTime<Utc>) -> Result<Job, Error> {
    let state = match row {
        _ if row.failed => State::Failed,
        _ if row.running => State::Running,
        _ if row.attempts > 0 => State::Retrying,
        _ => State::Queued,
    };
    Ok(Job {
        kind: row.kind.parse()?,
        id: row.id,
        state,
        what: row.what,
        tenant_id: row.tenant_id.map(TenantId),
        created_at: row.created_at,
        age_seconds: (now - row.created_at).num_seconds().max(0),
        attempts: row.attempts,
        last_error: row.last_error,
        next_at: row.next_at.filter(|_| !row.failed),
    })
}
