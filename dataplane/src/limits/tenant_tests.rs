use super::*;

fn limits(rate: u32, burst: u32, concurrent: Option<u32>, bytes: Option<u64>) -> Limits {
    Limits {
        requests_per_second: rate,
        burst,
        concurrent_requests: concurrent,
        bytes_per_second: bytes,
        quota_bytes: None,
        quota_objects: None,
        quota_egress_bytes: None,
    }
}

fn limiter(limits: &Limits, share: u32, now: Instant) -> Arc<TenantLimiter> {
    Arc::new(TenantLimiter::new(limits, Shares::all(share), now))
}

fn passes(limiter: &Arc<TenantLimiter>, limits: &Limits, now: Instant) -> usize {
    (0..10_000)
        .take_while(|_| limiter.clone().admit(limits, now).is_ok())
        .count()
}

#[test]
fn a_share_of_the_burst_and_of_the_rate_passes() {
    let now = Instant::now();
    let limits = limits(100, 200, None, None);
    let limiter = limiter(&limits, WHOLE / 4, now);
    assert_eq!(passes(&limiter, &limits, now), 50);
    assert_eq!(passes(&limiter, &limits, now + Duration::from_secs(1)), 25);
    assert!(matches!(
        limiter.admit(&limits, now + Duration::from_secs(1)),
        Err(Over::Rate { limit: 25_000, wait, .. }) if wait <= Duration::from_millis(40)
    ));
}

#[test]
fn one_request_fits_in_the_smallest_share() {
    let now = Instant::now();
    let limits = limits(1, 1, None, None);
    assert_eq!(passes(&limiter(&limits, 1, now), &limits, now), 1);
}

#[test]
fn changed_limits_leave_what_was_spent() {
    let now = Instant::now();
    let before = limits(10, 100, None, None);
    let limiter = limiter(&before, WHOLE, now);
    assert_eq!(passes(&limiter, &before, now), 100);
    let after = limits(1000, 1000, None, None);
    assert_eq!(passes(&limiter, &after, now), 0);
    assert_eq!(
        passes(&limiter, &after, now + Duration::from_millis(100)),
        100
    );
}

#[test]
fn requests_at_once_are_counted_and_given_back() {
    let now = Instant::now();
    let limits = limits(1000, 1000, Some(4), None);
    let limiter = limiter(&limits, WHOLE / 2, now);
    let first = limiter.clone().admit(&limits, now).unwrap();
    let _second = limiter.clone().admit(&limits, now).unwrap();
    let refused = Over::Concurrency {
        counter: 2,
        limit: 2,
    };
    assert_eq!(limiter.clone().admit(&limits, now).unwrap_err(), refused);
    drop(first);
    assert!(limiter.clone().admit(&limits, now).is_ok());
}

#[test]
fn a_smaller_share_of_what_is_at_once_is_held_until_it_has_drained() {
    let now = Instant::now();
    let limits = limits(1000, 1000, Some(10), None);
    let limiter = limiter(&limits, WHOLE, now);
    let mut under_way: Vec<_> = (0..8)
        .map(|_| limiter.clone().admit(&limits, now).unwrap())
        .collect();
    limiter.set_shares(Shares::all(WHOLE / 5), now);
    assert_eq!(limiter.held("t", 1).shares.concurrency, 800_000_000);
    assert_eq!(limiter.held("t", 1).shares.requests, WHOLE / 5);
    under_way.truncate(2);
    assert_eq!(limiter.held("t", 1).shares.concurrency, WHOLE / 5);
}

#[test]
fn bytes_are_waited_for_and_then_refused() {
    let now = Instant::now();
    let limits = limits(1000, 1000, None, Some(1_000_000));
    let limiter = limiter(&limits, WHOLE / 2, now);
    assert_eq!(limiter.pass(500_000, now), None);
    let ticket = limiter.pass(500_000, now).expect("it has to wait");
    assert_eq!(limiter.wait(ticket, now), Duration::from_secs(1));
    assert!(limiter.clone().admit(&limits, now).is_ok());
    limiter.pass(2_500_000, now);
    assert!(matches!(
        limiter.clone().admit(&limits, now),
        Err(Over::Bandwidth { limit: 500_000, wait, .. }) if wait == Duration::from_secs(1)
    ));
    assert!(limiter.admit(&limits, now + Duration::from_secs(1)).is_ok());
}

#[test]
fn demand_counts_what_was_refused_and_is_said_when_it_is_much_or_new() {
    let mut now = Instant::now();
    let limits = limits(100, 1, None, None);
    let limiter = limiter(&limits, WHOLE, now);
    let step = Duration::from_millis(250);
    let mut said = Vec::new();
    for _ in 0..4 {
        for _ in 0..100 {
            let _ = limiter.clone().admit(&limits, now);
        }
        now += step;
        said.extend(limiter.sample("t", false, now));
    }
    assert_eq!(said[0].requests, 400_000);
    assert_eq!(
        said.len(),
        1,
        "the same is not said again at once: {said:?}"
    );
    let mut last = 400_000;
    for _ in 0..3 {
        now += step;
        if let Some(demand) = limiter.sample("t", false, now) {
            last = demand.requests;
        }
    }
    assert!(last < 200_000, "{last}");
    now += step;
    assert_eq!(limiter.sample("t", false, now), None);
    assert_eq!(limiter.sample("t", true, now).map(|d| d.requests), Some(0));
}

#[test]
fn a_stream_that_waits_asks_for_everything() {
    let mut now = Instant::now();
    let limits = limits(100, 100, None, Some(1_000_000));
    let limiter = limiter(&limits, WHOLE / 100, now);
    limiter.pass(200_000, now);
    for _ in 0..20 {
        now += Duration::from_millis(250);
        let demand = limiter.sample("t", true, now);
        assert!(demand.is_none_or(|demand| demand.bandwidth == 1_000_000));
    }
}

#[test]
fn only_what_a_new_limiter_would_be_is_idle() {
    let mut now = Instant::now();
    let limits = limits(10, 10, None, None);
    let limiter = limiter(&limits, WHOLE, now);
    let under_way = limiter.clone().admit(&limits, now).unwrap();
    for _ in 0..4 {
        now += Duration::from_secs(1);
        limiter.sample("t", false, now);
    }
    assert!(!limiter.is_idle(now));
    drop(under_way);
    assert!(limiter.is_idle(now));
}
