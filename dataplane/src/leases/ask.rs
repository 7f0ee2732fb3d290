//! Asking the control plane for more: a request waits for a moment where its node's leases do not hold enough, and stock
//! is laid in before it is needed.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use wire::{Ask, FromNode, Full, Resource, Rule};

use super::ledger::Lack;
use super::{Claim, Entry, Key, Leases};
use crate::error::{Code, S3Error};
use crate::uplink::Uplink;

/// For how long a request waits for leases, all its questions together.
const WAIT: Duration = Duration::from_secs(2);
const LAY_IN_EVERY: Duration = Duration::from_secs(1);

/// What became of a question.
pub enum Answer {
    Granted,
    Full(Full),
}

impl Leases {
    /// Promises the claim to a request, and answers the promise's number. Refused: `QuotaExceeded`; 503 where nobody can
    /// be asked, or others hold what is left.
    pub async fn reserve(&self, claim: Claim, uplink: &Uplink) -> Result<u64, S3Error> {
        let deadline = Instant::now() + WAIT;
        loop {
            let lack = match self.try_reserve(claim)? {
                Ok(id) => {
                    self.lay_in_if_low(&claim, uplink);
                    return Ok(id);
                }
                Err(lack) => lack,
            };
            match self.ask(lack, uplink, deadline).await {
                Some(Answer::Granted) => {}
                // Something may have been granted meanwhile, to another question.
                Some(Answer::Full(full)) => {
                    return self.try_reserve(claim)?.map_err(|_| refusal(lack, &full));
                }
                None => {
                    return self.try_reserve(claim)?.map_err(|_| nobody_answers());
                }
            }
            if Instant::now() >= deadline {
                return Err(nobody_answers());
            }
        }
    }

    fn try_reserve(&self, claim: Claim) -> Result<Result<u64, Lack>, S3Error> {
        let mut state = self.lock();
        let entry = match state.ledger.reserve(claim) {
            Ok(entry) => entry,
            Err(lack) => return Ok(Err(lack)),
        };
        let Entry::Reserved { id, .. } = entry else {
            return Err(Code::InternalError.into());
        };
        state
            .write(&self.journal, &[entry])
            .map_err(|_| S3Error::new(Code::ServiceUnavailable).retry_after(1))?;
        Ok(Ok(id))
    }

    /// `None`: nobody answers in time.
    async fn ask(&self, lack: Lack, uplink: &Uplink, deadline: Instant) -> Option<Answer> {
        if *uplink.connected().borrow() == 0 {
            return None;
        }
        let mut opened = self.opened.subscribe();
        let is_open = timeout_at(deadline, opened.wait_for(|opened| *opened)).await;
        is_open.ok()?.ok()?;
        let (sender, answer) = oneshot::channel();
        let question = {
            let mut state = self.lock();
            state.asked += 1;
            let number = state.asked;
            state.waiting.insert(number, (lack.key, sender));
            Ask {
                number,
                ledger: state.ledger.name(),
                quota: lack.key.written(),
                need: lack.need,
                want: lack.want,
            }
        };
        let number = question.number;
        let answer = match uplink.send(FromNode::Ask(question)) {
            true => timeout_at(deadline, answer).await.ok()?.ok(),
            false => None,
        };
        if answer.is_none() {
            self.lock().waiting.remove(&number);
        }
        answer
    }

    fn lay_in_if_low(&self, claim: &Claim, uplink: &Uplink) {
        for (key, _) in claim.parts() {
            if self.lock().ledger.is_low(&key) {
                self.lay_in(key, uplink);
            }
        }
    }

    /// Asks for stock, and waits for nothing.
    pub(super) fn lay_in(&self, key: Key, uplink: &Uplink) {
        let mut state = self.lock();
        if !*self.opened.borrow() {
            return;
        }
        let lately = |at: &Instant| at.elapsed() < LAY_IN_EVERY;
        if state.laid_in.get(&key).is_some_and(lately) {
            return;
        }
        if state.laid_in.len() > 10_000 {
            state.laid_in.retain(|_, at| lately(at));
        }
        state.laid_in.insert(key, Instant::now());
        state.asked += 1;
        uplink.send(FromNode::Ask(Ask {
            number: state.asked,
            ledger: state.ledger.name(),
            quota: key.written(),
            need: 0,
            want: 0,
        }));
    }
}

fn nobody_answers() -> S3Error {
    S3Error::with(
        Code::ServiceUnavailable,
        "It cannot be found out at the moment whether this is within your account's quota. Try again.",
    )
    .retry_after(1)
}

fn refusal(lack: Lack, full: &Full) -> S3Error {
    if full.held {
        return S3Error::with(
            Code::ServiceUnavailable,
            "What is left of your account's quota is held for requests that are under way. Try again.",
        )
        .retry_after(1);
    }
    let (what, unit, remedy) = match lack.key.resource {
        Resource::Objects => ("objects", "objects", "Delete some"),
        Resource::EgressBytes => (
            "downloads in this calendar month",
            "bytes",
            "Wait for the next month (UTC)",
        ),
        _ => ("stored bytes", "bytes", "Delete something"),
    };
    let message = format!(
        "Your account's quota of {what} is reached: {used} of {limit} {unit} are used, and this request needs {need}. \
         {remedy}, or ask for a larger quota.",
        used = full.used,
        limit = full.limit,
        need = lack.need,
    );
    let rule = match lack.key.resource {
        Resource::Objects => Rule::QuotaObjects,
        Resource::EgressBytes => Rule::QuotaEgress,
        _ => Rule::QuotaStoredBytes,
    };
    S3Error::with(Code::QuotaExceeded, message)
        .by(rule)
        .figures(full.used, full.limit, None)
        .detail("Quota", name(lack.key.resource))
        .detail("Used", full.used.to_string())
        .detail("Limit", full.limit.to_string())
        .detail("Needed", lack.need.to_string())
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::StoredBytes => "StoredBytes",
        Resource::Objects => "Objects",
        Resource::EgressBytes => "EgressBytes",
        Resource::Unknown => "Unknown",
    }
}
