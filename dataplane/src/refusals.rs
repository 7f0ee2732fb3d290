//! Refusals of attributable requests, kept until the control plane has heard of them: so many a second and tenant, and of
//! the rest only how many there were. What is kept is bounded, whoever is refused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use wire::{FromNode, Refusal, Rule};

use crate::error::S3Error;
use crate::metrics::Account;
use crate::node::Node;
use crate::operation::Operation;

/// Kept of one tenant's in one second; beside these, the first of each rule.
const KEPT_A_SECOND: usize = 50;
/// Tenants whose refusals of one second are kept; of the others nothing is.
const TENANTS: usize = 2_000;
/// Waiting for a control plane, of all tenants together. Older ones go first.
const WAITING: usize = 10_000;
/// In one message.
const MOST: usize = 200;

#[derive(Default)]
pub struct Refusals(Mutex<State>);

#[derive(Default)]
struct State {
    /// Of this second, by tenant.
    now: HashMap<String, Vec<Refusal>>,
    waiting: VecDeque<Refusal>,
}

impl Refusals {
    /// Keeps a refusal that a rule caused and that concerns somebody.
    pub fn keep(&self, node: &Node, error: &S3Error, account: &Account) {
        let Some(cause) = &error.cause else { return };
        let Some(whose) = &cause.whose else { return };
        let at = node.clock.now();
        let mut state = self.lock();
        state.keep(&whose.tenant_id, cause.rule, || Refusal {
            request_id: account.request_id.clone(),
            tenant_id: whose.tenant_id.clone(),
            at,
            operation: account.operation.map_or("", Operation::name).to_owned(),
            bucket: whose.bucket.clone(),
            access_key_id: whose.access_key_id.clone(),
            status: error.status().as_u16(),
            code: error.code.as_str().to_owned(),
            rule: cause.rule,
            counter: cause.counter,
            limit: cause.limit,
            revision: node.tenants.revision(),
            clears_at: cause
                .clears_after
                .and_then(|after| Some(at + chrono::TimeDelta::from_std(after).ok()?)),
            more: 0,
        });
    }

    /// A second is over.
    fn turn(&self) {
        let mut state = self.lock();
        let over = std::mem::take(&mut state.now);
        state.waiting.extend(over.into_values().flatten());
        state.bound();
    }

    /// What is to be sent next.
    fn finished(&self) -> Vec<Refusal> {
        let mut state = self.lock();
        let most = state.waiting.len().min(MOST);
        state.waiting.drain(..most).collect()
    }

    fn put_back(&self, refusals: Vec<Refusal>) {
        let mut state = self.lock();
        for refusal in refusals.into_iter().rev() {
            state.waiting.push_front(refusal);
        }
        state.bound();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bound(&mut self) {
        let over = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..over);
    }

    fn keep(&mut self, tenant_id: &str, rule: Rule, refusal: impl FnOnce() -> Refusal) {
        if !self.now.contains_key(tenant_id) {
            if self.now.len() >= TENANTS {
                return;
            }
            self.now.insert(tenant_id.to_owned(), Vec::new());
        }
        let Some(kept) = self.now.get_mut(tenant_id) else {
            return;
        };
        let full = kept.len() >= KEPT_A_SECOND;
        match kept.iter_mut().rfind(|kept| kept.rule == rule) {
            Some(last) if full => last.more = last.more.saturating_add(1),
            _ => kept.push(refusal()),
        }
    }
}

/// Sends what is finished every second. What cannot be sent waits.
pub async fn report(node: Arc<Node>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        node.refusals.turn();
        loop {
            let refusals = node.refusals.finished();
            if refusals.is_empty() {
                break;
            }
            let message = FromNode::Refusals {
                refusals: refusals.clone(),
            };
            if !node.uplink.send(message) {
                node.refusals.put_back(refusals);
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(n: usize, rule: Rule) -> Refusal {
        Refusal {
            request_id: n.to_string(),
            tenant_id: "t".into(),
            at: chrono::DateTime::UNIX_EPOCH,
            operation: "GetObject".into(),
            bucket: String::new(),
            access_key_id: String::new(),
            status: 503,
            code: "SlowDown".into(),
            rule,
            counter: None,
            limit: None,
            revision: 1,
            clears_at: None,
            more: 0,
        }
    }

    #[test]
    fn a_flood_is_counted_and_its_beginning_kept() {
        let refusals = Refusals::default();
        for n in 0..1000 {
            refusals
                .lock()
                .keep("t", Rule::RateLimit, || refusal(n, Rule::RateLimit));
        }
        let signature = || refusal(1000, Rule::Signature);
        refusals.lock().keep("t", Rule::Signature, signature);
        refusals
            .lock()
            .keep("u", Rule::RateLimit, || refusal(1001, Rule::RateLimit));
        assert_eq!(refusals.finished(), [], "the second is not over");
        refusals.turn();
        let kept = refusals.finished();
        assert_eq!(kept.len(), KEPT_A_SECOND + 2);
        let more: u32 = kept.iter().map(|kept| kept.more).sum();
        assert_eq!(more as usize, 1000 - KEPT_A_SECOND);
        let other = kept.iter().find(|kept| kept.rule == Rule::Signature);
        assert_eq!(other.map(|kept| kept.more), Some(0));
        refusals.turn();
        assert_eq!(refusals.finished(), []);
    }

    #[test]
    fn what_could_not_be_sent_waits_within_bounds() {
        let refusals = Refusals::default();
        for _ in 0..300 {
            for n in 0..KEPT_A_SECOND {
                refusals
                    .lock()
                    .keep("t", Rule::RateLimit, || refusal(n, Rule::RateLimit));
            }
            refusals.turn();
        }
        let first = refusals.finished();
        assert_eq!(first.len(), MOST);
        refusals.put_back(first.clone());
        assert_eq!(refusals.lock().waiting.len(), WAITING);
        assert_eq!(refusals.finished(), first);
    }
}
