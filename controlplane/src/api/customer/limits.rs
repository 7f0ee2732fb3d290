//! How often a token, and a tenant with all its tokens, may ask; every answer says what is left.
//! Each control plane counts for itself. Only tokens that proved themselves are counted, so that strangers take no memory.
//! Source: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/>

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderName, HeaderValue};

use super::client::Client;
use crate::clock::SinceEpoch;
use crate::ids::{ApiTokenId, TenantId};
use crate::{Clock, ControlPlane, Error};

/// Of each quota; used up, it is whole again after so long, and comes back evenly.
const WINDOW: u32 = 10;
const OF_TOKEN: NonZeroU32 = NonZeroU32::new(300).expect("not zero");
const OF_TENANT: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");
/// After so many requests those who have not asked lately are forgotten.
const TIDY_EVERY: u64 = 1024;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, SinceEpoch, StateInformationMiddleware>;

pub(crate) struct Limits {
    tokens: Limiter<ApiTokenId>,
    tenants: Limiter<TenantId>,
    clock: SinceEpoch,
    seen: AtomicU64,
}

/// What is left of one quota.
struct Left {
    name: &'static str,
    quota: u32,
    left: u32,
    /// How long to wait for the next request; zero while something is left.
    wait: Duration,
}

impl Limits {
    pub(crate) fn new(clock: Clock) -> Self {
        let clock = SinceEpoch(clock);
        Self {
            tokens: limiter(OF_TOKEN, clock.clone()),
            tenants: limiter(OF_TENANT, clock.clone()),
            clock,
            seen: AtomicU64::new(0),
        }
    }

    /// Counts one request.
    fn count(&self, token: ApiTokenId, tenant: TenantId) -> [Left; 2] {
        if self.seen.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.tidy();
        }
        let token = self.ask("token", &self.tokens, OF_TOKEN, token);
        // What the token may not ask is not counted against its team.
        let tenant = match token.wait.is_zero() {
            true => self.ask("account", &self.tenants, OF_TENANT, tenant),
            false => Left {
                name: "account",
                quota: OF_TENANT.get(),
                left: OF_TENANT.get(),
                wait: Duration::ZERO,
            },
        };
        [token, tenant]
    }

    fn ask<K: Hash + Eq + Clone>(
        &self,
        name: &'static str,
        limiter: &Limiter<K>,
        quota: NonZeroU32,
        key: K,
    ) -> Left {
        use governor::clock::Clock as _;
        let (left, wait) = match limiter.check_key(&key) {
            Ok(snapshot) => (snapshot.remaining_burst_capacity(), Duration::ZERO),
            Err(until) => (0, until.wait_time_from(self.clock.now())),
        };
        Left {
            name,
            quota: quota.get(),
            left,
            wait,
        }
    }

    fn tidy(&self) {
        self.tokens.retain_recent();
        self.tokens.shrink_to_fit();
        self.tenants.retain_recent();
        self.tenants.shrink_to_fit();
    }
}

fn limiter<K: Hash + Eq + Clone>(quota: NonZeroU32, clock: SinceEpoch) -> Limiter<K> {
    let every = Duration::from_secs(WINDOW.into()) / quota.get();
    let quota = Quota::with_period(every)
        .unwrap_or(Quota::per_second(quota))
        .allow_burst(quota);
    RateLimiter::new(quota, HashMapStateStore::default(), clock)
}

impl Left {
    fn policy(&self) -> String {
        format!("\"{}\";q={};w={WINDOW}", self.name, self.quota)
    }

    /// `t`: seconds until the quota is whole again.
    fn left(&self) -> String {
        let used = u64::from(self.quota - self.left.min(self.quota));
        let whole = (used * u64::from(WINDOW)).div_ceil(u64::from(self.quota));
        format!("\"{}\";r={};t={whole}", self.name, self.left)
    }
}

pub(super) async fn hold(
    State(cp): State<ControlPlane>,
    client: Client,
    request: Request,
    next: Next,
) -> Response {
    let all = cp
        .api_limits()
        .count(client.token.id, client.caller.tenant_id);
    let wait = all.iter().map(|left| left.wait).max().unwrap_or_default();
    let mut response = match wait.is_zero() {
        true => next.run(request).await,
        false => Error::TooManyRequests {
            retry_after_seconds: wait.as_secs_f64().ceil().max(1.0) as u64,
        }
        .into_response(),
    };
    let list = |of: fn(&Left) -> String| all.iter().map(of).collect::<Vec<_>>().join(", ");
    for (name, text) in [(POLICY, list(Left::policy)), (LEFT, list(Left::left))] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn a_token_is_held_up_alone_and_a_tenant_with_all_its_tokens() {
        let clock = Clock::at(DateTime::UNIX_EPOCH + chrono::Duration::days(20_000));
        let limits = Limits::new(clock.clone());
        let (tenant, other) = (TenantId::random(), TenantId::random());
        let passes = |token, tenant| limits.count(token, tenant).iter().all(|l| l.wait.is_zero());
        let token = ApiTokenId::random();
        assert_eq!(limits.count(token, tenant)[0].left(), "\"token\";r=299;t=1");
        assert_eq!((0..400).filter(|_| passes(token, tenant)).count(), 299);
        let refused = limits.count(token, tenant);
        assert_eq!(refused[0].left(), "\"token\";r=0;t=10");
        assert_eq!(refused[0].policy(), "\"token\";q=300;w=10");
        let tokens = [(); 4].map(|()| ApiTokenId::random());
        let all = (0..1200).filter(|n| passes(tokens[n % 4], tenant)).count();
        assert_eq!(all, 700, "the team's");
        assert!(passes(ApiTokenId::random(), other), "another team's");
        clock.advance(chrono::Duration::seconds(10));
        assert_eq!((0..400).filter(|_| passes(token, tenant)).count(), 300);
    }

    #[test]
    fn who_has_not_asked_lately_is_forgotten() {
        let clock = Clock::at(DateTime::UNIX_EPOCH + chrono::Duration::days(20_000));
        let limits = Limits::new(clock.clone());
        for _ in 0..10 * TIDY_EVERY {
            limits.count(ApiTokenId::random(), TenantId::random());
            clock.advance(chrono::Duration::seconds(1));
        }
        assert!(
            limits.tokens.len() < 2 * TIDY_EVERY as usize,
            "{}",
            limits.tokens.len()
        );
    }
}
